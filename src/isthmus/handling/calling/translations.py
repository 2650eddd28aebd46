"""What leads a message to the form that a handler takes, before it is decoded."""

from collections.abc import Callable
from typing import Any

from isthmus.message import Message
from isthmus.schema import Schema

__all__ = ["Translate", "Translations"]

Translate = Callable[[Message], Message]
"""Raises SchemaError if it cannot."""

Translator = Callable[[Schema[Any]], Translate | None]
"""Of the messages that a handler of a schema is given; None if they are as they should be."""


class Translations:
    """The translators of one App."""

    def __init__(self) -> None:
        self._all: list[Translator] = []

    def add(self, translator: Translator) -> None:
        """Ask `translator`, too; twice is once."""
        if translator not in self._all:
            self._all.append(translator)

    def of(self, schema: Schema[Any]) -> Translate | None:
        """Return what is to be done with each message of a handler; None if nothing is."""
        found = [one for each in self._all if (one := each(schema)) is not None]
        if len(found) < 2:
            return found[0] if found else None

        def translate(message: Message) -> Message:
            for one in found:
                message = one(message)
            return message

        return translate
