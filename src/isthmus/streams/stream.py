"""A stream: an ordered log that many groups read, each at its own position."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar, Unpack

from isthmus.clock import Span, seconds
from isthmus.contracts import LogEngine
from isthmus.errors import ConfigError, NotFoundError, UnsupportedError
from isthmus.handling.address import checked
from isthmus.handling.calling.handler import Handler
from isthmus.handling.consuming.fetching import fetching
from isthmus.handling.consuming.guarding import guarding
from isthmus.handling.declarations import Declarations
from isthmus.handling.envelope import Envelope
from isthmus.handling.host import Host
from isthmus.handling.outbox import Appender
from isthmus.message import Message
from isthmus.schema import Schema, schema_of
from isthmus.schema.formats.choice import Choice
from isthmus.schema.wire import Wire
from isthmus.streams.consumer import GroupConsumer
from isthmus.streams.declared import DeclaredGroup, DeclaredStream
from isthmus.streams.group import Group
from isthmus.streams.key import Key, key_function
from isthmus.streams.lag import lag_of
from isthmus.streams.options import GroupWords, group_options
from isthmus.streams.place import place
from isthmus.streams.reading import places, read_from
from isthmus.streams.recorded import Recorded, recorded
from isthmus.streams.replay import To, offsets_at, replay

__all__ = ["Key", "Stream"]

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


class Stream(Generic[T]):
    """Records of type `T` (or of several, as `Opened | Closed`) in the order they came.

    A stream has partitions; records of one key share a partition, in their order.
    It keeps what was read: a group that comes later reads all of it. Records go
    with `retention` (seconds since they were appended), with `max_bytes` (of bodies
    and keys, in each partition), and with `compaction` once a newer one has their
    key. Made by `app.stream`.

    Raises:
        ConfigError: A name, a limit or the key cannot be, or the name is taken.
    """

    def __init__(
        self,
        name: str,
        payload: type[T],
        declared: Declarations,
        *,
        key: Key[T] = None,
        partitions: int = 8,
        retention: Span | None = None,
        max_bytes: int | None = None,
        compaction: bool = False,
        format: Choice = None,
    ) -> None:
        self.name = checked(name, what="stream")
        self.schema: Schema[T] = schema_of(payload)
        self.wire: Wire[T] = Wire(self.schema, place=name, format=format)
        self._key = key_function(key, payload)
        self._declared = declared
        self._groups: dict[str, Group] = {}
        self._opened: _Opened[T] | None = None
        self._limits = DeclaredStream(
            name=name,
            payload=self.schema,
            datacontenttype=self.wire.datacontenttype,
            partitions=_above_zero("partitions", partitions),
            retention=None if retention is None else _above_zero("retention", seconds(retention)),
            max_bytes=None if max_bytes is None else _above_zero("max_bytes", max_bytes),
            compaction=compaction,
        )
        declared.declare(self._limits)
        declared.open_with(self._bind)

    # --- appending --------------------------------------------------------------------------

    async def append(
        self,
        *values: T,
        key: str | None = None,
        id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sequence[str]:
        """Append records, in this order for each key, and return their ids.

        All or none of them; inside a handler, when it commits. `key` stands for what
        the stream's own would be, `id` is for a single value.

        Raises:
            SchemaError: A value is not what this stream carries; nothing was appended.
            UnavailableError: They may have been appended. Append them again under the
                same ids, and a group with an `inbox` handles them once.
        """
        if id is not None and len(values) != 1:
            raise ConfigError(f"id={id!r} is for one value, got {len(values)}; append them singly")
        opened = self._open
        if self.wire.unready:
            await self.wire.prepare()
        messages = [
            opened.envelope.message(
                value, id=id, key=self._key(value) if key is None else key, headers=headers
            )
            for value in values
        ]
        await opened.append(messages)
        return [message.id for message in messages]

    async def append_many(
        self, values: Iterable[T], *, headers: Mapping[str, str] | None = None
    ) -> int:
        """Append any number of records, as many at once as the engine takes; return
        how many. Outside a transaction, an error leaves the leading ones appended."""
        opened, count, batch = self._open, 0, list[Message]()
        if self.wire.unready:
            await self.wire.prepare()
        most = min(MOST, opened.log.capabilities.max_batch)
        for value in values:
            batch.append(opened.envelope.message(value, key=self._key(value), headers=headers))
            if len(batch) == most:
                await opened.append(batch)
                count, batch = count + len(batch), []
        await opened.append(batch)
        return count + len(batch)

    # --- reading ----------------------------------------------------------------------------

    async def read(
        self,
        *,
        since: datetime | float | None = None,
        offset: int | Mapping[int, int] | None = None,
        partition: int | None = None,
        key: str | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[T]:
        """Yield values from a place on, up to the end, or without end to `follow`.

        The place is the start, the moment `since`, or `offset`: one number with a
        `partition`, or one for each of some. Partitions are read together, by the time
        of appending; each of them, and so each key, is in order. `key` lets others
        pass. No group's position moves.

        Raises:
            SchemaError: A record is not what this stream carries.
        """
        records = self.records(
            since=since, offset=offset, partition=partition, key=key, follow=follow
        )
        async with aclosing(records):
            async for record in records:
                yield record.value

    async def records(
        self,
        *,
        since: datetime | float | None = None,
        offset: int | Mapping[int, int] | None = None,
        partition: int | None = None,
        key: str | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[Recorded[T]]:
        """Yield the same with their places, ids, keys and headers."""
        log = self._open.log
        starts = await places(log, self.name, since=since, offset=offset, partition=partition)
        async with aclosing(read_from(log, self.name, starts, on=follow)) as found:
            async for record in found:
                if key is None or record.message.key == key:
                    if self.wire.remote:
                        await self.wire.fetch([record.message])
                    yield recorded(record, self.wire)

    def group(self, name: str, **options: Unpack[GroupWords]) -> Callable[[Function], Function]:
        """Have a function handle every record, as the group `name`; GroupOptions says
        what each option means.

        Keys are handled in parallel, each key in order; records without a key in no
        order. All processes that run the group share its partitions.
        """
        of = place(self.name, checked(name, what="group"))
        chosen = group_options(**options)

        def attached(function: Function) -> Function:
            handler = Handler(
                function,
                schema=self.schema,
                declared=self._declared,
                batch=chosen.batch > 1,
                guard=chosen.policy and guarding(chosen.policy),
                wire=self.wire,
            )
            self._declared.declare(
                DeclaredGroup(
                    name=of.address,
                    stream=self.name,
                    function=f"{function.__module__}:{function.__qualname__}",
                    options=chosen,
                )
            )
            self._groups[name] = Group(of, chosen, self._declared)
            self._declared.work(GroupConsumer(of, fetching(handler), chosen))
            return function

        return attached

    def __getitem__(self, name: str) -> Group:
        """Return one declared group: its lag, dead letters, parked records, pausing."""
        if name not in self._groups:
            known = ", ".join(self._groups) or "none"
            raise ConfigError(f"stream {self.name!r} has no group {name!r}; it has {known}")
        return self._groups[name]

    # --- groups -----------------------------------------------------------------------------

    async def groups(self) -> Sequence[str]:
        """Return the groups that ever read it, declared here or not."""
        return sorted(await self._open.log.groups(self.name))

    async def positions(self, group: str) -> Mapping[int, int]:
        """Return where a group goes on, by partition; empty if it never read."""
        return await self._open.log.positions(self.name, group)

    async def lag(self, group: str) -> Mapping[int, int]:
        """Return how many records a group is behind, by partition; with compaction,
        at most so many. Raises NotFoundError if it never read."""
        found = await lag_of(self._open.log, self.name, group)
        return {partition: each.behind for partition, each in found.items()}

    async def seek(self, group: str, to: To) -> Mapping[int, int]:
        """Have any group read on from elsewhere, as `Group.seek` does.

        Raises:
            NotFoundError: It never read, and is not declared here.
        """
        known = {*self._groups, *await self.groups()}
        if group not in known:
            raise NotFoundError(
                f"stream {self.name!r} has no group {group!r}; "
                f"known are: {', '.join(sorted(known)) or 'none'}"
            )
        return await replay(self._open.host, place(self.name, group), to)

    async def trim(self, before: To) -> None:
        """Drop the records before a moment, or below an offset for each of some
        partitions; "end" drops all."""
        await self._open.log.trim(self.name, await offsets_at(self._open.log, self.name, before))

    # --- opening ----------------------------------------------------------------------------

    async def _bind(self, host: Host) -> None:
        limits = self._limits
        _refuse_what_is_lacking(host, limits)
        await host.log.declare(
            self.name,
            partitions=limits.partitions,
            retention=limits.retention,
            max_bytes=limits.max_bytes,
            compaction=limits.compaction,
        )
        self.wire.open(host.closing)
        envelope = Envelope(
            self.wire, of=f"stream {self.name!r}", source=host.source, clock=host.clock
        )
        self._opened = _Opened(host, host.log, envelope, Appender(host, self.name).append)

    @property
    def _open(self) -> "_Opened[T]":
        if self._opened is None:
            self._declared.host  # noqa: B018 - raises, saying how to open
            raise ConfigError(f"stream {self.name!r} was declared after the App opened")
        return self._opened


MOST = 1000
"""Records that `append_many` appends at once."""


class _Opened(NamedTuple, Generic[T]):
    host: Host
    log: LogEngine
    envelope: Envelope[T]
    append: Callable[[Sequence[Message]], Any]


N = TypeVar("N", int, float)


def _above_zero(name: str, value: N) -> N:
    if value <= 0:
        raise ConfigError(f"{name}={value!r} must be above 0")
    return value


def _refuse_what_is_lacking(host: Host, limits: DeclaredStream) -> None:
    able, scheme = host.log.capabilities, host.settings.engine.partition(":")[0]
    if limits.compaction and not able.compaction:
        raise UnsupportedError(
            f"stream {limits.name!r} has compaction, and {scheme}:// has none; sqlite:// has"
        )
    if (limits.retention or limits.max_bytes) and not able.retention:
        raise UnsupportedError(
            f"stream {limits.name!r} has a retention, and {scheme}:// has none; sqlite:// has"
        )
