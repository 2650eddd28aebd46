"""The same steps for events: a change of a type with a schema is the upcaster of its past."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from isthmus.errors import ConfigError
from isthmus.schema import schema_of, upcaster
from isthmus.schema.named import Schema
from isthmus.versions.lineages import Lineages
from isthmus.versions.migration import Migrations
from isthmus.versions.names import Names

__all__ = ["Upcasting"]


class Upcasting:
    """Which schema version each API version's change leads up from.

    The newest change of shop.order/3 leads from shop.order/2, the one before it from
    shop.order/1; one whose `was` is itself a schema of that name leads from that.
    """

    def __init__(self, names: Names, lineages: Lineages, migrations: Migrations) -> None:
        self._names, self._lineages, self._migrations = names, lineages, migrations
        self._known: set[tuple[Any, int]] = set()

    def register(self, head: Any) -> None:
        """Have events of what `head` was led up, if it is a schema.

        Raises:
            ConfigError: It has fewer versions than changes, or another upcaster.
        """
        schema = schema_of(head)
        if not schema.version:
            return
        for version in self.led_from(head).keys() - {n for h, n in self._known if h is head}:
            upcaster(schema.name, version=version)(partial(self._up, head, version))
            self._known.add((head, version))

    def led_from(self, head: Any) -> Mapping[int, str]:
        """Return the API version whose change leads up from each schema version."""
        schema, found = schema_of(head), dict[int, str]()
        at = schema.version
        for name in self._lineages.versions(head):
            at = self._labelled(schema, head, name, below=at)
            found[at] = name
        return found

    def written_for(self, head: Any, version: int) -> str | None:
        """Return the API version whose events have this schema version; None if there is none."""
        if version == schema_of(head).version:
            return self._names.head
        changed = self.led_from(head).get(version)
        return changed and self._names.all[self._names.age(changed) + 1]

    def _labelled(self, schema: Schema[Any], head: Any, name: str, *, below: int) -> int:
        for change in self._lineages.changes(head, name):
            was = None if change.was is None else schema_of(change.was)
            if was is not None and was.version and was.name == schema.name:
                if was.version < below:
                    return was.version
                raise ConfigError(f"{change.name}.was is {was}, which is not older than {schema}")
        if below < 2:
            raise ConfigError(
                f"{name} changed {schema}, and events of before would be called so, too; "
                f"give its class another version: @schema({schema.name!r}, "
                f"version={schema.version + 2 - below})"
            )
        return below - 1

    def _up(self, head: Any, version: int, old: dict[str, Any]) -> dict[str, Any]:
        lead = self._migrations.step(head, self.led_from(head)[version], up=True)
        return old if lead is None else lead(old)
