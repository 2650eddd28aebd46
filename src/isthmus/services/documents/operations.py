"""One route as OpenAPI's Operation Object."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from isthmus.services.documents.bodies import content
from isthmus.services.documents.docstring import told
from isthmus.services.documents.headers import header, parameter
from isthmus.services.documents.options import said_by_options
from isthmus.services.documents.parameters import parameters_of, shown
from isthmus.services.documents.problems import PROBLEMS, problem, problem_ref
from isthmus.services.documents.schemas import Schemas, Use
from isthmus.services.rest.declared import DeclaredRoute

__all__ = ["Operation"]

_ALWAYS = (500, 503, 504)


class Operation:
    """What a client may ask of one route, and what it is answered."""

    def __init__(self, route: DeclaredRoute, *, id: str, guarded: bool) -> None:
        """`guarded`: whether the App's documents say how clients tell who they are."""
        self.route, self.id, self._guarded = route, id, guarded
        self._said = list(said_by_options(route))

    def uses(self) -> Iterator[Use]:
        """Yield the types that it names."""
        yield from (Use(each.payload.type) for each in shown(self.route))
        if self.route.takes is not None:
            yield Use(self.route.takes.type)
        if self.route.gives is not None:
            yield Use(self.route.gives.type, "out")

    @cached_property
    def problems(self) -> set[int]:
        """The statuses of shared problems that it is answered with."""
        raised = {status for said in self._said for status in said.raised}
        return set(self._statuses()) - raised

    @cached_property
    def headers(self) -> set[str]:
        """The headers of its answers, by name."""
        ours = {name for said in self._said for name in said.headers}
        theirs = {name for status in self.problems for name in PROBLEMS[status].headers}
        return {"X-Request-ID", "isthmus-degraded"} | ours | theirs

    @cached_property
    def parameters(self) -> set[str]:
        """The shared headers that its requests may have, by name."""
        return {name for said in self._said for name in said.parameters}

    def document(self, schemas: Schemas) -> dict[str, Any]:
        doc = told(self.route.doc)
        members = {
            "summary": doc.summary,
            "description": doc.description,
            "parameters": self._parameters(schemas, doc.parameters),
        }
        document: dict[str, Any] = {"operationId": self.id}
        document |= {name: each for name, each in members.items() if each}
        if self.route.takes is not None:
            document["requestBody"] = self._body(schemas)
        document["responses"] = dict(self._responses(schemas))
        for said in self._said:
            document |= said.members
        return document

    def _parameters(self, schemas: Schemas, docs: Mapping[str, str]) -> list[dict[str, Any]]:
        own = list(parameters_of(self.route, schemas, docs))
        taken = {each["name"].lower() for each in own if each["in"] == "header"}
        shared = [name for said in self._said for name in said.parameters]
        required = {name for said in self._said for name in said.required}
        refs = [_shared(name, name in required) for name in shared if name.lower() not in taken]
        return own + refs

    def _body(self, schemas: Schemas) -> dict[str, Any]:
        assert self.route.takes is not None
        use = Use(self.route.takes.type)
        body: dict[str, Any] = {"content": content(self.route.takes, self.route, schemas, use)}
        return body if self.route.takes_nothing else {**body, "required": True}

    def _responses(self, schemas: Schemas) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the answers, those that went well first."""
        yield str(self.route.status), self._success(schemas)
        answers = dict[int, dict[str, Any]]()
        for said in self._said:
            for status, when in said.empty.items():
                answers[status] = {"description": when, "headers": _headers(())}
            for status, when in said.raised.items():
                headers = PROBLEMS[status].headers if status in PROBLEMS else ()
                answers[status] = problem(when, schemas.problem, headers)
        answers |= {status: problem_ref(status) for status in self.problems}
        for status in sorted(answers):
            if status != self.route.status:
                yield str(status), answers[status]

    def _success(self, schemas: Schemas) -> dict[str, Any]:
        names = [name for said in self._said for name in said.headers]
        answer: dict[str, Any] = {
            "description": "Done." if self.route.gives_nothing else "The answer.",
            "headers": _headers(("isthmus-degraded", *names)),
        }
        if self.route.streams:
            answer["content"] = {self.route.streams.partition(";")[0]: {}}
        elif self.route.gives is not None:
            use = Use(self.route.gives.type, "out")
            answer["content"] = content(self.route.gives, self.route, schemas, use)
        return answer

    def _statuses(self) -> Iterator[int]:
        """Yield the problems that the layers around the handler answer with."""
        yield from _ALWAYS
        if self._guarded:
            yield from (401, 403)
        if any(each.location == "path" for each in self.route.parameters):
            yield 404
        if self.route.transactional:
            yield 409
        if self.route.reads:
            yield 413
        if self.route.takes is not None:
            yield from (413, 422) if self.route.takes.type is bytes else (400, 413, 415, 422)
        if any(_may_misfit(route) for route in self.route.parameters):
            yield 422
        for said in self._said:
            yield from said.problems


def _may_misfit(parameter: Any) -> bool:
    """Whether there are texts that this parameter refuses, or it may be missing."""
    required = parameter.required and parameter.location != "path"
    return required or parameter.payload.type not in {str, str | None}


def _shared(name: str, required: bool) -> dict[str, Any]:  # noqa: FBT001
    from isthmus.services.documents.headers import PARAMETERS

    if not required:
        return parameter(name)
    return {"name": name, "in": "header", "required": True, **PARAMETERS[name]}


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: header(name) for name in ("X-Request-ID", *names)}
