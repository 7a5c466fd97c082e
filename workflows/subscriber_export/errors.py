"""The error names that this workflow's Retry and Catch know.

An exception of a function reaches the state machine under its class name, so each kind of fault has a class:
what may pass is retried, what is final is not.
"""


class ZuoraUnavailable(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """Zuora could not be reached or answered 5xx or 429; later is better."""


class ZuoraRefused(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """Zuora refuses the request; asking again would not help."""


class UnexpectedAnswer(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """Zuora's answer is not of the form that its interface promises."""


class InvalidRequest(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """The execution's input cannot be used."""


class InvalidConfiguration(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """A setting or the configuration object is missing or cannot be used."""


class UnexpectedColumns(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """A result file lacks columns that the export needs."""


class NothingToDeliver(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """Every list would be empty, which no delivery date has; something is wrong upstream."""


class PublishConflict(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """Others kept replacing the published object; nothing was written."""
