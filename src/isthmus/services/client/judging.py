"""An answer that is not the one asked for becomes an error."""

from collections.abc import Mapping

from isthmus.services.client.errors import EXCERPT, AnswerError, error_for
from isthmus.services.client.reading import problem_in, text_of
from isthmus.services.client.transport import Reply

__all__ = ["MOST", "error_of"]

MOST = 1 << 16
"""Bytes of a body that are kept."""
SAID = 200
"""Characters of a body that the error's message repeats."""


def error_of(reply: Reply, body: bytes, *, client: str, operation: str) -> AnswerError:
    """Return the error that an answer is; `body` is as much of its body as was read."""
    problem, excerpt = problem_in(body, reply.headers), text_of(body, reply.headers)
    said = _said(reply, problem, excerpt)
    message = f"{client}: {operation} was answered {reply.status}"
    return error_for(reply.status)(
        f"{message}: {said}" if said else message,
        client=client,
        operation=operation,
        status=reply.status,
        headers=reply.headers,
        body=body[:MOST],
        problem=problem,
        excerpt=excerpt[:EXCERPT],
    )


def _said(reply: Reply, problem: Mapping[str, object], excerpt: str) -> str:
    if reply.status < 400 and (to := reply.headers.get("location")):
        return f"it is at {to!r}, where this client does not go by itself"
    said = problem.get("detail") or problem.get("title")
    return said if isinstance(said, str) else excerpt[:SAID].strip()
