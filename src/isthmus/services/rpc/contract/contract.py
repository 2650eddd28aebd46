"""A service, ready to be served or called: its methods, and their bytes."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

from isthmus.errors import ConfigError
from isthmus.schema.kinds import type_name
from isthmus.services.rpc.contract.binding import Binding
from isthmus.services.rpc.contract.codec import (
    Codec,
    codec_of_message,
    codec_of_model,
    codec_of_nothing,
)
from isthmus.services.rpc.contract.compiling import compiled
from isthmus.services.rpc.contract.descriptors import File, file_of, pool_of
from isthmus.services.rpc.contract.draft import Draft
from isthmus.services.rpc.contract.lock import Lock, find_lock
from isthmus.services.rpc.interface import Interface
from isthmus.services.rpc.method import Kind, Method, is_message
from isthmus.services.rpc.service import Service, interface_of

__all__ = ["Contract", "Wired", "contract_of", "draft_of", "lock_of"]


class Wired(NamedTuple):
    """A method, and how both its sides are written."""

    method: Method
    path: str
    """"/shop.v1.InventoryService/Reserve"."""
    request: Codec
    answer: Codec

    @property
    def title(self) -> str:
        return self.path[1:]


class Contract(NamedTuple):
    name: str
    methods: Sequence[Wired]
    files: Sequence[File]
    """What defines it, in the order of dependencies."""


_MADE: "WeakKeyDictionary[type, Contract]" = WeakKeyDictionary()


def contract_of(service: Any) -> Contract:
    """Return the contract of a Service's class, or of an object of one; made once.

    Raises:
        ConfigError: Types cannot be carried, do not agree with the lock, or not with the .proto.
    """
    interface = interface_of(service)
    found = _MADE.get(interface.service)
    if found is None:
        found = _MADE[interface.service] = _made(interface)
    return found


def draft_of(interface: Interface) -> Draft:
    """Return what the classes describe."""
    told = interface.service.__doc__ or ""
    return Draft(interface.name, interface.methods(Service), told=told)


def lock_of(interface: Interface) -> Lock | None:
    """Return the lock that holds for a service; None if there is none."""
    wanted = None if interface.lock is None else interface.beside(interface.lock)
    if wanted is not None and not wanted.is_file():
        raise ConfigError(
            f"{interface.title}: there is no lock {wanted} yet; `isthmus proto MODULE:APP` "
            "writes it"
        )
    path = find_lock(interface.file, wanted=wanted)
    return None if path is None else Lock.read(path)


def _made(interface: Interface) -> Contract:
    if interface.proto is not None:
        return _foreign(interface)
    draft, lock = draft_of(interface), lock_of(interface)
    settled, changes = (lock or Lock()).settled(draft)
    if lock is not None and (new := [each for each in changes if each.endswith(", new")]):
        listed = "\n".join(f"  {each}" for each in new)
        raise ConfigError(
            f"{interface.name} has what {lock.path} does not know yet; run `isthmus proto "
            f"MODULE:APP`, and commit it:\n{listed}"
        )
    file = file_of(draft, settled)
    pool, binding = pool_of([file]), Binding()
    methods = [
        Wired(
            each.method,
            f"/{interface.name}/{each.method.name}",
            _own(binding, pool, each.takes, each.method.takes),
            _own(binding, pool, each.gives, each.method.gives),
        )
        for each in draft.methods
    ]
    binding.refuse_faults(interface.name)
    return Contract(interface.name, methods, [file])


def _own(binding: Binding, pool: DescriptorPool, name: str, type_: Any) -> Codec:
    if type_ is None:
        return codec_of_nothing()
    return codec_of_model(binding.converter(type_, pool.FindMessageTypeByName(name)))


# --- from a .proto that somebody else wrote ---------------------------------------------------


def _foreign(interface: Interface) -> Contract:
    path = interface.beside(interface.proto or "")
    pool = compiled(path)
    try:
        service = pool.FindServiceByName(interface.name)
    except KeyError:
        raise ConfigError(f"{interface.title}: {path} has no service {interface.name}") from None
    binding, methods = Binding(), list[Wired]()
    for method in interface.methods(Service):
        found = service.methods_by_name.get(method.name)
        if found is None:
            known = ", ".join(service.methods_by_name)
            binding.faults.append(f"{method.attribute}(): no rpc {method.name}; there are: {known}")
            continue
        methods.append(_foreign_method(binding, interface, method, found))
    binding.refuse_faults(f"{interface.title} and {path.name}")
    return Contract(interface.name, methods, _files(service.file))


def _foreign_method(binding: Binding, interface: Interface, method: Method, found: Any) -> Wired:
    kind = Kind((found.client_streaming, found.server_streaming))
    if kind is not method.kind:
        said, is_ = (each.name.lower().replace("_", " ") for each in (method.kind, kind))
        binding.faults.append(f"{method.attribute}() is {said}, and rpc {method.name} is {is_}")
    title = f"{method.attribute}()"
    return Wired(
        method,
        f"/{interface.name}/{method.name}",
        _theirs(binding, found.input_type, method.takes, f"{title} takes"),
        _theirs(binding, found.output_type, method.gives, f"{title} gives"),
    )


def _theirs(binding: Binding, descriptor: Any, type_: Any, title: str) -> Codec:
    if type_ is None:
        return codec_of_nothing()
    if not is_message(type_):
        return codec_of_model(binding.converter(type_, descriptor))
    if type_.DESCRIPTOR is None:  # any message: Protobuf's own base class
        return codec_of_message(message_factory.GetMessageClass(descriptor))
    if type_.DESCRIPTOR.full_name != descriptor.full_name:
        said = type_name(type_)
        binding.faults.append(f"{title} a {said}, where the rpc has {descriptor.full_name}")
    return codec_of_message(type_)


def _files(file: Any) -> Sequence[File]:
    found: dict[str, File] = {}

    def add(each: Any) -> None:
        for dependency in each.dependencies:
            add(dependency)
        if each.name not in found:
            found[each.name] = descriptor_pb2.FileDescriptorProto.FromString(each.serialized_pb)

    add(file)
    return list(found.values())
