"""The other side, made up: a transport that answers as a test says."""

from urllib.parse import urlsplit

from isthmus.services.client.transport import Outgoing, Reply
from isthmus.testing.http.expected import Expected
from isthmus.testing.http.received import Received, received

__all__ = ["FakeTransport", "UnexpectedCallError"]


class UnexpectedCallError(AssertionError):
    """A request came that the test does not expect."""


class FakeTransport:
    """Answers what is expected, records what came, and fails on all else.

    fake = FakeTransport()
    fake.on("POST", "/charges").answer(Receipt("r1"), status=201)

    with payments.using(fake):
        await order(...)
    assert fake.calls[0].json(Charge).total == 100
    """

    def __init__(self, base_url: str = "") -> None:
        """`base_url`: what the expected paths are below, as "https://pay.example/v1"; default:
        they are all of a URL's path, whatever its host."""
        parts = urlsplit(base_url)
        self._host, self._below = parts.netloc, parts.path.rstrip("/")
        self._expected: list[Expected] = []
        self.calls: list[Received] = []
        """The requests that came, unexpected ones too, oldest first."""

    def on(self, method: str, path: str, *, times: int | None = None) -> Expected:
        """Expect a request; `path` as "/charges/{id}", without a query. Say what it is answered:
        `.answer(...)`, `.fail(...)`, `.by(...)`; an empty 204 if nothing is said.

        Of several that fit, the first stands that was not met `times` times (None: always).
        """
        expected = Expected(method, path, times=times)
        self._expected.append(expected)
        return expected

    @property
    def unmet(self) -> list[Expected]:
        """What was expected, and never came, or not as often as `times` says."""
        return [one for one in self._expected if one.calls < (one.times or 1)]

    def verify(self) -> None:
        """Raises AssertionError if something that was expected did not come."""
        if self.unmet:
            missing = ", ".join(map(repr, self.unmet))
            raise AssertionError(f"expected, and did not come: {missing}; {self._came()}")

    async def send(self, request: Outgoing) -> Reply:
        """Raises UnexpectedCallError if nothing of the kind is expected."""
        got = await received(request)
        self.calls.append(got)
        path = self._path(got)
        for expected in self._expected:
            met = None if path is None else expected.meets(got, path)
            if met is not None:
                self.calls[-1] = met
                return await expected.reply(met)
        came = f"{got.method} {got.url.partition('?')[0]}"
        known = ", ".join(map(repr, self._expected)) or "nothing"
        raise UnexpectedCallError(f"{came} came, and is not expected; expected is: {known}")

    async def aclose(self) -> None:
        """Nothing is open."""

    def _path(self, got: Received) -> str | None:
        """Return the path below the base; None if it is not."""
        if self._host and urlsplit(got.url).netloc != self._host:
            return None
        if not self._below:
            return got.path
        if not got.path.startswith(f"{self._below}/"):
            return None
        return got.path.removeprefix(self._below)

    def _came(self) -> str:
        came = ", ".join(f"{one.method} {one.path}" for one in self.calls)
        return f"came: {came}" if came else "nothing came"
