"""How a saga is, told to who asks."""

from typing import Literal

import msgspec

__all__ = ["SagaStatus", "Status"]

Status = Literal["running", "compensating", "stuck", "completed", "compensated"]


class SagaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One saga, as its history has it."""

    name: str
    id: str
    version: int
    status: Status
    started_at: float
    """Unix seconds."""
    changed_at: float
    """When something was last recorded."""
    steps: int
    """Steps that are done."""
    waits_for: tuple[str, ...] = ()
    """What it waits for: an event, a moment, another saga, the next attempt at a step."""
    reason: str = ""
    """Why it is stuck: "failed", "nondeterministic", "version missing", "compensation" or
    "crashing"."""
    error: str = ""
    """What it is stuck at, or why it compensates."""
