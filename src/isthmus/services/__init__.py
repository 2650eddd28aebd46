"""HTTP services: typed routes with problem documents, and mounted ASGI applications."""

from isthmus.services.declared import DeclaredMount, DeclaredRoute
from isthmus.services.doors import add_middleware, application, mount, route
from isthmus.services.layers.conditional import Conditional
from isthmus.services.layers.idempotency import Idempotency, Idempotent
from isthmus.services.layers.problems import Problems
from isthmus.services.problem import Problem
from isthmus.services.rest.events import ServerSentEvent
from isthmus.services.rest.formats import FORMATS, JSON, MESSAGEPACK, Format
from isthmus.services.rest.forms import Upload
from isthmus.services.rest.marks import Body, Cookie, Form, Query
from isthmus.services.rest.pages import Offset, Page, Pages, Paging
from isthmus.services.rest.preconditions import Preconditions
from isthmus.services.rest.reply import Reply

__all__ = [
    "FORMATS",
    "JSON",
    "MESSAGEPACK",
    "Body",
    "Conditional",
    "Cookie",
    "DeclaredMount",
    "DeclaredRoute",
    "Form",
    "Format",
    "Idempotency",
    "Idempotent",
    "Offset",
    "Page",
    "Pages",
    "Paging",
    "Preconditions",
    "Problem",
    "Problems",
    "Query",
    "Reply",
    "ServerSentEvent",
    "Upload",
    "add_middleware",
    "application",
    "mount",
    "route",
]
