from pathlib import Path

import msgspec
import pytest

from isthmus.errors import ConfigError
from isthmus.settings import Settings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / "pyproject.toml"


def test_nothing_has_to_be_said(project: Path):
    assert Settings.load({}, project) == Settings()
    assert Settings().drain == 30.0


def test_the_environment_is_read(project: Path):
    environ = {
        "ISTHMUS_DRAIN": "2.5",
        "ISTHMUS_PORT": "0",
        "ISTHMUS_LOG_LEVEL": "debug",
        "HOME": "/",
    }
    assert Settings.load(environ, project) == Settings(drain=2.5, port=0, log_level="debug")


def test_the_process_environment_is_the_default(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ISTHMUS_SOURCE", "shop-eu")
    assert Settings.load(path=project).source == "shop-eu"


def test_the_project_file_is_read(project: Path):
    project.write_text('[tool.isthmus]\nengine = "memory://"\ndrain = 5\n')
    assert Settings.load({}, project) == Settings(engine="memory://", drain=5.0)


def test_the_environment_wins_over_the_project_file(project: Path):
    project.write_text('[tool.isthmus]\nengine = "memory://"\nworkers = 3\n')
    found = Settings.load({"ISTHMUS_ENGINE": "sqlite:///shop.db"}, project)
    assert found == Settings(engine="sqlite:///shop.db", workers=3)


def test_an_empty_variable_is_not_set(project: Path):
    assert Settings.load({"ISTHMUS_DRAIN": ""}, project) == Settings()


def test_a_project_of_something_else_has_no_settings(project: Path):
    project.write_text("[tool.other]\ndrain = 5\n")
    assert Settings.load({}, project) == Settings()


def test_every_fault_is_listed_at_once_with_its_place(project: Path):
    project.write_text('[tool.isthmus]\nengin = "memory://"\nsession = "soon"\n')
    environ = {"ISTHMUS_DRAIN": "x", "ISTHMUS_PORT": "70000", "ISTHMUS_LOG_LEVEL": "loud"}
    with pytest.raises(ConfigError) as caught:
        Settings.load(environ, project)
    told = str(caught.value)
    assert "ISTHMUS_DRAIN = 'x': Expected `float`" in told
    assert "ISTHMUS_PORT = '70000': Expected `int` <= 65535" in told
    assert "ISTHMUS_LOG_LEVEL = 'loud': Invalid enum value" in told
    assert f"{project}: [tool.isthmus] session = 'soon': Expected `float`" in told
    assert f"{project}: [tool.isthmus] engin: no such setting; there are app, engine" in told


def test_a_variable_that_is_nearly_one_is_a_fault_and_a_foreign_one_is_not(project: Path):
    assert Settings.load({"ISTHMUS_STRIPE_SECRETS": "x"}, project) == Settings()
    with pytest.raises(ConfigError, match="ISTHMUS_ENGIN: no such setting; ISTHMUS_ENGINE was"):
        Settings.load({"ISTHMUS_ENGIN": "memory://"}, project)


def test_a_project_file_that_is_broken_is_named(project: Path):
    project.write_text("[tool.isthmus\n")
    with pytest.raises(ConfigError, match=r"cannot read settings from .*pyproject\.toml"):
        Settings.load({}, project)


@pytest.mark.parametrize(
    "wrong",
    [{"drain": -1.0}, {"session": 0.5}, {"lease": 43_201.0}, {"workers": 0}, {"port": 70_000}],
    ids=str,
)
def test_values_out_of_range_are_refused_however_settings_are_made(wrong: dict[str, float]):
    (name,) = wrong
    with pytest.raises(ConfigError, match=name):
        Settings(**wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=name):
        msgspec.structs.replace(Settings(), **wrong)


def test_passwords_are_shown_neither_by_settings_nor_by_their_errors(project: Path):
    url = "postgresql://shop:s3cret@db/shop?sslpassword=s3cret"
    assert "s3cret" not in repr(Settings(engine=url))
    assert "s3cret" not in str(Settings(engine=url))
    with pytest.raises(ConfigError) as caught:
        Settings.load({"ISTHMUS_PORT": url}, project)
    assert "s3cret" not in str(caught.value)
    assert "postgresql://shop:***@db" in str(caught.value)
