import logging
import threading

import pytest

from isthmus.errors import ConfigError
from isthmus.signals import Signal, Signals


class Handled(Signal, frozen=True):
    queue: str


class Failed(Handled, frozen=True):
    error: str = ""


class Sent(Signal, frozen=True):
    pass


@pytest.fixture
def signals() -> Signals:
    return Signals()


def test_a_listener_hears_its_kind_and_subclasses_and_nothing_else(signals: Signals):
    heard: list[Signal] = []
    signals.listen(Handled, heard.append)
    told = [Handled(queue="a"), Sent(), Failed(queue="b")]
    for signal in told:
        signals.emit(signal)
    assert heard == [told[0], told[2]]


def test_listening_to_signal_hears_everything(signals: Signals):
    heard: list[Signal] = []
    signals.listen(Signal, heard.append)
    signals.emit(Sent())
    signals.emit(Failed(queue="b"))
    assert len(heard) == 2


def test_listeners_hear_in_the_order_they_came(signals: Signals):
    heard: list[str] = []
    signals.listen(Failed, lambda _: heard.append("first"))
    signals.listen(Signal, lambda _: heard.append("second"))
    signals.listen(Handled, lambda _: heard.append("third"))
    signals.emit(Failed(queue="a"))
    assert heard == ["first", "second", "third"]


def test_unlistening_ends_one_listening_only_and_twice_is_once(signals: Signals):
    heard: list[Signal] = []
    signals.listen(Sent, heard.append)
    unlisten = signals.listen(Sent, heard.append)
    signals.emit(Sent())
    unlisten()
    unlisten()
    signals.emit(Sent())
    assert len(heard) == 3


def test_active_says_whether_anybody_listens(signals: Signals):
    assert not signals.active
    first, second = signals.listen(Sent, print), signals.listen(Sent, print)
    first()
    assert signals.active
    second()
    assert not signals.active


def test_wanted_says_whether_a_kind_would_be_heard(signals: Signals):
    unlisten = signals.listen(Handled, print)
    assert signals.wanted(Handled)
    assert signals.wanted(Failed)
    assert not signals.wanted(Sent)
    unlisten()
    assert not signals.wanted(Handled)


def test_who_listens_later_hears_kinds_that_were_emitted_before(signals: Signals):
    heard: list[Signal] = []
    signals.listen(Handled, print)
    signals.emit(Sent())
    signals.listen(Sent, heard.append)
    signals.emit(Sent())
    assert heard == [Sent()]


def test_a_listener_that_raises_is_logged_and_the_others_still_hear(
    signals: Signals, caplog: pytest.LogCaptureFixture
):
    heard: list[Signal] = []

    def broken(_: Signal) -> None:
        raise ZeroDivisionError("mine")

    signals.listen(Sent, broken)
    signals.listen(Sent, heard.append)
    with caplog.at_level(logging.ERROR, "isthmus.signals"):
        signals.emit(Sent())
    assert heard == [Sent()]
    assert "broken" in caplog.text
    assert "ZeroDivisionError: mine" in caplog.text


def test_an_async_listener_is_refused(signals: Signals):
    async def listener(_: Signal) -> None: ...

    with pytest.raises(ConfigError, match=r"listener.*is async.*write it as def"):
        signals.listen(Sent, listener)
    assert not signals.active


def test_a_listener_may_emit_and_may_stop_listening_while_it_hears(signals: Signals):
    heard: list[str] = []

    def once(_: Signal) -> None:
        unlisten()
        signals.emit(Handled(queue="echo"))

    unlisten = signals.listen(Sent, once)
    signals.listen(Handled, lambda signal: heard.append(signal.queue))
    signals.emit(Sent())
    signals.emit(Sent())
    assert heard == ["echo"]


def test_listeners_may_come_and_go_from_many_threads(signals: Signals):
    heard: list[Signal] = []
    signals.listen(Sent, heard.append)

    def come_and_go() -> None:
        for _ in range(200):
            unlisten = signals.listen(Sent, lambda _: None)
            signals.emit(Sent())
            unlisten()

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 800
    assert signals.wanted(Sent)


def test_a_signal_is_frozen():
    with pytest.raises(AttributeError):
        Handled(queue="a").queue = "b"  # pyright: ignore[reportAttributeAccessIssue]
