"""All that an open App serves over HTTP, with the pages that tell of it."""

from contextlib import AbstractAsyncContextManager

from starlette.types import ASGIApp

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.documents.pages import Documents, Pages
from isthmus.services.serving.health import Health
from isthmus.services.serving.site import Site

__all__ = ["served"]


def served(
    declared: Declarations, host: Host, health: Health
) -> AbstractAsyncContextManager[ASGIApp]:
    """Return what gives it as one ASGI application, and starts and stops what is mounted."""
    root = declared.root
    pages = Pages(root.name, root.model, root.shared(Documents))
    return root.shared(Site).started(host, health, pages.routes() if host.settings.docs else ())
