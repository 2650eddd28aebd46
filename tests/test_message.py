import os

import pytest

from isthmus.message import TRACEPARENT, Message, new_id


def test_ids_are_never_made_twice_and_rise_within_a_process():
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert made == sorted(made)
    assert all(len(each) == 28 and int(each, 16) for each in made)


def test_a_forked_child_makes_ids_of_its_own():
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert theirs[:20] != new_id()[:20]


def test_a_message_gets_an_id_unless_it_brings_one():
    assert Message().id != Message().id
    assert Message(id="order-1").id == "order-1"


def test_a_message_is_frozen():
    with pytest.raises(AttributeError):
        Message().body = b"other"  # pyright: ignore[reportAttributeAccessIssue]


def test_messages_share_no_headers():
    assert Message().headers is not Message().headers


def test_headers_are_merged_into_a_copy():
    one = Message(headers={"a": "1", "b": "2"})
    other = one.with_headers({"b": "3"})
    assert other.headers == {"a": "1", "b": "3"}
    assert one.headers == {"a": "1", "b": "2"}
    assert other.id == one.id


def test_all_that_cloudevents_requires_is_always_there():
    attributes = Message(id="1").cloudevent()
    assert attributes == {
        "specversion": "1.0",
        "id": "1",
        "source": "/",
        "type": "message",
        "datacontenttype": "application/json",
    }


def test_attributes_go_by_the_names_of_cloudevents():
    message = Message(
        id="1",
        type="shop.order",
        source="shop",
        subject="order-1",
        time=1735689600.5,
        dataschema="schema:shop.order/1",
        key="customer-1",
        expires_at=1735689700.0,
        headers={TRACEPARENT: "00-1-2-01"},
    )
    assert message.cloudevent() == {
        "specversion": "1.0",
        "id": "1",
        "type": "shop.order",
        "source": "shop",
        "subject": "order-1",
        "time": "2025-01-01T00:00:00.500000Z",
        "dataschema": "schema:shop.order/1",
        "datacontenttype": "application/json",
        "partitionkey": "customer-1",
        "expirytime": "2025-01-01T00:01:40Z",
        "traceparent": "00-1-2-01",
    }


def test_a_header_does_not_pose_as_an_attribute():
    assert Message(id="1", headers={"id": "2", "type": "x"}).cloudevent()["id"] == "1"
    assert Message(id="1", headers={"id": "2", "type": "x"}).cloudevent()["type"] == "message"
