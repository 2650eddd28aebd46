"""Whoever adds an option to a client, or to its calls, says on its page what it means."""

import inspect
import re
from pathlib import Path

from isthmus.services.client import Client
from isthmus.services.client.options import CallWords, ClientWords

PAGE = Path(__file__).parents[3] / "docs/patterns/calling-others.md"


def test_every_option_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)=?` \|", PAGE.read_text(), re.MULTILINE)
    options = [*inspect.signature(Client).parameters, *CallWords.__annotations__]
    assert [name for name in options if name not in rows] == []


def test_the_door_of_the_app_has_the_options_of_the_client() -> None:
    options = set(inspect.signature(Client).parameters) - {"name", "base_url"}
    assert options == set(ClientWords.__annotations__)
