"""A payment provider whose API is shaped as Adyen's: JSON, a merchant account in each request,
and a refusal that is an answer as good as any.

    python adyenlike.py PORT

    curl http://127.0.0.1:PORT/v71/payments -H 'x-API-key: AQE_test' -H 'Idempotency-Key: 1' \\
        --json '{"merchantAccount": "Shop", "amount": {"value": 4200, "currency": "EUR"},
                 "reference": "1", "paymentMethod": {"type": "scheme", "token": "visa"}}'

The token "refused" is refused. It keeps books, and has bad days: see outside.py.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from outside import Answer, Outside, RefusedError, refused, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

REFUSED = "refused"
PAGE = 10


class Adyenlike(Outside):
    """Makes payments, refunds them, and lists what was transacted, oldest first."""

    async def pay(self, request: Request) -> JSONResponse:
        asked = await _asked(request)
        return await self._act(request, asked, lambda: _paid(asked))

    async def refund(self, request: Request) -> JSONResponse:
        asked, psp = await _asked(request), request.path_params["psp"]
        return await self._act(request, asked, lambda: self._refunded(asked, psp))

    async def transactions(self, request: Request) -> JSONResponse:
        _authorise(request)
        if self.feel() == "failing":
            return _failed()
        done = [answer for answer in self.answers.values() if answer.effect]
        begin = int(request.query_params.get("cursor", 0))
        page = [_transaction(answer) for answer in done[begin : begin + PAGE]]
        more = len(done) > begin + PAGE
        link = {"next": {"href": f"/v71/transactions?cursor={begin + PAGE}"}} if more else {}
        return JSONResponse({"data": page, "_links": link})

    async def _act(
        self, request: Request, asked: Mapping[str, Any], act: Callable[[], Answer]
    ) -> JSONResponse:
        _authorise(request)
        reused = _error(422, "704", "validation", "request already processed or in progress")
        answer = await self.once_for(request, asked, act, reused=reused)
        return _failed() if answer is None else JSONResponse(answer.content, answer.status)

    def _refunded(self, asked: Mapping[str, Any], psp: str) -> Answer:
        paid = [answer.content for answer in self.answers.values() if answer.effect]
        done = next((each for each in paid if each["pspReference"] == psp), None)
        if done is None:
            raise _error(422, "167", "validation", "Original pspReference required")
        said = {"pspReference": _psp(f"refund {psp}"), "paymentPspReference": psp}
        said |= {"status": "received", "merchantAccount": asked["merchantAccount"]}
        return Answer(said, 201, back=(done["merchantReference"], done["amount"]["value"]))


def _paid(asked: Mapping[str, Any]) -> Answer:
    amount, reference = asked.get("amount", {}), asked.get("reference", "")
    if not isinstance(amount.get("value"), int) or amount["value"] < 1:
        raise _error(422, "137", "validation", "Invalid amount specified")
    if not reference:
        raise _error(422, "130", "validation", "Reference Missing")
    said = {"pspReference": _psp(reference), "merchantReference": reference, "amount": amount}
    if asked.get("paymentMethod", {}).get("token") == REFUSED:
        refused = {"resultCode": "Refused", "refusalReason": "Refused", "refusalReasonCode": "2"}
        return Answer(said | refused)
    return Answer(said | {"resultCode": "Authorised"}, effect=(reference, amount["value"]))


def _transaction(answer: Answer) -> Mapping[str, Any]:
    names = ("pspReference", "merchantReference", "amount")
    return {name: answer.content[name] for name in names}


def _error(status: int, code: str, kind: str, message: str) -> RefusedError:
    said = {"status": status, "errorCode": code, "errorType": kind, "message": message}
    return RefusedError(said, status)


def _psp(of: str) -> str:
    return hashlib.sha1(of.encode()).hexdigest()[:16].upper()


def _authorise(request: Request) -> None:
    if not request.headers.get("x-api-key"):
        raise _error(401, "000", "security", "HTTP Status Response - Unauthorized")


async def _asked(request: Request) -> Mapping[str, Any]:
    asked = await request.json()
    if not asked.get("merchantAccount"):
        raise _error(403, "901", "security", "Invalid Merchant Account")
    return asked


def _failed() -> JSONResponse:
    told = {"status": 503, "errorCode": "905", "errorType": "internal", "message": "not today"}
    return JSONResponse(told, 503, {"Retry-After": "1"})


def service() -> Starlette:
    """Return it as an application."""
    adyenlike = Adyenlike()
    return Starlette(
        routes=[
            Route("/v71/payments", adyenlike.pay, methods=["POST"]),
            Route("/v71/payments/{psp}/refunds", adyenlike.refund, methods=["POST"]),
            Route("/v71/transactions", adyenlike.transactions),
            *adyenlike.routes(),
        ],
        exception_handlers={RefusedError: refused},
    )


if __name__ == "__main__":
    serve(service())
