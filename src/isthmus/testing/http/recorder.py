"""The other side, recorded once and replayed: tests that are of the real API, and need none."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

from isthmus.errors import ConfigError
from isthmus.services.client.aiohttp_transport import AiohttpTransport
from isthmus.services.client.transport import Outgoing, Reply, Transport, Whole, headers_of
from isthmus.testing.http.cassette import (
    Answered,
    Asked,
    Cassette,
    Content,
    Played,
    content_of,
)
from isthmus.testing.http.received import Received, received
from isthmus.testing.http.scrubbing import Scrubbing

__all__ = ["Mode", "Recorder", "UnrecordedCallError"]

Mode = Literal["replay", "record", "auto"]

MOST = 64 << 20
"""Bytes of an answer that is recorded."""


class UnrecordedCallError(AssertionError):
    """A request came that the cassette has no answer to."""


class Recorder:
    """A transport that records calls of the real other side, and replays them.

        with payments.using(Recorder("cassettes/pay.json", mode="auto", scrub=["client_secret"])):
            ...

    A request is answered by what was recorded for the same method, path, query and body,
    whatever its host and headers. The same request, recorded several times, is answered in that
    order, and no more often.

    Headers that carry secrets are written as ***; so is each field of a JSON or form body, query
    parameter or header that is named in `scrub`. Those are then not compared: name there what
    differs from run to run, too.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        mode: Mode = "replay",
        transport: Transport | None = None,
        scrub: Collection[str] = (),
    ) -> None:
        """
        Args:
            path: The cassette, a JSON file.
            mode: "replay": only from the cassette. "record": all from the other side; what was
                in the cassette is forgotten. "auto": from the cassette, and from the other side
                what it lacks. Default "replay".
            transport: The way to the other side. Default: aiohttp.
            scrub: Names of fields, parameters and headers. Default: none beyond the usual headers.

        Raises:
            ConfigError: The mode is unknown, the file is no cassette, or is not there to replay.
        """
        if mode not in get_args(Mode):
            raise ConfigError(f"Recorder(mode={mode!r}): expected {', '.join(get_args(Mode))}")
        self._path, self._mode = Path(path), mode
        if mode == "replay" and not self._path.exists():
            raise ConfigError(
                f"there is no cassette {path}: record it once, by Recorder(..., mode='record'), "
                "or where a contract is tested by ISTHMUS_CASSETTES=record"
            )
        self._cassette = Cassette(self._path)
        if mode == "record":
            self._cassette.calls.clear()
        self._transport = transport
        self._scrubbing = Scrubbing(scrub)
        self._left = list(self._cassette.calls)

    async def send(self, request: Outgoing) -> Reply:
        """Raises UnrecordedCallError if it has to be in the cassette, and is not."""
        got = await received(request)
        asked = self._asked(got)
        if self._mode != "record":
            found = next((one for one in self._left if one.request.same(asked)), None)
            if found is not None:
                self._left.remove(found)
                return _replied(found.response)
            if self._mode == "replay":
                raise self._unrecorded(asked)
        return await self._recorded(request, got, asked)

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    @property
    def unplayed(self) -> list[str]:
        """What is in the cassette and was not asked for."""
        return [str(one.request) for one in self._left]

    async def _recorded(self, request: Outgoing, got: Received, asked: Asked) -> Reply:
        if self._transport is None:
            self._transport = AiohttpTransport()
        sent = Outgoing(
            method=request.method,
            url=request.url,
            headers=request.headers,
            body=got.body,
            connect=request.connect,
            repeatable=request.repeatable,
        )
        reply = await self._transport.send(sent)
        body = await reply.body.read(MOST)
        kind = reply.headers.get("content-type", "")
        answered = Answered(
            reply.status,
            self._scrubbing.headers(reply.headers),
            self._scrubbing.content(content_of(body, kind), kind),
        )
        self._cassette.add(Played(asked, answered))
        return Reply(reply.status, headers_of(_unpacked(reply)), Whole(body))

    def _asked(self, got: Received) -> Asked:
        kind = got.headers.get("content-type", "")
        return Asked(
            got.method,
            got.path,
            self._scrubbing.query(got.query),
            self._scrubbing.headers(got.headers),
            self._scrubbing.content(content_of(got.body, kind), kind),
        )

    def _unrecorded(self, asked: Asked) -> UnrecordedCallError:
        known = self._cassette.calls
        if times := sum(one.request.same(asked) for one in known):
            why = f"was recorded {times} time{'s' * (times > 1)}, and came once more"
        elif near := [one.request for one in known if _alike(one.request, asked)]:
            unlike = " and ".join(near[0].unlike(asked))
            why = (
                f"was recorded with another {unlike}: {_shown(near[0], unlike)}, and came with "
                f"{_shown(asked, unlike)}"
            )
        else:
            counted = Counter(str(one.request) for one in known)
            listed = ", ".join(f"{name} ({n})" for name, n in counted.items()) or "nothing"
            why = f"was not recorded; recorded is {listed}"
        return UnrecordedCallError(
            f"{self._path}: {asked} {why}. Record anew by mode='record', or what is missing by "
            "mode='auto'"
        )


def _alike(one: Asked, other: Asked) -> bool:
    return one.method == other.method and one.path == other.path


def _shown(asked: Asked, what: str) -> str:
    if "body" in what:
        return repr(_body(asked.body)[:500])
    return repr(dict(asked.query))


def _replied(answered: Answered) -> Reply:
    body = _body(answered.body)
    headers = {**answered.headers, "content-length": str(len(body))}
    return Reply(answered.status, headers_of(headers), Whole(body))


def _unpacked(reply: Reply) -> dict[str, str]:
    """Return the headers of an answer whose body was read, and so unpacked."""
    gone = {"content-encoding", "content-length", "transfer-encoding"}
    return {name: value for name, value in reply.headers.items() if name.lower() not in gone}


def _body(content: Content | None) -> bytes:
    return b"" if content is None else content.encoded()
