"""The tour, small: real processes are killed, and all books held against each other."""

import asyncio
import sys
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.mark.torture
@pytest.mark.timeout(180)
async def test_the_tour_shows_everything_and_its_books_agree() -> None:
    tour = await asyncio.create_subprocess_exec(
        sys.executable,
        SHOP / "tour.py",
        "--orders=8",
        "--payments=adyenlike",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await tour.communicate()
    assert tour.returncode == 0, told.decode()
    assert "\033" not in told.decode()  # not a terminal: plain
