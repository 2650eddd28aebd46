"""A payment provider whose API is shaped as Stripe's: forms in, JSON out, errors in `error`.

    python stripelike.py PORT

    curl http://127.0.0.1:PORT/v1/charges -H 'Authorization: Bearer sk_test_1' \\
        -H 'Idempotency-Key: 1' -d amount=4200 -d currency=eur -d source=tok_visa

The source tok_chargeDeclined is declined. It keeps books, and has bad days: see outside.py.
"""

import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from outside import Answer, Outside, RefusedError, refused, serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

DECLINED = "tok_chargeDeclined"
MOST = 10
"""Charges on a page."""


class Stripelike(Outside):
    """Charges cards, gives back, and lists charges, newest first."""

    async def charge(self, request: Request) -> JSONResponse:
        form = await _form(request)
        return await self._act(request, form, lambda: _charged(form))

    async def refund(self, request: Request) -> JSONResponse:
        form = await _form(request)
        return await self._act(request, form, lambda: self._refunded(form))

    async def charges(self, request: Request) -> JSONResponse:
        _authorise(request)
        if self.feel() == "failing":
            return _failed()
        charges = [answer.content for answer in self.answers.values() if answer.effect][::-1]
        after = request.query_params.get("starting_after")
        if after is not None:
            ids = [charge["id"] for charge in charges]
            if after not in ids:
                raise _invalid("resource_missing", f"No such charge: '{after}'")
            charges = charges[ids.index(after) + 1 :]
        limit = min(int(request.query_params.get("limit", 10)), MOST)
        page = {"object": "list", "data": charges[:limit], "has_more": len(charges) > limit}
        return JSONResponse(page)

    async def _act(
        self, request: Request, form: Mapping[str, str], act: Callable[[], Answer]
    ) -> JSONResponse:
        _authorise(request)
        told = "Keys for idempotent requests can only be used with the same parameters."
        reused = _error(400, "idempotency_error", "idempotency_key_in_use", told)
        answer = await self.once_for(request, form, act, reused=reused)
        return _failed() if answer is None else JSONResponse(answer.content, answer.status)

    def _refunded(self, form: Mapping[str, str]) -> Answer:
        charges = [answer.content for answer in self.answers.values() if answer.effect]
        charge = next((each for each in charges if each["id"] == form.get("charge")), None)
        if charge is None:
            raise _invalid("resource_missing", f"No such charge: '{form.get('charge')}'")
        number = charge["id"].removeprefix("ch_")
        refund = {"id": f"re_{number}", "object": "refund", "charge": charge["id"]}
        return Answer(refund, back=(charge["metadata"]["order"], charge["amount"]))


def _charged(form: Mapping[str, str]) -> Answer:
    amount, order = form.get("amount", ""), form.get("metadata[order]", "")
    if not amount.isdecimal() or int(amount) < 1:
        raise _invalid("parameter_invalid_integer", "Invalid positive integer: amount")
    if len(form.get("currency", "")) != 3:
        raise _invalid("parameter_missing", "Missing required param: currency.")
    if form.get("source") == DECLINED:
        raise _error(402, "card_error", "card_declined", "Your card was declined.")
    charge = {
        "id": f"ch_{hashlib.sha1(order.encode()).hexdigest()[:24]}",
        "object": "charge",
        "amount": int(amount),
        "currency": form["currency"],
        "status": "succeeded",
        "metadata": {"order": order},
    }
    return Answer(charge, effect=(order, int(amount)))


def _error(status: int, kind: str, code: str, message: str) -> RefusedError:
    return RefusedError({"error": {"type": kind, "code": code, "message": message}}, status)


def _invalid(code: str, message: str) -> RefusedError:
    return _error(400, "invalid_request_error", code, message)


def _authorise(request: Request) -> None:
    if not request.headers.get("authorization", "").startswith("Bearer sk_"):
        raise _error(401, "invalid_request_error", "api_key_invalid", "Invalid API Key provided.")


async def _form(request: Request) -> Mapping[str, str]:
    return dict(parse_qsl((await request.body()).decode()))


def _failed() -> JSONResponse:
    told = {"type": "api_error", "code": "unavailable", "message": "not today"}
    return JSONResponse({"error": told}, 503, {"Retry-After": "1"})


def service() -> Starlette:
    """Return it as an application."""
    stripelike = Stripelike()
    return Starlette(
        routes=[
            Route("/v1/charges", stripelike.charge, methods=["POST"]),
            Route("/v1/charges", stripelike.charges),
            Route("/v1/refunds", stripelike.refund, methods=["POST"]),
            *stripelike.routes(),
        ],
        exception_handlers={RefusedError: refused},
    )


if __name__ == "__main__":
    serve(service())
