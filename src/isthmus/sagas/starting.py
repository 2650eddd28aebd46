"""How a saga begins."""

from isthmus.contracts import Transaction
from isthmus.errors import ConflictError
from isthmus.handling.carried import carried
from isthmus.handling.unit import current
from isthmus.message import CORRELATION
from isthmus.sagas import history as histories
from isthmus.sagas import index
from isthmus.sagas.commands import Advance
from isthmus.sagas.events import Started
from isthmus.sagas.family import Family, key_of, split
from isthmus.sagas.history import History, load
from isthmus.sagas.index import Listed
from isthmus.sagas.recipe import Recipe

__all__ = ["begin", "start"]


async def start(family: Family, recipe: Recipe, id: str, input: bytes) -> None:
    """Record that a saga is started, and have it go on; nothing if there is one of this id."""
    unit, key = current.get(), key_of(family.name, id)
    started = _started(family, recipe, input, key)
    if unit is not None:
        return await _with(family, key, started, tx=unit.begin())
    history, told = History(key, (), 0), ""
    try:
        async with family.store.begin() as tx:
            await begin(family, history, started, tx=tx)
            told = await family.tell(id, Advance(), tx=tx)
            family.keep(history, told)
    except ConflictError as error:
        family.forget(told)
        if error.subject != f"{histories.SPACE}/{key}":
            raise
        return None  # it was started before
    except BaseException:
        family.forget(told)
        raise


async def _with(family: Family, key: str, started: Started, *, tx: Transaction) -> None:
    """Start it with a transaction, unless it is there, or this transaction starts it already."""
    ours = family.starting.setdefault(tx, set())
    if key not in ours and not (await load(family.store, key, tx=tx)).exists:
        ours.add(key)
        await begin(family, History(key, (), 0), started, tx=tx)
        await family.tell(split(key)[1], Advance(), tx=tx)


async def begin(family: Family, history: History, started: Started, *, tx: Transaction) -> None:
    """Stage the beginning of a history."""
    key = history.key
    listed = Listed(
        name=family.name,
        id=key.partition("/")[2],
        version=started.version,
        status="running",
        started_at=started.at,
        changed_at=started.at,
    )
    puts = {histories.SPACE: [history.append([started])], index.SPACE: [index.entry(listed)]}
    await family.put(puts, tx=tx)
    if started.timeout_at:
        await family.alarm(key, started.timeout_at, tx=tx)


def _started(family: Family, recipe: Recipe, input: bytes, key: str) -> Started:
    now, timeout = family.host.clock.now(), recipe.options.timeout
    timeout_at = 0.0 if timeout is None else now + timeout
    context = {CORRELATION: key, **carried()}  # what nothing led to begins with the saga
    return Started(now, recipe.version, input, timeout_at, trace=context)
