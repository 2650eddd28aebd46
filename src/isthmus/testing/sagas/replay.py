"""The replay check: does changed code still go the way that running sagas went?"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isthmus.errors import ConfigError
from isthmus.sagas import Definition, RecordedSaga
from isthmus.sagas.checking import check

__all__ = ["replay"]

History = RecordedSaga | str | Path


def replay(
    sagas: Definition[Any, Any] | Sequence[Definition[Any, Any]], *histories: History
) -> list[str]:
    """Play histories against sagas, and return what was played, as "fulfil/A-1". Nothing is done.

        def test_running_orders_survive_this_release() -> None:
            replay([fulfil_1, fulfil_2], "tests/histories")

    A history is what `handle.recorded()` returns, a file that it wrote, or a folder of such.

    Raises:
        NotDeterministicError: A function asks for something else than is recorded; the notes of
            the error say of which saga, and in which file.
        ConfigError: A history is of a saga, or a version, that is not among them.
    """
    known = {(each.name, each.version): each for each in _listed(sagas)}
    played = list[str]()
    for recorded, where in _all(histories):
        saga = known.get((recorded.name, recorded.version))
        if saga is None:
            names = ", ".join(f"{name}/{version}" for name, version in known)
            raise ConfigError(
                f"{where}: a history of saga {recorded.name}/{recorded.version}, and given are: "
                f"{names}"
            )
        key = f"{recorded.name}/{recorded.id}"
        try:
            check(saga, key, recorded.events)
        except Exception as error:
            error.add_note(f"saga {key}, version {recorded.version}, in {where}")
            raise
        played.append(key)
    return played


def _listed(
    sagas: Definition[Any, Any] | Sequence[Definition[Any, Any]],
) -> Sequence[Definition[Any, Any]]:
    return [sagas] if isinstance(sagas, Definition) else sagas


def _all(histories: Sequence[History]) -> Iterator[tuple[RecordedSaga, str]]:
    for history in histories:
        if isinstance(history, RecordedSaga):
            yield history, "memory"
            continue
        path = Path(history)
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise ConfigError(f"{path} has no *.json: write histories there, or name another place")
        for file in files:
            yield RecordedSaga.read(file), str(file)
