"""One flow on its way: what was seen of it, what it waits for, what became of it. Pure."""

from typing import Literal

import msgspec

from isthmus.flows.plan import Expected, Plan
from isthmus.flows.status import ENDED, FlowStatus, Seen, Status

__all__ = ["Instance"]

MOST = 200
"""Events that are kept of one flow; beyond, only the first of each kind are."""


class Instance(msgspec.Struct, kw_only=True):
    """The state of one flow, as it is stored. Who changes it holds a version of it."""

    key: str
    status: Status = "early"
    correlation: str = ""
    begun_at: float = 0.0
    changed_at: float = 0.0
    ended_at: float = 0.0
    seen: list[Seen] = []
    waiting: dict[str, float] = {}
    """What is expected, and the moment by which."""
    missed: list[str] = []
    outcome: Literal["", "failed", "timed_out"] = ""
    """What it ends as, once it is compensated."""
    reason: str = ""
    dropped: int = 0

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def has_seen(self, id: str) -> bool:
        """Whether the message of this id is in it already."""
        return any(each.id == id for each in self.seen)

    # --- what may happen --------------------------------------------------------------------

    def see(self, seen: Seen, plan: Plan, *, now: float) -> Seen:
        """Go on with an event that was not seen before; return it as it is kept."""
        if self._is_late(seen.event, plan):
            seen = msgspec.structs.replace(seen, late=True)
        self._keep(seen, now=now)
        if self.status == "early" and seen.event in plan.begins:
            self.status, self.begun_at = "running", now
        self.go_on(plan, now=now)
        return seen

    def miss(self, name: str, plan: Plan, *, at: float) -> Expected | None:
        """Find that something did not come by the moment `at`, and turn back; return what it was.
        None if it came, or is not waited for any more. `go_on` follows."""
        if self.waiting.get(name) != at:
            return None
        del self.waiting[name]
        expected = plan.expected.get(name)
        if expected is not None:  # else an older release expected it
            self.missed.append(name)
            self._turn(plan, "timed_out", f"{name} did not come within {expected.within:g} s")
        return expected

    def compensate(self, seen: Seen, *, now: float) -> None:
        """Keep an event that the flow itself publishes."""
        self._keep(seen, now=now)

    def go_on(self, plan: Plan, *, now: float) -> None:
        """Wait for what is next; end, if there is nothing."""
        if self.status == "running":
            self._go_forward(plan, now)
        if self.status == "compensating":
            self._wait(plan, now)
            if not self.waiting:
                self._end(self.outcome or "failed", now)

    # --- how it goes on ---------------------------------------------------------------------

    def _go_forward(self, plan: Plan, now: float) -> None:
        ends = set(plan.ends)
        for each in self.seen:  # which came first, if both did
            if each.event in plan.fails:
                return self._turn(plan, "failed", f"{each.event} came")
            if each.event in ends:
                return self._end("completed", now)
        self._wait(plan, now)
        happened = self._happened
        if not ends and all(happened.intersection(each.events) for each in plan.forward.values()):
            self._end("completed", now)

    def _turn(self, plan: Plan, outcome: Literal["failed", "timed_out"], reason: str) -> None:
        self.status, self.outcome = "compensating", outcome
        self.reason = f"{self.reason}; {reason}" if self.reason else reason
        self.waiting = {name: at for name, at in self.waiting.items() if name in plan.backward}

    def _wait(self, plan: Plan, now: float) -> None:
        happened = self._happened
        phase = plan.forward if self.status == "running" else plan.backward
        for name, expected in phase.items():
            if happened.intersection(expected.events):
                self.waiting.pop(name, None)
            elif name in self.waiting or name in self.missed:
                continue
            elif happened.intersection(expected.after or plan.begins):
                self.waiting[name] = now + expected.within

    def _end(self, status: Status, now: float) -> None:
        self.status, self.ended_at = status, now
        self.waiting = {}

    # --- what is kept -----------------------------------------------------------------------

    def _keep(self, seen: Seen, *, now: float) -> None:
        self.changed_at = now
        if len(self.seen) < MOST or seen.event not in self._happened:
            self.seen.append(seen)
        else:
            self.dropped += 1

    def _is_late(self, event: str, plan: Plan) -> bool:
        match self.status:
            case "early" | "running":
                return False
            case "completed":
                return event in plan.fails
            case "compensating":
                awaited = {name for each in plan.backward.values() for name in each.events}
                return event not in awaited and event not in plan.fails
            case _:
                return True

    @property
    def _happened(self) -> set[str]:
        return {each.event for each in self.seen}

    def told(self, flow: str) -> FlowStatus:
        """Return it as it is told to who asks."""
        return FlowStatus(
            flow=flow,
            key=self.key,
            status=self.status,
            correlation=self.correlation,
            begun_at=self.begun_at,
            changed_at=self.changed_at,
            ended_at=self.ended_at,
            waits_for=dict(sorted(self.waiting.items(), key=lambda each: each[1])),
            missed=tuple(self.missed),
            reason=self.reason,
            timeline=sorted(self.seen, key=lambda each: each.at),
            dropped=self.dropped,
        )
