"""Secrets that are looked up where the program, or the place, says."""

import asyncio
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from isthmus import App, ConfigError, Secret
from isthmus.configuration.source import AT_ONCE, SecretSource, ask


class Shop(msgspec.Struct, frozen=True):
    key: Secret
    webhook: Secret | None = None
    pool: int = 10


class Vault:
    """Knows what it is told, and notes what it is asked."""

    def __init__(self, **known: str) -> None:
        self.known, self.asked = known, list[str]()

    def lookup(self, name: str, /) -> str | None:
        self.asked.append(name)
        return self.known.get(name)


class AsyncVault(Vault):
    async def lookup(self, name: str, /) -> str | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        await asyncio.sleep(0)  # noqa: TID251 - to show that it may
        return super().lookup(name)


def shop(source: SecretSource) -> tuple[App, Shop]:
    app = App("shop", engine="memory://", secrets=source)
    return app, app.settings_of(Shop)


@pytest.mark.parametrize("kind", [Vault, AsyncVault])
async def test_the_program_says_where(kind: type[Vault]):
    app, settings = shop(kind(SHOP_KEY="k1"))
    async with app:
        assert settings == Shop(Secret("k1"))


@pytest.mark.parametrize("kind", [Vault, AsyncVault])
def test_it_is_asked_early_for_what_is_looked_at_early(kind: type[Vault]):
    _, settings = shop(kind(SHOP_KEY="k1"))
    assert settings.key == Secret("k1")


async def test_it_is_asked_while_a_loop_runs_for_what_is_looked_at_in_one():
    _, settings = shop(AsyncVault(SHOP_KEY="k1"))
    assert settings.key == Secret("k1")


async def test_it_is_asked_only_for_secrets_that_nothing_nearer_gives(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    vault = Vault(SHOP_KEY="k1", SHOP_WEBHOOK="w1", SHOP_POOL="1")
    app, settings = shop(vault)
    monkeypatch.setenv("SHOP_KEY", "k2")
    async with app:
        assert settings == Shop(Secret("k2"), Secret("w1"), 10)
    assert vault.asked == ["SHOP_WEBHOOK"]


async def test_what_it_does_not_know_is_missing_if_it_is_needed():
    app, _ = shop(Vault())
    with pytest.raises(ConfigError, match="SHOP_KEY: missing") as refused:
        await app.open()
    assert "SHOP_WEBHOOK" not in str(refused.value)


async def test_its_failure_is_a_fault_with_a_name_among_the_others(monkeypatch):
    class Sealed:
        def lookup(self, name: str, /) -> str | None:
            raise PermissionError(f"sealed: {name}")

    app, _ = shop(Sealed())
    monkeypatch.setenv("SHOP_POOL", "many")
    with pytest.raises(ConfigError) as refused:
        await app.open()
    told = str(refused.value)
    assert "SHOP_KEY: Sealed failed: PermissionError: sealed: SHOP_KEY" in told
    assert "SHOP_WEBHOOK: Sealed failed: PermissionError: sealed: SHOP_WEBHOOK" in told
    assert "SHOP_POOL = 'many': Expected `int`" in told


async def test_what_is_no_text_is_a_fault():
    class Odd:
        def lookup(self, name: str, /) -> str | None:
            return b"bytes"  # pyright: ignore[reportReturnType]

    app, _ = shop(Odd())
    with pytest.raises(ConfigError, match="Odd failed: TypeError: expected a text or None, got by"):
        await app.open()


def test_all_names_are_looked_up_at_once_but_not_more_than_some():
    together = threading.Barrier(AT_ONCE)

    class Meeting:
        def lookup(self, name: str, /) -> str | None:
            together.wait(timeout=10)  # passed only if as many are here
            return name.lower()

    names = [f"NAME_{n}" for n in range(2 * AT_ONCE)]
    assert ask(Meeting(), names) == {name: name.lower() for name in names}


def test_one_that_hangs_is_not_waited_for_and_the_others_answer():
    ended = threading.Event()

    class Hanging:
        def lookup(self, name: str, /) -> str | None:
            if name == "A":
                ended.wait(timeout=30)
            return name

    answers = ask(Hanging(), ["A", "B"], within=0.2)
    ended.set()
    assert answers["B"] == "B"
    assert isinstance(answers["A"], TimeoutError)


def test_nothing_is_asked_for_nothing():
    vault = Vault()
    assert ask(vault, []) == {}
    assert vault.asked == []


SOURCES = """
class Vault:
    def lookup(self, name):
        return "of " + name

vault = Vault()

def made():
    return Vault()

nothing = 7

def broken():
    raise OSError("no vault here")
"""


@pytest.fixture
def module(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (here / "our_vault.py").write_text(SOURCES)
    monkeypatch.syspath_prepend(here)
    monkeypatch.delitem(sys.modules, "our_vault", raising=False)
    return "our_vault"


@pytest.mark.parametrize("name", ["Vault", "vault", "made"])
async def test_the_place_may_say_where(module: str, name: str, monkeypatch: pytest.MonkeyPatch):
    app = App("shop", engine="memory://")
    settings = app.settings_of(Shop)
    monkeypatch.setenv("ISTHMUS_SECRET_SOURCE", f"{module}:{name}")
    async with app:
        assert settings.key == Secret("of SHOP_KEY")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("our_vault", "expected module:object"),
        ("our_vault:missing", "has no attribute 'missing'"),
        ("no_vault:vault", "No module named 'no_vault'"),
        ("our_vault:broken", "OSError: no vault here"),
        ("our_vault:nothing", "'int' object is not callable"),
    ],
)
async def test_a_source_that_cannot_be_had_is_named(
    module: str, name: str, why: str, monkeypatch: pytest.MonkeyPatch
):
    app = App("shop", engine="memory://")
    app.settings_of(Shop)
    monkeypatch.setenv("ISTHMUS_SECRET_SOURCE", name)
    with pytest.raises(ConfigError, match=f"secret_source = '{name}'") as refused:
        await app.open()
    assert why in str(refused.value)
