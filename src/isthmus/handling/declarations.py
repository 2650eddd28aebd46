"""What was declared before anything runs, by an App or by a Module included in one.

Declaring is done at import time and needs no engine. When the App opens, each
`opening` is called with the Host, and binds its thing to the engine; each
`worker` is then run until it is drained.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar, get_args

from isthmus.configuration.section import Readable
from isthmus.configuration.source import SecretSource
from isthmus.errors import ConfigError
from isthmus.handling.host import Host
from isthmus.handling.model import Declared, Model
from isthmus.handling.ownership import DeclaredDatabase, Roles

__all__ = ["Declarations", "Opening", "Worker"]

Opening = Callable[[Host], Awaitable[None]]
T = TypeVar("T")


class Worker(Protocol):
    """Something that runs for as long as the process serves."""

    @property
    def name(self) -> str:
        """What `isthmus run --only` calls it: "queue:orders"."""
        ...

    async def run(self, host: Host) -> None:
        """Work until drained; return when what was begun is settled."""
        ...

    async def drain(self) -> None:
        """Begin nothing more; do not wait for what runs."""
        ...


class Declarations:
    """The records, openings, workers and middleware of one App or Module."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = Model()
        self.openings: list[Opening] = []
        self.workers: list[Worker] = []
        self.middleware: list[Any] = []
        self.resources: dict[Any, Any] = {}
        self.sections: list[Readable] = []
        self.secrets: SecretSource | None = None
        """Where the program says that secrets are looked up."""
        self.database: DeclaredDatabase | None = None
        """Whose the store is said to be; of an App only: a Module runs in somebody's."""
        self.overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        """Functions that are called instead of others, resources' and dependencies': in tests."""
        self._shared: dict[type, Any] = {}
        self._into: Declarations | None = None
        self._host: Host | None = None

    @property
    def root(self) -> "Declarations":
        """The App's declarations, once this is included in them; until then its own."""
        return self if self._into is None else self._into.root

    @property
    def host(self) -> Host:
        """The open Host.

        Raises:
            ConfigError: The App is not open.
        """
        if (host := self.root._host) is None:
            raise ConfigError(
                f"{self.name!r} is not open: run it with `isthmus run`, or use `async with app:`"
            )
        return host

    @property
    def opened(self) -> Host | None:
        """The open Host; None if the App is not open."""
        return self.root._host

    def declare(self, record: Declared) -> None:
        """Add a record to the model; ConfigError if its name is taken."""
        self.model.add(record)
        if self._into is not None:
            self._into.declare(record)

    def open_with(self, opening: Opening) -> None:
        """Have `opening` called with the Host when the App opens, in this order."""
        self.openings.append(opening)
        if self._into is not None:
            self._into.open_with(opening)

    def work(self, worker: Worker) -> None:
        """Have `worker` run when the App runs; one of a name that is there already is
        the same one, declared by a Module too."""
        if all(other.name != worker.name for other in self.workers):
            self.workers.append(worker)
        if self._into is not None:
            self._into.work(worker)

    def shared(self, kind: type[T]) -> T:
        """Return the App's one `kind`, made when first asked for: what a room keeps of
        its own. Ask while the App opens; before, a Module may not be included yet."""
        kept = self.root._shared
        if kind not in kept:
            kept[kind] = kind()
        return kept[kind]

    def own(self, *, shared: bool, tables: Mapping[str, str], roles: Roles = "warn") -> None:
        """Say whose the store is; ConfigError if that was said, or makes no sense."""
        if tables and not shared:
            raise ConfigError(
                "tables have owners where a database is shared: say shared=True, or leave them out"
            )
        if roles not in get_args(Roles):
            raise ConfigError(f"roles={roles!r}: it is one of {', '.join(get_args(Roles))}")
        record = DeclaredDatabase(name=self.name, shared=shared, tables=dict(tables), roles=roles)
        self.declare(record)
        self.database = record

    def configure_by(self, section: Readable) -> None:
        """Have `section` read before anything is opened."""
        self.sections.append(section)
        if self._into is not None:
            self._into.configure_by(section)

    def wrap(self, middleware: Any) -> None:
        """Have `middleware` around every handler, inside of those before it."""
        self.middleware.append(middleware)
        if self._into is not None:
            self._into.wrap(middleware)

    def provide(self, kind: Any, function: Callable[..., Any]) -> None:
        """Have `function` give handlers what they annotate as `kind`.

        Raises:
            ConfigError: Another function gives it already.
        """
        if (taken := self.resources.setdefault(kind, function)) is not function:
            raise ConfigError(
                f"{_name(function)} and {_name(taken)} both give {kind}; "
                "keep one, or give the other's a type of its own"
            )
        if self._into is not None:
            self._into.provide(kind, function)

    def include(self, other: "Declarations") -> None:
        """Take over all that `other` declared, and will declare.

        Raises:
            ConfigError: A name is declared in both, or `other` is included already.
        """
        if other._into is not None:
            raise ConfigError(f"{other.name!r} is already included in {other._into.name!r}")
        for record in other.model:
            self.declare(record)
        for opening in other.openings:
            self.open_with(opening)
        for worker in other.workers:
            self.work(worker)
        for section in other.sections:
            self.configure_by(section)
        for middleware in other.middleware:
            self.wrap(middleware)
        for kind, function in other.resources.items():
            self.provide(kind, function)
        other._into = self

    async def bind(self, host: Host) -> None:
        """Open everything declared so far on `host`."""
        self._host = host
        for opening in list(self.openings):
            await opening(host)

    def unbind(self) -> None:
        self._host = None


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", None)
    return f"{name}()" if name else type(function).__name__
