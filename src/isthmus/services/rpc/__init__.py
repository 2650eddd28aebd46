"""gRPC: one typed class is a server, a client, a .proto, and its documentation.

service, interface, method, marks    what a class declares
wire                                 models as Protobuf's messages, and back
contract                             what both sides agree on: messages, numbers, bytes
serving                              the server's side
calling                              the caller's side
codes, errors, status, details       how calls end
doors, declared, facts               what an App sees of it
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.services.rpc.calling.credentials import Tls
    from isthmus.services.rpc.calling.defaults import default_policy
    from isthmus.services.rpc.calling.outgoing import sending
    from isthmus.services.rpc.calling.stub import Stub, StubWords
    from isthmus.services.rpc.codes import Code
    from isthmus.services.rpc.declared import DeclaredService, DeclaredStub
    from isthmus.services.rpc.errors import (
        RpcAbortedError,
        RpcError,
        RpcRefusedError,
        RpcTimedOutError,
        RpcUnavailableError,
        RpcUnreachableError,
    )
    from isthmus.services.rpc.facts import RpcListening
    from isthmus.services.rpc.foreign import from_proto
    from isthmus.services.rpc.marks import (
        Fixed32,
        Fixed64,
        Float,
        Int32,
        SFixed32,
        SFixed64,
        SInt32,
        SInt64,
        UInt32,
        UInt64,
        Wire,
        given,
        idempotent,
    )
    from isthmus.services.rpc.service import Service
    from isthmus.services.rpc.serving.request import Metadata, Peer

_HOMES = {
    "calling.credentials": ("Tls",),
    "calling.defaults": ("default_policy",),
    "calling.outgoing": ("sending",),
    "calling.stub": ("Stub", "StubWords"),
    "codes": ("Code",),
    "declared": ("DeclaredService", "DeclaredStub"),
    "errors": (
        "RpcAbortedError",
        "RpcError",
        "RpcRefusedError",
        "RpcTimedOutError",
        "RpcUnavailableError",
        "RpcUnreachableError",
    ),
    "facts": ("RpcListening",),
    "foreign": ("from_proto",),
    "marks": (
        "Fixed32",
        "Fixed64",
        "Float",
        "Int32",
        "SFixed32",
        "SFixed64",
        "SInt32",
        "SInt64",
        "UInt32",
        "UInt64",
        "Wire",
        "given",
        "idempotent",
    ),
    "service": ("Service",),
    "serving.request": ("Metadata", "Peer"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Code",
    "DeclaredService",
    "DeclaredStub",
    "Fixed32",
    "Fixed64",
    "Float",
    "Int32",
    "Metadata",
    "Peer",
    "RpcAbortedError",
    "RpcError",
    "RpcListening",
    "RpcRefusedError",
    "RpcTimedOutError",
    "RpcUnavailableError",
    "RpcUnreachableError",
    "SFixed32",
    "SFixed64",
    "SInt32",
    "SInt64",
    "Service",
    "Stub",
    "StubWords",
    "Tls",
    "UInt32",
    "UInt64",
    "Wire",
    "default_policy",
    "from_proto",
    "given",
    "idempotent",
    "sending",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus.services.rpc' has no attribute {name!r}")
    try:
        home = import_module(f"isthmus.services.rpc.{_HOME[name]}")
    except ModuleNotFoundError as error:
        raise ImportError(f"{name} needs {error.name}: pip install 'isthmus[grpc]'") from error
    found = globals()[name] = getattr(home, name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
