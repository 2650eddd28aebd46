"""Where events that are published meet the sagas that wait for them, whichever comes first.

There is one entry of the store for each saga's name, event and key. Whoever comes changes it, and
its version is the fence: of an event and a saga that come at the same moment, one sees the other.
"""

import msgspec

from isthmus.contracts import Put, StoreEngine, Transaction

__all__ = ["SPACE", "Letters", "look", "place"]

SPACE = "isthmus.sagas.mail"


class _Letter(msgspec.Struct, frozen=True, array_like=True):
    body: bytes
    id: str


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    waiters: list[str]
    letters: list[_Letter]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class Letters:
    """Who waits at one place, or what lies there."""

    def __init__(self, place: str, value: bytes | None, version: int) -> None:
        self._place, self._version = place, version
        kept = _Kept([], []) if value is None else _decode(value)
        self.waiters, self._letters = list(kept.waiters), list(kept.letters)
        self.changed = False

    def waited_for_by(self, id: str) -> list[tuple[bytes, str]]:
        """Return the oldest event that lies there; if there is none, note who waits."""
        self.changed = True
        if self._letters:
            letter = self._letters.pop(0)
            return [(letter.body, letter.id)]
        self.waiters.append(id)
        return []

    def no_more_waited_for_by(self, id: str) -> None:
        if id in self.waiters:
            self.waiters.remove(id)
            self.changed = True

    def keep(self, body: bytes, id: str) -> None:
        """Have an event lie there until somebody waits for it."""
        self._letters.append(_Letter(body, id))
        self.changed = True

    def put(self, *, ttl: float) -> Put:
        """Return the change. What lies there goes after `ttl` seconds; who waits stays."""
        if not self.waiters and not self._letters:
            return Put(self._place, None, self._version)
        value = _encode(_Kept(self.waiters, self._letters))
        return Put(self._place, value, self._version, None if self.waiters else ttl)


def place(saga: str, event: str, key: str) -> str:
    return f"{saga}/{event}/{key}"


async def look(store: StoreEngine, place: str, *, tx: Transaction | None = None) -> Letters:
    """Return what is at a place now."""
    found = (await store.get(SPACE, [place], tx=tx)).get(place)
    return Letters(place, None if found is None else found.value, found.version if found else 0)
