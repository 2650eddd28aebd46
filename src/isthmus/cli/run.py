"""`isthmus run`: an app, in one process or in several."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from typing import Any

import click

from isthmus.app import App
from isthmus.cli.locate import folder_of, locate
from isthmus.cli.logs import Form, begin_logging
from isthmus.cli.process import SUPERVISED, last_words, serve
from isthmus.cli.reload import changes
from isthmus.cli.supervisor import HOPELESS, UNOPENED, Supervisor
from isthmus.errors import ConfigError, IsthmusError
from isthmus.handling.calling.resources import ResourceError
from isthmus.services.rpc.serving.listener import address_of as address_for
from isthmus.services.rpc.serving.listener import reserved
from isthmus.services.serving.listener import address_of, listen
from isthmus.settings import Settings
from isthmus.url import redacted

__all__ = ["run"]

EXAMPLES = """
\b
Examples:
  isthmus run shop:app
  isthmus run shop:app --workers 4 --port 8080
  isthmus run shop:app --only 'queue:*' --only schedules
  isthmus run --reload                    started anew whenever a file of the app changes
\b
Ctrl-C or SIGTERM drains: nothing more is taken, what runs is finished and settled.
Another one ends at once, if it comes more than a second later: sooner, it is taken for
an echo of the first. What was in hand is handled again by the next run.
"""

_log = logging.getLogger("isthmus")


@click.command(epilog=EXAMPLES)
@click.argument("spec", metavar="[MODULE:APP]", required=False)
@click.option("--app", "named", metavar="MODULE:APP", help="The same, as other commands take it.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; 1 by default.")
@click.option("--only", multiple=True, metavar="NAME", help="Workers to run; repeat it, use '*'.")
@click.option("--reload", is_flag=True, help="Start anew when a file of the app changes.")
@click.option("--host", metavar="ADDRESS", help="Address for HTTP; 127.0.0.1 by default.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port for HTTP; 8000, 0 is any free.")
@click.option(
    "--http-server",
    type=click.Choice(["uvicorn", "granian"]),
    help="What serves HTTP; granian speaks HTTP/2 too.",
)
@click.option("--grpc-host", metavar="ADDRESS", help="Address for gRPC; 127.0.0.1 by default.")
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="Port for gRPC; 50051.")
@click.option("--grpc-shared", type=bool, hidden=True)
@click.option("--engine", metavar="URL", help="Engine, as sqlite:///shop.db.")
@click.option("--store", metavar="URL", help="Store, if it is another than the engine.")
@click.option("--drain", type=float, metavar="SECONDS", help="Time to finish in; 30 by default.")
@click.option("--log", "form", type=click.Choice(["text", "json"]), default="text")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Least logged."
)
def run(
    spec: str | None,
    named: str | None,
    workers: int | None,
    only: Sequence[str],
    reload: bool,  # noqa: FBT001
    form: Form,
    log_level: str | None,
    **given: Any,
) -> None:
    """Run an app: serve HTTP and gRPC, consume, relay, schedule; until Ctrl-C or SIGTERM."""
    spec = spec or named
    settings = {name: value for name, value in given.items() if value is not None}
    if log_level is not None:
        settings["log_level"] = log_level
    place = _Place(spec, settings, only=only, form=form)
    if SUPERVISED in os.environ:
        return place.serve_supervised()
    if reload:
        return place.supervise(workers=workers or 1, reload=True)
    workers = workers or place.app().settings.workers
    if workers > 1:
        return place.supervise(workers=workers)
    place.serve()


class _Place:
    """The app that is run, and how this run is to be."""

    def __init__(
        self, spec: str | None, settings: Mapping[str, Any], *, only: Sequence[str], form: Form
    ) -> None:
        self._spec, self._settings, self._only, self._form = spec, dict(settings), only, form
        level = settings.get("log_level") or _log_level()
        begin_logging(level=level, form=form, label=os.environ.get(SUPERVISED, ""))

    def app(self) -> App:
        app = locate(self._spec)
        app.configure(**self._settings)
        return app

    def serve(self) -> None:
        app = self.app()
        _announce(app, workers=1)
        serve(app, only=self._only)
        _log.info("ended")

    def serve_supervised(self) -> None:
        """Serve; tell the supervisor what ended it, and by the status when that is hopeless."""
        try:
            serve(self.app(), only=self._only)
        except IsthmusError as error:
            last_words(f"error: {error}")
            sys.exit(_status(error))

    def supervise(self, *, workers: int, reload: bool = False) -> None:
        """Run processes of the same command, until told to stop."""
        app = self._app_or_none() if reload else self.app()
        if workers > 1:
            _refuse_memory(app)
        if app is not None:
            _announce(app, workers=workers)
        settings = Settings.load() if app is None else app.settings
        listener = self._listener(app)
        with self._grpc_port(app, workers=workers):
            supervisor = Supervisor(
                self._command(),
                workers=workers,
                drain=settings.drain,
                listener=listener,
                changes=self._changes() if reload else None,
            )
            status = asyncio.run(supervisor.run())
        _log.info("ended")
        sys.exit(status)

    def _app_or_none(self) -> App | None:
        """While it is written, an app may not even be importable."""
        try:
            return self.app()
        except Exception as error:  # noqa: BLE001 - the user's own
            _log.debug("the app cannot be loaded yet: %s", error)
            return None

    def _changes(self) -> AsyncIterator[str]:
        folder = folder_of(self._spec)
        _log.info("reloading on changes in %s", folder)
        return changes(folder)

    def _listener(self, app: App | None) -> socket.socket | None:
        """Open the one socket on which all processes take requests."""
        if app is None or not self._serves(app, "http"):
            return None
        listener = listen(app.settings.host, app.settings.port)
        tls = bool(app.settings.tls_certificate)
        _log.info("listening on %s", address_of(listener, tls=tls))
        return listener

    def _grpc_port(self, app: App | None, *, workers: int) -> AbstractContextManager[object]:
        """Hold the port for gRPC, on which several processes listen each by itself."""
        if app is None or workers < 2 or not self._serves(app, "grpc"):
            return nullcontext()
        host, tls = app.settings.grpc_host, bool(app.settings.tls_certificate)
        holder = reserved(host, app.settings.grpc_port)
        self._settings |= {"grpc_port": holder.getsockname()[1], "grpc_shared": True}
        address = address_for(host, self._settings["grpc_port"])
        _log.info("listening on %s://%s", "grpcs" if tls else "grpc", address)
        return holder

    def _serves(self, app: App, name: str) -> bool:
        declared = any(worker.name == name for worker in app.declarations.workers)
        chosen = not self._only or any(fnmatchcase(name, pattern) for pattern in self._only)
        return declared and chosen

    def _command(self) -> Sequence[str]:
        arguments = [self._spec] if self._spec else []
        for name in self._only:
            arguments += ["--only", name]
        for name, value in self._settings.items():
            option = f"--{name.replace('_', '-')}"
            arguments += [option, str(value)]
        return [sys.executable, "-m", "isthmus", "run", *arguments, "--log", self._form]


def _log_level() -> str:
    """Return what the place says; where it says nothing of use, the app tells all faults."""
    try:
        return Settings.load().log_level
    except ConfigError:
        return Settings().log_level


def _announce(app: App, *, workers: int) -> None:
    settings = app.settings
    _log.info("app %s", app.name)
    _log.info("engine %s", redacted(settings.engine))
    if settings.store and settings.store != settings.engine:
        _log.info("store %s", redacted(settings.store))
    _log.info("workers %d", workers)


def _status(error: IsthmusError) -> int:
    if isinstance(error, ResourceError):
        return UNOPENED
    return 1 if error.retryable else HOPELESS


def _refuse_memory(app: App | None) -> None:
    if app is not None and app.settings.engine.startswith("memory:"):
        raise ConfigError(
            "memory:// lives inside one process, so --workers would be strangers to each other; "
            "use sqlite:///file.db"
        )
