"""What a PostgreSQL URL says: which database, and how it is used."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from isthmus.errors import ConfigError
from isthmus.url import redacted

__all__ = ["Address"]

_DURABILITIES = ("full", "normal")
_NUMBERS = {
    "pool_size": (1, 200),
    "transactions": (1, 1000),
    "connect_timeout": (1, 300),
    "timeout": (1, 3600),
}
"""Own options that are numbers: their least and their greatest."""
_DRIVER = frozenset(
    {
        "application_name",
        "host",
        "passfile",
        "port",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)
"""Options of libpq's that the driver takes as they are."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    dsn: str
    """What the driver is given; holds the password."""
    scope: str
    """Host, port and database: what shares transactions."""
    durable: bool = True
    """`durability=full`: what was acknowledged survives a crash of the server; `normal`: a
    crash of the process; one of the server may cost the last half second. Default full."""
    pool_size: int = 8
    """Most connections for what isthmus itself does, 1 to 200, and one more that listens."""
    transactions: int = 20
    """Most connections for transactions with statements of yours, 1 to 1000."""
    connect_timeout: float = 10.0
    """How long the server may take to let us in, in seconds, 1 to 300."""
    timeout: float = 30.0
    """How long it may take for a statement of isthmus', or until one of the connections for
    transactions is free, in seconds, 1 to 3600. Statements of yours are not timed."""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Raises: ConfigError."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := options.keys() - _DRIVER - _NUMBERS.keys() - {"durability"}:
            raise ConfigError(
                f"{redacted(url)}: unknown option {', '.join(sorted(unknown))}; there are "
                f"durability=full|normal, {', '.join(_NUMBERS)}, {', '.join(sorted(_DRIVER))}"
            )
        driver = urlencode({name: value for name, value in options.items() if name in _DRIVER})
        return cls(
            dsn=urlunsplit(("postgresql", parts.netloc, parts.path, driver, "")),
            scope=_scope(url, options),
            durable=_durability(url, options.get("durability", "full")) == "full",
            pool_size=int(_number(url, options, "pool_size", 8)),
            transactions=int(_number(url, options, "transactions", 20)),
            connect_timeout=_number(url, options, "connect_timeout", 10),
            timeout=_number(url, options, "timeout", 30),
        )


def _scope(url: str, options: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database:
        raise ConfigError(
            f"{redacted(url)} names no database; write postgresql://user@host:5432/database"
        )
    hosts = parts.netloc.rpartition("@")[2] or options.get("host", "localhost")
    port = f":{options['port']}" if "port" in options else ""
    default = "" if port or ":" in hosts.rpartition("]")[2] else ":5432"
    return f"postgresql://{unquote(hosts).lower()}{port}{default}/{database}"


def _durability(url: str, grade: str) -> str:
    if grade not in _DURABILITIES:
        raise ConfigError(f"{redacted(url)}: durability is full or normal, not {grade!r}")
    return grade


def _number(url: str, options: Mapping[str, str], name: str, default: float) -> float:
    text, (least, greatest) = options.get(name, str(default)), _NUMBERS[name]
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= greatest:
        raise ConfigError(
            f"{redacted(url)}: {name} is a number, {least} to {greatest}, not {text!r}"
        )
    return number
