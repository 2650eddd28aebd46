"""What policies tell, heard by the listeners of the Apps that are open."""

from isthmus import App
from isthmus.clock import ManualClock
from isthmus.resilience import CircuitBreaker, CircuitChanged, Policy
from isthmus.resilience.facts import signals as hub
from isthmus.signals import Signals


def heard_by(app: App) -> list[str]:
    heard: list[str] = []
    app.signals.listen(CircuitChanged, lambda change: heard.append(change.now))
    return heard


def an_app() -> App:
    return App("shop", engine="memory://", clock=ManualClock())


async def test_an_open_app_hears_of_every_circuit_of_the_process() -> None:
    app = an_app()
    heard, circuit = heard_by(app), CircuitBreaker()
    circuit.isolate()
    async with app:
        circuit.reset()
        circuit.isolate()
    circuit.reset()
    assert heard == ["closed", "isolated"]


async def test_two_apps_hear_each_fact_once_each() -> None:
    one, other = an_app(), an_app()
    heard, circuit = [heard_by(one), heard_by(other)], CircuitBreaker()
    async with one:
        async with other:
            circuit.isolate()
        circuit.reset()
    assert heard == [["isolated", "closed"], ["isolated"]]


async def test_an_app_that_is_open_twice_hears_each_fact_once() -> None:
    app = an_app()
    heard, circuit = heard_by(app), CircuitBreaker()
    async with app.test():
        async with app.test():
            circuit.isolate()
        circuit.reset()
    assert heard == ["isolated", "closed"]


async def test_what_a_policy_tells_the_app_itself_is_heard_once() -> None:
    app = an_app()
    heard = heard_by(app)

    async def fail() -> None:
        raise ConnectionError

    async with app:
        guarded = Policy(CircuitBreaker(None, consecutive=1), signals=app.signals)
        await guarded.outcome(fail)
    assert heard == ["open"]


async def test_nobody_listens_for_an_app_that_is_closed() -> None:
    app, before = an_app(), hub.active
    async with app:
        assert hub.active
    assert hub.active == before
    assert isinstance(hub, Signals)
