"""All settings of a process, read at once, with every fault of them."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

import msgspec

from isthmus.configuration.place import FILE, Place
from isthmus.configuration.section import Found, Names, Readable, Reading
from isthmus.errors import ConfigError

__all__ = ["Report", "refuse", "report"]

ALMOST = 0.85
"""How alike two names are of which one may be the other, mistyped; 1 is equal."""


class Report(msgspec.Struct, frozen=True):
    """What was found, and all that is wrong with it."""

    found: Sequence[Found]
    faults: Sequence[str]
    readings: Sequence[tuple[Readable, Reading]]

    def keep(self) -> None:
        """Have each section take over what was read.

        Raises:
            ConfigError: Something is wrong; every fault is listed, and nothing was taken over.
        """
        refuse(self.faults)
        for section, reading in self.readings:
            section.keep(reading.value)


def report(sections: Sequence[Readable], place: Place, *, complete: bool = True) -> Report:
    """Read all `sections`; what the source of secrets has to be asked is asked together.
    `complete`: whether there are no others, so that what none of them knows is a fault."""
    place.ask([field for section in sections for field in section.fields(place)])
    readings = [(section, section.read(place)) for section in sections]
    names = [each for _, reading in readings for each in reading.names]
    faults = [fault for _, reading in readings for fault in reading.all_faults]
    unknown = _unknown_keys(names, place) if complete else ()
    return Report(
        [each for _, reading in readings for each in reading.found],
        list(dict.fromkeys([*unknown, *_unknown(names, place), *faults])),
        readings,
    )


def refuse(faults: Sequence[str]) -> None:
    """Raises ConfigError if there are any."""
    if faults:
        raise ConfigError("settings that cannot be used:\n" + "\n".join(f"  {f}" for f in faults))


def _unknown_keys(names: Sequence[Names], place: Place) -> Iterator[str]:
    """Yield what was written into pyproject.toml in vain. A table may be another App's: only
    one that is nearly one of ours is a mistake."""
    known: dict[tuple[str, ...], list[str]] = {}
    shared = {each.table for each in names if each.shared}
    for each in names:
        known.setdefault(each.table, []).extend(each.keys)
    for table, keys in known.items():
        header, written = place.within(table)
        tables = [other[-1] for other in known if other[:-1] == table and len(other) > len(table)]
        for key in written:
            if key in keys or key in tables:
                continue
            if table not in shared and not isinstance(written[key], dict):
                yield f"{header} {key}: no such setting; there are {', '.join(keys)}"
                continue
            for meant in get_close_matches(key, [*keys, *tables], n=1, cutoff=ALMOST):
                yield f"{header} {key}: no such setting; {meant} was meant?"


def _unknown(names: Sequence[Names], place: Place) -> Iterator[str]:
    """Yield variables that were set in vain. The environment is everyone's: there, only a name
    that is nearly one of ours is a mistake."""
    variables = dict.fromkeys(name for each in names for name in each.variables)
    known = [*variables, *(f"{name}{FILE}" for name in variables)]
    prefixes = tuple({each.prefix for each in names})
    for key in sorted(place.environ):
        if key.startswith(prefixes) and key not in known:
            for meant in get_close_matches(key, known, n=1, cutoff=ALMOST):
                yield f"{key}: no such setting; {meant} was meant?"
