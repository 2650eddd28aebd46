"""Policies by name, whose options are the place's to say: in TOML, or in the environment."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, Unpack, cast

from isthmus.errors import ConfigError, NotFoundError
from isthmus.resilience.facts import log
from isthmus.resilience.makers import MAKERS, Budgets, key_of, options_of
from isthmus.resilience.named_policy import NamedPolicy
from isthmus.resilience.policy import Policy, PolicyWords
from isthmus.resilience.strategy import Strategy

__all__ = ["PREFIX", "Policies", "policies"]

PREFIX = "ISTHMUS_RESILIENCE__"
"""How the environment's names begin: ISTHMUS_RESILIENCE__PAYMENTS__RETRY__ATTEMPTS=4."""

UNUSED = ": configured, but neither defined in code nor asked for"
ALMOST = 0.85
"""How alike two names are of which one may be the other, mistyped; 1 is equal."""

Call = Callable[..., Any]


class Defined(NamedTuple):
    """A strategy as code defined it; the object itself may have adopted other options since."""

    strategy: Strategy
    options: Mapping[str, Any] | None

    @classmethod
    def by_code(cls, strategy: Strategy) -> Self:
        known = getattr(strategy, "options", None)
        return cls(strategy, None if known is None else known())

    def made(self) -> Strategy:
        """Return one with the options of code."""
        return self.strategy if self.options is None else type(self.strategy)(**self.options)


