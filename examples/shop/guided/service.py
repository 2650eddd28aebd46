"""The fulfilment service in two worker processes, and the payment provider outside of it."""

from pathlib import Path

from processes import Processes, free_ports

__all__ = ["Fulfilment"]

WORKERS = 2
SHIPPED_WITHIN = 15
"""Seconds after which a parcel that nobody hears of is given up."""


class Fulfilment(Processes):
    """Its database is a file in `folder`."""

    def __init__(self, folder: Path, *, provider: str = "stripelike") -> None:
        super().__init__(folder)
        self.provider = provider
        self._outside, self._inside = free_ports(2)
        self.payments = f"http://127.0.0.1:{self._outside}"
        self.url = f"http://127.0.0.1:{self._inside}"
        self.engine = f"sqlite:///{folder / 'fulfilment.db'}"

    async def _start_all(self) -> None:
        await self._start(f"{self.provider}.py", f"{self._outside}")
        served = ("--workers", f"{WORKERS}", "--port", f"{self._inside}")
        await self._start("-m", "isthmus", "run", "fulfilment.app:app", *served)
        for url in (self.payments, f"{self.url}/readyz"):
            await self._until_it_answers(url)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ISTHMUS_ENGINE": self.engine,
            "ISTHMUS_ADAPTER_PAYMENTS": self.provider,
            f"BILLING_{self.provider.upper()}_URL": self.payments,
            f"BILLING_{self.provider.upper()}_KEY": "sk_test_of_the_tour",
            "FULFILMENT_SHIPPED": f"{SHIPPED_WITHIN}",
            "FULFILMENT_UNDOS": "1",
        }
