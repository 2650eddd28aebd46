"""What `isthmus settings` promises."""

from typing import Any

import pytest

APP = """
    import msgspec
    from isthmus import App, Secret, Url

    class Shop(msgspec.Struct, frozen=True):
        key: Secret
        database: Url = Url("postgresql://shop:s3cret@db/shop")
        pool: int = 10

    app = App("shop", store="sqlite:///rows.db")
    settings = app.settings_of(Shop)
"""


@pytest.fixture
def shop(empty: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    empty.write("shop.py", APP)
    monkeypatch.setenv("ISTHMUS_SECRETS", str(empty.folder / "secrets"))
    return empty


def found(shop: Any) -> dict[str, tuple[str, str]]:
    rows = shop.json("settings", "shop:app")
    return {row["name"]: (row["value"], row["origin"]) for row in rows}


def test_it_shows_each_and_where_it_is_from(shop: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    shop.write("pyproject.toml", "[tool.isthmus]\ndrain = 5\n[tool.isthmus.shop]\npool = 3\n")
    rows = found(shop)
    assert rows["isthmus.engine"] == ("'sqlite:///shop.db'", "default")
    assert rows["isthmus.store"] == ("'sqlite:///rows.db'", "App(store=)")
    assert rows["isthmus.drain"] == ("5.0", "pyproject.toml: [tool.isthmus] drain")
    assert rows["isthmus.port"] == ("8000", "default")
    assert rows["shop.key"] == ("***", "SHOP_KEY")
    assert rows["shop.database"] == ("'postgresql://shop:***@db/shop'", "default")
    assert rows["shop.pool"] == ("3", "pyproject.toml: [tool.isthmus.shop] pool")


def test_it_never_shows_a_secret(shop: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    result = shop("settings", "shop:app")
    assert result.exit_code == 0
    assert "s3cret" not in result.output
    assert "shop.key" in result.output


def test_it_leaves_out_what_nobody_said_if_it_is_asked_to(shop: Any, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    result = shop("settings", "shop:app", "--said")
    assert "SHOP_KEY" in result.output
    assert "isthmus.drain" not in result.output


def test_it_lists_all_faults_and_ends_with_1(shop: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_POOL", "many")
    monkeypatch.setenv("ISTHMUS_PORT", "x")
    result = shop("settings", "shop:app")
    assert result.exit_code == 1
    assert "nowhere; SHOP_KEY says it" in result.output
    for fault in ("SHOP_KEY: missing", "SHOP_POOL = 'many': Expected `int`", "ISTHMUS_PORT = 'x'"):
        assert fault in result.stderr


def test_run_tells_all_faults_of_the_app_at_once_and_its_own(shop: Any, monkeypatch):
    monkeypatch.setenv("SHOP_POOL", "many")
    monkeypatch.setenv("ISTHMUS_LOG_LEVEL", "loud")
    result = shop("run", "shop:app")
    assert result.exit_code == 1
    for fault in ("SHOP_KEY: missing", "SHOP_POOL = 'many'", "ISTHMUS_LOG_LEVEL = 'loud'"):
        assert fault in result.stderr


def test_workers_that_cannot_be_configured_are_not_begun_again(shop: Any):
    running = shop.start("run", "shop:app", "--workers", "2")
    assert running.wait() == 1
    assert "SHOP_KEY: missing" in "".join(running.lines)
