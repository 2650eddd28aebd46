from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.resilience.degraded import degraded_parts, degrading, note_degraded
from isthmus.resilience.fallback import Fallback, FellBack, LastKnownGood
from isthmus.resilience.outcome import Trail, trail
from isthmus.resilience.strategy import Site
from isthmus.signals import Signals


def site(clock: ManualClock | None = None, signals: Signals | None = None) -> Site:
    clock, signals = clock or ManualClock(), signals or Signals()
    return Site("stock", clock, lambda _: None, lambda: 0.5, signals, idempotent=True)


class Supplier:
    """Answers with what it was asked, until it fails."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.degraded = False

    async def get(self, item: Any, **more: Any) -> Any:
        return self.get_sync(item, **more)

    def get_sync(self, item: Any, **more: Any) -> Any:
        if self.error is not None:
            raise self.error
        if self.degraded:
            note_degraded("inner")
        return f"{item}!"


@pytest.fixture
def supplier() -> Supplier:
    return Supplier()


async def test_an_answer_that_is_there_is_given_and_is_not_degraded(supplier: Supplier):
    with degrading() as parts:
        assert await Fallback(0).around(supplier.get, site())("a") == "a!"
    assert parts == {}


async def test_a_value_stands_for_an_answer_that_failed(supplier: Supplier):
    supplier.error = OSError("away")
    with degrading() as parts:
        assert await Fallback([]).around(supplier.get, site())("a") == []
    assert parts == {"stock": "OSError"}


async def test_another_call_is_given_the_error(supplier: Supplier):
    supplier.error = OSError("away")

    async def other(error: Exception) -> str:
        return f"after {error}"

    assert await Fallback(other).around(supplier.get, site())("a") == "after away"
    assert await Fallback(repr).around(supplier.get, site())("a") == "OSError('away')"


async def test_another_call_is_given_the_arguments_if_it_wants_them(supplier: Supplier):
    supplier.error = OSError("away")
    fallback = Fallback(lambda _, item, *, size: (item, size), arguments=True)
    assert await fallback.around(supplier.get, site())("a", size=3) == ("a", 3)


async def test_an_error_it_does_not_cover_passes(supplier: Supplier):
    supplier.error = ValueError("bad")
    fallback = Fallback(0, on=(OSError, KeyError))
    with degrading() as parts, pytest.raises(ValueError, match="bad"):
        await fallback.around(supplier.get, site())("a")
    with pytest.raises(ValueError):
        fallback.around_sync(supplier.get_sync, site())("a")
    assert parts == {}


async def test_what_it_covers_may_be_told_by_a_function(supplier: Supplier):
    fallback = Fallback(0, on=lambda error: "away" in str(error))
    supplier.error = ValueError("away")
    assert await fallback.around(supplier.get, site())("a") == 0


async def test_a_fault_of_the_program_is_not_covered(supplier: Supplier):
    supplier.error = ConfigError("wrong")
    with pytest.raises(ConfigError):
        await Fallback(0).around(supplier.get, site())("a")


async def test_a_fallback_that_fails_tells_of_the_error_before_it(supplier: Supplier):
    supplier.error = OSError("away")

    def fails(_: Exception) -> None:
        raise KeyError("too")

    with degrading() as parts, pytest.raises(KeyError) as caught:
        await Fallback(fails).around(supplier.get, site())("a")
    assert caught.value.__context__ is supplier.error
    assert parts == {}


async def test_a_fallback_is_told_and_stands_in_the_outcome(supplier: Supplier):
    heard: list[FellBack] = []
    signals = Signals()
    signals.listen(FellBack, heard.append)
    supplier.error = OSError("away")
    told = Trail()
    key = trail.set(told)
    await Fallback(0, name="price").around(supplier.get, site(signals=signals))("a")
    trail.reset(key)
    assert [(one.policy, one.call, one.instead, one.error) for one in heard] == [
        ("stock", "get", "value", "OSError")
    ]
    assert (told.ended_by, told.degraded) == ("fallback", ["price"])


# --- the last known good --------------------------------------------------------------------


async def test_the_last_good_answer_stands_for_one_that_failed(supplier: Supplier):
    guarded = Fallback(LastKnownGood()).around(supplier.get, site())
    await guarded("a")
    await guarded("b")
    supplier.error = OSError("away")
    with degrading():
        assert [await guarded("a"), await guarded("b")] == ["a!", "b!"]
        assert degraded_parts() == ("stock",)


async def test_what_was_never_known_fails_as_it_does(supplier: Supplier):
    guarded = Fallback(LastKnownGood()).around(supplier.get, site())
    await guarded("a")
    supplier.error = OSError("away")
    with pytest.raises(OSError, match="away"):
        await guarded("b")


async def test_an_answer_is_good_until_its_age(supplier: Supplier):
    clock = ManualClock()
    guarded = Fallback(LastKnownGood(60)).around(supplier.get, site(clock))
    await guarded("a")
    supplier.error = OSError("away")
    await clock.advance(60)
    assert await guarded("a") == "a!"
    await clock.advance(1)
    with pytest.raises(OSError):
        await guarded("a")


async def test_an_answer_without_age_is_always_good(supplier: Supplier):
    clock = ManualClock()
    guarded = Fallback(LastKnownGood(None)).around(supplier.get, site(clock))
    await guarded("a")
    supplier.error = OSError("away")
    await clock.advance(1e9)
    assert await guarded("a") == "a!"


async def test_no_more_answers_are_kept_than_may_be(supplier: Supplier):
    memory = LastKnownGood(most=2)
    guarded = Fallback(memory).around(supplier.get, site())
    for item in "abc":
        await guarded(item)
    supplier.error = OSError("away")
    assert [await guarded("b"), await guarded("c")] == ["b!", "c!"]
    with pytest.raises(OSError):
        await guarded("a")
    memory.clear()
    with pytest.raises(OSError):
        await guarded("b")


async def test_a_degraded_answer_is_not_remembered_as_good(supplier: Supplier):
    guarded = Fallback(LastKnownGood()).around(supplier.get, site())
    supplier.degraded = True
    await guarded("a")
    supplier.error = OSError("away")
    with pytest.raises(OSError):
        await guarded("a")


async def test_two_functions_do_not_answer_for_each_other(supplier: Supplier):
    fallback = Fallback(LastKnownGood())
    await fallback.around(supplier.get, site())("a")
    supplier.error = OSError("away")
    other = Supplier()
    other.error = OSError("away")
    with pytest.raises(OSError):
        await fallback.around(other.get, site())("a")


async def test_arguments_that_cannot_tell_calls_apart_are_refused_before_the_call(
    supplier: Supplier,
):
    guarded = Fallback(LastKnownGood()).around(supplier.get, site())
    with pytest.raises(ConfigError, match=r"LastKnownGood\(key=lambda order: order\.id\)"):
        await guarded([])
    by_size = Fallback(LastKnownGood(key=len)).around(supplier.get, site())
    assert await by_size([]) == "[]!"
    supplier.error = OSError("away")
    assert await by_size([]) == "[]!"


# --- sync -----------------------------------------------------------------------------------


def test_sync_calls_fall_back_alike(supplier: Supplier):
    value = Fallback(0).around_sync(supplier.get_sync, site())
    call = Fallback(str).around_sync(supplier.get_sync, site())
    known = Fallback(LastKnownGood()).around_sync(supplier.get_sync, site())
    assert [value("a"), call("a"), known("a")] == ["a!", "a!", "a!"]
    supplier.error = OSError("away")
    with degrading() as parts:
        assert [value("a"), call("a"), known("a")] == [0, "away", "a!"]
    assert parts == {"stock": "OSError"}
    with pytest.raises(OSError):
        known("b")


def test_a_sync_call_cannot_fall_back_on_an_async_one(supplier: Supplier):
    with pytest.raises(ConfigError, match="make both async, or neither"):
        Fallback(supplier.get).around_sync(supplier.get_sync, site())
    supplier.error = OSError("away")
    hidden = Fallback(lambda _: supplier.get("b")).around_sync(supplier.get_sync, site())
    with pytest.raises(ConfigError, match="make both async, or neither"):
        hidden("a")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fallback(0, arguments=True),
        lambda: Fallback(LastKnownGood(), arguments=True),
        lambda: Fallback(0, on=KeyboardInterrupt),  # type: ignore[arg-type]
        lambda: Fallback(0, on=(OSError, 3)),  # type: ignore[arg-type]
        lambda: Fallback(0, on=3),  # type: ignore[arg-type]
        lambda: LastKnownGood(0),
        lambda: LastKnownGood(most=0),
    ],
)
def test_an_option_out_of_range_is_refused(make: Any):
    with pytest.raises(ConfigError, match="expected"):
        make()


def test_its_description_shows_no_content():
    assert repr(Fallback({"secret": 1})) == "Fallback(dict)"
    assert repr(Fallback(LastKnownGood(60))) == "Fallback(LastKnownGood(60.0, most=1000))"
