"""Calling other services over HTTP, guarded: `Client`, what it raises, and what carries it."""

from isthmus.services.client.aiohttp_transport import AiohttpTransport
from isthmus.services.client.answer import Answer, ServerEvent
from isthmus.services.client.asgi_transport import AsgiTransport
from isthmus.services.client.auth import Auth, Basic, Bearer
from isthmus.services.client.client import Client
from isthmus.services.client.content import Form
from isthmus.services.client.declared import DeclaredClient
from isthmus.services.client.errors import (
    AnswerError,
    AnswerTooLargeError,
    BusyError,
    ConnectionBrokenError,
    ConnectRefusedError,
    ConnectTimedOutError,
    FailedError,
    MismatchError,
    NameUnknownError,
    NotHttpError,
    ReadTimedOutError,
    RedirectedError,
    RefusedError,
    TlsFailedError,
    UnreachableError,
)
from isthmus.services.client.facts import CallMade, UpstreamDeprecated
from isthmus.services.client.response import Response
from isthmus.services.client.tls import Tls
from isthmus.services.client.transport import Outgoing, Reply, Transport, Whole

__all__ = [
    "AiohttpTransport",
    "Answer",
    "AnswerError",
    "AnswerTooLargeError",
    "AsgiTransport",
    "Auth",
    "Basic",
    "Bearer",
    "BusyError",
    "CallMade",
    "Client",
    "ConnectRefusedError",
    "ConnectTimedOutError",
    "ConnectionBrokenError",
    "DeclaredClient",
    "FailedError",
    "Form",
    "MismatchError",
    "NameUnknownError",
    "NotHttpError",
    "Outgoing",
    "ReadTimedOutError",
    "RedirectedError",
    "RefusedError",
    "Reply",
    "Response",
    "ServerEvent",
    "Tls",
    "TlsFailedError",
    "Transport",
    "UnreachableError",
    "UpstreamDeprecated",
    "Whole",
]
