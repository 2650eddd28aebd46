"""What the log says of a policy."""

from isthmus.resilience import CallRejected, CallRetried


def test_spans_are_told_to_a_thousandth() -> None:
    retried = CallRetried(policy="pay", call="POST", attempt=1, delay=0.0662838, error="OSError")
    assert str(retried) == "pay: CallRetried call='POST' attempt=1 delay=0.066 error='OSError'"
    refused = CallRejected(policy="pay", call="POST", by="bulkhead", retry_after=None)
    assert str(refused) == "pay: CallRejected call='POST' by='bulkhead' retry_after=None"
