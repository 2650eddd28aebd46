import pickle
import re

import pytest

import isthmus.errors
from isthmus.errors import (
    ConflictError,
    FullError,
    IsthmusError,
    LeaseLostError,
    LockedError,
    SchemaError,
    TimedOutError,
    UnavailableError,
)

CLASSES = [getattr(isthmus.errors, name) for name in isthmus.errors.__all__]


def drawn() -> dict[str, tuple[str, bool]]:
    """Read the tree at the top of the file: each name with its parent and its "retryable"."""
    found: dict[str, tuple[str, bool]] = {}
    parents = ["IsthmusError"]
    for line in (isthmus.errors.__doc__ or "").splitlines():
        if match := re.match(r"([│ ]*)[├└]── (\w+)", line):
            depth = len(match[1]) // 4
            found[match[2]] = (parents[depth], line.endswith(" retryable"))
            parents[depth + 1 :] = [match[2]]
    return found


def test_the_tree_that_is_drawn_is_the_one_that_is_there():
    there = {kind.__name__: (kind.__base__.__name__, kind.retryable) for kind in CLASSES}
    del there["IsthmusError"]
    assert drawn() == there


def test_every_error_is_an_isthmus_error():
    assert all(issubclass(kind, IsthmusError) for kind in CLASSES)


def test_what_may_go_better_later_is_retryable():
    retryable = {kind for kind in CLASSES if kind.retryable}
    assert retryable == {UnavailableError, FullError, LockedError, TimedOutError}


def test_lost_leases_are_named_up_to_five():
    assert str(LeaseLostError(["a", "b"])) == "lease lost: a, b"
    assert str(LeaseLostError(range(9), what="partition")) == "partition lost: 0, 1, 2, 3, 4..."


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("orders/1 changed", subject="orders/1"),
        LeaseLostError(["receipt-1", "receipt-2"], what="partition"),
        SchemaError("not an Order", problems=["id: missing"]),
        TimedOutError("late"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_processes_whole(error: IsthmusError):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    for name in ("subject", "lost", "problems"):
        assert getattr(again, name, None) == getattr(error, name, None)
