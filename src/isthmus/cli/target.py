"""What a command looks at: the engine and the store of an app, or of a URL."""

import asyncio
import functools
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import click
import msgspec

from isthmus.app import App
from isthmus.cli.commands import known
from isthmus.cli.locate import find_app, locate
from isthmus.clock import SystemClock
from isthmus.errors import ConfigError, NotFoundError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.messaging import DeclaredHandler, DeclaredQueue
from isthmus.settings import Settings
from isthmus.signals import Signals

__all__ = ["Target", "as_json", "on_target"]

P = ParamSpec("P")
T = TypeVar("T")


class Target:
    """Made of the options `--app`, `--engine` and `--store`."""

    def __init__(self, spec: str | None, engine: str | None, store: str | None) -> None:
        self._spec = spec
        self._given = {"engine": engine, "store": store}

    @functools.cached_property
    def app(self) -> App:
        """Raises ConfigError if nothing names an app."""
        app = locate(self._spec)
        app.configure(**self._urls)
        return app

    @asynccontextmanager
    async def host(self, *, wanted: str = "") -> AsyncGenerator[Host]:
        """Connect; nothing is declared, migrated or run. `wanted`: the queue or subscription
        that is asked for.

        Raises:
            ConfigError: Nothing names an engine, or its data are out of sight from here.
            NotFoundError: They are, and the app does not declare what is `wanted` either.
        """
        settings = self._settings()
        for url in (settings.engine, settings.store or settings.engine):
            try:
                _refuse_what_cannot_be_seen(url)
            except ConfigError:
                self._refuse_what_is_not_declared(wanted)
                raise
        nothing = Declarations("isthmus")
        async with opened("isthmus", nothing, settings, SystemClock(), Signals()) as host:
            yield host

    def declared(self) -> Declarations | None:
        """Return what the app declares, if an app is named."""
        return app.declarations if (app := self._app_if_any()) else None

    def _refuse_what_is_not_declared(self, wanted: str) -> None:
        if not wanted or (declared := self.declared()) is None:
            return
        kinds = (DeclaredQueue, DeclaredHandler)
        names = {record.name for kind in kinds for record in declared.model.of(kind)}
        if wanted not in names:
            hint = known(wanted, sorted(names), what="queues or subscriptions in it")
            raise NotFoundError(f"the app declares no queue or subscription {wanted!r}; {hint}")

    @property
    def _urls(self) -> dict[str, str]:
        return {name: url for name, url in self._given.items() if url}

    def _settings(self) -> Settings:
        if app := self._app_if_any():
            return app.settings
        settings = msgspec.structs.replace(Settings.load(), **self._urls)
        return settings if settings.engine else self.app.settings  # which says what is missing

    def _app_if_any(self) -> App | None:
        """An engine's URL is enough: then a broken app, or none, is in nobody's way."""
        if "app" in self.__dict__:
            return self.app
        if self._spec is None and self._given["engine"]:
            return None
        return self.app if find_app(self._spec) else None


def _refuse_what_cannot_be_seen(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "memory":
        raise ConfigError("memory:// lives inside one process, and is not to be seen from outside")
    if not url.startswith("sqlite:///"):
        return  # whoever connects says what is wrong with it
    if not (file := Path(unquote(parts.path[1:]))).exists():
        raise ConfigError(f"there is no file {file} here yet; run the app once, or check --engine")


def on_target(command: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., T]:
    """Give a command the options that say what it looks at, and a Target as first argument.

    What a group was given before its command, `isthmus queues --app shop:app list`, holds too.
    """

    @click.option("--app", "spec", metavar="MODULE:APP", help="The app, as shop:app.")
    @click.option("--engine", metavar="URL", help="Engine, as sqlite:///shop.db; no app needed.")
    @click.option("--store", metavar="URL", help="Store, if it is another than the engine.")
    @functools.wraps(command)
    def run(
        *args: Any, spec: str | None, engine: str | None, store: str | None, **options: Any
    ) -> T:
        above: Target | None = click.get_current_context().obj
        if above is not None and not (spec or engine or store):
            target = above
        else:
            target = Target(spec, engine, store)
        click.get_current_context().obj = target
        try:
            return asyncio.run(command(target, *args, **options))
        except KeyboardInterrupt:
            sys.exit(130)  # 128 + SIGINT, as shells say it

    return run


as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
"""The option of whatever lists."""
