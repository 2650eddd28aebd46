"""A group of readers: where it goes on, who is in it, and who owns what."""

from dataclasses import dataclass, field

__all__ = ["Group", "Seat"]


@dataclass(slots=True)
class Seat:
    """One member's place; free once the member has been silent for `session`."""

    session: float
    until: float

    def keep(self, now: float) -> None:
        self.until = now + self.session


@dataclass(slots=True)
class Group:
    positions: dict[int, int] = field(default_factory=dict[int, int])
    seats: dict[str, Seat] = field(default_factory=dict[str, Seat])  # by member, first come first
    _owners: dict[int, str] = field(default_factory=dict[int, str])
    _epochs: dict[int, int] = field(default_factory=dict[int, int])

    def attend(self, member: str, *, session: float, now: float) -> None:
        """Note that `member` is alive, and let go of those who are not."""
        self.seats.setdefault(member, Seat(session, now)).keep(now)
        for name, seat in list(self.seats.items()):
            seat.until = min(seat.until, now + seat.session)  # the clock may have gone back
            if seat.until <= now and name != member:
                self.leave(name)

    def leave(self, member: str) -> None:
        self.seats.pop(member, None)
        self.release(member, self.owned(member))

    def owned(self, member: str) -> dict[int, int]:
        """Partition -> epoch of all that `member` owns."""
        return {p: self._epochs[p] for p in sorted(self._owners) if self._owners[p] == member}

    def owns(self, member: str, partition: int, epoch: int | None) -> bool:
        return self._owners.get(partition) == member and self._epochs[partition] == epoch

    def take(self, member: str) -> None:
        """Give `member` free partitions, up to its share."""
        free = [p for p in range(len(self.positions)) if p not in self._owners]
        for partition in free[: max(0, self._share(member) - len(self.owned(member)))]:
            self._owners[partition] = member
            self._epochs[partition] = self._epochs.get(partition, 0) + 1

    def surplus(self, member: str) -> frozenset[int]:
        """What `member` owns beyond its share: another waits for it."""
        return frozenset(list(self.owned(member))[self._share(member) :])

    def _share(self, member: str) -> int:
        each, rest = divmod(len(self.positions), len(self.seats))
        return each + (list(self.seats).index(member) < rest)

    def release(self, member: str, partitions: dict[int, int]) -> None:
        for partition, epoch in partitions.items():
            if self.owns(member, partition, epoch):
                del self._owners[partition]

    def seek(self, positions: dict[int, int]) -> None:
        self.positions.update(positions)
        for partition in positions:
            self._owners.pop(partition, None)
