"""Changes the resilience room a little, again and again, and counts the changes its tests see.

    make mutate                    200 changes, drawn by a fixed seed
    make mutate N=all              every one there is
    make mutate T="cache flight"   those of these files
    make mutate N=50 SEED=8        fifty others

A change swaps a comparison, `and` and `or`, or plus and minus; makes a number one more; returns
None, or leaves a statement out. The lines that strategies give to be written into one coroutine
are changed as well. Each change meets the tests of its own file, in a process of its own, two at
a time. What no test sees is listed, and written to build/mutate.json; what cannot be seen by
any is listed in EQUIVALENT, with the reason, and is left out of the score. It ends with 0 if
nine in ten were seen, else with 1.

Why not mutmut or cosmic-ray: the former adds names to classes, which the room's own options
read, and neither changes code that is written as text.
"""

import ast
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
ROOM = ROOT / "src/isthmus/resilience"
PACKAGE = "isthmus.resilience"
REPORT = ROOT / "build/mutate.json"
STAGE = tempfile.TemporaryDirectory(prefix="mutate-")
"""A copy of the tests, as they were when all began."""
AT_ONCE = 2
PATIENCE = 10.0
"""Seconds that the tests may take, or five times what they take without a change."""

TESTS = {
    "adaptive": ["bulkhead", "options"],
    "advice": ["policy", "guarded"],
    "budget": ["budget", "retry_calls", "hedge", "options"],
    "cache": ["cache", "outcome", "recent", "options"],
    "bulkhead": ["bulkhead", "registry", "options", "outcome"],
    "chaos": ["chaos", "registry", "guarded", "options"],
    "circuit": ["circuit", "circuit_breaker"],
    "circuit_breaker": ["circuit_breaker", "circuit_sharing", "options", "registry", "outcome"],
    "degraded": ["degraded", "parts", "hedge", "cache"],
    "errors": ["options", "circuit_breaker", "rate_limit", "retry_calls"],
    "facts": ["timeout", "circuit_breaker", "retry_calls", "bulkhead"],
    "fallback": ["fallback", "recent", "registry", "feature", "options"],
    "feature": ["feature", "registry", "guarded", "options"],
    "flight": ["cache", "outcome"],
    "guarded": ["guarded", "policy"],
    "hedge": ["hedge", "outcome", "budget", "options"],
    "inline": ["policy", "timeout", "bulkhead"],
    "makers": ["registry"],
    "named_policy": ["registry", "recent", "guarded"],
    "options": ["options", "cache", "rate_limit", "fallback", "chaos"],
    "outcome": ["outcome", "policy", "hedge"],
    "permits": ["bulkhead"],
    "policy": ["policy", "outcome", "guarded", "recent", "budget"],
    "rate_limit": ["rate_limit", "shared", "options", "outcome"],
    "recent": ["recent", "cache"],
    "registry": ["registry", "recent", "guarded"],
    "retry": ["retry", "retry_calls", "budget", "policy", "options"],
    "rules": ["circuit_breaker", "circuit", "options"],
    "shared": ["shared", "rate_limit", "circuit_sharing", "feature"],
    "strategy": ["policy", "retry_calls"],
    "tally": ["tally", "circuit", "circuit_breaker", "budget"],
    "tasks": ["cache", "hedge", "parts"],
    "timeout": ["timeout", "policy", "options", "outcome"],
    "tries": ["retry_calls", "budget", "policy", "outcome"],
    "wheel": ["timeout"],
}
"""The tests of each file, where they are others than its namesake alone; the likeliest first."""


class Equivalent(NamedTuple):
    """A change that makes no difference to anybody."""

    file: str
    line: str
    """The line as it reads, without what is before and after."""
    change: str
    why: str


CLOSURE = "without these lines the strategy's closure is bound, which does the same"

