"""How a schema is called in the registry.

Source: Confluent's subject name strategies.
"""

from collections.abc import Callable
from typing import Literal

from isthmus.errors import ConfigError

__all__ = ["Subject", "subject_of"]

Subject = Literal["topic", "record", "topic-record"] | Callable[[str, str], str]
"""By the place ("orders-value"), by the record ("shop.order"), or both ("orders-shop.order"); or a
function of place and record. A place that carries several types needs one of the latter."""


def subject_of(strategy: Subject, place: str, record: str) -> str:
    """Raises ConfigError if it is none."""
    match strategy:
        case "topic":
            return f"{place}-value"
        case "record":
            return record
        case "topic-record":
            return f"{place}-{record}"
        case _ if callable(strategy):
            return strategy(place, record)
        case _:
            raise ConfigError(
                f"subject={strategy!r}: expected topic, record, topic-record, or a function"
            )
