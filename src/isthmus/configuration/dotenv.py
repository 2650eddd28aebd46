"""Files of NAME=value lines, as deployment tools write them."""

import re
from collections.abc import Iterator
from pathlib import Path

from isthmus.errors import ConfigError

__all__ = ["dotenv"]

_LINE = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*
    (?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<plain>[^#'"\s](?:[^\n]*?))?)
    \s*(?:(?<=\s)\#.*|(?<==)\#.*|(?<=['"])\#.*)?""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n", "t": "\t", "r": "\r"}


def dotenv(path: Path) -> dict[str, str]:
    r"""Return what a file says, a variable a line: plain, 'as it is', or "with \n escapes".
    Nothing is put in place of $NAME. What follows # is a remark.

    Raises:
        ConfigError: It cannot be read; every line that is none is named.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"cannot read {path}, which env_file (ISTHMUS_ENV_FILE) names: {why}"
        ) from error
    said, faults = dict[str, str](), list[str]()
    for number, line in _told(lines):
        if found := _LINE.fullmatch(line):
            said[found["name"]] = _value(found)
        else:
            faults.append(f"{path}:{number}: expected NAME=value")
    if faults:
        raise ConfigError("\n".join(faults))
    return said


def _told(lines: list[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if (text := line.strip()) and not text.startswith("#"):
            yield number, text


def _value(found: re.Match[str]) -> str:
    if found["single"] is not None:
        return found["single"]
    if found["double"] is not None:
        return _ESCAPED.sub(lambda it: _MEANT.get(it[1], it[1]), found["double"])
    return (found["plain"] or "").strip()
