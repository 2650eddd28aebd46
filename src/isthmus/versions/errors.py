"""What can go wrong between versions."""

from isthmus.errors import IsthmusError, NotFoundError

__all__ = ["MigrationError", "UnknownVersionError"]


class UnknownVersionError(NotFoundError):
    """The API has no such version."""


class MigrationError(IsthmusError):
    """A change could not lead a document up or down; its `__cause__` says why.

    Nothing was sent on. Whether the document or the change is at fault, only who
    validated the document can tell.
    """

    def __init__(self, message: str, *, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing
        """The key that the change looked for in vain; "" if it failed otherwise."""
