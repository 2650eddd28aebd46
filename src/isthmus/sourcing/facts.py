"""What projections tell: one frozen signal per observable fact."""

from isthmus.signals import Signal

__all__ = ["GenerationBegun", "GenerationSwitched"]


class _Of(Signal, frozen=True, kw_only=True):
    projection: str
    generation: int


class GenerationBegun(_Of, frozen=True, kw_only=True):
    """A projection is built anew, beside the one that is read."""


class GenerationSwitched(_Of, frozen=True, kw_only=True):
    """What was built anew is what is read now; told by a process that saw to it, maybe by two."""
