"""When a circuit opens and closes."""

from typing import NamedTuple

from isthmus.errors import ConfigError
from isthmus.resilience.options import INFINITE, is_number, is_whole
from isthmus.resilience.tally import CountTally, Tally, TimeTally

__all__ = ["Rules", "checked", "defaults_of"]


class Rules(NamedTuple):
    """When a circuit opens and closes; the options of CircuitBreaker."""

    failure_rate: float | None
    window: float
    calls: int | None
    minimum: int
    consecutive: int | None
    slow: float | None
    slow_rate: float
    open_for: float
    growth: float
    open_cap: float
    probes: int
    successes: int
    metrics_only: bool
    judged: bool
    """Whether results may be failures, too."""

    def tally(self) -> Tally:
        return TimeTally(self.window) if self.calls is None else CountTally(self.calls)


DEFAULTS: dict[str, object] = {
    "failure_rate": 0.5, "window": 10.0, "calls": None, "minimum": 10, "consecutive": None,
    "slow": None, "slow_rate": 1.0, "open_for": 5.0, "growth": 1.0, "open_cap": 300.0, "probes": 1,
    "successes": 1, "metrics_only": False,
}  # fmt: skip


def defaults_of(rules: Rules) -> dict[str, object]:
    """Return what goes without saying of `rules`; the cap is no less than `open_for`."""
    return DEFAULTS | {"open_cap": max(300.0, rules.open_for)}


def checked(rules: Rules) -> Rules:
    """Return the rules, if each is in its range and they can open a circuit.

    Raises:
        ConfigError: They are not, or can't.
    """
    for option, ok, wanted in (
        ("failure_rate", _share(rules.failure_rate), "above 0, to 1, or None"),
        ("calls", rules.calls is None or is_whole(rules.calls, 1), "1 or more, or None"),
        ("minimum", is_whole(rules.minimum, 1), "1 or more"),
        (
            "consecutive",
            rules.consecutive is None or is_whole(rules.consecutive, 1),
            "1 up, or None",
        ),
        ("slow", rules.slow is None or rules.slow > 0, "more than 0 seconds, or None"),
        ("slow_rate", _share(rules.slow_rate), "above 0, to 1"),
        ("growth", is_number(rules.growth) and 1 <= rules.growth < INFINITE, "1 or more"),
        ("probes", is_whole(rules.probes, 1), "1 or more"),
        ("successes", is_whole(rules.successes, 1), "1 or more"),
    ):
        if not ok:
            value = getattr(rules, option)
            raise ConfigError(f"CircuitBreaker({option}={value!r}): expected {wanted}")
    if rules.calls is not None and rules.calls < rules.minimum:
        raise ConfigError(
            f"CircuitBreaker(calls={rules.calls}, minimum={rules.minimum}): so few calls are "
            "looked back on that the minimum is never reached; expected minimum <= calls"
        )
    if rules.failure_rate is None and rules.consecutive is None and rules.slow is None:
        raise ConfigError(
            "CircuitBreaker(failure_rate=None): nothing would open it; give consecutive= or slow="
        )
    return rules


def _share(value: float | None) -> bool:
    return value is None or (is_number(value) and 0 < value <= 1)
