"""What the place decides, not the program: read from the environment and pyproject.toml."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from isthmus.configuration import Env, Found, HttpUrl, Place, Report, Secret, SecretSource, Url
from isthmus.configuration.converting import converted, shown
from isthmus.configuration.place import PREFIX, Given
from isthmus.configuration.report import refuse, report
from isthmus.configuration.section import DEFAULT, Readable, Section

__all__ = [
    "PREFIX",
    "Env",
    "Found",
    "HttpUrl",
    "Place",
    "Report",
    "Secret",
    "SecretSource",
    "Settings",
    "Url",
    "own_report",
]

Level = Literal["debug", "info", "warning", "error", "critical"]
Server = Literal["uvicorn", "granian"]


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
    env_file: str = ""
    """File of NAME=value lines that stand below the environment, as ".env"; "" is none."""
    secrets: str = "/run/secrets"
    """Folder of secrets, each a file that is called as its variable is, in small letters."""
    secret_source: str = ""
    """Where secrets are looked up that nothing else gives, as "shop.vault:source"; "" is none."""
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
    http_server: Server = "uvicorn"
    """What serves HTTP: "uvicorn", or "granian", which speaks HTTP/2 too."""
    http_connections: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    """Connections of a process at once. One more takes the place of one that does nothing,
    or is answered 503."""
    http_head_limit: Annotated[int, Meta(ge=1_024, le=1 << 20)] = 65_536
    """Bytes of a request's head; a quarter of them for its URL."""
    http_head_timeout: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    """Seconds in which the head of a request must have come whole."""
    http_body_timeout: Annotated[float, Meta(gt=0, le=3_600)] = 30.0
    """Seconds that a request's body may pause."""
    http_write_timeout: Annotated[float, Meta(gt=0, le=3_600)] = 30.0
    """Seconds in which a client must have taken 16 KiB of an answer that waits for it."""
    http_idle_timeout: Annotated[float, Meta(gt=0, le=86_400)] = 75.0
    """Seconds that a connection stays open between two requests."""
    http_request_timeout: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    """Seconds in which an answer must have begun, from the request's head; what runs for it
    is then cancelled. 0 is for ever."""
    docs: bool = True
    """Whether /docs and /openapi.json are served."""
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
        faults = list[str]()
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            try:
                converted(value, field.type, strict=True)
            except ValueError as error:
                faults.append(f"{field.name} = {shown(value)}: {error}")
        refuse(faults)

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return f"Settings({', '.join(f'{name}={shown(value)}' for name, value in values)})"

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, path: Path | str = "pyproject.toml"
    ) -> Self:
        """Read the environment, over [tool.isthmus] of `path`, over the defaults.

        Raises:
            ConfigError: What is there cannot be read; every fault is listed.
        """
        return cls.load_among((), Place.here(environ, path))

    @classmethod
    def load_among(cls, others: Sequence[Readable], place: Place) -> Self:
        """Return isthmus' own settings, read at `place`.

        Raises:
            ConfigError: They cannot be read; every fault is listed, those of `others` too.
        """
        found = report([_own()], place)
        if found.faults:
            refuse(report([_own(), *others], place).faults)
        ((_, reading),) = found.readings
        return reading.value


def _own(given: Mapping[str, Given] | None = None) -> Section:
    """Return what reads them; `given`: what wins over the place."""
    return Section(Settings, "isthmus", prefix=PREFIX, table=(), given=given)


def own_report(
    name: str,
    settings: Settings | None,
    engine: str | None,
    store: str | None,
    configured: Mapping[str, object],
    others: Sequence[Readable],
    place: Place,
) -> Report:
    """Return all settings of the App `name`, where the program said some itself."""
    given = dict[str, Given]()
    if settings is not None:
        fields = settings.__struct_fields__
        given |= {name: Given("App(settings=)", getattr(settings, name)) for name in fields}
    elif not place.says("engine"):
        given["engine"] = Given(DEFAULT, f"sqlite:///{name}.db")
    urls = {"engine": engine, "store": store}
    given |= {name: Given(f"App({name}=)", url) for name, url in urls.items() if url}
    given |= {name: Given("configure", value) for name, value in configured.items()}
    return report([_own(given), *others], place)
