"""The error names that this workflow's Retry and Catch know.

An exception of a function reaches the state machine under its class name.
"""


class ServiceUnavailable(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """The source could not be reached or answered with a fault of its own; later is better."""


class Throttled(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """The source asked for fewer requests."""


class SourceChanged(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """The file was replaced while it was being read; begin again."""


class IncompleteDownload(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """Fewer or more bytes came than were announced."""


class SourceNotFound(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """The source has no file of this day."""


class SourceRefused(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """The source refuses the request; asking again would not help."""


class InvalidRequest(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """The execution's input cannot be used."""


class InvalidConfiguration(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """A setting or the list of sources is missing or cannot be used."""


class UnreadableFile(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """The file is not of the format that its source announces."""


class TooManyRejects(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """More rows were rejected than are tolerated; nothing is published."""


class PartMissing(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """The refined parts do not cover the raw file; nothing is published."""
