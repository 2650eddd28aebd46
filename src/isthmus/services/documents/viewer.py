"""The page on which people read a document and try it: Swagger UI, carried along.

Nothing on it comes from elsewhere: it works without a network, and what is read on it is told
to nobody. Its licence (Apache-2.0) lies beside it, in `assets`.
"""

import gzip
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from urllib.parse import quote, urlsplit

__all__ = ["ASSETS", "RELEASE", "asset", "page", "policy", "zipped"]

RELEASE = "swagger-ui-5.35.0"
"""What is carried; in the paths of assets, which may therefore be kept for ever."""

ASSETS: Mapping[str, str] = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
}
"""What the page loads, and its media types."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/{release}/swagger-ui.css">
<link rel="stylesheet" href="docs/{release}/page.css">
<script src="docs/{release}/swagger-ui-bundle.js"></script>
<script src="docs/{release}/page.js"></script>
</head>
<body>
{versions}<div id="documents" data-url="{url}"></div>
<noscript>This page needs JavaScript; the document itself is <a href="{url}">{url}</a>.</noscript>
</body>
</html>
"""


def page(title: str, *, version: str = "", versions: Sequence[str] = ()) -> str:
    """Return the page, whose links are relative: it works behind any prefix."""
    url = f"openapi.json?version={quote(version)}" if version else "openapi.json"
    links = _links(version, versions) if versions else ""
    return _PAGE.format(title=escape(title), release=RELEASE, url=escape(url), versions=links)


def policy(servers: Iterable[str]) -> str:
    """Return the Content-Security-Policy of the page: it talks to where it came from, and to
    `servers`, as the document names them."""
    origins = {_origin(url) for url in servers} - {""}
    connect = " ".join(["'self'", *sorted(origins)])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"img-src 'self' data:; connect-src {connect}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


@cache
def asset(name: str) -> bytes:
    """Return one of ASSETS."""
    return files("isthmus.services.documents").joinpath("assets", name).read_bytes()


@cache
def zipped(name: str) -> bytes:
    """Return one of ASSETS compressed by gzip; the first time takes a tenth of a second."""
    return gzip.compress(asset(name), mtime=0)


def _links(version: str, versions: Sequence[str]) -> str:
    links = "".join(
        f'<a href="docs?version={quote(each)}"{_here(each == version)}>{escape(each)}</a>'
        for each in versions
    )
    return (
        f'<nav aria-label="Versions"><a href="docs"{_here(not version)}>newest</a>{links}</nav>\n'
    )


def _here(current: bool) -> str:  # noqa: FBT001
    return ' aria-current="page"' if current else ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    plain = parts.scheme in {"http", "https"} and not set(parts.netloc) & set("{};, '\"")
    return f"{parts.scheme}://{parts.netloc}" if plain and parts.netloc else ""
