"""The AsyncAPI 3 document of the queues, topics and streams that an App declares.

Source: AsyncAPI Specification 3.0.0, which tools read more widely than 3.1.
"""

from typing import Any
from urllib.parse import urlsplit

import msgspec

from isthmus.handling.model import Model
from isthmus.services.documents.about import about_in
from isthmus.services.documents.channels import channels_of
from isthmus.services.documents.draft07 import as_draft_07
from isthmus.services.documents.messages import CLOUDEVENT, Messages
from isthmus.services.documents.schemas import AsOf, Schemas, as_it_is

__all__ = ["asyncapi"]


def asyncapi(
    model: Model,
    *,
    title: str = "",
    version: str = "",
    description: str = "",
    engine: str = "",
    as_of: AsOf = as_it_is,
) -> dict[str, Any]:
    """Return the document as JSON values.

    What is not given is what `app.about` said. `engine` is the URL of what carries the
    messages, and becomes a server, without user, password or options. `as_of` is asked which
    type to show in place of each, to tell of an older version.
    """
    known = about_in(model, title=title, version=version, description=description)
    channels = list(channels_of(model))
    answers = [each.replies for each in channels if each.replies is not None]
    messages = Messages([*(each.carried for each in channels), *answers])
    schemas = Schemas(messages.uses(), as_of=as_of)
    info = {"title": known.title or "API", "version": known.version}
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {**info, "description": known.description} if known.description else info,
        "defaultContentType": "application/json",
    }
    if server := _server(engine):
        document["servers"] = {"engine": server}
    document["channels"] = dict(one for each in channels for one in each.documents(messages))
    document["operations"] = dict(one for each in channels for one in each.operations(messages))
    document["components"] = {
        "messages": messages.document(schemas),
        "messageTraits": {"CloudEvent": dict(CLOUDEVENT)},
        "schemas": {name: as_draft_07(each) for name, each in schemas.components.items()},
    }
    return msgspec.json.decode(msgspec.json.encode(document))  # no tuples, no enums: JSON


def _server(engine: str) -> dict[str, Any]:
    """Return the Server Object of an engine's URL, and nothing secret of it."""
    try:
        scheme, place, path, *_ = urlsplit(engine)
    except ValueError:
        return {}
    if not scheme:
        return {}
    server = {"host": place.rpartition("@")[2] or "localhost", "protocol": scheme}
    return {**server, "pathname": path} if path else server
