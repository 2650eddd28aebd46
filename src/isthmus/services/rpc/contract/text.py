"""The .proto of a package, for clients in other languages."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodOptions

from isthmus.services.rpc.contract.descriptors import File
from isthmus.services.rpc.contract.draft import Draft
from isthmus.services.rpc.contract.lint import Lint

__all__ = ["proto_text", "words_of"]

HEAD = "// Written by `isthmus proto`: what is changed here is lost."
_TYPES: Mapping[int, str] = {
    number: name.removeprefix("TYPE_").lower() for name, number in FieldDescriptorProto.Type.items()
}


def words_of(drafts: Iterable[Draft]) -> Mapping[str, str]:
    """Return the docstrings of services, methods, messages and enums, by their full names."""
    found = dict[str, str]()
    for draft in drafts:
        found[draft.service] = draft.told
        for each in draft.methods:
            found[f"{draft.service}.{each.method.name}"] = each.method.told
        for each in (*draft.messages.values(), *draft.enums.values()):
            found[each.name] = each.told
    return found


def proto_text(file: File, words: Mapping[str, str]) -> str:
    """Return `file` as a .proto, with `words` as its comments."""
    return "\n".join(_Writer(file, words).lines()) + "\n"


class _Writer:
    def __init__(self, file: File, words: Mapping[str, str]) -> None:
        self._file, self._words, self._lint = file, words, Lint(file)

    def lines(self) -> Iterator[str]:
        file = self._file
        yield from (HEAD, "", 'syntax = "proto3";', "")
        yield from _noted(self._lint.package(file.package))
        yield from (f"package {file.package};", "")
        for dependency in sorted(file.dependency):
            yield f'import "{dependency}";'
        if file.dependency:
            yield ""
        blocks = [self._service(each) for each in file.service]
        blocks += [self._message(each) for each in file.message_type]
        blocks += [self._enum(each) for each in file.enum_type]
        for number, block in enumerate(blocks):
            if number:
                yield ""
            yield from block

    # --- the service -------------------------------------------------------------------------

    def _service(self, service: Any) -> Iterator[str]:
        yield from self._told(service.name, self._lint.service(service.name))
        yield f"service {service.name} {{"
        for number, method in enumerate(service.method):
            if number:
                yield ""
            yield from _indented(self._rpc(service, method))
        yield "}"

    def _rpc(self, service: Any, method: Any) -> Iterator[str]:
        rules = self._lint.rpc(service.name, method)
        yield from self._told(f"{service.name}.{method.name}", rules)
        names = [each.name for each in service.method]
        takes = _streamed(self._short(method.input_type, names), method.client_streaming)
        gives = _streamed(self._short(method.output_type, names), method.server_streaming)
        line = f"rpc {method.name}({takes}) returns ({gives})"
        if method.options.idempotency_level == MethodOptions.IDEMPOTENT:
            yield f"{line} {{"
            yield "  option idempotency_level = IDEMPOTENT;"
            yield "}"
        else:
            yield f"{line};"

    # --- messages ----------------------------------------------------------------------------

    def _message(self, message: Any) -> Iterator[str]:
        yield from self._told(message.name, self._lint.message(message.name))
        body = list(_indented(self._body(message)))
        if not body:
            yield f"message {message.name} {{}}"
            return
        yield f"message {message.name} {{"
        yield from body
        yield "}"

    def _body(self, message: Any) -> Iterator[str]:
        yield from _reserved(message, exclusive=True)
        open_ = ""
        for field in message.field:
            choice = _choice(message, field)
            if choice != open_:
                if open_:
                    yield "}"
                if choice:
                    yield from _noted(self._lint.oneof(choice))
                    yield f"oneof {choice} {{"
                open_ = choice
            yield from _indented(self._field(message, field), by="  " * bool(choice))
        if open_:
            yield "}"

    def _field(self, message: Any, field: Any) -> Iterator[str]:
        yield from _noted(self._lint.field(field.name))
        yield f"{self._type(message, field)} {field.name} = {field.number};"

    def _type(self, message: Any, field: Any) -> str:
        taken = [each.name for each in message.field]
        if entry := _entry(message, field):
            key, value = (self._plain(each, taken) for each in entry.field)
            return f"map<{key}, {value}>"
        plain = self._plain(field, taken)
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return f"repeated {plain}"
        return f"optional {plain}" if field.proto3_optional else plain

    def _plain(self, field: Any, taken: Iterable[str]) -> str:
        return self._short(field.type_name, taken) if field.type_name else _TYPES[field.type]

    # --- enums -------------------------------------------------------------------------------

    def _enum(self, enum: Any) -> Iterator[str]:
        yield from self._told(enum.name, self._lint.enum(enum.name))
        yield f"enum {enum.name} {{"
        yield from _indented(_reserved(enum, exclusive=False))
        for value in enum.value:
            yield from _indented(_noted(self._lint.value(value)))
            yield f"  {value.name} = {value.number};"
        yield "}"

    # --- names and words ---------------------------------------------------------------------

    def _short(self, name: str, taken: Iterable[str]) -> str:
        """Return a type's name as short as it is understood where `taken` names are nearer."""
        full, package = name.removeprefix("."), f"{self._file.package}."
        short = full.removeprefix(package) if full.startswith(package) else full
        return name if short.partition(".")[0] in taken else short

    def _told(self, name: str, rules: Iterable[str]) -> Iterator[str]:
        for line in self._words.get(f"{self._file.package}.{name}", "").splitlines():
            yield f"// {line}".rstrip()
        yield from _noted(rules)


def _noted(rules: Iterable[str]) -> Iterator[str]:
    for rule in rules:
        yield f"// buf:lint:ignore {rule}"


def _indented(lines: Iterable[str], *, by: str = "  ") -> Iterator[str]:
    for line in lines:
        yield f"{by}{line}" if line else ""


def _streamed(name: str, streams: bool) -> str:  # noqa: FBT001
    return f"stream {name}" if streams else name


def _choice(message: Any, field: Any) -> str:
    """Return the oneof that a field is in; that of an `optional` is none."""
    if not field.HasField("oneof_index") or field.proto3_optional:
        return ""
    return message.oneof_decl[field.oneof_index].name


def _entry(message: Any, field: Any) -> Any:
    for each in message.nested_type:
        if each.options.map_entry and field.type_name.endswith(f".{message.name}.{each.name}"):
            return each
    return None


def _reserved(thing: Any, *, exclusive: bool) -> Iterator[str]:
    """`exclusive`: ranges of a message end before their end, those of an enum with it."""
    ranges = [_range(each.start, each.end - exclusive) for each in thing.reserved_range]
    if ranges:
        yield f"reserved {', '.join(ranges)};"
    if thing.reserved_name:
        names = ", ".join(f'"{name}"' for name in thing.reserved_name)
        yield f"reserved {names};"


def _range(start: int, end: int) -> str:
    return f"{start}" if start == end else f"{start} to {end}"
