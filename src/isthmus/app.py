"""App and Module: thin doors to the rooms, and one lifecycle.

Whatever is in the catalogue is what you see after typing `app.`; a room is
imported when its door is first used.
"""

import sys
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import msgspec

from isthmus.clock import Clock, Span, SystemClock
from isthmus.configuration.report import Report
from isthmus.contracts import Transaction
from isthmus.handling.consuming.options import HandlerWords
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.model import Model
from isthmus.handling.ownership import DeclaredDatabase, Roles
from isthmus.handling.unit import joined, transaction
from isthmus.settings import Place, SecretSource, Settings
from isthmus.signals import Signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from isthmus.flows import Flow, Flows
    from isthmus.handling.running.runtime import Runtime
    from isthmus.handling.running.trial import Trial
    from isthmus.handling.schedules import CatchUp
    from isthmus.handling.sync.sync_app import SyncApp
    from isthmus.messaging import Keeping, Queue, Topic
    from isthmus.resilience import Policy, SharedState
    from isthmus.sagas import Sagas
    from isthmus.sagas.door import Make
    from isthmus.sagas.options import SagaWords
    from isthmus.schema.formats.choice import Choice
    from isthmus.services.adapter.door import Implementation
    from isthmus.services.client.client import Client
    from isthmus.services.client.options import ClientWords
    from isthmus.services.documents import Security
    from isthmus.services.layers.idempotency import Idempotency
    from isthmus.services.rest.options import RouteWords
    from isthmus.services.rpc import Service, StubWords
    from isthmus.services.serving.embedded import Embedded
    from isthmus.services.versioning.reader import Choice as VersionChoice
    from isthmus.services.versioning.reader import Place as VersionPlace
    from isthmus.sourcing import Aggregate, Command, Projection, Query
    from isthmus.sourcing.read_model import ReadModel
    from isthmus.streams import Stream
    from isthmus.streams.options import GroupWords
    from isthmus.versions import Versions

__all__ = ["App", "Module"]

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


