"""Attaching a user's function to a subscription."""

from collections.abc import Callable
from typing import Any, TypeVar

from isthmus.handling.calling.handler import Handler
from isthmus.handling.consuming.consumer import Consumer
from isthmus.handling.consuming.fetching import fetching
from isthmus.handling.consuming.guarding import guarding
from isthmus.handling.consuming.options import HandlerWords, options
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.declarations import Declarations
from isthmus.messaging.declared import DeclaredHandler
from isthmus.messaging.narrowing import narrowed, type_names
from isthmus.schema import Schema
from isthmus.schema.wire import Wire

__all__ = ["Function", "attach"]

Function = TypeVar("Function", bound=Callable[..., Any])


def attach(
    function: Callable[..., Any],
    of: Subscription,
    schema: Schema[Any],
    declared: Declarations,
    words: HandlerWords,
    *,
    wire: Wire[Any],
) -> Consumer:
    """Have `function` handle what `of` gets, in every process that runs: of several
    types, those that it takes.

    Raises:
        ConfigError: An option is out of range, or the signature cannot be served.
    """
    taken = narrowed(schema, function)
    if taken is not schema:
        words = {**words, "where": {"type": type_names(taken), **words.get("where", {})}}
    chosen = options(**words)
    handler = Handler(
        function,
        schema=taken,
        declared=declared,
        batch=chosen.batch > 1,
        guard=chosen.policy and guarding(chosen.policy),
        wire=wire if taken is schema else wire.narrowed(taken),
    )
    consumer = Consumer(of, fetching(handler), chosen)
    declared.declare(
        DeclaredHandler(
            name=of.address,
            topic=of.topic,
            function=f"{function.__module__}:{function.__qualname__}",
            reply=handler.returned and handler.returned.schema,
            options=chosen,
        )
    )
    declared.work(consumer)
    return consumer
