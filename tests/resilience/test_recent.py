"""Answers that are kept belong to the function, however often it is bound."""

from functools import partial
from typing import Any

import pytest

from isthmus.resilience import Cache, Fallback, LastKnownGood, Policy
from isthmus.resilience.recent import Recent, function_key
from isthmus.resilience.registry import Policies

pytestmark = pytest.mark.usefixtures("way")


class Supplier:
    __hash__ = None  # pyright: ignore[reportAssignmentType] - as of an object with values

    def __init__(self, name: str = "") -> None:
        self.name, self.calls = name, 0
        self.error: Exception | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Supplier)

    async def get(self, item: str) -> str:
        return self.get_sync(item)

    def get_sync(self, item: str) -> str:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return f"{item}{self.calls}{self.name}"

    async def __call__(self, item: str) -> str:
        return self.get_sync(item)


@pytest.mark.parametrize("of", [lambda one: one.get, lambda one: one], ids=["method", "object"])
async def test_a_method_called_through_a_policy_finds_its_kept_answer(of: Any):
    guard, one, other = Policy(Cache(10)), Supplier(), Supplier(" of another")
    assert await guard(of(one), "a") == await guard(of(one), "a") == "a1"
    assert await guard(of(other), "a") == "a1 of another"
    assert await guard(of(one))("a") == "a1"


def test_a_blocking_method_called_through_a_policy_finds_its_kept_answer():
    guard, one = Policy(Cache(10)), Supplier()
    assert guard(one.get_sync, "a") == guard(one.get_sync, "a") == "a1"


async def test_a_partial_is_told_by_its_function_and_arguments():
    guard, one = Policy(Cache(10)), Supplier()
    assert await guard.call(partial(one.get, "a")) == "a1"
    assert await guard.call(partial(one.get, item="a")) == "a2"
    assert await guard.call(partial(one.get, "a")) == "a1"
    assert await guard.call(partial(one.get, item="a")) == "a2"


async def test_lambdas_that_are_made_anew_never_answer_for_each_other():
    guard, one = Policy(Cache(10), Fallback(0)), Supplier()

    def ask(item: str) -> Any:
        async def call() -> str:
            return await one.get(item)

        return guard.call(call)

    assert [await ask(item) for item in "aba"] == ["a1", "b2", "a3"]


async def test_the_last_good_answer_is_found_though_the_method_is_bound_anew():
    guard, one = Policy(Fallback(LastKnownGood())), Supplier()
    assert await guard(one.get, "a") == "a1"
    assert guard(one.get_sync, "a") == "a2"
    one.error = OSError("away")
    assert await guard(one.get, "a") == "a1"
    assert guard(one.get_sync, "a") == "a2"


async def test_a_policy_that_is_loaded_again_keeps_its_answers():
    policies, one = Policies(), Supplier()
    policy = policies.define("stock", Fallback(LastKnownGood(None)), Cache(10))
    guarded = policy(one.get)
    assert await guarded("a") == "a1"
    policies.load({"stock": {"cache": {"stale": 5}, "timeout": 2}}, environ={})
    assert await guarded("a") == "a1"
    policies.load({"stock": {"cache": False}}, environ={})
    one.error = OSError("away")
    assert await guarded("a") == "a1"


async def test_two_policies_around_one_function_share_what_the_cache_keeps():
    cache, one = Cache(10), Supplier()
    assert await Policy(cache)(one.get, "a") == "a1"
    assert await Policy(Fallback(0), cache)(one.get, "a") == "a1"


def test_objects_are_told_by_what_they_are_and_not_by_what_they_equal():
    one, other = Supplier(), Supplier()
    assert function_key(one) == function_key(one)
    assert function_key(one) != function_key(other)
    assert function_key(one) != one
    assert function_key(one.get) != function_key(other.get)
    assert function_key(partial(print, [])) != function_key(partial(print, []))


def test_what_was_not_used_for_longest_is_forgotten_first():
    recent: Recent[int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]
    recent.put("a", 4)
    recent.resize(1)
    assert [recent.get(key) for key in "abc"] == [4, None, None]
    recent.clear()
    assert len(recent) == 0
