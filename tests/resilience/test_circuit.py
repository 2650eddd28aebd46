import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from isthmus.resilience import CircuitBreaker
from isthmus.resilience.circuit import Circuit, Phase

RULES = CircuitBreaker()._circuit.rules


class AgainstModel(RuleBasedStateMachine):
    """The breaker and a naive one that keeps every outcome do the same, over any calls."""

    MINIMUM, WINDOW, OPEN_FOR, PROBES, SUCCESSES = 4, 10.0, 5.0, 2, 3

    def __init__(self):
        super().__init__()
        breaker = CircuitBreaker(
            0.5, window=self.WINDOW, minimum=self.MINIMUM, open_for=self.OPEN_FOR,
            probes=self.PROBES, successes=self.SUCCESSES,
        )  # fmt: skip
        self.circuit = breaker._circuit
        self.now, self.state, self.until, self.epoch, self.well = 0.0, "closed", 0.0, 0, 0
        self.outcomes: list[tuple[int, bool]] = []
        self.out: list[tuple[Phase, int, str]] = []

    def turn(self, state: str):
        self.state, self.epoch, self.outcomes, self.well = state, self.epoch + 1, [], 0

    def probing(self) -> int:
        return sum(epoch == self.epoch for _, epoch, _ in self.out)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0, 5.0, 20.0]))
    def time_passes(self, seconds: float):
        self.now += seconds

    @rule()
    def call_begins(self):
        if self.state == "open" and self.now >= self.until:
            self.turn("half-open")
        may = self.state == "closed" or (self.state == "half-open" and self.probing() < self.PROBES)
        phase = self.circuit.admit(self.now)
        assert (phase is not None) == may
        if phase is not None:
            self.out.append((phase, self.epoch, self.state))

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 100), how=st.sampled_from(["well", "badly", "cancelled"]))
    def call_ends(self, which: int, how: str):
        phase, epoch, state = self.out.pop(which % len(self.out))
        match how:
            case "well":
                self.circuit.succeeded(phase, self.now)
            case "badly":
                self.circuit.failed(phase, self.now)
            case _:
                self.circuit.released(phase)
        if epoch == self.epoch and how != "cancelled":
            self.count(state, bad=how == "badly")

    def count(self, state: str, *, bad: bool):
        if state == "half-open":
            self.well += not bad
            if bad:
                self.opens()
            elif self.well == self.SUCCESSES:
                self.turn("closed")
            return
        slice_ = int(self.now // (self.WINDOW / 10))
        self.outcomes.append((slice_, bad))
        recent = [wrong for when, wrong in self.outcomes if when > slice_ - 10]
        if bad and len(recent) >= self.MINIMUM and sum(recent) >= 0.5 * len(recent):
            self.opens()

    def opens(self):
        self.turn("open")
        self.until = self.now + self.OPEN_FOR

    @rule()
    def isolate(self):
        self.circuit.isolate()
        self.turn("isolated")

    @rule()
    def reset(self):
        self.circuit.reset()
        self.turn("closed")

    @invariant()
    def they_agree(self):
        assert self.circuit.state == self.state

    @invariant()
    def never_more_than_n_probes_run(self):
        phase = self.circuit.phase
        assert 0 <= phase.in_flight <= self.PROBES
        if self.state == "half-open":
            assert phase.in_flight == self.probing()


AgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstModel = AgainstModel.TestCase


@pytest.mark.parametrize(("growth", "last"), [(1.0, 5.0), (2.0, 300.0), (1e300, 300.0)])
def test_a_circuit_that_never_closes_opens_for_no_longer_than_it_may(growth: float, last: float):
    circuit = Circuit(RULES._replace(open_for=5.0, growth=growth, open_cap=300.0, probes=1))
    now = 0.0
    for _ in range(1000):
        phase = circuit.admit(now)
        assert phase is not None
        for _ in range(RULES.minimum):
            circuit.failed(phase, now)
        span = circuit.phase.until - now
        now = circuit.phase.until
    assert span == last


def test_a_clock_that_is_set_back_neither_keeps_a_circuit_open_nor_closed():
    circuit, now = Circuit(RULES._replace(open_for=5.0)), 1_000_000.0
    for _ in range(RULES.minimum):
        circuit.failed(circuit.phase, now)
    assert (circuit.state, circuit.blocked_for(now)) == ("open", 5)
    now -= 3600
    assert (circuit.blocked_for(now), circuit.admit(now)) == (5, None)
    assert circuit.blocked_for(now + 2) == 3
    probe = circuit.admit(now + 5)
    assert probe is not None
    circuit.succeeded(probe, now + 5)
    assert circuit.state == "closed"

    now -= 3600
    for _ in range(RULES.minimum):
        circuit.succeeded(circuit.phase, now)
    now -= 3600
    for _ in range(RULES.minimum):
        now += 10.0  # one failure in a window is not enough
        circuit.failed(circuit.phase, now)
    assert circuit.state == "closed"
    for _ in range(RULES.minimum):
        circuit.failed(circuit.phase, now)
    assert circuit.state == "open"
