"""Events of topics on their way to the sagas that wait for them."""

from collections.abc import Callable, Sequence
from typing import Any

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.host import Host
from isthmus.message import Message
from isthmus.messaging import Topic
from isthmus.sagas import mailbox
from isthmus.sagas.commands import Deliver
from isthmus.sagas.family import Families
from isthmus.sagas.options import SagaOptions
from isthmus.sagas.saga import event_name

__all__ = ["Listened", "listen"]

Listened = Topic[Any]


def listen(saga: str, topics: Sequence[Listened], options: SagaOptions) -> None:
    """Have the events of `topics` reach the sagas called `saga`, by their key."""
    for topic in topics:
        if not isinstance(topic, Topic):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"on={topic!r}: expected topics, as on=[shipped]")
        name = f"saga-{saga}"
        if not topic.has(name):  # else another version of it listens already
            topic.subscription(name)(_router(saga, topic, options))


def _router(saga: str, topic: Listened, options: SagaOptions) -> Callable[..., Any]:
    async def route(message: Message, host: Host, tx: Transaction) -> None:
        if not message.key:
            raise ConfigError(
                f"an event of {topic.name!r} has no key, by which saga {saga!r} could be found: "
                "publish it with key=..., as the saga waits for it"
            )
        value = topic.wire.read(message)
        schema, family = topic.schema.member(value), host.kept(Families).of(saga)
        body, name = schema.encode(value), event_name(schema.type)
        place = mailbox.place(saga, name, message.key)
        letters = await mailbox.look(host.store, place, tx=tx)
        for waiter in dict.fromkeys(letters.waiters):
            await family.tell(waiter, Deliver(name, message.key, body, message.id), tx=tx)
        if not letters.waiters:
            letters.keep(body, message.id)
            await host.store.put(mailbox.SPACE, [letters.put(ttl=options.events_kept)], tx=tx)

    return route
