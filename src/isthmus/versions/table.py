"""The version table of an API: the newest is the code, the past is described once."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from isthmus.errors import ConfigError, SchemaError
from isthmus.schema import Schema, schema_of
from isthmus.schema.kinds import is_model, type_name
from isthmus.versions.change import Change, made
from isthmus.versions.changelog import Release, markdown, release
from isthmus.versions.deprecation import Deprecation, Moment, deprecation
from isthmus.versions.errors import MigrationError
from isthmus.versions.laws import faults
from isthmus.versions.lineages import Lineages
from isthmus.versions.messages import HEADER, Messages
from isthmus.versions.migration import Migration, Migrations, chained
from isthmus.versions.names import Names
from isthmus.versions.operation import Operation, operation_at
from isthmus.versions.past import Past
from isthmus.versions.upcasting import Upcasting
from isthmus.versions.version import Version, current

__all__ = ["HEADER", "Versions"]

T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class Versions:
    """The versions of one API, newest first, and what each changed.

    REST, events and webhooks go by the same table. Made by `app.versions`, or alone
    and given to it: `Versions("v2", "v1")`.
    """

    def __init__(self, *names: str) -> None:
        """`names`: newest first, "v2" or dates, "2026-02-10"; the first is what the code is
        written for.

        Raises:
            ConfigError: They are malformed, mixed, or not newest first.
        """
        self.names = Names(names)
        self.lineages = Lineages(self.names)
        self.changes: list[Change] = []
        """All, as they were declared."""
        self.deprecations: dict[str, Deprecation] = {}
        self.operations: dict[str, Operation] = {}
        """What operations carry that are not routes of the App, by "POST /orders"."""
        self._migrations = Migrations(self.names, self.lineages)
        self._upcasting = Upcasting(self.names, self.lineages, self._migrations)
        self._pasts: dict[str, Past] = {}

    def __str__(self) -> str:
        return str(self.names)

    # --- describing the past ------------------------------------------------------------------

    def change(
        self, version: str, subject: Any = None, *, path: str = ""
    ) -> Callable[[Class], Class]:
        """Have the decorated class describe what `version` changed of a type, or of the
        operation at `path`, as "POST /orders".

        Its docstring is for who uses the API. `upgrade(self, old)` leads the JSON object
        of a request or an event to this version's form, `downgrade(self, new)` that of an
        answer to the form before; each may be left out where nothing has to be done, and
        may change what it is given. `was` is the model as it was: requests are checked
        against it before they are led up, and the older document shows it.

        A type is found wherever it lies in what a route takes or gives. A type that is
        a `@schema` has its older events led up by the same class.

        Raises:
            UnknownVersionError: There is no such version.
            ConfigError: It is the oldest, or the class does not say what changed.
        """
        self._refuse_oldest(version)
        operation = str(operation_at(path)) if path else ""
        if (subject is None) == (not operation) or (subject is not None and not is_model(subject)):
            raise ConfigError(
                f"change({version!r}): say what it changed: a model (Struct, dataclass, pydantic "
                'model, TypedDict), or path="POST /orders"'
            )

        if subject is not None and getattr(_config(subject), "array_like", False):
            raise ConfigError(f"{type_name(subject)} is array_like: only objects can be changed")

        def described(cls: Class) -> Class:
            self._add(made(cls, version, subject=subject, operation=operation))
            return cls

        return described

    def operation(self, path: str, *, takes: Any = None, gives: Any = None) -> None:
        """Say what an operation of a mounted application carries, as "POST /shop/orders":
        the types of its JSON, which need not be the classes that it uses itself."""
        one = operation_at(path, takes=takes, gives=gives)
        if self.operations.setdefault(str(one), one) is not one:
            raise ConfigError(f"operation {one} is there twice")

    def deprecate(
        self,
        version: str,
        *,
        since: Moment | None = None,
        sunset: Moment | None = None,
        link: str = "",
    ) -> None:
        """Tell all who use `version` that it ends: by headers, and from `sunset` on by a 410.

        Moments are days ("2027-06-01", from its first second in UTC) or datetimes. `since`
        may lie ahead; of versions that are dates it is the date of the next one unless said,
        of others the epoch, which says "already". `link` is where more is told.

        Raises:
            ConfigError: The sunset is before `since`, or it is deprecated twice.
        """
        age = self.names.age(version)
        if since is None and self.names.dated and age:
            since = self.names.all[age - 1]
        if version in self.deprecations:
            raise ConfigError(f"{version} is deprecated twice")
        self.deprecations[version] = deprecation(version, since=since, sunset=sunset, link=link)

    # --- using it -----------------------------------------------------------------------------

    def render(self, value: object, version: str, *, type: Any = None) -> bytes:
        """Return `value` as JSON in the form of `version`: what a webhook or an export sends.

        `type` is its type where its class says too little: `list[Order]`.

        Raises:
            UnknownVersionError: There is no such version.
            SchemaError: It is not of that type.
            MigrationError: A change failed.
        """
        type_ = _class_of(value) if type is None else type
        body = schema_of(type_).encode(value)
        if (down := self.migration(type_, version).down) is None:
            return body
        return _encoded(down(msgspec.json.decode(body)), version)

    def read(self, type: type[T], body: bytes, version: str) -> T:
        """Return the value in JSON that was written in the form of `version`.

        Raises:
            UnknownVersionError: There is no such version.
            SchemaError: It does not fit; `problems` are in that version's words where the
                older model is known.
            MigrationError: A change failed.
        """
        schema: Schema[T] = schema_of(type)
        if (up := self.migration(type, version).up) is None:
            return schema.decode(body)
        if (check := self.check_for(type, version)) is not None:
            check.decode(body)
        return schema.decode(_encoded(up(_document(body, version)), self.names.head))

    def as_of(self, version: str) -> Callable[[Any], Any]:
        """Return what gives the type that a type was at `version`, for that version's
        document: `was` models, also inside of lists, unions and fields."""
        self.names.require(version)

        def then(type_: Any) -> Any:
            return self.past(version)(type_)

        return then

    def check(self, *values: Any, except_: Sequence[str] = ()) -> list[str]:
        """Return what breaks for `values`, a sentence each; for tests.

        A value of today is led down to every older version, must be of its type there, and
        be the same when led up again; one of a `was` class goes up and down again. `except_`
        names what cannot survive, as "note" or "items[0].note".
        """
        return [fault for value in values for fault in faults(self, value, except_=except_)]

    def changelog(self) -> Sequence[Release]:
        """Return the versions, newest first, with what each changed and what ends."""
        return [
            release(
                name,
                [change for change in self.changes if change.version == name],
                self.deprecations.get(name),
            )
            for name in self.names.all
        ]

    def markdown(self) -> str:
        """Return the changelog as a page."""
        return markdown(self.changelog())

    def current(self) -> Version:
        """Return the version that the request asked for which is served here; outside of a
        request the newest."""
        try:
            return current()
        except ConfigError:
            return self.head

    @cached_property
    def head(self) -> Version:
        return Version(self.names.head, self.names)

    # --- for the rooms that go by it ----------------------------------------------------------

    def migration(self, type_: Any, version: str) -> Migration:
        """Return the way of a type's documents between `version` and HEAD."""
        return self._migrations.of(type_, self.names.require(version))

    def migration_of(self, operation: Operation, version: str) -> Migration:
        """Return the way of an operation's bodies; its own changes lie around those of types."""
        ups, downs = list[Any](), list[Any]()
        for newer in self.names.after(version):
            own = self._own(operation, newer)
            ups += [change.up for change in own if change.upgrade]
            ups.append(self._step(operation.takes, newer, up=True))
            downs += [change.down for change in own if change.downgrade]
            downs.append(self._step(operation.gives, newer, up=False))
        return Migration(chained(ups), chained(downs[::-1]))

    def check_for(self, type_: Any, version: str) -> Schema[Any] | None:
        """Return what requests of `version` must fit that are to become a `type_`; None if
        that is not known, or nothing differs."""
        past = self.past(version)
        if type_ is None or not past.differs(type_) or not past.is_known(type_):
            return None
        return schema_of(past(type_))

    def check_of(self, operation: Operation, version: str) -> Schema[Any] | None:
        """Return what requests of an operation must fit, as `check_for`; None if it had another
        form itself, around that of its type."""
        for newer in self.names.after(version):
            if any(change.upgrade for change in self._own(operation, newer)):
                return None
        return self.check_for(operation.takes, version)

    def past(self, version: str) -> Past:
        if version not in self._pasts:
            self._pasts[version] = Past(self.lineages, self.names, self.names.require(version))
        return self._pasts[version]

    def translator(self, schema: Schema[Any]) -> Any:
        """Return what leads messages to the version that a handler of `schema` takes, or
        None where no version changed it."""
        return self._messages.translator(schema)

    def successor(self, version: str) -> str | None:
        """Return the next version that is not deprecated, else HEAD; None for HEAD itself."""
        for newer in self.names.after(version):
            if newer not in self.deprecations:
                return newer
        return None if version == self.names.head else self.names.head

    def supported(self, now: float) -> Sequence[str]:
        """Return the versions that may be asked for, newest first."""
        ends: Mapping[str, Deprecation] = self.deprecations
        return [n for n in self.names.all if n not in ends or not ends[n].is_gone(now)]

    def _own(self, operation: Operation, version: str) -> Sequence[Change]:
        name = str(operation)
        return [each for each in self.changes if (each.version, each.operation) == (version, name)]

    def _step(self, type_: Any, version: str, *, up: bool) -> Any:
        return None if type_ is None else self._migrations.step(type_, version, up=up)

    @cached_property
    def _messages(self) -> Messages:
        return Messages(self.names, self.lineages, self._migrations, self._upcasting)

    def _add(self, change: Change) -> None:
        if change.subject is not None:
            self.lineages.add(change)
            self._upcasting.register(change.subject)
        self.changes.append(change)
        self._migrations.forget()
        self._pasts.clear()

    def _refuse_oldest(self, version: str) -> None:
        if self.names.require(version) == self.names.oldest:
            raise ConfigError(f"{version} is the oldest version, so that it changed nothing")


def _config(subject: Any) -> Any:
    return getattr(subject, "__struct_config__", None)


def _class_of(value: object) -> Any:
    if isinstance(value, list | dict | tuple | set):
        raise ConfigError(
            "say of what type a collection is: render(orders, 'v1', type=list[Order])"
        )
    return type(value)


def _document(body: bytes, version: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SchemaError(f"not JSON of {version}: {error}", problems=[f"body: {error}"]) from error


def _encoded(value: Any, version: str) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise MigrationError(f"a change made no JSON of {version}: {error}") from error
