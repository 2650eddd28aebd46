"""What the place decides, not the program: read from the environment and pyproject.toml."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

import msgspec
from msgspec import Meta

from isthmus.errors import ConfigError
from isthmus.url import redacted

__all__ = ["PREFIX", "Settings"]

PREFIX = "ISTHMUS_"
"""How the environment's names begin: `drain` is ISTHMUS_DRAIN."""

Level = Literal["debug", "info", "warning", "error", "critical"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each with its default; spans are seconds. Checked however they are made.

    Raises:
        ConfigError: Values are of a wrong type or out of range; all of them are named.
    """

    app: str = ""
    """What `isthmus run` starts when it is not told, as "shop:app"."""
    engine: str = ""
    """URL of what carries messages and streams; "" is sqlite:///<app's name>.db."""
    store: str = ""
    """URL of the database whose transactions carry the App's state; "" is the engine."""
    source: str = ""
    """What messages say they come from, CloudEvents' `source`; "" is the App's name."""
    host: str = "127.0.0.1"
    """Address that HTTP is served on."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    """Port that HTTP is served on; 0 is any that is free."""
    listener: int | None = None
    """File descriptor of a listening socket that the parent process handed down, for
    processes that share a port; in its place `host` and `port` are not looked at."""
    tls_certificate: str = ""
    """Path of a PEM file: the server's certificate, and those up to its root; "" is no TLS."""
    tls_key: str = ""
    """Path of a PEM file with the certificate's key; "" is the certificate's file."""
    tls_clients: str = ""
    """Path of a PEM file with the roots whose certificates clients must have; "" asks for
    none."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes of `isthmus run`."""
    drain: Annotated[float, Meta(ge=0, le=3_600)] = 30.0
    """Seconds that running handlers get to finish once a stop is asked for; what is not
    done by then is cancelled, and handled again elsewhere."""
    blocked: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    """Seconds for which a handler may block the event loop of `isthmus run` before the
    process kills itself, as nothing else in it goes on; 0 is for ever."""
    session: Annotated[float, Meta(ge=1, le=3_600)] = 10.0
    """Seconds without a sign of life after which a member of a consumer group is dead and
    its partitions are given to the others."""
    lease: Annotated[float, Meta(ge=1, le=43_200)] = 30.0
    """Seconds a process holds a message of its own housekeeping (outbox, schedules)."""
    grpc_host: str = "127.0.0.1"
    """Address that gRPC is served on."""
    grpc_port: Annotated[int, Meta(ge=0, le=65_535)] = 50_051
    """Port that gRPC is served on; 0 is any that is free."""
    grpc_shared: bool = False
    """Whether other processes serve gRPC on the same port; set by `isthmus run --workers`."""
    grpc_limit: Annotated[int, Meta(ge=1_024, le=1 << 31)] = 4 << 20
    """Bytes of one gRPC message that is received, at most."""
    grpc_streams: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    """Calls at once on one gRPC connection; more wait at the client."""
    grpc_reflection: bool = True
    """Whether a gRPC server tells which services it has, and their messages."""
    log_level: Level = "info"
    """Least severe level that is logged."""

    def __post_init__(self) -> None:
        given = {name: _Given(name, getattr(self, name)) for name in self.__struct_fields__}
        _, faults = _read(given, strict=True)
        _refuse(faults)

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return f"Settings({', '.join(f'{name}={_shown(value)}' for name, value in values)})"

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, path: Path | str = "pyproject.toml"
    ) -> Self:
        """Read the environment, over [tool.isthmus] of `path`, over the defaults.

        Raises:
            ConfigError: What is there cannot be read; every fault is listed.
        """
        environ = os.environ if environ is None else environ
        given = _from_toml(Path(path)) | _from_environ(environ)
        values, faults = _read(given, strict=False)
        _refuse([*_unknown(given, environ), *faults])
        return cls(**values)


class _Given(NamedTuple):
    origin: str
    """Where it was written, for the error."""
    value: Any


_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Settings)}


def _from_environ(environ: Mapping[str, str]) -> dict[str, _Given]:
    names = {name: f"{PREFIX}{name.upper()}" for name in _FIELDS}
    return {name: _Given(key, environ[key]) for name, key in names.items() if environ.get(key)}


def _from_toml(path: Path) -> dict[str, _Given]:
    try:
        tool: Any = tomllib.loads(path.read_text("utf-8")).get("tool", {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read settings from {path}: {error}") from error
    section = cast("dict[str, Any]", tool.get("isthmus", {}))
    return {
        name: _Given(f"{path}: [tool.isthmus] {name}", value) for name, value in section.items()
    }


def _read(given: Mapping[str, _Given], *, strict: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the values that can be used, and what is wrong with the others."""
    values, faults = dict[str, Any](), list[str]()
    for name, (origin, value) in given.items():
        if name in _FIELDS:
            try:
                values[name] = msgspec.convert(value, _FIELDS[name].type, strict=strict)
            except msgspec.ValidationError as error:
                faults.append(f"{origin} = {_shown(value)}: {error}")
    return values, faults


def _unknown(given: Mapping[str, _Given], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what was written in vain. The environment is everyone's: there, only a name
    that is nearly one of ours is a mistake."""
    for name, (origin, _) in given.items():
        if name not in _FIELDS:
            yield f"{origin}: no such setting; there are {', '.join(_FIELDS)}"
    known = [f"{PREFIX}{name.upper()}" for name in _FIELDS]
    for key in sorted(environ):
        if key.startswith(PREFIX) and key not in known:
            for meant in get_close_matches(key, known, n=1, cutoff=0.85):
                yield f"{key}: no such setting; {meant} was meant?"


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ConfigError("settings that cannot be used:\n" + "\n".join(f"  {f}" for f in faults))


def _shown(value: object) -> str:
    return repr(redacted(value) if isinstance(value, str) else value)
