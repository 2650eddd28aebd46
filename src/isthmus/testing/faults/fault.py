"""One thing that is wrong with a network, and where: which way, from which byte, for whom."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Literal, Protocol, TypedDict, Unpack

from isthmus.resilience.options import is_number, refuse_unless, refuse_unless_whole

__all__ = ["Forward", "Limits", "NetworkFault", "Passage", "Wire"]

Way = Literal["up", "down", "both"]
Forward = Callable[[bytes], Awaitable[None]]


class Limits(TypedDict, total=False):
    """Where a fault holds; every fault takes these."""

    way: Way
    """"up" is what the client sends, "down" what the server does. Default "both"."""
    after: int
    """Byte of that way from which it holds. 0 up; default 0."""
    connections: int | None
    """How many it befalls: the next that are made. Default None: all, those that are open, too."""
    share: float
    """Of the connections, by the proxy's seed: above 0 to 1; default 1."""


class Passage(Protocol):
    """One way of one connection, as a fault sees it."""

    @property
    def way(self) -> str: ...

    @property
    def wire(self) -> "Wire":
        """The connection that it is a way of."""
        ...

    @property
    def read(self) -> int:
        """Bytes that were taken from who sends."""
        ...

    @property
    def sent(self) -> int:
        """Bytes that were given to who receives."""
        ...

    @property
    def arrived_at(self) -> float:
        """When what is carried now came in."""
        ...

    def now(self) -> float: ...

    def draw(self, fault: "NetworkFault") -> float:
        """Return the next of this passage's random numbers for `fault`, 0 to 1."""
        ...

    async def wait(self, fault: "NetworkFault", seconds: float) -> None:
        """Wait; no longer than `fault` is in force."""
        ...


class Wire(Protocol):
    """One connection, as a fault sees it."""

    @property
    def passages(self) -> "tuple[Passage, Passage]": ...

    @property
    def faults(self) -> "Sequence[NetworkFault]":
        """Those that befall it now, as they were added."""
        ...

    @property
    def over(self) -> bool:
        """Whether it has ended, and nothing more passes."""
        ...

    def note(self, way: str, size: int) -> None:
        """Note that so many bytes have passed."""
        ...

    async def wait(self, fault: "NetworkFault", seconds: float) -> None:
        """Wait; no longer than `fault` is in force."""
        ...

    def reset(self) -> None:
        """End it as a crash does: both sides get an RST, unsent bytes are lost."""
        ...

    def close(self) -> None:
        """End it as a program does: both sides get a FIN after what was sent."""
        ...


class NetworkFault:
    """The one that does nothing; others change a part of it."""

    refuses: ClassVar[bool] = False
    """Whether nobody can connect while it is in force."""

    def __init__(self, **limits: Unpack[Limits]) -> None:
        """
        Raises:
            ConfigError: A limit is out of its range.
        """
        self.way: Way = limits.get("way", "both")
        self.after, self.share = limits.get("after", 0), limits.get("share", 1.0)
        self.connections = limits.get("connections")
        name = type(self).__name__
        refuse_unless(
            self.way in {"up", "down", "both"}, name, "way", self.way, "'up', 'down' or 'both'"
        )
        refuse_unless_whole(name, "after", self.after, 0)
        ok = is_number(self.share) and 0 < self.share <= 1
        refuse_unless(ok, name, "share", self.share, "above 0 to 1")
        if self.connections is not None:
            refuse_unless_whole(name, "connections", self.connections, 1)

    def concerns(self, passage: Passage) -> bool:
        return self.way in {"both", passage.way}

    def room(self, passage: Passage) -> int | None:  # noqa: ARG002
        """Return how many bytes may be read now; None is any number."""
        return None

    async def carry(self, data: bytes, passage: Passage, forward: Forward) -> None:
        """Have the bytes before `after` pass, and let the others suffer."""
        early = data[: max(0, self.after - passage.sent)]
        if early:
            await forward(early)
        if late := data[len(early) :]:
            await self.befall(late, passage, forward)

    async def befall(self, data: bytes, passage: Passage, forward: Forward) -> None:  # noqa: ARG002
        await forward(data)

    async def attend(self, wire: Wire) -> None:
        """Do what is not done to bytes; cancelled once the fault or the connection ends."""
