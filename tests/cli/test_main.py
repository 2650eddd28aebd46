"""What the command promises as a whole."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from isthmus import __version__
from isthmus.cli.main import COMMANDS


def test_help_names_every_command_and_imports_none(empty: Any) -> None:
    code = (
        "import sys; from isthmus.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(n for n in sys.modules if n.startswith('isthmus.cli.')))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    help_, _, modules = told.stdout.rpartition("\n[")
    assert all(name in help_ for name in COMMANDS)
    assert "queues" not in modules
    assert "rich" not in modules


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help_and_the_lines_agree(empty: Any, command: str) -> None:
    result = empty(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_the_module_is_the_command(empty: Any) -> None:
    running = subprocess.run(
        [sys.executable, "-m", "isthmus", "--version"], capture_output=True, text=True, check=True
    )
    assert running.stdout == f"isthmus, version {__version__}\n"


def test_an_unknown_command_is_told_the_nearest(empty: Any) -> None:
    result = empty("queue")
    assert result.exit_code == 2
    assert "there is no command 'queue'; did you mean 'queues'?" in result.output


def test_without_an_app_it_is_told_what_to_type(empty: Any) -> None:
    result = empty("queues")
    assert result.exit_code == 1
    assert "isthmus run shop:app" in result.output
    assert "export ISTHMUS_APP=shop:app" in result.output
    assert "isthmus new shop" in result.output


def test_an_app_in_the_folder_is_pointed_to(empty: Any) -> None:
    empty.write("kiosk.py", 'from isthmus import App\nservice = App("kiosk")\n')
    assert "found here: kiosk:service, in kiosk.py" in empty("describe").output


def test_pyproject_names_the_app(empty: Any) -> None:
    empty.write("kiosk.py", 'from isthmus import App\napp = App("kiosk")\n')
    empty.write("pyproject.toml", '[tool.isthmus]\napp = "kiosk:app"\n')
    assert "declares nothing yet" in empty("describe").output


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("shopp", "there is no module 'shopp'"),
        ("shop:appp", "has no App called 'appp'; did you mean 'app'?"),
        ("shop:Order", "shop:Order is a StructMeta, not an isthmus App"),
        ("no.such:app", "there is no module 'no'"),
    ],
)
def test_a_wrong_app_is_told(project: Any, spec: str, told: str) -> None:
    if "Order" in spec:
        project.write("shop.py", "import msgspec\nclass Order(msgspec.Struct): ...\n")
    result = project("describe", spec)
    assert result.exit_code == 1
    assert told in result.output


def test_a_file_is_taken_for_its_module(project: Any) -> None:
    assert project("describe", "shop.py").exit_code == 0
    assert project("describe", "./shop.py:app").exit_code == 0


def test_a_wrong_declaration_is_told_with_its_line(empty: Any) -> None:
    empty.write(
        "kiosk.py", 'from isthmus import App\napp = App("kiosk")\n\napp.queue("no name", int)\n'
    )
    result = empty("describe", "kiosk")
    assert result.exit_code == 1
    assert result.output.startswith("error: kiosk.py:4: queue name 'no name' is not allowed")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\ny = 2\ndef stack(:\n", "shelf.py:3: SyntaxError: invalid syntax"),
        ("def stack():\n    return 1 / 0\nstack()\n", "shelf.py:2: ZeroDivisionError: "),
        (
            "from isthmus import App\napp = App('x', engin='')\n",
            "shelf.py:2: TypeError: App.__init__() got an unexpected keyword argument 'engin'",
        ),
    ],
)
def test_an_app_that_cannot_be_imported_is_told_in_one_line(
    empty: Any, text: str, told: str
) -> None:
    empty.write("kiosk.py", "import shelf\n")
    empty.write("shelf.py", text)
    result = empty("describe", "kiosk")
    assert result.exit_code == 1
    [line] = result.output.splitlines()
    assert line.startswith(f"error: kiosk cannot be imported: {told}")


def test_alone_it_prints_its_help(empty: Any) -> None:
    result = empty()
    assert result.exit_code == 0
    assert result.stdout == empty("--help").stdout


def test_an_error_shows_its_origin_when_asked_for(empty: Any) -> None:
    from isthmus.errors import ConfigError

    with pytest.raises(ConfigError):
        empty("--traceback", "describe", "nowhere")


def test_all_that_is_declared_is_described(project: Any) -> None:
    told = project.json("describe")
    assert [record["name"] for record in told["queue"]] == ["orders"]
    assert [record["name"] for record in told["handler"]] == ["orders", "order-accepted/mail"]
    assert told["route"][0]["name"] == "POST /orders"
    assert told["route"][0]["takes"] == "Order"
    assert told["group"][0]["name"] == "ledger/balances"
    text = project("describe").output
    assert "queue\n  orders" in text


def test_engines_tell_what_they_can(empty: Any) -> None:
    told = {row["engine"]: row for row in empty.json("engines")}
    assert told["memory://"]["queue"]["durable"] == "memory"
    assert told["sqlite://"]["store"]["sql"] == "sqlite"
    one = empty.json("engines", "--engine", "sqlite:///some.db?durability=normal")
    assert one[0]["store"]["durable"] == "process"
    assert "no engine for 'x://'" in empty("engines", "--engine", "x://").output


def test_log_lines_are_json_when_asked_for(project: Any) -> None:
    running = project.start("run", "--port", "0", "--log", "json")
    told = json.loads(running.until("listening on"))
    assert told["level"] == "info"
    assert abs(told["time"] - time.time()) < 60
    running.stop()
