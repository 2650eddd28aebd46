"""Plants faults in a copy of the sqlite engine, and shows which test catches each.

    make faults                    all of them
    make faults T="lease order"    those whose names hold one of the words

Each fault breaks a sentence of a contract by one exact replacement. The conformance
tests and the random calls run against the copy; the first test that fails is named.
A fault whose text is no longer in the engine is reported, never skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
ENGINE = Path("src/isthmus/engines/sqlite")
TESTS = Path("tests/engines/sqlite")
PATIENCE = 120
"""Seconds for one fault; a test that hangs is stopped sooner, by its own timeout."""


class Fault(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str


FAULTS = [
    # --- queue
    Fault(
        "a lease lasts a moment too long",
        "lanes/claims.py",
        "WHERE lane = ? AND until <= ? ORDER BY first",
        "WHERE lane = ? AND until < ? ORDER BY first",
    ),
    Fault(
        "extending some extends the others too",
        "lanes/settlement.py",
        "if range_ is None or not there <= ids:",
        "if range_ is None:",
    ),
    Fault(
        "a stale receipt acknowledges",
        "lanes/settlement.py",
        '"DELETE FROM isthmus_single WHERE id = ? AND token = ? AND token <> 0',
        '"DELETE FROM isthmus_single WHERE id = ? AND ? <> 0 AND token <> 0',
    ),
    Fault(
        "a stale receipt does not stop its transaction",
        "lanes/settlement.py",
        "if stale and settlement.whole:",
        "if stale and not settlement.whole:",
    ),
    Fault(
        "an uncounted nack is counted",
        "lanes/settlement.py",
        "attempt=range_.attempt + counted, token=0",
        "attempt=range_.attempt + 1, token=0",
    ),
    Fault(
        "headers of a nack replace the message's",
        "packing.py",
        "return pack(unpack(packed).with_headers(headers))",
        "return pack(unpack(packed).without_headers(unpack(packed).headers).with_headers(headers))",
    ),
    Fault(
        "a delay ends a second early",
        "lanes/lanes.py",
        "return now + delay if delay > 0 else 0.0",
        "return now + delay - 1 if delay > 0 else 0.0",
    ),
    Fault(
        "low priority goes first",
        "lanes/lanes.py",
        "WHERE sub = ? ORDER BY priority DESC",
        "WHERE sub = ? ORDER BY priority",
    ),
    Fault(
        "a key does not wait for its first",
        "lanes/sends.py",
        "EXISTS (SELECT 1 FROM isthmus_single WHERE lane = ?2 AND key = ?3 AND key <> '')",
        "0",
    ),
    Fault(
        "a send feeds every topic",
        "lanes/sends.py",
        "WHERE topic = ? RETURNING sub",
        "WHERE topic <> ? || ' ' RETURNING sub",
    ),
    Fault(
        "a lapse is not counted",
        "lanes/claims.py",
        "SELECT token, first, last, left, lapses + 1 FROM",
        "SELECT token, first, last, left, lapses FROM",
    ),
    Fault(
        "a send does not wait for its transaction",
        "queue.py",
        "return self._database.merge(store, send, tx=tx)",
        "return self._database.merge(store, send)",
    ),
    Fault(
        "removing takes what is held",
        "lanes/clearing.py",
        "WHERE id = ? AND (token = 0 OR ready_at <= ?)",
        "WHERE id = ? AND (1 OR ready_at <= ?)",
    ),
    Fault(
        "max_length forgets the delayed",
        "lanes/clearing.py",
        "SELECT ready + singles + (SELECT",
        "SELECT ready + (SELECT",
    ),
    Fault(
        "browsing misses the delayed",
        "lanes/survey.py",
        "return list(merge(self._ranges(), self._singles(), key=_number))",
        "return self._ranges()",
    ),
    Fault(
        "drain wakes nobody",
        "lanes/receiver.py",
        "self._drained = True\n        self._database.wake(self._channel)",
        "self._drained = True",
    ),
    Fault(
        "a receiver holds more than it was opened for",
        "lanes/held.py",
        "return self._limit - len(self._until)",
        "return self._limit",
    ),
    Fault(
        "settling the first of a key frees nobody",
        "lanes/settlement.py",
        "let_next(self._db, lane, key)",
        "pass",
    ),
    Fault(
        "a settlement does not wait for its transaction",
        "lanes/receiver.py",
        "= self._database.merge(settle, settlement, tx=tx)",
        "= self._database.merge(settle, settlement)",
    ),
    # --- log
    Fault(
        "a position does not wait for its transaction",
        "records/member.py",
        "Fence(self._holding(partitions), positions), tx=tx)",
        "Fence(self._holding(partitions), positions))",
    ),
    Fault(
        "a former owner commits",
        "records/groups.py",
        "if held.get(p) != (holding.member, epoch)]",
        "if p not in held and epoch]",
    ),
    Fault(
        "an epoch is not looked at",
        "records/groups.py",
        "if held.get(p) != (holding.member, epoch)]",
        "if held.get(p, ('', epoch))[0] != holding.member]",
    ),
    Fault(
        "a guard looks at nothing",
        "records/member.py",
        "await self._fence(partitions, {}, tx)",
        "await self._fence([], {}, tx)",
    ),
    Fault(
        "seeking does not fence",
        "records/groups.py",
        "ON CONFLICT DO UPDATE SET next = ?3, owner = ''",
        "ON CONFLICT DO UPDATE SET next = ?3",
    ),
    Fault(
        "the silent keep their partitions",
        "records/groups.py",
        "WHERE reader = ? AND until <= ? AND name <> ?",
        "WHERE reader = ? AND until + 1e6 <= ? AND name <> ?",
    ),
    Fault(
        "versions begin anew after a trim",
        "records/records.py",
        "ifnull((SELECT version FROM isthmus_version WHERE part = ?1 AND key = ?2), 0))",
        "?1 * 0)",
    ),
    Fault(
        "the expected version is not looked at",
        "records/records.py",
        "if (actual := self[part_of(append.shape, key), key]) != version:",
        "if (actual := self[part_of(append.shape, key), key]) < version:",
    ),
    Fault(
        "a member skips what it did not hand out",
        "records/member.py",
        "self._cursors[number] = found[-1].offset + 1",
        "self._cursors[number] = found[-1].offset + 2",
    ),
    # --- store and transactions
    Fault(
        "a put does not wait for its transaction",
        "store.py",
        "return self._database.merge(_put_all, wanted, tx=tx)",
        "return self._database.merge(_put_all, wanted)",
    ),
    Fault(
        "absence is not looked at",
        "store.py",
        "WHERE isthmus_entry.until <= ?",
        "WHERE isthmus_entry.until <= ? OR 1",
    ),
    Fault(
        "an entry outlives its ttl by a moment",
        "store.py",
        "WHERE space = ? AND until > ? AND key IN",
        "WHERE space = ? AND until >= ? AND key IN",
    ),
    Fault(
        "versions stand still",
        "store.py",
        "found[0] + 1))",
        "found[0] or 1))",
    ),
    Fault(
        "what was read may have changed",
        "database/script.py",
        "if answer(connection, work) != told:",
        "if answer(connection, work) is told:",
    ),
    Fault(
        "a deferred statement is forgotten by those after it",
        "database/script.py",
        "if told is DEFERRED:\n                work(connection)",
        "if told is DEFERRED:\n                pass",
    ),
    Fault(
        "a deferred statement may be refused",
        "database/script.py",
        "if told is DEFERRED:\n                work(connection)",
        "if told is DEFERRED:\n                answer(connection, work)",
    ),
    Fault(
        "what failed is half done",
        "database/savepoints.py",
        'self._execute("ROLLBACK TO job")',
        "pass",
    ),
    Fault(
        "the driver's error escapes",
        "database/connection.py",
        'was refused: {error}")\n    meaning.__cause__ = error\n    return meaning',
        'was refused: {error}")\n    return error',
    ),
]


def main(words: list[str]) -> int:
    if failed := judge(None):
        print(f"the engine without a fault fails {failed}: mend that first")
        return 2
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    missed = [fault for fault in chosen if not report(fault)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} caught", flush=True)
    return 1 if missed else 0


def report(fault: Fault) -> bool:
    try:
        caught_by = judge(fault)
    except StaleError as error:
        caught_by, note = "", str(error)
    else:
        note = caught_by or "every test passed"
    print(f"{'caught' if caught_by else 'MISSED'}  {fault.name}: {note}", flush=True)
    return bool(caught_by)


class StaleError(Exception):
    """The engine no longer reads as the fault expects."""


def judge(fault: Fault | None) -> str:
    """Return the first test that fails on a copy of the engine; "" if none does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("src", TESTS, "tests/conftest.py", "pyproject.toml"):
            copy(ROOT / part, folder / part)
        if fault is not None:
            plant(fault, folder / ENGINE / fault.file)
        return run(folder)


def plant(fault: Fault, file: Path) -> None:
    text = file.read_text()
    if (times := text.count(fault.right)) != 1:
        raise StaleError(f"its text is {times} times in {fault.file}: rewrite the fault")
    file.write_text(text.replace(fault.right, fault.wrong))


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def run(folder: Path) -> str:
    tests = [str(TESTS / name) for name in ("test_conformance.py", "test_model.py")]
    options = [
        "-x",
        "-q",
        "--tb=no",
        "--timeout=15",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed=7",
    ]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a test that hangs for {PATIENCE} s"
    return first_failure(ran.stdout) if ran.returncode else ""


def first_failure(output: str) -> str:
    found = re.search(r"^(?:FAILED|ERROR) \S+?::(\S+?)::(.+?)(?: - .*)?$", output, re.MULTILINE)
    if found is None:
        return "a test that hangs, or ends Python"
    case, test = found.groups()
    return test if test.startswith("test_") else f"random calls, {case}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
