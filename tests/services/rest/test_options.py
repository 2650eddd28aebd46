"""Whoever adds an option to routes says on its page what it means."""

import re
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import fastapi
import pytest

from isthmus import App, ConfigError
from isthmus.services import JSON, Idempotency
from isthmus.services.client import Form
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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"idempotent": True}, "POST /: no option 'idempotent'; write idempotency"),
        ({"format": "json"}, "POST /: no option 'format'; write formats"),
        ({"status": "201"}, "POST /: status='201': expected int | None"),
        ({"idempotency": "yes"}, "expected Idempotency | Literal['optional'] | bool | None"),
        ({"formats": ("json",)}, "expected Sequence[Format]"),
        ({"deadline": "PT3S"}, "expected float | timedelta | None"),
        ({"tags": "orders"}, "expected Sequence[str]"),
        ({"errors": [404]}, "expected Mapping[int, str]"),
    ],
)
def test_an_option_that_is_none_or_of_another_type_is_refused_by_name(
    words: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        App("shop", engine="memory://").post("/", **words)


def test_an_option_may_be_whatever_its_type_says() -> None:
    app = App("shop", engine="memory://")
    app.post("/", status=HTTPStatus.CREATED, errors={HTTPStatus.GONE: "It was sold."})
    app.post("/", deadline=3, timeout=timedelta(seconds=2), formats=[JSON], tags=("orders",))
    app.post("/", idempotency=Idempotency(identity=lambda _: "one"))


def test_a_route_without_its_path_is_refused() -> None:
    bare: Any = App("shop", engine="memory://").get
    with pytest.raises(ConfigError, match=r'write @app\.get\("/path"\)'):

        @bare
        async def show() -> None: ...


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (Form(), "a Form of isthmus.services.client.content; import it from isthmus.services"),
        (fastapi.Query(), "a Query of fastapi.params; import it from isthmus.services"),
        (fastapi.Header(), "a Header of fastapi.params; import it from isthmus"),
        (fastapi.Depends(dict), "a Depends of fastapi.params; import it from isthmus"),
    ],
)
def test_a_mark_of_another_framework_is_refused_and_ours_named(mark: Any, told: str) -> None:
    app = App("shop", engine="memory://")

    async def take(value: Annotated[dict[str, str], mark]) -> None: ...

    with pytest.raises(ConfigError, match=re.escape(told)):
        app.post("/")(take)
