"""The other side of an HTTP client, for tests: made up (`FakeTransport`), or recorded once from
the real one and replayed (`Recorder`)."""

from isthmus.testing.http.expected import Canned, Expected
from isthmus.testing.http.fake import FakeTransport, UnexpectedCallError
from isthmus.testing.http.received import Received

__all__ = ["Canned", "Expected", "FakeTransport", "Received", "UnexpectedCallError"]