EQUIVALENT = [
    Equivalent(
        "wheel.py",
        'plain = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time',
        "is to is not",
        "a loop's time is the monotonic one, by a slower way",
    ),
    Equivalent(
        "wheel.py",
        "self._passed = int(self.now() * PER_SECOND)",
        "left out",
        "the notches before now are empty; passing them by takes a moment longer",
    ),
    Equivalent(
        "registry.py",
        "inner = (at for at, rank in enumerate(ranks) if rank > order.index(kind))",
        "> to >=",
        "a kind is placed only where there is none of it",
    ),
    Equivalent(
        "tally.py",
        'self.goods, self.turn_at = 0, float("-inf")',
        "0 to 1",
        "nobody adds to it, or reads it: its turn is always over",
    ),
    Equivalent(
        "named_policy.py",
        "told: bool = False,",
        "False to True",
        "what keeps an outcome apart makes no difference where nobody asks for one",
    ),
    Equivalent("bulkhead.py", "return Inline(", "return None", CLOSURE),
    Equivalent("circuit_breaker.py", "return Inline(", "return None", CLOSURE),
    Equivalent("retry.py", "return Inline(", "return None", CLOSURE),
    Equivalent("timeout.py", "return Inline(", "return None", CLOSURE),
    Equivalent(
        "circuit_breaker.py",
        "phase, began = circuit.phase, 0.0",
        "0.0 to 1.0",
        "a call of a plain phase is not timed; of any other the moment is set below",
    ),
    Equivalent(
        "makers.py",
        'if strategy.kind == "timeout" and getattr(strategy, "total", False):',
        "False to True",
        "every Timeout has the attribute",
    ),
    Equivalent(
        "named_policy.py",
        "if mine is None or theirs is None:",
        "or to and",
        "both are of one type, so that both have options or neither has",
    ),
    Equivalent(
        "permits.py",
        "self.pressed = False",
        "False to True",
        "to settle where nobody waits changes nothing, and sets it right",
    ),
    Equivalent(
        "wheel.py",
        "self._passed = 0  # the last notch whose calls were cut off",
        "0 to 1",
        "it is set when the first call comes",
    ),
    Equivalent(
        "retry.py",
        "began = now() if timed else 0.0",
        "0.0 to 1.0",
        "when it began is asked for only if its time is bounded",
    ),
    Equivalent(
        "guarded.py",
        "setattr(opening, OPENING, True)",
        "True to False",
        "that the attribute is there is all that is asked",
    ),
    Equivalent(
        "guarded.py",
        "return False",
        "False to True",
        "of what has no code, guard finds out by itself that it opens nothing",
    ),
    Equivalent(
        "policy.py",
        "def _chain(self, fn: Call, *, told: bool = False) -> Call:",
        "False to True",
        "what keeps an outcome apart makes no difference where nobody asks for one",
    ),
    Equivalent(
        "permits.py",
        "if self._owed < 0:",
        "0 to 1",
        "where nothing is owed, nothing is handed out",
    ),
    Equivalent(
        "permits.py",
        "if self._owed < 0:",
        "< to <=",
        "where nothing is owed, nothing is handed out",
    ),
    Equivalent("meter.py", "if gone > 0:", "> to >=", "in no time, nothing is added"),
    Equivalent(
        "errors.py", "super().__init__(message)", "left out", "Exception keeps what it is made with"
    ),
    Equivalent(
        "retry.py",
        "for (name, value), normal in zip(list(self.options().items())[1:], usual, strict=True):",
        "True to False",
        "both are as long; it tells who adds an option",
    ),
    Equivalent(
        "shared.py",
        "self._again_at = 0.0",
        "0.0 to 1.0",
        "it is asked for only after a failure, which sets it",
    ),
    Equivalent(
        "feature.py",
        "on: bool = True",
        "True to False",
        "of a word made of nothing, only the number is read",
    ),
    Equivalent(
        "timeout.py",
        "if outer is None or (left := outer[0] - outer[1]()) >= request:",
        ">= to >",
        "of two deadlines at the same moment, either will do",
    ),
    Equivalent(
        "named_policy.py", "self._version += 1", "1 to 2", "it only has to be another number"
    ),
    Equivalent("named_policy.py", "seen[key] += 1", "+ to -", "it only has to be another number"),
]


class Mutant(NamedTuple):
    file: str
    line: int
    text: str
    """The line as it reads."""
    change: str
    number: int
    """Which change of this file it is."""

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}: {self.change:<24} {self.text}"


