"""The answers to who asked for a version that is not to be had."""

from collections.abc import Mapping, Sequence

from isthmus.services.problem import Problem
from isthmus.versions import Deprecation
from isthmus.versions.deprecation import day_of

__all__ = ["contradictory", "gone", "unnamed", "unsupported"]


def unsupported(status: int, text: str, supported: Sequence[str]) -> Problem:
    """404 for a path, 406 for an Accept, 415 for a Content-Type, 400 for any other header."""
    names = ", ".join(supported)
    told = f"there is no version {text[:40]!r} of this API; there are {names}"
    return Problem(status, told, supported=list(supported))


def unnamed(status: int, ways: Sequence[str], supported: Sequence[str]) -> Problem:
    """A request that says no version, where there is no default."""
    names, how = ", ".join(supported), ", or ".join(ways)
    told = f"say which version of this API you want ({names}), by {how}"
    return Problem(status, told, supported=list(supported))


def contradictory(asked: Mapping[str, str], supported: Sequence[str]) -> Problem:
    """`asked`: versions by the place that names them."""
    said = " and ".join(f"{version} in {place}" for place, version in asked.items())
    return Problem(400, f"the request asks for {said}; ask for one", supported=list(supported))


def gone(ends: Deprecation, successor: str, supported: Sequence[str]) -> Problem:
    assert ends.sunset is not None
    day = day_of(ends.sunset)
    next_ = f"; use {successor}" if successor else ""
    more = f"; {ends.link} tells more" if ends.link else ""
    return Problem(
        410,
        f"{ends.version} of this API is gone since {day}{next_}{more}",
        version=ends.version,
        sunset=day,
        successor=successor or None,
        supported=list(supported),
    )
