"""The files of several services as one file for each package."""

from collections.abc import Iterable, Sequence
from typing import Any

from isthmus.errors import ConfigError
from isthmus.services.rpc.contract.descriptors import File

__all__ = ["merged"]


def merged(services: Iterable[Sequence[File]]) -> Sequence[File]:
    """Return the files of all, each after those that it imports.

    Raises:
        ConfigError: Two define the same name in different ways.
    """
    found = dict[str, File]()
    for files in services:
        for file in files:
            if file.name in found:
                _merge(found[file.name], file)
            else:
                found[file.name] = _copied(file)
    return _in_order(found)


def _copied(file: File) -> File:
    made = File()
    made.CopyFrom(file)
    return made


def _merge(into: File, file: File) -> None:
    for kind in ("message_type", "enum_type", "service"):
        there = {each.name: each for each in getattr(into, kind)}
        for each in getattr(file, kind):
            if each.name not in there:
                getattr(into, kind).add().CopyFrom(each)
            elif there[each.name] != each:
                raise ConfigError(
                    f"{file.package}.{each.name} is defined in two ways, by two services of one "
                    "package: use one class for both, or give one of them another name"
                )
    into.dependency.extend(sorted(set(file.dependency) - set(into.dependency)))


def _in_order(found: dict[str, Any]) -> Sequence[File]:
    done = dict[str, File]()

    def add(name: str) -> None:
        for dependency in found[name].dependency:
            if dependency in found and dependency not in done:
                add(dependency)
        done[name] = found[name]

    for name in found:
        add(name)
    return list(done.values())
