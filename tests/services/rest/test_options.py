"""Whoever adds an option to routes says on its page what it means."""

import re
from pathlib import Path

import pytest

from isthmus.services import Idempotency
from isthmus.services.rest.options import RouteOptions, RouteWords

PATTERNS = Path(__file__).parents[3] / "docs/patterns"


@pytest.mark.parametrize(("page", "kind"), [("rest", RouteOptions), ("idempotency", Idempotency)])
def test_every_option_has_a_row_on_its_page(page: str, kind: type) -> None:
    text = (PATTERNS / f"{page}.md").read_text()
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"\w+", row)}
    fields: tuple[str, ...] = kind.__struct_fields__  # pyright: ignore[reportAttributeAccessIssue]
    assert set(fields) - told == set()


def test_what_is_kept_of_a_route_may_be_said_of_it() -> None:
    assert set(RouteWords.__annotations__) == set(RouteOptions.__struct_fields__)
