"""What the policies of all workers told, a line each, written so that SIGKILL takes none away."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from isthmus.handling.facts import ConsumerPaused
from isthmus.resilience import PolicySignal
from isthmus.signals import Signal, Signals


class Note(msgspec.Struct):
    """A signal, who told it, and when: in seconds of the machine's monotonic clock."""

    at: float
    pid: int
    kind: str
    policy: str = ""
    now: str = ""
    """Of CircuitChanged: the state."""
    by: str = ""
    """Of CallRejected: the strategy that refused."""


class Diary:
    """One file that all workers write to, and the demonstration reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def keep(self, signals: Signals) -> None:
        """Note what is told of policies in this process, from now on."""
        self._note(kind="Began")
        signals.listen(PolicySignal, self._heard)
        signals.listen(ConsumerPaused, self._heard)

    def _heard(self, signal: Signal) -> None:
        self._note(kind=type(signal).__name__, **msgspec.to_builtins(signal))

    def _note(self, **told: object) -> None:
        note = {"at": time.monotonic(), "pid": os.getpid(), **told}
        os.write(self._file, msgspec.json.encode(note) + b"\n")

    def read(self) -> "Notes":
        """Return all that was told until now."""
        written = os.pread(self._file, os.fstat(self._file).st_size, 0)
        whole_lines = written[: written.rfind(b"\n") + 1]
        return Notes(msgspec.json.Decoder(Note).decode_lines(whole_lines))

    async def circuit_opened(self, policy: str, since: float) -> None:
        """Wait until a circuit has opened that was closed at `since`, and has refused a call."""
        while not self.read().of(policy).refused_by_a_circuit_opened(since):
            await asyncio.sleep(0.1)


class Notes:
    """What was told, in order."""

    def __init__(self, notes: Sequence[Note]) -> None:
        self._notes = sorted(notes, key=lambda note: note.at)

    def of(self, policy: str) -> "Notes":
        """Return those of one policy, and when each worker began."""
        return Notes([note for note in self._notes if note.policy in {policy, ""}])

    @property
    def saved(self) -> int:
        """Calls that were not made, as the circuit was open."""
        return sum(note.by == "circuit breaker" for note in self._notes)

    @property
    def retried(self) -> int:
        """Calls that were made again."""
        return sum(note.kind == "CallRetried" for note in self._notes)

    @property
    def pauses(self) -> int:
        """How often a consumer began nothing more, as the circuit was open."""
        return sum(note.kind == "ConsumerPaused" for note in self._notes)

    def became(self, state: str) -> int:
        """How often a circuit became that."""
        return sum(note.kind == "CircuitChanged" and note.now == state for note in self._notes)

    def refused_by_a_circuit_opened(self, since: float) -> bool:
        """Whether a circuit opened after `since`, and refused a call then."""
        opened: set[int] = set()
        for note in self._notes:
            if note.at >= since and note.now == "open":
                opened.add(note.pid)
            elif note.by == "circuit breaker" and note.pid in opened:
                return True
        return False

    def states(self, *, killed: Container[int]) -> Iterator[str]:
        """Tell the states in time, of each worker whose circuit ever opened."""
        workers: dict[int, list[Note]] = defaultdict(list)
        for note in self._notes:
            if note.kind in {"Began", "CircuitChanged"}:
                workers[note.pid].append(note)
        for pid, notes in workers.items():
            if len(notes) > 1:
                yield _told(notes) + (", killed" if pid in killed else "")


def _told(notes: Sequence[Note]) -> str:
    spans = [(note.now or "closed", after.at - note.at) for note, after in pairwise(notes)]
    return ", ".join([f"{state} {span:.1f} s" for state, span in spans] + [notes[-1].now])
