"""The place a process runs at: its environment, its files, its pyproject.toml."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from isthmus.configuration.dotenv import dotenv
from isthmus.configuration.field import Field
from isthmus.configuration.source import Answer, SecretSource, ask, source_named, told
from isthmus.errors import ConfigError

__all__ = ["PREFIX", "Given", "Place", "Unusable"]

PREFIX = "ISTHMUS_"
"""How the environment's names begin: `drain` is ISTHMUS_DRAIN."""

SECRETS = "/run/secrets"
"""Where container platforms put files of secrets."""

FILE = "_FILE"
"""What follows a variable's name where it holds the path of a file: SHOP_KEY_FILE=/etc/key."""

LARGEST = 1 << 16
"""Bytes of such a file."""


class Given(NamedTuple):
    """What was written for a setting."""

    origin: str
    """Where."""
    value: Any


class Unusable(Exception):  # noqa: N818 - a fault that is collected with others
    """What was written for a setting can't be used."""


class Place:
    """Where settings are looked for, the first that says something first: the environment, a
    file that it names, the folder of secrets, the source of secrets, pyproject.toml."""

    def __init__(
        self,
        environ: Mapping[str, str],
        table: Mapping[str, Any],
        *,
        project: str = "pyproject.toml",
        secrets: Path = Path(SECRETS),
        source: SecretSource | None = None,
    ) -> None:
        """`table`: [tool.isthmus] of the file `project`. `secrets`: the folder of secrets."""
        self.environ, self.table, self.project = environ, table, project
        self._secrets, self._source = secrets, source
        self._answers: dict[str, Answer] = {}

    @classmethod
    def here(
        cls,
        environ: Mapping[str, str] | None = None,
        path: Path | str = "pyproject.toml",
        *,
        source: SecretSource | None = None,
    ) -> Self:
        """Look around: at the process' environment and the working directory, unless told.

        Raises:
            ConfigError: A file cannot be read, or a source of secrets not be had.
        """
        environ = os.environ if environ is None else environ
        table = _table(Path(path))
        if file := _said("env_file", environ, table):
            environ = {**dotenv(Path(file)), **environ}
        if source is None and (named := _said("secret_source", environ, table)):
            source = source_named(named)
        secrets = Path(_said("secrets", environ, table) or SECRETS)
        return cls(environ, table, project=str(path), secrets=secrets, source=source)

    def ask(self, fields: Sequence[Field]) -> None:
        """Ask the source for the secrets among `fields` that nothing above it gives, at once."""
        if self._source is None:
            return
        names = {field.variable for field in fields if field.secret and not self._is_near(field)}
        unknown = sorted(names - self._answers.keys())
        if unknown:
            self._answers |= ask(self._source, unknown)

    def find(self, field: Field, table: Sequence[str]) -> Given | None:
        """Return what is written for a field; `table`: where in [tool.isthmus] it may be.

        Raises:
            Unusable: It is written, but can't be read or must not be there.
        """
        return (
            self._in_environ(field.variable)
            or self._in_secrets(field.variable)
            or self._from_source(field)
            or self._in_project(field, table)
        )

    def says(self, name: str) -> bool:
        """Return whether one of isthmus' own settings is written here."""
        field = Field(path=(name,), variable=f"{PREFIX}{name.upper()}", type=str, default=None)
        try:
            return self.find(field, ()) is not None
        except Unusable:
            return True

    def within(self, table: Sequence[str]) -> tuple[str, Mapping[str, Any]]:
        """Return how a table of [tool.isthmus] is called, and what is in it."""
        found = self.table
        for name in table:
            found = _as_table(found.get(name))
        header = ".".join(["tool", "isthmus", *table])
        return f"{self.project}: [{header}]", found

    def _is_near(self, field: Field) -> bool:
        try:
            found = self._in_environ(field.variable) or self._in_secrets(field.variable)
        except Unusable:
            return True
        return found is not None

    def _in_environ(self, variable: str) -> Given | None:
        value, file = self.environ.get(variable), self.environ.get(variable + FILE)
        if value and file:
            raise Unusable(f"{variable} and {variable}{FILE} are both set; keep one")
        if file:
            return Given(file, _read(Path(file), f"{variable}{FILE}"))
        return Given(variable, value) if value else None

    def _in_secrets(self, variable: str) -> Given | None:
        for name in (variable.lower(), variable):
            path = self._secrets / name
            if _is_there(path):
                return Given(str(path), _read(path, str(path)))
        return None

    def _from_source(self, field: Field) -> Given | None:
        answer = self._answers.get(field.variable)
        if answer is None:
            return None
        name = type(self._source).__name__
        if isinstance(answer, Exception):
            raise Unusable(f"{field.variable}: {name} failed: {told(answer)}") from answer
        return Given(name, answer)

    def _in_project(self, field: Field, table: Sequence[str]) -> Given | None:
        *way, name = (*table, *field.path)
        header, found = self.within(way)
        if name not in found:
            return None
        if field.secret:
            raise Unusable(
                f"{header} {name}: a secret has no place in a file that is checked in; set "
                f"{field.variable}, or {field.variable}{FILE} to the path of a file"
            )
        return Given(f"{header} {name}", found[name])


def _table(path: Path) -> Mapping[str, Any]:
    try:
        tool: Any = tomllib.loads(path.read_text("utf-8")).get("tool", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read settings from {path}: {error}") from error
    return _as_table(tool.get("isthmus"))


def _as_table(found: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


def _said(name: str, environ: Mapping[str, str], table: Mapping[str, Any]) -> str:
    found = environ.get(f"{PREFIX}{name.upper()}") or table.get(name)
    return found if isinstance(found, str) else ""


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the folder is for others
        return False


def _read(path: Path, told: str) -> str:
    """Return a file's text without the end of its last line."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{told}: {path} cannot be read: {_why(error)}") from error
    if len(content) > LARGEST:
        raise Unusable(f"{told}: {path} is larger than {LARGEST:,} bytes")
    if not (text := text.removesuffix("\n").removesuffix("\r")):
        raise Unusable(f"{told}: {path} is empty")
    return text


def _why(error: OSError | UnicodeDecodeError) -> str:
    """Say what is wrong, but nothing of what was read."""
    return error.strerror or "" if isinstance(error, OSError) else "it is not UTF-8"
