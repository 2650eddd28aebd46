"""The other side of an HTTP client, for tests: made up (`FakeTransport`), or recorded once from
the real one and replayed (`Recorder`). Both are transports: `with payments.using(...)`, or
`Client(..., transport=...)`."""

from isthmus.testing.http.expected import Canned, Expected
from isthmus.testing.http.fake import FakeTransport, UnexpectedCallError
from isthmus.testing.http.received import Received
from isthmus.testing.http.recorder import Recorder, UnrecordedCallError

__all__ = [
    "Canned",
    "Expected",
    "FakeTransport",
    "Received",
    "Recorder",
    "UnexpectedCallError",
    "UnrecordedCallError",
]