class Module:
    """Doors without a process: declared here, run by the App that includes it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.declarations = Declarations(name)

    # --- messages ---------------------------------------------------------------------------

    def queue(
        self,
        name: str,
        payload: type[T],
        *,
        ordered: bool = False,
        retention: Span | None = None,
        max_length: int | None = None,
        keeping: "Keeping | None" = None,
        format: "Choice" = None,
    ) -> "Queue[T]":
        """Declare a work queue: each message is handled by one taker, then gone.

        `ordered` handles messages of one key one after the other. `retention` drops
        what nobody handled for so long; beyond `max_length` waiting messages,
        sending raises FullError. `keeping` says it all, dead letters included.

        `format`: how messages are written: "json" (the default), "msgpack", "avro", "protobuf"
        (that of generated classes), or one with a registry, as Avro(registry=...). Given several,
        the first is written, and all are read; so are those that need no registry.
        """
        from isthmus.messaging import Queue
        from isthmus.messaging.keeping import keeping as limits

        kept = keeping or limits(retention=retention, max_length=max_length)
        return Queue(name, payload, self.declarations, ordered=ordered, keeping=kept, format=format)

    def topic(self, name: str, *payload: type[T], format: "Choice" = None) -> "Topic[T]":
        """Declare a topic: every subscription gets each event, at its own pace. It may
        carry several types: `app.topic("orders", Placed, Cancelled)`. `format` is as a
        queue's."""
        from isthmus.messaging import Topic

        return Topic(name, payload, self.declarations, format=format)

    def flow(
        self,
        name: str,
        *,
        key: "Callable[[Any], str | None] | None" = None,
        retention: Span = 7 * 86400.0,
    ) -> "Flow":
        """Declare a flow: events of several services that belong together, as they are expected.
        Its progress is tracked; one that does not come in time has compensation events published.

            flow = app.flow("fulfilment", key=lambda event: event.order)
            flow.begins(placed)
            flow.expects(reserved, within=60, otherwise=[cancel])
            flow.ends(shipped)

        `key` says which flow an event belongs to, None if to none; by default its correlation.
        Flows that have ended are kept for `retention` seconds (7 days).
        """
        from isthmus.flows import Flow

        return Flow(name, self.declarations, key=key, retention=retention)

    # --- HTTP -------------------------------------------------------------------------------

    def get(self, path: str, **options: Unpack["RouteWords"]) -> Callable[[Function], Function]:
        """Have a function answer GET of `path`, as "/v1/orders/{id}".

        Parameters named in the path and plain ones (str, int, list[str] ...) come from
        path and query, converted; one model is the body, as JSON. By annotation: Request,
        Transaction, headers, dependencies, resources. A request with a transaction is a
        unit of work: committed before the answer is sent, run again on conflict.

        What is returned is sent as JSON, with `status` (200, or 204 for None), a Starlette
        Response as it is. Errors leave as problem documents; raise Problem for your own.

        After `deadline` seconds (above 0; default None, never) the answer is worth nothing:
        policies wait no longer, and begin no call. A client may say sooner, by the header
        `isthmus-deadline`. All options: `isthmus.services.rest.options.RouteOptions`.
        """
        return self._route("GET", path, **options)

    def post(self, path: str, **options: Unpack["RouteWords"]) -> Callable[[Function], Function]:
        """Have a function answer POST of `path`; as `get`, with a body of `body_limit`
        bytes at most (1 MiB)."""
        return self._route("POST", path, **options)

    def put(self, path: str, **options: Unpack["RouteWords"]) -> Callable[[Function], Function]:
        """Have a function answer PUT of `path`; as `post`."""
        return self._route("PUT", path, **options)

    def patch(self, path: str, **options: Unpack["RouteWords"]) -> Callable[[Function], Function]:
        """Have a function answer PATCH of `path`; as `post`."""
        return self._route("PATCH", path, **options)

    def delete(self, path: str, **options: Unpack["RouteWords"]) -> Callable[[Function], Function]:
        """Have a function answer DELETE of `path`; as `get`."""
        return self._route("DELETE", path, **options)

    def mount(
        self,
        path: str,
        application: Callable[[Any, Any, Any], Awaitable[None]],
        *,
        body_limit: int = 100 << 20,
        idempotency: "Idempotency | None" = None,
    ) -> None:
        """Have an ASGI application (FastAPI, Django, Starlette ...) answer all below
        `path`, which it sees as its root; started and stopped with the server. Bodies of
        more than `body_limit` bytes (100 MiB) are answered 413. With `idempotency`, its
        requests of one Idempotency-Key happen once."""
        from isthmus.services import mount

        mount(self.declarations, path, application, body_limit=body_limit, idempotency=idempotency)

    def add_middleware(self, kind: "Callable[..., ASGIApp]", **options: Any) -> None:
        """Put plain ASGI middleware, `kind(application, **options)`, around all that is served
        over HTTP, mounts and errors included: `app.add_middleware(GZipMiddleware)`. As with
        Starlette, the last added is outermost. One with a parameter `host` gets the Host."""
        from isthmus.services import add_middleware

        add_middleware(self.declarations, kind, **options)

    def _route(
        self, method: str, path: str, **options: Unpack["RouteWords"]
    ) -> Callable[[Function], Function]:
        from isthmus.services import route

        return route(self.declarations, method, path, **options)

    def about(
        self,
        *,
        title: str = "",
        version: str = "",
        description: str = "",
        servers: Sequence[str] = (),
        security: "Sequence[Security]" = (),
    ) -> None:
        """Say what documents (`/openapi.json`, `isthmus asyncapi`) tell of the whole.

        `title` is the App's name, unless it is given, `version` "0.0.0"; `description` may be
        Markdown. `servers` are URLs under which it is reached, else where the document was
        asked for. `security` are ways in which clients tell who they are (`Bearer()`,
        `ApiKey()` of isthmus.services.documents); to judge it is up to the handlers.
        """
        from isthmus.services.documents import about

        about(
            self.declarations,
            title=title,
            version=version,
            description=description,
            servers=servers,
            security=security,
        )

    # --- gRPC -------------------------------------------------------------------------------

    def serve(self, service: "Service") -> None:
        """Serve a gRPC service: an object of a class that derives from Service.

        Its methods may take, beside their request, by annotation: Metadata, Peer, headers,
        dependencies, resources, and a Transaction where nothing streams: committed before the
        answer is sent, run again on conflict. Errors leave as statuses; raise Problem for
        your own. Field numbers are those of `proto.lock`, which `isthmus proto` keeps.
        """
        from isthmus.services.rpc.doors import serve

        serve(self.declarations, service)

    def stub(self, service: type[T], address: str, **options: "Unpack[StubWords]") -> T:
        """Declare a gRPC service that is called; open while the App is. What is returned has
        the methods of `service`, of which only the interface is needed:

            inventory = app.stub(Inventory, "inventory:50051")
            await inventory.reserve(ReserveRequest(...))

        Every call is guarded, by default with 30 s in all, three attempts of 10 s, a circuit
        breaker and a bulkhead, which are the stub's own; `policy=` replaces them. See `Stub`.
        """
        from isthmus.services.rpc.doors import stub

        return stub(self.declarations, service, address, **options)

    # --- calling others ---------------------------------------------------------------------

    def client(self, name: str, base_url: str, **options: "Unpack[ClientWords]") -> "Client":
        """Declare an upstream that is called over HTTP; open while the App is.

        Every call is guarded, by default with 30 s in all, three attempts of 10 s, a circuit
        breaker and a bulkhead, which are the upstream's own; configuration amends them by its
        name (`isthmus.resilience.policies`), `policy=` replaces them. See `Client`.
        """
        from isthmus.services.client.door import client

        return client(self.declarations, name, base_url, **options)

    def adapter(
        self,
        interface: type[T],
        implementations: "Mapping[str, Implementation[T]]",
        *,
        name: str = "",
        use: str = "",
        policy: "Policy | None" = None,
        raises: Collection[type[Exception]] = (),
    ) -> T:
        """Put providers behind an `interface` of your own, a Protocol or an abstract class; one
        of `implementations` is opened with the App, and closed with it.

            payments = app.adapter(Payments, {"stripelike": Stripelike, "fake": FakePayments})

        Which one, ISTHMUS_ADAPTER_PAYMENTS says, else [tool.isthmus.adapter] of pyproject.toml,
        else `use`. Each is a class, or a function that gives or yields it; both are given their
        settings (a frozen Struct), resources, Host. What is returned is called as the interface
        says, and handlers are given it by the interface's type.

        `policy` is around each call (default: none; clients have one of their own). `raises` are
        your own errors that implementations raise, beside those that `translates` names: any
        other becomes a ProviderError.

        Raises:
            ConfigError: An implementation lacks a method, or has one that does not fit.
        """
        from isthmus.services.adapter.door import adapter

        return adapter(
            self.declarations,
            interface,
            implementations,
            name=name,
            use=use,
            policy=policy,
            raises=raises,
        )

    # --- API versions -----------------------------------------------------------------------

    def versions(
        self,
        *names: "str | Versions",
        by: "VersionPlace | VersionChoice | None" = None,
        default: str | None = None,
        except_: Sequence[str] = (),
        mounts: Sequence[str] = (),
        limit: int = 8 << 20,
    ) -> "Versions":
        """Serve the routes in several versions, "v2", "v1" or dates, newest first. Routes are
        written for the newest, without a version in their paths; the returned table is told
        what each version changed, for REST, events and webhooks.

        `by`: where a request says which it wants, `Uri() | Header() | MediaType()`; by
        default /v1/... . `default`: the version of requests that don't say (None: refused).
        `except_`: paths without versions, and all below them, besides health and docs.
        `mounts`: mounted applications that have them, too. `limit`: of bodies that are led
        to another version (8 MiB).
        """
        from isthmus.services.versioning import versions

        return versions(
            self.declarations,
            *names,
            by=by,
            default=default,
            except_=except_,
            mounts=mounts,
            limit=limit,
        )

    # --- streams ----------------------------------------------------------------------------

    def stream(
        self,
        name: str,
        payload: type[T],
        *,
        key: "Callable[[T], str] | str | None" = None,
        partitions: int = 8,
        retention: Span | None = None,
        max_bytes: int | None = None,
        compaction: bool = False,
        format: "Choice" = None,
    ) -> "Stream[T]":
        """Declare a stream: an ordered log of records, read by groups at their own
        pace, from any place, as long as `retention` (and `max_bytes` a partition)
        keeps them. Records of one `key` keep their order; with `compaction` only the
        newest of each key need be kept. `format` is as a queue's.
        """
        from isthmus.streams import Stream

        return Stream(
            name,
            payload,
            self.declarations,
            key=key,
            partitions=partitions,
            retention=retention,
            max_bytes=max_bytes,
            compaction=compaction,
            format=format,
        )

    # --- event sourcing ---------------------------------------------------------------------

    def aggregate(
        self,
        name: str,
        state: type[T],
        *,
        initial: T | None = None,
        partitions: int = 1,
        snapshot_every: int | None = None,
        keep_ids: Span = 30 * 86400.0,
        cache: int = 10_000,
    ) -> "Aggregate[T]":
        """Declare aggregates of one frozen type, whose `decide(command)` returns events and whose
        `evolve(event)` returns the next state; what happened is kept, as the log of this name.

        It begins as `initial`, else as `state()`. With one of `partitions` (1) all events have
        one order; with several, those of each aggregate do. The state is kept after every
        `snapshot_every` events (None: never), so that longer histories load quickly. The id of
        a command is remembered for `keep_ids` seconds (30 days); `cache` states (10,000) are
        kept at hand.
        """
        from isthmus.sourcing import Aggregate

        return Aggregate(
            name,
            state,
            self.declarations,
            initial=initial,
            partitions=partitions,
            snapshot_every=snapshot_every,
            keep_ids=keep_ids,
            cache=cache,
        )

    def projection(
        self,
        name: str,
        of: "Aggregate[Any]",
        *,
        into: "Sequence[ReadModel]" = (),
        version: int = 1,
        **options: "Unpack[GroupWords]",
    ) -> "Callable[[Callable[..., Any]], Projection]":
        """Have a function make what is read of the events of some aggregates: each event, with
        all that the function writes by `tx` and `into`, is one commit with its position.

            @app.projection("balances", accounts, into=[table])
            async def balances(event: Recorded[Deposited | Withdrawn], tx: Transaction): ...

        Aggregates are projected in parallel, each in order. What fails is tried until it works,
        and its aggregate waits. A new `version`, like `balances.rebuild()`, is built beside the
        one that is read. Options are a group's, see `isthmus.streams.GroupOptions`.
        """
        from isthmus.sourcing import Projection

        def projected(function: Callable[..., Any]) -> Projection:
            return Projection(
                name, of, function, self.declarations, into=into, version=version, **options
            )

        return projected

    def command(
        self, name: str, *, keep_ids: Span = 30 * 86400.0
    ) -> "Callable[[Callable[..., Awaitable[T]]], Command[T]]":
        """Have a function handle commands of the type that it takes, as one transaction, run
        again on conflict; once for each id, which is remembered for `keep_ids` seconds.

            @app.command("transfer")
            async def transfer(command: Transfer) -> Receipt: ...

            receipt = await transfer(Transfer("acc-1", "acc-2", 10), id=request_id)
        """
        from isthmus.sourcing import Command

        def handled(function: Callable[..., Awaitable[T]]) -> Command[T]:
            return Command(name, function, self.declarations, keep_ids=keep_ids)

        return handled

    def query(
        self, name: str, *of: "Projection", timeout: Span = 10.0
    ) -> "Callable[[Callable[..., Awaitable[T]]], Query[T]]":
        """Have a function answer a question about what projections wrote; asked `after` a
        position, it waits for `timeout` seconds until they show it.

            @app.query("balance", balances)
            async def balance(account: str, tx: Transaction) -> int: ...

            amount = await balance("acc-1", after=handled.position)
        """
        from isthmus.sourcing import Query

        def answered(function: Callable[..., Awaitable[T]]) -> Query[T]:
            return Query(name, function, self.declarations, of=of, timeout=timeout)

        return answered

    def schedule(
        self,
        name: str,
        *,
        every: Span | None = None,
        cron: str | None = None,
        timezone: str = "UTC",
        catch_up: "CatchUp" = "latest",
        **options: Unpack[HandlerWords],
    ) -> Callable[[Function], Function]:
        """Have a function run at every due moment, once across all processes.

        `every` so many seconds, or by `cron` ("0 3 * * *") in a time zone. Moments
        that were missed while nothing ran are one run ("latest"), one run each
        ("all") or none ("none").
        """
        from isthmus.handling.schedules import schedule

        return schedule(
            self.declarations,
            name,
            every=every,
            cron=cron,
            timezone=timezone,
            catch_up=catch_up,
            **options,
        )

    # --- sagas ------------------------------------------------------------------------------

    def saga(
        self,
        name: str,
        *,
        version: int = 1,
        on: "Sequence[Topic[Any]]" = (),
        **options: Unpack["SagaWords"],
    ) -> "Make":
        """Have an async function run as a saga: durable, its steps remembered, and undone if it
        cannot be completed.

            @app.saga("fulfil", version=1)
            async def fulfil(saga: Saga, order: Order) -> Receipt:
                await saga.step(reserve, order, undo=release)
                return await saga.step(charge, order, undo=refund)

            handle = await fulfil.start(order, id=order.id)

        Versions live side by side: a saga that runs ends by the one it was started with. `on`:
        topics whose events it may wait for. All options: `isthmus.sagas.options.SagaOptions`.
        """
        from isthmus.sagas.door import saga

        return saga(self.declarations, name, version=version, on=on, **options)

    # --- what handlers stand on -------------------------------------------------------------

    def middleware(self, function: Function) -> Function:
        """Have `async def function(incoming, proceed)` wrap every handler; the first
        declared is outermost."""
        self.declarations.wrap(function)
        return function

    def resource(self, function: Function) -> Function:
        """Have the value that `function` gives, opened once with the App, given to every
        handler with a parameter of its type. An (async) generator is closed at the end.

            @app.resource
            async def http() -> AsyncIterator[ClientSession]: ...
        """
        from isthmus.handling.calling.resources import resource

        return resource(self.declarations, function)

    def settings_of(self, kind: type[T], *, prefix: str | None = None) -> T:
        """Declare settings of your own, a frozen Struct or dataclass, and return them: read when
        the App opens, or when one is first looked at; given to handlers by their type.

        `pool` of App("shop") is SHOP_POOL in the environment, or pool in [tool.isthmus.shop] of
        pyproject.toml; `prefix` stands for "SHOP_". Secrets may lie in files, too.

        Raises:
            ConfigError: The class cannot be used; when they are read: every fault is listed.
        """
        from isthmus.handling.configured import configured

        return configured(self.declarations, kind, prefix=prefix)

    @contextmanager
    def override(self, function: Callable[..., Any], other: Callable[..., Any]) -> Generator[None]:
        """Call `other` instead of `function`, which gives a resource or a dependency, in an App
        that is opened inside: for tests. Asking for resources is all that `other` may.

            with app.override(user, lambda: User("test")):
                async with app.test() as t: ...
        """
        overrides = self.declarations.overrides
        overrides[function] = other
        try:
            yield
        finally:
            del overrides[function]

    def migrations(self, folder: str | Path) -> None:
        """Apply the .sql files of `folder` when the App opens, each once, in the order
        of their names. A relative folder is looked for beside the calling file."""
        from isthmus.handling.migrations import Migrations

        self.declarations.open_with(Migrations(_beside_caller(Path(folder))).apply)

    @property
    def shared(self) -> "SharedState":
        """The store, as state that policies of all processes share, once the App is open:
        `CircuitBreaker(name="pay", shared=app.shared)`, and so RateLimit and Feature."""
        from isthmus.handling.shared_state import StoreState

        return StoreState(self.declarations)

    def include(self, module: "Module") -> None:
        """Take over all that `module` declares.

        Raises:
            ConfigError: A name is declared in both, or it is included already.
        """
        self.declarations.include(module.declarations)