# --- what may be changed ----------------------------------------------------------------------

OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}  # fmt: skip
SIGN = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in", ast.And: "and",
    ast.Or: "or", ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//",
    ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
LEFT_OUT = (ast.AugAssign, ast.Raise, ast.Delete, ast.Break, ast.Continue)

Change = tuple[int, str, Callable[[], None]]
"""A line, what is changed there, and what changes it."""


def changes(tree: ast.AST) -> Iterator[Change]:
    """Return what may be changed in a tree, in the order of its text."""
    for node in _walk(tree):
        yield from _operators(node)
        yield from _constants(node)
        yield from _statements(node)
        yield from _lines(node)


def _operators(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for number, op in enumerate(node.ops):
            if type(op) in OTHER:
                yield _swap(node, op, node.ops, number)
    elif isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign) and type(node.op) in OTHER:
        yield _swap(node, node.op, node, "op")


def _swap(node: Any, op: ast.AST, holder: Any, place: int | str) -> Change:
    other = OTHER[type(op)]

    def change() -> None:
        if isinstance(place, str):
            setattr(holder, place, other())
        else:
            holder[place] = other()

    return node.lineno, f"{SIGN[type(op)]} to {SIGN[other]}", change


def _constants(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.lineno, "without not", lambda: setattr(node, "op", ast.UAdd())
    if not isinstance(node, ast.Constant) or isinstance(node.value, str | bytes | None):
        return
    if isinstance(node.value, bool):
        new: Any = not node.value
    elif isinstance(node.value, int | float):
        new = node.value + 1
    else:
        return
    yield node.lineno, f"{node.value} to {new}", lambda: setattr(node, "value", new)


def _statements(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Return) and node.value is not None and not _is_nothing(node.value):
        yield node.lineno, "return None", lambda: setattr(node, "value", ast.Constant(None))
    for name in ("body", "orelse", "finalbody"):
        block: Any = getattr(node, name, None)
        for number, one in enumerate(block if isinstance(block, list) else ()):
            if _may_go(one):
                yield one.lineno, "left out", _leaving_out(block, number)


def _may_go(one: ast.stmt) -> bool:
    if isinstance(one, ast.Expr):
        return not isinstance(one.value, ast.Constant | ast.Yield)
    if isinstance(one, ast.Assign):
        return isinstance(one.targets[0], ast.Attribute | ast.Subscript)
    return isinstance(one, LEFT_OUT)


def _leaving_out(block: list[ast.stmt], number: int) -> Callable[[], None]:
    def change() -> None:
        block[number] = ast.copy_location(ast.Pass(), block[number])

    return change


def _is_nothing(node: ast.expr) -> bool:
    """Return whether it is None already, or as good as that."""
    return isinstance(node, ast.Constant) and not node.value


def _lines(node: ast.AST) -> Iterator[Change]:
    """Return what may be changed in lines that are written as text."""
    called = node.func if isinstance(node, ast.Call) else None
    if not isinstance(node, ast.Call) or not isinstance(called, ast.Name) or called.id != "Inline":
        return
    for keyword in node.keywords:
        text = keyword.value
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            tree = ast.parse(textwrap.dedent(text.value))
            for line, what, change in changes(tree):
                yield text.lineno + line - 1, what, _writing(text, tree, change)


def _writing(
    text: ast.Constant, tree: ast.Module, change: Callable[[], None]
) -> Callable[[], None]:
    def write() -> None:
        change()
        text.value = ast.unparse(tree)

    return write


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Return all that is run, in the order of the text; types, and what declares one, are not."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "decorator_list"}:
            continue
        if name == "keywords" and isinstance(node, ast.ClassDef):
            continue
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, ast.AST):
                yield from _walk(one)


def mutants(file: str, source: str) -> list[Mutant]:
    lines = source.splitlines()
    return [
        Mutant(file, line, lines[line - 1].strip(), what, number)
        for number, (line, what, _) in enumerate(changes(ast.parse(source)))
    ]


