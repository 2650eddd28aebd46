"""What `isthmus database` promises."""

import asyncio
from typing import Any

import pytest

from isthmus import App


async def run(app: App) -> None:
    async with app:
        pass


@pytest.fixture
def owned(project: Any) -> Any:
    asyncio.run(run(App("shop", engine="sqlite:///shop.db")))
    return project


def test_it_tells_the_owner(owned: Any) -> None:
    assert owned("database").output == "shop's alone\n"
    assert owned.json("database") == {"shared": False, "services": ["shop"], "tables": {}}


def test_it_tells_who_shares_and_who_owns_which_table(project: Any) -> None:
    for name in ("shop", "billing"):
        app = App(name, engine="sqlite:///shop.db")
        app.database(shared=True, tables={"orders": "shop", "payments": "billing"})
        asyncio.run(run(app))
    assert project("database").output == (
        "shared by billing, shop\n  orders  shop\n  payments  billing\n"
    )


def test_where_there_are_no_roles_it_says_so(owned: Any) -> None:
    refused = owned("database", "roles")
    assert "knows no roles" in refused.output


def test_a_released_one_is_its_next_services(owned: Any) -> None:
    assert "shop has let go of it" in owned("database", "release", "shop").output
    assert owned("database").output == "nobody's yet: it is whose App opens it first\n"
    asyncio.run(run(App("billing", engine="sqlite:///shop.db")))
    assert owned("database").output == "billing's alone\n"


def test_a_stranger_cannot_be_released(owned: Any) -> None:
    result = owned("database", "release", "billing")
    assert result.exit_code != 0
    assert "it is claimed by: shop" in result.output + result.stderr
