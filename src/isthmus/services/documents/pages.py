"""The paths under which an App serves its documents, unless it has routes of its own there."""

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from isthmus.handling.declarations import Declarations
from isthmus.handling.model import Model
from isthmus.services.documents.about import about_in
from isthmus.services.documents.openapi import openapi
from isthmus.services.documents.schemas import AsOf, as_it_is
from isthmus.services.documents.viewer import ASSETS, RELEASE, asset, page, policy, zipped
from isthmus.services.problem import Problem
from isthmus.services.rest.options import RouteOptions
from isthmus.services.rest.route import Route
from isthmus.versions.version import asked

__all__ = ["Documents", "Pages"]

FOREVER = "public, max-age=31536000, immutable"
ANEW = "no-cache"
"""Kept, but asked about each time."""


class Documents:
    """The documents that an App serves beside that of its newest version: one is kept for each
    App, `declared.shared(Documents)`, and rooms add to it while the App opens."""

    def __init__(self) -> None:
        self.versions: dict[str, AsOf] = {}
        """What a version's document shows in place of each type, by the version's name."""
        self.below: dict[str, str] = {}
        """The path that a version is served below, as "/v1", by its name, if it is by that."""
        self.newest = ""
        """The version that the document without one is of; "" if there is no other."""


class Pages:
    """GET /openapi.json, and /docs with what belongs to it."""

    def __init__(self, name: str, model: Model, documents: Documents) -> None:
        """`name`: the App's, which is the title unless `app.about` said another."""
        self._model, self._documents, self._versions = model, documents, documents.versions
        known = about_in(model)
        self._title, self._servers = known.title or name, known.servers
        self._made: dict[str, dict[str, Any]] = {}

    def routes(self) -> Sequence[Route]:
        own = Declarations("documents")
        get = partial(Route, "GET", options=RouteOptions(hidden=True), declared=own)
        return (
            get("/openapi.json", self.openapi),
            get("/docs", self.page),
            get("/docs/{release}/{name}", self.asset),
        )

    def openapi(self, request: Request, version: str = "") -> Response:
        """Raises a 404 Problem if there is no such version."""
        asked_in_path = asked.get()
        version = version or (asked_in_path.name if asked_in_path else self._documents.newest)
        document = self._document(version)
        prefix: str = request.scope.get("root_path", "")
        if asked_in_path is None:
            prefix += self._documents.below.get(version, "")
        if prefix and not self._servers:
            document = {**document, "servers": [{"url": prefix}]}
        return _kept(request, msgspec.json.encode(document), "application/json", ANEW)

    async def page(self, request: Request, version: str = "") -> Response:
        """Raises a 404 Problem if there is no such version."""
        self._as_of(version)
        html = page(self._title, version=version, versions=list(self._versions))
        guards = {
            "Content-Security-Policy": policy(self._servers),
            "Referrer-Policy": "no-referrer",
        }
        return _kept(request, html.encode(), "text/html; charset=utf-8", ANEW, guards)

    def asset(self, request: Request, release: str, name: str) -> Response:
        """Raises a 404 Problem for what is not there."""
        if release != RELEASE or name not in ASSETS:
            raise Problem(404, f"the page has no {release}/{name}")
        more = {"Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return _kept(request, asset(name), ASSETS[name], FOREVER, more)
        more["Content-Encoding"] = "gzip"
        return _kept(request, zipped(name), ASSETS[name], FOREVER, more)

    def _document(self, version: str) -> dict[str, Any]:
        as_of = self._as_of(version)
        if version not in self._made:
            self._made[version] = openapi(
                self._model, title=self._title, version=version, as_of=as_of
            )
        return self._made[version]

    def _as_of(self, version: str) -> AsOf:
        if version and version not in self._versions:
            known = ", ".join(self._versions) or "none but the newest"
            raise Problem(404, f"there is no version {version!r}; there are: {known}")
        return self._versions.get(version, as_it_is)


def _kept(
    request: Request, body: bytes, kind: str, cached: str, more: Mapping[str, str] | None = None
) -> Response:
    """Return an answer that the client may keep, or that it has it already."""
    tag = f'"{sha256(body).hexdigest()[:24]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": cached,
        "X-Content-Type-Options": "nosniff",
        **(more or {}),
    }
    known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or f"W/{tag}" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers={**headers, "Content-Type": kind})
