"""The schema's revisions, oldest first; one file each under migrations/versions (a test compares)."""

from typing import Final

REVISIONS: Final = ("0001", "0002", "0004", "0005", "0006")
HEAD: Final = REVISIONS[-1]
