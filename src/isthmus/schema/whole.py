"""Whole numbers that are written as others: 2.0 and 2e3 are integers to JSON Schema."""

import math
from decimal import Decimal

import msgspec

__all__ = ["in_whole_numbers"]

_DIGITS = 19
"""Of the largest integer that payloads hold, 2 to the power of 64."""


def in_whole_numbers(body: bytes) -> bytes:
    """Return JSON with all whole numbers as integers, and as it is if it is no JSON."""
    try:
        return msgspec.json.encode(_decode(body))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return body


def _number(text: str) -> int | float:
    exact = Decimal(text)
    whole = exact.adjusted() <= _DIGITS and exact == exact.to_integral_value()
    if not whole and math.isinf(float(text)):
        raise ValueError(text)  # no library reads it, and it has no other way to be written
    return int(exact) if whole else float(text)


_decode = msgspec.json.Decoder(float_hook=_number).decode