class Policies:
    """Named policies, defined in code, in configuration, or in both.

    What code defines is the default; configuration amends it, option by option:

        [resilience.payments]
        total = 30
        retry = { attempts = 4, delay = 0.1, budget = 0.2 }
        circuit_breaker = { failure_rate = 0.5, window = 10 }
        bulkhead = 10
        timeout = { request = 2, of = { read = 1 } }

    What code does not place is placed, outermost first: fallback (a value), feature, cache,
    total, retry, hedge, circuit_breaker, rate_limit, bulkhead, timeout, chaos (which acts only
    where it is switched on). A bare value is that of the first option; `false` removes what code
    defines, and `feature = "off"` switches it off. `load` may be called again: what is guarded
    follows, and state is kept.
    """

    def __init__(self) -> None:
        self._policies: dict[str, NamedPolicy] = {}
        self._defined: dict[str, tuple[Defined, ...]] = {}
        self._asked_for = set[str]()
        self._said: Mapping[str, Mapping[str, Any]] = {}
        self._budgets = Budgets()

    def define(self, name: str, /, *strategies: Strategy, **words: Unpack[PolicyWords]) -> Policy:
        """Say what a policy is as long as no configuration amends it.

        Raises:
            ConfigError: It was defined before, or cannot work.
        """
        if name in self._policies:
            raise ConfigError(f"the policy {name!r} is defined already; ask for it by get")
        policy = NamedPolicy(*strategies, **{**words, "name": name})
        self._policies[name] = policy
        self._defined[name] = tuple(map(Defined.by_code, policy.strategies))
        return policy

    def default(self, name: str, /, *strategies: Strategy, **words: Unpack[PolicyWords]) -> Policy:
        """Return the policy that code defined by this name; if none did, define it, as amended
        by what was loaded already.

        Raises:
            ConfigError: What was loaded and these strategies cannot work together.
        """
        if name in self._defined:
            return self.get(name)
        policy = self._policies.get(name) or NamedPolicy(**{**words, "name": name})
        before = self._defined.copy()
        self._defined[name] = tuple(map(Defined.by_code, strategies))
        try:
            policy.become(self._amended(name, self._said.get(name, {})))
        except ConfigError:
            self._defined = before
            raise
        self._policies[name] = policy
        return policy

    def get(self, name: str) -> Policy:
        """Return the policy of that name; it follows later changes.

        Raises:
            NotFoundError: It was neither defined nor configured.
        """
        if name not in self._policies:
            known = ", ".join(sorted(self._policies)) or "none"
            raise NotFoundError(
                f"no policy {name!r}; there are: {known}. Define it, or load its configuration "
                "before it is asked for"
            )
        self._asked_for.add(name)
        return self._policies[name]

    def load(
        self,
        options: Mapping[str, Any] | Path | str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Amend the policies by `options`: a mapping of names, or a TOML file with a table
        [resilience]; and over them by the environment. What an earlier load said and this one
        does not, is as it was defined. A name that code does not define is a policy too, for
        who asks for it; one that is almost that of another is warned of.

        Raises:
            ConfigError: Something in it cannot be read or used; nothing has changed.
        """
        said = _from_file(Path(options)) if isinstance(options, Path | str) else options or {}
        said = {name: dict(_table(name, table)) for name, table in said.items()}
        self._overlay(said, os.environ if environ is None else environ)
        wanted = {
            name: self._amended(name, said.get(name, {})) for name in {**self._policies, **said}
        }
        policies = {name: self._policies.get(name) or NamedPolicy(name=name) for name in wanted}
        for name, strategies in wanted.items():
            policies[name].refuse(strategies)
        self._policies.update(policies)
        self._said = said
        for name, strategies in wanted.items():
            policies[name].become(strategies)
        self._tell_mistyped(said)

    def describe(self) -> str:
        """Return what all of them do, by name, with their state. Of one that configuration alone
        knows, and nobody has asked for, that is said: its name may be mistyped."""
        return "\n".join(map(self._described, sorted(self._policies)))

    def _described(self, name: str) -> str:
        known, *lines = self._policies[name].describe().splitlines()
        return "\n".join([known + UNUSED * self._is_unused(name), *lines])

    def _is_unused(self, name: str) -> bool:
        return name not in self._defined and name not in self._asked_for

    def _tell_mistyped(self, said: Mapping[str, object]) -> None:
        """Warn of names that are new, and almost those of policies that code defined."""
        import difflib

        for name in filter(self._is_unused, said):
            for meant in difflib.get_close_matches(name, self._defined, 1, ALMOST):
                log.warning("resilience.%s: no code defines this policy; is %r meant?", name, meant)

    def _amended(self, name: str, table: Mapping[str, Any]) -> tuple[Strategy, ...]:
        """Return what code defined, amended by what configuration says."""
        if unknown := sorted(set(table) - set(MAKERS)):
            raise ConfigError(
                f"resilience.{name}: there is no {unknown[0]!r}; there are {', '.join(MAKERS)}"
            )
        if table.get("feature") is False:
            raise ConfigError(
                f"resilience.{name}.feature = false: to switch it off, say feature = 'off'"
            )
        strategies: list[Strategy] = []
        defined = self._defined.get(name, ())
        for one in defined:
            said = table.get(key_of(one.strategy))
            if said is None:
                strategies.append(one.made())
            elif said is not False:
                strategies.append(self._made(name, key_of(one.strategy), said, one.options or {}))
        present = {key_of(one.strategy) for one in defined}
        for kind in MAKERS:
            if table.get(kind, False) is not False and kind not in present:
                made = self._made(name, kind, table[kind], {})
                strategies.insert(_place(strategies, kind), made)
        return tuple(strategies)

    def _made(self, name: str, kind: str, said: object, defined: Mapping[str, Any]) -> Strategy:
        options = {**defined, **options_of(kind, said)}
        if kind == "feature":
            options.setdefault("name", name)
        try:
            if "budget" in options:
                options["budget"] = self._budgets.of(name, options["budget"])
            return MAKERS[kind].make(options)
        except ConfigError as error:
            raise ConfigError(f"resilience.{name}.{kind}: {error}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"resilience.{name}.{kind} = {said!r}: {error}") from error

    def _overlay(self, said: dict[str, dict[str, Any]], environ: Mapping[str, str]) -> None:
        """Lay the environment over what else was said."""
        names = {name.upper().replace("-", "_"): name for name in {**self._policies, **said}}
        for key in sorted(environ):
            name, _, option = key.removeprefix(PREFIX).partition("__")
            if not key.startswith(PREFIX) or not option:
                continue
            table = said.setdefault(names.get(name, name.lower()), {})
            kind, _, inner = option.lower().partition("__")
            value = _value(environ[key])
            if inner:
                former = table.get(kind, {})
                value = {**options_of(kind, former), inner: value}
            table[kind] = value


policies = Policies()
"""Those of this process."""


def _place(strategies: list[Strategy], kind: str) -> int:
    """Return where a strategy of this kind goes: before the first that belongs further in."""
    order = list(MAKERS)
    ranks = [order.index(key) if (key := key_of(one)) in order else -1 for one in strategies]
    inner = (at for at, rank in enumerate(ranks) if rank > order.index(kind))
    return next(inner, len(strategies))


def _table(name: str, table: object) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"resilience.{name} = {table!r}: expected a table of strategies")
    return cast("Mapping[str, Any]", table)


def _from_file(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8")).get("resilience", {})
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read policies from {path}: {error}") from error


def _value(text: str) -> Any:
    """Return what TOML makes of a text, or the text itself."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
