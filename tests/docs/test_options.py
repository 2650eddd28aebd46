"""Whoever adds an option to a policy says on its page what it means."""

import inspect
import re
from pathlib import Path

import pytest

from isthmus import resilience

PAGES = Path(__file__).parents[2] / "docs/resilience"

TOLD = [
    ("timeout", resilience.Timeout),
    ("retry", resilience.Retry),
    ("retry", resilience.RetryBudget),
    ("circuit-breaker", resilience.CircuitBreaker),
    ("bulkhead", resilience.Bulkhead),
    ("bulkhead", resilience.AdaptiveLimit),
    ("rate-limit", resilience.RateLimit),
    ("hedge", resilience.Hedge),
    ("fallback", resilience.Fallback),
    ("fallback", resilience.LastKnownGood),
    ("cache", resilience.Cache),
    ("degradation", resilience.Feature),
    ("degradation", resilience.optional),
    ("chaos", resilience.Chaos),
    ("policy", resilience.Policy),
]


@pytest.mark.parametrize(("page", "made"), TOLD, ids=[made.__name__ for _, made in TOLD])
def test_every_option_has_a_row_on_its_page(page: str, made: object) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (PAGES / f"{page}.md").read_text(), re.MULTILINE)
    assert callable(made)
    options = inspect.signature(made).parameters.values()
    assert [
        one.name for one in options if one.kind != one.VAR_POSITIONAL and one.name not in rows
    ] == []
