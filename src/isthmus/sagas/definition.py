"""One version of a saga, as it is declared: `fulfil` after `@app.saga("fulfil", version=1)`."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from isthmus.errors import ConfigError
from isthmus.handling.address import checked
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.message import new_id
from isthmus.sagas.declared import DeclaredSaga
from isthmus.sagas.family import Families, Family, require_id
from isthmus.sagas.handle import Handle
from isthmus.sagas.listening import Listened, listen
from isthmus.sagas.options import SagaOptions
from isthmus.sagas.recipe import Function, Recipe
from isthmus.sagas.saga import Saga
from isthmus.sagas.starting import start
from isthmus.sagas.worker import SagaWorker

__all__ = ["Definition"]

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


class Definition(Recipe, Generic[I, R]):
    """A saga that can be started. Made by `app.saga`."""

    def __init__(
        self,
        name: str,
        version: int,
        function: Function,
        declared: Declarations,
        *,
        options: SagaOptions,
        on: Sequence[Listened] = (),
    ) -> None:
        """Raises ConfigError if the function is not one of a saga."""
        super().__init__(checked(name, what="saga"), version, function, options=options)
        self._declared = declared
        self._family: Family | None = None
        declared.declare(
            DeclaredSaga(
                name=f"{name}/{version}",
                saga=name,
                version=version,
                function=self.title,
                on=[each.name for each in on],
                options=options,
            )
        )
        listen(self.name, on, options)
        declared.open_with(self._bind)
        declared.work(SagaWorker(self.name))

    async def start(self, value: I = None, *, id: str | None = None) -> Handle[R]:
        """Start a saga, and return a handle on it, once that is as durable as the store says.

        The same `id` twice is one saga, until its retention is over. In a transaction it starts
        when that commits, or not at all.

        Raises:
            SchemaError: `value` is not what it is started with.
            UnavailableError: It may have started. Start it again under the same id.
        """
        chosen = new_id() if id is None else require_id(id)
        await start(self._opened, self, chosen, self.input.encode(value))
        return self.handle(chosen)

    def handle(self, id: str) -> Handle[R]:
        """Return a handle on the saga of this id, whether there is one or not."""
        return Handle(self._opened, require_id(id), self.result)

    def query(self, function: Callable[[Saga], Any]) -> Callable[[Saga], Any]:
        """Have a function answer `handle.query(function)`: from `saga.state` as the saga's function
        left it, when played up to where it is. It may not do anything.

            @fulfil.query
            def phase(saga: Saga) -> str:
                return saga.state["phase"]
        """
        self.queries[function.__name__] = function
        return function

    @property
    def _opened(self) -> Family:
        if self._family is None or self._declared.opened is not self._family.host:
            self._declared.host  # noqa: B018 - raises, saying how to open
            raise ConfigError(f"saga {self.name!r} was declared after the App opened")
        return self._family

    async def _bind(self, host: Host) -> None:
        family = host.kept(Families).of(self.name)
        await family.add(self)
        self._family = family