class App(Module):
    """A service: what it declares, and the process that runs it.

    `engine` is the URL of what carries messages and streams: the argument, else
    $ISTHMUS_ENGINE, else sqlite:///<name>.db in the working directory. `store` is
    the URL of the database whose transactions carry the App's state; the engine
    itself unless it is given here or in $ISTHMUS_STORE. `secrets` is where secrets are looked up
    that neither the environment nor files give.
    """

    def __init__(
        self,
        name: str,
        *,
        engine: str | None = None,
        store: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        secrets: SecretSource | None = None,
    ) -> None:
        super().__init__(name)
        self.declarations.database = DeclaredDatabase(name=name)
        self.declarations.secrets = secrets
        self._urls = (engine, store)
        self._settings, self._clock = settings, clock or SystemClock()
        self._configured: dict[str, Any] = {}
        self.signals = Signals()
        self._opened = AsyncExitStack()
        self._runtime: Runtime | None = None
        self._draining = False
        self._sync: SyncApp | None = None

    def configure(self, **values: Any) -> None:
        """Give settings that win over all others, as the command line's do: `engine=`,
        `port=`. Call it before `open`; a wrong one is a ConfigError then."""
        self._configured |= values

    def database(
        self,
        *,
        shared: bool = False,
        tables: Mapping[str, str] | None = None,
        roles: Roles = "warn",
    ) -> None:
        """Say whose the store is. By default it is this service's alone: another App, one of
        another name, that opens it is refused at its start, with the owner's name.

        `shared` lets those in that say so too; `tables` lists each of its tables with its
        owner, a service or a module of one: `{"orders": "shop", "payments": "billing"}`.
        `roles` is what is done on PostgreSQL at start if other roles have privileges in it:
        "ignore"; "warn", unless the App is a superuser; or "refuse", also a superuser.

        Raises:
            ConfigError: It was said before, or `tables` of a database that is not shared.
        """
        self.declarations.own(shared=shared, tables=tables or {}, roles=roles)

    # --- life -------------------------------------------------------------------------------

    async def open(self) -> Host:
        """Connect, migrate, and bind all that is declared; nothing is consumed yet.

        Raises:
            ConfigError: The configuration cannot work; everything is closed again.
            UnavailableError: An engine is out of reach; likewise.
        """
        from isthmus.handling.running.opening import opened

        settings = self.settings
        async with AsyncExitStack() as stack:
            host = await stack.enter_async_context(
                opened(self.name, self.declarations, settings, self._clock, self.signals)
            )
            self._opened = stack.pop_all()
        return host

    async def aclose(self) -> None:
        """Close all that `open` opened; twice is once."""
        await self._opened.aclose()

    async def run(self, *, only: Sequence[str] = ()) -> None:
        """Consume, serve and relay until `drain` is called; opens and closes the App.

        `only` names workers, with wildcards: ["queue:orders", "schedules"].
        """
        from isthmus.handling.running.runtime import Runtime

        try:
            async with self:
                self._runtime = Runtime(self.declarations, self.declarations.host, only=only)
                if self._draining:
                    await self._runtime.drain()
                await self._runtime.run()
        finally:
            self._runtime, self._draining = None, False

    def asgi(self, *, only: Sequence[str] = ()) -> "Embedded":
        """Return the App as an ASGI application, for a server of your own (uvicorn, gunicorn)
        or an application around it. While its lifespan is on, the App is open and its workers
        run, those that `only` names if it does; at its end they are drained.

            service = app.asgi()
            site = FastAPI(lifespan=service.lifespan)
            site.mount("/isthmus", service)
        """
        from isthmus.services.serving.embedded import Embedded

        return Embedded(self.declarations, self, only=only)

    async def drain(self) -> None:
        """Begin nothing more; `run` returns once what was begun is settled. While it
        still opens, it returns as soon as that is done."""
        self._draining = True
        if self._runtime is not None:
            await self._runtime.drain()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def test(
        self,
        *,
        engine: str = "memory://",
        settings: Sequence[object] = (),
        adapters: Mapping[type[Any], object] | None = None,
    ) -> "Trial":
        """Return the App on memory and virtual time: `async with app.test() as t:`.

        Memory runs no SQL. For handlers with statements of their own give a file, as
        `engine=f"sqlite:///{tmp_path}/test.db"`: real rows, virtual time, and a tenth
        of a real second for each `settle`. `settings` stand in for those of their classes
        (`settings_of`), which are not read then; `adapters`, by interface, for the
        implementations of theirs.
        """
        from isthmus.handling.running.trial import Trial
        from isthmus.messaging import DeclaredQueue, DeclaredTopic

        model = self.describe()
        topics = [each.name for kind in (DeclaredQueue, DeclaredTopic) for each in model.of(kind)]
        meanwhile = self._standing_in(settings, adapters or {})
        return Trial(
            self.name, self.declarations, self.signals, topics, engine=engine, meanwhile=meanwhile
        )

    @contextmanager
    def _standing_in(
        self, settings: Sequence[object], adapters: Mapping[type[Any], object]
    ) -> Generator[None]:
        """Have others be given in place of what is declared."""
        from isthmus.handling.configured import section_of
        from isthmus.services.adapter.door import adapter_of

        with ExitStack() as stack:
            for value in settings:
                section = section_of(self.declarations, type(value))
                stack.enter_context(section.standing_in(value))
            for interface, fake in adapters.items():
                stack.enter_context(adapter_of(self.declarations, interface).standing_in(fake))
            yield

    @asynccontextmanager
    async def served(self) -> AsyncGenerator["ASGIApp"]:
        """Give all that is served over HTTP as one ASGI application, while the App is open: for
        tests without a socket, or another server. Mounted applications run meanwhile.

            async with app.test() as t, app.served() as application:
                client = httpx.AsyncClient(transport=httpx.ASGITransport(application), ...)
        """
        from isthmus.services import application

        async with application(self.declarations) as served:
            yield served

    # --- transactions -----------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """Make everything inside one transaction: rows, messages, records.

        Raises:
            ConflictError: What it read has changed; nothing was written, run it again.
        """
        async with transaction(self.declarations.host.store) as tx:
            yield tx

    @asynccontextmanager
    async def join(self, connection: object) -> AsyncGenerator[Transaction]:
        """Make what isthmus does inside part of a transaction that you hold: a
        `sqlite3.Connection`, or a SQLAlchemy connection or session, sync or async, on
        the store's own database. It leaves when *you* commit; an error inside undoes
        nothing by itself, so that you decide. In a handler, so does the fact that its
        message is handled: commit before it returns, or it has failed.

        Raises:
            UnsupportedError: It is of another database.
            ConflictError: In a handler: the message was handled before. Let it through.
        """
        async with joined(self.declarations.host.store, connection) as tx:
            yield tx

    # --- for code that blocks ----------------------------------------------------------------

    def sync(self) -> "SyncApp":
        """Return the App for code that blocks, as Django's, Flask's or Celery's:

            shop = app.sync()                          # opened by its first use in a process
            shop.send(orders, order, id=order.id)      # from any thread
            shop.call(orders.stats)                    # any coroutine function

        It is one for the App; `with app.sync() as shop:` closes it at the end.
        """
        if self._sync is None:
            from isthmus.handling.sync.sync_app import SyncApp

            self._sync = SyncApp(self.declarations, open=self.open, close=self.aclose)
        return self._sync

    # --- looking ----------------------------------------------------------------------------

    def describe(self) -> Model:
        """Return all that is declared, as frozen records in the order of declaration."""
        return self.declarations.model

    @property
    def flows(self) -> "Flows":
        """The flows that the store knows, whichever App watches over them, to list and show; once
        the App is open: `await app.flows.list(status="timed_out")`."""
        from isthmus.flows import Flows

        return Flows(self.declarations.host)

    @property
    def settings(self) -> Settings:
        """What holds here: `configure` over arguments over environment and pyproject.toml."""
        others = self.declarations.sections
        settings = self._settings or Settings.load_among(others, self._place())
        engine, store = self._urls
        engine = engine or settings.engine or f"sqlite:///{self.name}.db"
        urls = {"engine": engine, "store": store or settings.store}
        return msgspec.structs.replace(settings, **urls | self._configured)

    @property
    def sagas(self) -> "Sagas":
        """The sagas of the store, whichever App started them, to list, show and look after; once
        the App is open: `await app.sagas.list(status="stuck")`."""
        from isthmus.sagas import Sagas

        return Sagas(self.declarations.host)

    def settings_report(self) -> Report:
        """Return all settings, those of `settings_of` too, with where each was found and what is
        wrong; secrets are masked."""
        from isthmus.settings import own_report

        given = self._settings, *self._urls, self._configured
        return own_report(self.name, *given, self.declarations.sections, self._place())

    def _place(self) -> Place:
        return Place.here(source=self.declarations.secrets)


def _beside_caller(folder: Path) -> Path:
    """A relative folder is beside the file that calls the door."""
    if folder.is_absolute():
        return folder
    caller = sys._getframe(2).f_globals.get("__file__")  # pyright: ignore[reportPrivateUsage]
    return Path(caller).parent / folder if caller else folder
