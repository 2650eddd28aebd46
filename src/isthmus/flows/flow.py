"""A choreographed saga: what is expected of events of several services, and watched over."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError, NotFoundError
from isthmus.flows import index
from isthmus.flows.compensation import Compensation
from isthmus.flows.course import Course
from isthmus.flows.deadlines import Deadlines, subscription
from isthmus.flows.declared import DeclaredExpectation, DeclaredFlow
from isthmus.flows.followed import Event, Followed, KeyOf, followed
from isthmus.flows.index import Listed
from isthmus.flows.plan import Expected, Plan
from isthmus.flows.status import FlowStatus, Status
from isthmus.flows.tracker import Tracker
from isthmus.handling.address import checked
from isthmus.handling.consuming.verdicts import Reject
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.unit import current
from isthmus.message import Message
from isthmus.messaging import Topic

__all__ = ["Flow"]

T = TypeVar("T")

WEEK, MONTH = 7 * 86400.0, 30 * 86400.0
LONGEST = 200
"""Letters of a key, at most."""
LEASE = 10.0
"""Seconds after which what a dead process had seen half is seen by another; no deadline is judged
before that, and nothing that a flow does takes long."""


class Flow:
    """Events that belong together, by their key, as they are expected. Made by `app.flow`.

    The services that publish the events know nothing of it: it subscribes to their topics, as
    anybody may, under a durable name of its own. Each event it sees, and each that is missing, is
    one commit with what follows from that.
    """

    def __init__(
        self,
        name: str,
        declared: Declarations,
        *,
        key: KeyOf | None = None,
        retention: Span = WEEK,
    ) -> None:
        self.name = checked(name, what="flow")
        self._declared, self._key = declared, key
        self._retention = _above_zero("retention", retention, of=name)
        self._plan = Plan(name)
        self._events: dict[str, Followed] = {}
        self._topics: list[str] = []
        self._expects: list[DeclaredExpectation] = []
        self._opened: Tracker | None = None
        declared.declare(
            DeclaredFlow(
                name=name,
                topics=self._topics,
                begins=self._plan.begins,
                expects=self._expects,
                fails=self._plan.fails,
                retention=self._retention,
            )
        )
        declared.open_with(self._bind)
        declared.work(Deadlines(name, self._tracker, lambda: self._topics))

    # --- what is expected -------------------------------------------------------------------

    def begins(self, *events: Event[Any], key: KeyOf | None = None) -> None:
        """Have any of `events` begin a flow: a topic, or `(topic, type)` of one that carries
        several. `key` is as the flow's, for these events alone."""
        self._plan.begins.extend(self._follow(events, key))

    def expects(
        self,
        *events: Event[Any],
        within: Span,
        after: Event[Any] | Sequence[Event[Any]] | None = None,
        otherwise: Sequence[Compensation[Any]] = (),
        key: KeyOf | None = None,
    ) -> None:
        """Expect one of `events` within so many seconds after the flow saw `after` (or one of
        them; by default, what begins it). If none comes, the flow has timed out: what
        `otherwise` makes is published, and it goes on with what is expected after that.

        What is expected after an event that fails the flow, or one of its compensation events, is
        expected only then."""
        self._expect(events, after, within, otherwise, key, ends=False)

    def ends(
        self,
        *events: Event[Any],
        within: Span = MONTH,
        after: Event[Any] | Sequence[Event[Any]] | None = None,
        otherwise: Sequence[Compensation[Any]] = (),
        key: KeyOf | None = None,
    ) -> None:
        """Have any of `events` complete the flow, whatever else is still expected. A flow without
        such an event is complete once all that it expects has come. Options are as those of
        `expects`; `within` is 30 days unless it is given."""
        self._expect(events, after, within, otherwise, key, ends=True)

    def fails(self, *events: Event[Any], key: KeyOf | None = None) -> None:
        """Have any of `events` fail the flow: nothing is waited for any more, but what is
        expected after such an event."""
        self._plan.fails.extend(self._follow(events, key))

    def compensation(
        self, event: Event[T]
    ) -> Callable[[Callable[[Course], T | None]], Compensation[T]]:
        """Have a function of what was seen make `event`, which makes up for one that is missing;
        None makes nothing. It is published with the flow's key, in the flow's transaction, again
        until that works. The function itself does nothing else, and may be called again.

            @flow.compensation(cancelled)
            def cancel(course: Course) -> Cancelled:
                return Cancelled(course[placed].order)
        """
        into = followed(event)

        def made(function: Callable[[Course], T | None]) -> Compensation[T]:
            return Compensation(function, into)

        return made

    # --- looking ----------------------------------------------------------------------------

    async def status(self, key: str) -> FlowStatus:
        """Return how the flow of `key` stands, with all that was seen of it.

        Raises:
            NotFoundError: Nothing of it was seen, or its retention is over.
        """
        found = await self._tracker().ledger.find(key)
        if found is None:
            raise NotFoundError(f"flow {self.name!r} saw nothing of {key!r}")
        return found.told(self.name)

    async def list(self, *, status: Status, after: str = "", limit: int = 100) -> Sequence[Listed]:
        """Return flows of a status by key, from the first beyond `after` on."""
        store = self._tracker().host.store
        beyond = f"{self.name}/{after}" if after else ""
        return await index.listed(store, status=status, flow=self.name, after=beyond, limit=limit)

    # --- following --------------------------------------------------------------------------

    def _expect(
        self,
        events: Sequence[Event[Any]],
        after: Event[Any] | Sequence[Event[Any]] | None,
        within: Span,
        otherwise: Sequence[Compensation[Any]],
        key: KeyOf | None,
        *,
        ends: bool,
    ) -> None:
        for by in otherwise:
            if not isinstance(by, Compensation):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigError(
                    f"flow {self.name!r}: otherwise={by!r}: expected functions that were given "
                    "their event by @flow.compensation(topic)"
                )
        expected = Expected(
            events=tuple(followed(each).name for each in events),
            after=tuple(followed(each).name for each in _several(after)),
            within=_above_zero("within", within, of=self.name),
            otherwise=tuple(otherwise),
            ends=ends,
        )
        self._follow(events, key)
        self._plan.expect(expected)
        self._expects.append(
            DeclaredExpectation(
                events=expected.events,
                after=expected.after,
                within=expected.within,
                ends=ends,
                otherwise=tuple(by.event for by in otherwise),
            )
        )

    def _follow(self, events: Sequence[Event[Any]], key: KeyOf | None) -> Sequence[str]:
        """Have the flow see these events, and return their names."""
        if self._declared.opened is not None:
            raise ConfigError(f"flow {self.name!r} is changed after the App opened")
        if not events:
            raise ConfigError(f"flow {self.name!r}: name an event, as a topic, or (topic, type)")
        found = [followed(event, key=key or self._key) for event in events]
        for event in found:
            self._refuse_twice(event)
            self._events[event.name] = event
            if event.topic.name not in self._topics:
                self._topics.append(event.topic.name)
                self._subscribe(event.topic)
        return [event.name for event in found]

    def _refuse_twice(self, event: Followed) -> None:
        for other in self._events.values():
            of_one = other.topic.name == event.topic.name
            if other.name == event.name or (of_one and None in (other.member, event.member)):
                raise ConfigError(
                    f"flow {self.name!r}: {event.name!r} has its place in it already; an event "
                    "begins a flow, is expected, ends it or fails it, once"
                )

    def _subscribe(self, topic: Topic[Any]) -> None:
        @topic.subscription(subscription(self.name), lease=LEASE)
        async def follow(message: Message) -> None:
            await self._see(topic, message)

    async def _see(self, topic: Topic[Any], message: Message) -> None:
        event, unit = self._named(topic, message), current.get()
        if event is None or unit is None:
            return
        key = event.key(topic.wire.read(message)) if event.key else message.correlation_id
        if key:
            self._require_key(key)
            unit.facts = await self._tracker().saw(event, message, key, tx=unit.begin())

    def _named(self, topic: Topic[Any], message: Message) -> Followed | None:
        for event in self._events.values():
            if event.topic is topic and event.matches(message):
                return event
        return None

    def _require_key(self, key: object) -> None:
        if not isinstance(key, str) or len(key) > LONGEST:
            raise Reject(f"key {key!r:.220}: a flow's key is a text of {LONGEST} letters at most")

    # --- opening ----------------------------------------------------------------------------

    def _tracker(self) -> Tracker:
        host = self._declared.host
        if self._opened is None or self._opened.host is not host:
            raise ConfigError(f"flow {self.name!r} was declared after the App opened")
        return self._opened

    async def _bind(self, host: Host) -> None:
        self._plan.require()
        tracker = Tracker(host, self._plan, self._events, retention=self._retention)
        await tracker.timers.open(self.name)
        self._opened = tracker


def _several(after: Any) -> Sequence[Event[Any]]:
    """Return events, of which one may stand alone; `(topic, type)` is one."""
    if after is None:
        return ()
    if isinstance(after, Topic):
        return (cast("Topic[Any]", after),)
    is_one = len(after) == 2 and isinstance(after[1], type)
    return (after,) if is_one else tuple(after)


def _above_zero(name: str, span: Span, *, of: str) -> float:
    try:
        value = seconds(span)
    except (TypeError, ValueError):
        value = 0.0
    if not value > 0:
        raise ConfigError(f"flow {of!r}: {name}={span!r}: expected seconds above 0, or a timedelta")
    return value
