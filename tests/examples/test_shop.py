"""The shop's demonstration, small: real processes are killed, and services fail and stall."""

import asyncio
import sys
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.mark.torture
@pytest.mark.parametrize("payments", ["stripelike", "adyenlike"])
async def test_the_shop_loses_nothing_and_does_nothing_twice_whatever_goes_wrong(
    payments: str,
) -> None:
    demo = await asyncio.create_subprocess_exec(
        sys.executable,
        SHOP / "demo.py",
        "--orders=200",
        f"--payments={payments}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await demo.communicate()
    assert demo.returncode == 0, told.decode()
