import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, Protocol

import pytest

from isthmus.clock import ManualClock, SystemClock
from isthmus.connect import connect, schemes
from isthmus.errors import ConfigError


class Install(Protocol):
    def __call__(self, package: str, *, scheme: str, code: str = ...) -> None: ...


ENGINE = """
    class Spy:
        queue = log = store = None

        def __init__(self, url, clock):
            self.url, self.clock = url, clock

        async def aclose(self): ...

    async def open_engine(url, *, clock):
        return Spy(url, clock)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package on the path, with an engine, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(package: str, *, scheme: str, code: str = ENGINE) -> None:
        monkeypatch.delitem(sys.modules, package, raising=False)
        (tmp_path / f"{package}.py").write_text(dedent(code))
        about = tmp_path / f"{package}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Name: {package}\nVersion: 1.0\n")
        entry = f"[isthmus.engines]\n{scheme} = {package}:open_engine\n"
        (about / "entry_points.txt").write_text(entry)

    return installed


def test_the_engines_that_come_with_isthmus_are_found():
    assert {"memory", "sqlite"} <= set(schemes())


async def test_a_url_opens_the_engine_of_its_scheme():
    engine = await connect("memory://")
    assert engine.queue is not None
    assert engine.log is not None
    assert engine.store is not None
    await engine.aclose()


async def test_a_third_party_is_an_equal(install: Install):
    install("spying", scheme="spy")
    clock = ManualClock()
    engine: Any = await connect("spy://somewhere?fast=1", clock=clock)
    assert engine.url == "spy://somewhere?fast=1"
    assert engine.clock is clock
    assert "spy" in schemes()


@pytest.mark.parametrize("url", ["spy+fast://somewhere", "SPY://somewhere"])
async def test_a_scheme_may_name_a_driver_and_be_written_in_capitals(install: Install, url: str):
    install("spying", scheme="spy")
    engine: Any = await connect(url)
    assert engine.url == url


async def test_the_machines_clock_is_the_default(install: Install):
    install("spying", scheme="spy")
    engine: Any = await connect("spy://somewhere")
    assert isinstance(engine.clock, SystemClock)


@pytest.mark.parametrize("url", ["nosuch://x", "shop.db", "", "nosuch://u:s3cret[@x"])
async def test_an_unknown_scheme_is_refused_with_those_that_are_known(url: str):
    with pytest.raises(
        ConfigError, match=r"no engine for .* is none of .*memory.*sqlite"
    ) as caught:
        await connect(url)
    assert "s3cret" not in str(caught.value)


async def test_a_missing_driver_is_told_with_what_to_install(install: Install):
    install("spying", scheme="spy", code="import no_such_driver")
    told = r"engine 'spy' needs 'no_such_driver': pip install 'spying\[spy\]'"
    with pytest.raises(ConfigError, match=told):
        await connect("spy://x")


async def test_two_engines_of_one_scheme_are_refused(install: Install):
    install("spying", scheme="spy")
    install("other", scheme="spy")
    told = "'spy' is the scheme of other:open_engine and spying:open_engine: uninstall one"
    with pytest.raises(ConfigError, match=told):
        await connect("spy://x")
