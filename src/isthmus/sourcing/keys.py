"""The keys of people: each in an entry of its own, until they are to be forgotten."""

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from isthmus.contracts import Entry, Put, StoreEngine, Transaction
from isthmus.errors import ConfigError
from isthmus.handling.unit import repeat

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["BLANK", "Key", "Keys", "require_cipher"]

NAME, SECRET, NONCE = 8, 32, 12
"""Bytes of a key's name, of the key, and of what makes each use of it another."""
BLANK = bytes(NAME + SECRET)
"""What a key is overwritten with before its entry goes; it is none."""
EPOCH = ""
"""The subject whose entry changes whenever somebody is forgotten."""


class Key(NamedTuple):
    """A key of AES-256-GCM."""

    name: bytes
    secret: bytes

    def seal(self, text: bytes, *, of: str) -> bytes:
        """Encrypt; it can be read at its place `of` only."""
        nonce = os.urandom(NONCE)
        return self.name + nonce + _cipher(self.secret).encrypt(nonce, text, of.encode())

    def opens(self, sealed: bytes) -> bool:
        return sealed[:NAME] == self.name

    def open(self, sealed: bytes, *, of: str) -> bytes:
        nonce = sealed[NAME : NAME + NONCE]
        return _cipher(self.secret).decrypt(nonce, sealed[NAME + NONCE :], of.encode())


class Keys:
    """The keys of the subjects of one aggregate type."""

    def __init__(self, store: StoreEngine, name: str) -> None:
        self._store, self._space = store, f"subjects/{name}"
        self._made: WeakKeyDictionary[Transaction, dict[str, Key]] = WeakKeyDictionary()

    async def find(self, subjects: Collection[str]) -> Mapping[str, Key]:
        """Return the keys of those who are not forgotten."""
        return _keys(await self._store.get(self._space, list(subjects)))

    async def want(self, subjects: Collection[str], *, tx: Transaction) -> Mapping[str, Key]:
        """Return their keys, new ones where there are none; `tx` commits only if none of
        them is forgotten meanwhile."""
        made = self._made.setdefault(tx, {})
        found = await self._store.get(self._space, list(subjects), tx=tx)
        keys = _keys(found)
        for subject in subjects:
            if subject not in keys and subject not in made:
                made[subject] = Key(os.urandom(NAME), os.urandom(SECRET))
                version = found[subject].version if subject in found else 0
                put = Put(subject, b"".join(made[subject]), version)
                await self._store.put(self._space, [put], tx=tx)
        return {**made, **keys}

    async def forget(self, subject: str) -> bool:
        """Delete a key, and tell all processes; return whether there was one."""
        if subject == EPOCH:
            raise ConfigError("forget whom? A subject has a name")
        found = subject in await self.find([subject])

        async def overwrite(tx: Transaction) -> None:
            puts = [Put(subject, BLANK), Put(EPOCH, os.urandom(NAME + SECRET))]
            await self._store.put(self._space, puts, tx=tx)

        await repeat(self._store, overwrite)
        await self._store.put(self._space, [Put(subject, None)])
        return found

    async def epoch(self) -> int:
        """Return a number that grows whenever somebody is forgotten."""
        found = await self._store.get(self._space, [EPOCH])
        return found[EPOCH].version if found else 0

    async def all(self) -> Mapping[str, bytes]:
        """Return every subject's key, to be kept elsewhere."""
        found, after = dict[str, bytes](), EPOCH
        while page := await self._store.scan(self._space, after=after, limit=1000):
            found |= {subject: entry.value for subject, entry in page}
            after = page[-1][0]
        return found

    async def add(self, subject: str, value: bytes) -> None:
        """Put a key that was kept elsewhere, unless there is one."""
        if not await self._store.get(self._space, [subject]):
            await self._store.put(self._space, [Put(subject, value)])


def require_cipher() -> None:
    """Raises ConfigError if the library for it is missing."""
    _cipher(bytes(SECRET))


def _keys(found: Mapping[str, Entry]) -> Mapping[str, Key]:
    return {
        subject: Key(entry.value[:NAME], entry.value[NAME:])
        for subject, entry in found.items()
        if entry.value != BLANK
    }


def _cipher(secret: bytes) -> "AESGCM":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ConfigError(
            "personal data are encrypted by the package cryptography: "
            "pip install 'isthmus[personal]'"
        ) from error
    return AESGCM(secret)
