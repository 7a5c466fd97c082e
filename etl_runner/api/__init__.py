"""The HTTP edge: the operations that the CLI and clients call. May import floor 4 and below."""
