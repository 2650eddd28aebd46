"""What `Annotated` adds to a parameter, where its type alone does not say which part of the
request it is."""

import msgspec

__all__ = ["Body", "Cookie", "Form", "Query"]


class Query(msgspec.Struct, frozen=True):
    """`Annotated[str, Query("sort-by")]`: a parameter of the query, by another name."""

    name: str = ""


class Cookie(msgspec.Struct, frozen=True):
    """`Annotated[str, Cookie("session")]`: a cookie; without a name, of the parameter's."""

    name: str = ""


class Body(msgspec.Struct, frozen=True):
    """`Annotated[list[str], Body()]`: the body, where the type alone would be of the query."""


class Form(msgspec.Struct, frozen=True):
    """`Annotated[Login, Form()]`: the body is a form, urlencoded or multipart, whose fields are
    those of the model; files are `Upload`s in it."""
