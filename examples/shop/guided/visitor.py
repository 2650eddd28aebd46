"""What the tour asks of the service and of the provider, and what it waits for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from guided.service import Fulfilment
from isthmus.flows import FlowStatus
from isthmus.sagas import SagaStatus

__all__ = ["Visitor"]

PATIENCE = 120.0
"""Seconds after which what was waited for will not come."""


class Visitor:
    """Asks over HTTP; looks into the database for what it waits for."""

    def __init__(self, service: Fulfilment, http: aiohttp.ClientSession) -> None:
        self.service, self._http = service, http
        self.asked: dict[str, list[dict[str, Any]]] = {"orchestrated": [], "choreographed": []}
        """All that was ordered, by how it is fulfilled."""

    # --- asking -----------------------------------------------------------------------------

    async def order(self, id: str, style: str = "orchestrated", **words: Any) -> None:
        """Order something; again until it is answered."""
        order = {"id": id, "customer": "anna", "sku": "lamp", "total": 4200} | words
        self.asked[style].append(order)
        url = f"{self.service.url}/v1/orders"

        async def taken() -> bool:
            try:
                async with self._http.post(url, json=order, params={"style": style}) as answer:
                    if answer.status < 500:
                        answer.raise_for_status()
                    return answer.status == 202
            except (aiohttp.ClientConnectionError, TimeoutError):
                return False

        await self.until(f"order {id} is taken", taken)

    async def get(self, path: str, **params: str) -> Any:
        async with self._http.get(f"{self.service.url}{path}", params=params) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def annotate(self, id: str, text: str) -> str:
        """Write a note on an order; return its position."""
        url = f"{self.service.url}/v1/orders/{id}/note"
        async with self._http.put(url, json={"text": text}) as answer:
            answer.raise_for_status()
            return answer.headers["position"]

    # --- the provider -----------------------------------------------------------------------

    async def become(self, mood: str, *, at: int = 0) -> None:
        """Have the provider change its mood with its charge number `at`."""
        url = f"{self.service.payments}/mood/{mood}"
        async with self._http.put(url, params={"at": at}) as answer:
            answer.raise_for_status()

    async def books(self) -> dict[str, Any]:
        async with self._http.get(f"{self.service.payments}/books") as answer:
            return await answer.json()

    async def calls_for(self, id: str) -> int:
        """Return how often the provider was asked to charge for an order."""
        calls = (await self.books())["calls"]
        return sum(count for key, count in calls.items() if f"/{id}/" in f"/{key}/")

    # --- waiting ----------------------------------------------------------------------------

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not await holds():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            log = self.service.log.read_text()[-5000:]
            raise RuntimeError(f"after {PATIENCE:g} s it is not so that {what}\n{log}") from None

    async def saga(self, id: str, *statuses: str) -> SagaStatus:
        """Wait until a saga is in one of these statuses."""
        from fulfilment.orchestrated import fulfil

        async def is_so() -> bool:
            return (await fulfil.handle(id).status()).status in statuses

        await self.until(f"saga {id} is {' or '.join(statuses)}", is_so)
        return await fulfil.handle(id).status()

    async def flow(self, id: str, *statuses: str) -> FlowStatus:
        """Wait until a flow is in one of these statuses."""
        from fulfilment.watching import flow

        from isthmus import NotFoundError

        async def is_so() -> bool:
            try:
                return (await flow.status(id)).status in statuses
            except NotFoundError:
                return False

        await self.until(f"flow {id} is {' or '.join(statuses)}", is_so)
        return await flow.status(id)
