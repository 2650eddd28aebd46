"""What a step calls is called under the step's key, however often."""

from isthmus import App, Policy, Retry
from isthmus.sagas import Saga
from isthmus.testing.http import FakeTransport


async def test_clients_send_the_steps_key_with_every_attempt() -> None:
    app = App("shop")
    fake = FakeTransport()
    payments = app.client("payments", "http://pay.test", transport=fake, policy=Policy())
    fake.on("GET", "/cards").answer([])
    fake.on("POST", "/charges", times=2).answer({}, status=503)
    fake.on("POST", "/charges").answer({})
    fake.on("POST", "/notes").answer({})

    async def charge(order: str) -> None:
        await payments.get("/cards")
        await payments.post("/charges", {"order": order})
        await payments.post("/notes", {"order": order})
        await payments.post("/notes", {"order": order}, idempotency_key=False)
        await payments.post("/notes", {"order": order}, idempotency_key="mine")

    @app.saga("fulfil", retry=Retry(3, delay=1))
    async def fulfil(saga: Saga) -> None:
        await saga.step(charge, "1")
        await saga.step(charge, "1", key="own")

    async with app.test() as t:
        handle = await fulfil.start(id="A-1")
        await t.advance(20)
        await handle.result()
    keys = [
        (each.method, each.path, each.headers.get("Idempotency-Key"))
        for each in fake.calls
        if each.method != "GET"
    ]
    charged = ("POST", "/charges", '"fulfil/A-1/1"')
    notes = [
        ("POST", "/notes", '"fulfil/A-1/1/2"'),
        ("POST", "/notes", None),
        ("POST", "/notes", '"mine"'),
    ]
    assert keys[:6] == [charged, charged, charged, *notes]
    assert keys[6][2] == '"own"'
    assert all(each.headers.get("Idempotency-Key") is None for each in fake.calls[:1])


async def test_outside_of_a_step_nothing_is_added() -> None:
    app = App("shop")
    fake = FakeTransport()
    payments = app.client("payments", "http://pay.test", transport=fake)
    fake.on("POST", "/charges").answer({})
    async with app.test():
        await payments.post("/charges", {})
    assert fake.calls[0].headers.get("Idempotency-Key") is None