def mutated(source: str, mutant: Mutant) -> ast.Module:
    tree = ast.parse(source)
    list(changes(tree))[mutant.number][2]()
    return ast.fix_missing_locations(tree)


# --- whether the tests see it -----------------------------------------------------------------


class Room(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the room as it was when all began, with one change."""

    def __init__(self, sources: dict[str, str], mutant: Mutant | None) -> None:
        self._sources, self._mutant = sources, mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> Any:  # noqa: ARG002
        file = self._file(fullname)
        if file not in self._sources:
            return None
        home = [str(ROOM)] if fullname == PACKAGE else None
        spec = importlib.util.spec_from_file_location(
            fullname, ROOM / file, loader=self, submodule_search_locations=home
        )
        if spec is not None:
            spec.has_location = True
        return spec

    def exec_module(self, module: Any) -> None:
        file = self._file(module.__name__)
        source, mutant = self._sources[file], self._mutant
        tree = (
            ast.parse(source) if mutant is None or mutant.file != file else mutated(source, mutant)
        )
        exec(compile(tree, str(ROOM / file), "exec"), module.__dict__)

    @staticmethod
    def _file(fullname: str) -> str:
        if fullname == PACKAGE:
            return "__init__.py"
        return fullname.removeprefix(f"{PACKAGE}.") + ".py" if PACKAGE in fullname else ""


def tests_of(file: str) -> list[str]:
    stem = file.removesuffix(".py")
    names = TESTS.get(stem, [stem])
    found = [ROOT / f"tests/resilience/test_{name}.py" for name in names]
    return [str(path.relative_to(ROOT)) for path in found if path.exists()]


def run_tests(room: Room, tests: list[str], folder: str) -> int:
    """Run tests in this process, which is at an end afterwards."""
    import hypothesis
    import pytest

    sys.meta_path.insert(0, room)
    quick = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        "mutants", deadline=None, database=None, derandomize=True, phases=quick, print_blob=False
    )
    options = ["-x", "-q", "--tb=no", "--timeout=30", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # imported once, by preload
    return pytest.main(
        [*options, "--hypothesis-profile=mutants", f"--basetemp={folder}/tmp", *tests]
    )


class Trial:
    """A change, or none, and the process that runs the tests on it."""

    def __init__(self, sources: dict[str, str], mutant: Mutant | None, tests: list[str]) -> None:
        self.mutant, self.tests = mutant, tests
        self.seen_by = ""
        """The test that failed; "" if none did."""
        self.began = time.monotonic()
        self.took = 0.0
        self._folder = tempfile.mkdtemp(prefix="mutate-")
        self.pid = os.fork()
        if self.pid == 0:
            self._run(Room(sources, mutant))

    def _run(self, room: Room) -> None:
        code = 70
        try:
            os.setsid()
            os.chdir(STAGE.name)
            out = os.open(f"{self._folder}/out", os.O_WRONLY | os.O_CREAT)
            os.dup2(out, 1)
            os.dup2(out, 2)
            code = int(run_tests(room, self.tests, self._folder))
        finally:
            sys.stdout.flush()
            os._exit(code)  # without the parent's own clearing away

    def over(self, patience: float) -> bool:
        """Return whether it has ended; one that takes too long is ended."""
        self.took = time.monotonic() - self.began
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if not ended and self.took < patience:
            return False
        if not ended:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.seen_by = f"nothing that ends within {patience:.0f} s"
        elif status != 0:
            self.seen_by = self._failure()
        shutil.rmtree(self._folder, ignore_errors=True)
        return True

    def _failure(self) -> str:
        said = Path(self._folder, "out").read_text(errors="replace")
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
        return found.group(1) if found else "the import, or the end of Python"


def judge(
    sources: dict[str, str], chosen: list[Mutant], patience: dict[str, float]
) -> Iterator[Trial]:
    """Try all, some at once, and return each as it ends."""
    waiting, running = list(reversed(chosen)), list[Trial]()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            mutant = waiting.pop()
            running.append(Trial(sources, mutant, tests_of(mutant.file)))
        for trial in tuple(running):
            if trial.over(patience[trial.mutant.file] if trial.mutant else PATIENCE):
                running.remove(trial)
                yield trial
        time.sleep(0.01)


def patience_of(sources: dict[str, str], files: set[str]) -> dict[str, float]:
    """Return how long the tests of each file may take.

    Raises:
        SystemExit: They fail without a change.
    """
    found: dict[str, float] = {}
    for file in sorted(files):
        trial = Trial(sources, None, tests_of(file))
        while not trial.over(120):
            time.sleep(0.01)
        if trial.seen_by:
            sys.exit(f"without a change, {trial.seen_by} fails: mend that first")
        found[file] = max(PATIENCE, 5 * trial.took)
    return found


# --- what is told -----------------------------------------------------------------------------


def main(words: list[str]) -> int:
    sources = {path.name: path.read_text() for path in sorted(ROOM.glob("*.py"))}
    every = [
        one
        for file, source in sources.items()
        if tests_of(file) and (not words or file.removesuffix(".py") in words)
        for one in mutants(file, source)
    ]
    chosen = drawn(every)
    refuse_stale(sources)
    began = time.monotonic()
    print(f"{len(chosen)} changes of {len(every)}; first, the tests without any", flush=True)
    preload()
    patience = patience_of(sources, {one.file for one in chosen})
    survivors: list[Mutant] = []
    for number, trial in enumerate(judge(sources, chosen, patience), 1):
        if trial.mutant is not None and not trial.seen_by:
            survivors.append(trial.mutant)
        if sys.stdout.isatty() or number % 25 == 0 or number == len(chosen):
            took = time.monotonic() - began
            end = "\r" if sys.stdout.isatty() and number < len(chosen) else "\n"
            line = f"{number} of {len(chosen)} tried, {len(survivors)} unseen, {took:.0f} s"
            print(line, end=end, flush=True)
    return report(every, chosen, survivors, time.monotonic() - began)


def drawn(every: list[Mutant]) -> list[Mutant]:
    wanted = os.environ.get("N") or "200"
    number = len(every) if wanted == "all" else min(int(wanted), len(every))
    seed = int(os.environ.get("SEED") or "7")
    return sorted(random.Random(seed).sample(every, number))


def preload() -> None:
    """Copy, and import, what every process needs, once."""
    for part in ("tests/resilience", "tests/conftest.py", "pyproject.toml"):
        target = Path(STAGE.name, part)
        target.parent.mkdir(exist_ok=True)
        copied = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copied(ROOT / part, target)
    for name in ("aiohttp", "hypothesis.strategies", "msgspec", "pytest_asyncio", "pytest_timeout"):
        importlib.import_module(name)


def same(one: Mutant) -> Equivalent | None:
    for known in EQUIVALENT:
        if (known.file, known.line, known.change) == (one.file, one.text, one.change):
            return known
    return None


def refuse_stale(sources: dict[str, str]) -> None:
    for known in EQUIVALENT:
        lines = {line.strip() for line in sources.get(known.file, "").splitlines()}
        if known.line not in lines:
            sys.exit(f"EQUIVALENT: {known.file} has no line {known.line!r} any more: take it out")


def report(every: list[Mutant], chosen: list[Mutant], survivors: list[Mutant], took: float) -> int:
    unseen = sorted(one for one in survivors if same(one) is None)
    equal = sorted(one for one in survivors if same(one) is not None)
    judged = len(chosen) - len(equal)
    score = (judged - len(unseen)) / judged if judged else 1.0
    for one in equal:
        known = same(one)
        print(f"equal   {one.name}\n        {known.why if known else ''}")
    for one in unseen:
        print(f"UNSEEN  {one.name}")
    print(
        f"score {score:.1%}: {judged - len(unseen)} of {judged} changes were seen by a test; "
        f"{len(equal)} make no difference; drawn of {len(every)}; {took:.0f} s"
    )
    REPORT.parent.mkdir(exist_ok=True)
    told = {
        "score": round(score, 4),
        "tried": len(chosen),
        "of": len(every),
        "seen": judged - len(unseen),
        "equivalent": len(equal),
        "unseen": [one._asdict() for one in unseen],
        "seconds": round(took, 1),
    }
    REPORT.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if score >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
