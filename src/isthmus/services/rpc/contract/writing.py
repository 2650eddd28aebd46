"""What `isthmus proto` writes for the services of an App: their lock, and their .proto."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from isthmus.errors import ConfigError
from isthmus.services.rpc.contract.contract import draft_of
from isthmus.services.rpc.contract.descriptors import File, file_of
from isthmus.services.rpc.contract.draft import Draft
from isthmus.services.rpc.contract.lock import FILE, Lock, find_lock
from isthmus.services.rpc.contract.merging import merged
from isthmus.services.rpc.contract.text import proto_text, words_of
from isthmus.services.rpc.interface import Interface

__all__ = ["Locked", "Written", "written"]


class Locked(NamedTuple):
    """One lock file, as it is to be."""

    path: Path
    text: str
    changes: Sequence[str]
    unseen: Sequence[str]
    """Services that would not find it by themselves."""


class Written(NamedTuple):
    locks: Sequence[Locked]
    protos: Mapping[str, str]
    """The text of each file, by its path below the folder of all."""


def written(interfaces: Sequence[Interface], *, lock: Path | None) -> Written:
    """Return what is to be written; `lock` is for all whose classes name none.

    Raises:
        ConfigError: A service does not agree with its lock; nothing is to be written.
    """
    by_path = dict[Path, list[Interface]]()
    for interface in interfaces:
        by_path.setdefault(_place(interface, lock), []).append(interface)
    locks, files, drafts = list[Locked](), list[Sequence[File]](), list[Draft]()
    for path, those in by_path.items():
        settled = Lock.read(path) if path.is_file() else Lock(path=path)
        changes = list[str]()
        own = [draft_of(each) for each in those]
        for draft in own:
            settled, more = settled.settled(draft)
            changes += more
        drafts += own
        files += [[file_of(draft, settled)] for draft in own]
        unseen = [each.name for each in those if not _finds(each, path)]
        locks.append(Locked(path, settled.text(), changes, unseen))
    words = words_of(drafts)
    return Written(locks, {each.name: proto_text(each, words) for each in merged(files)})


def _place(interface: Interface, lock: Path | None) -> Path:
    """Return the lock of a service: the one that its class names, that which was asked for, the
    one that is there, or a new one in its package."""
    if interface.lock is not None:
        return interface.beside(interface.lock).resolve()
    if lock is not None:
        return lock.resolve()
    return find_lock(interface.file) or _new(interface)


def _new(interface: Interface) -> Path:
    if interface.file is None:
        raise ConfigError(f"{interface.title} is in no file; say where its lock is: --lock {FILE}")
    folder = interface.file.parent
    while (folder.parent / "__init__.py").is_file():
        folder = folder.parent
    return folder / FILE


def _finds(interface: Interface, path: Path) -> bool:
    if interface.lock is not None:
        return True
    found = find_lock(interface.file)
    seen = path if found is None and path == _new(interface) else found
    return seen == path
