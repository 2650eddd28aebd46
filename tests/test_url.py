import pytest

from isthmus.url import redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///shop.db?durability=normal", "sqlite:///shop.db?durability=normal"),
        ("postgresql://shop:pw@db:5432/shop", "postgresql://shop:***@db:5432/shop"),
        ("redis://:pw@cache/0", "redis://:***@cache/0"),
        ("postgresql://shop:p@ss/w@db/shop", "postgresql://shop:***@db/shop"),
        ("amqp://shop:p[ss@mq", "amqp://shop:***@mq"),
        ("kafka://k:9092?sasl_password=pw&acks=all", "kafka://k:9092?sasl_password=***&acks=all"),
        ("nats://n:4222/a@b", "nats://n:4222/a@b"),
        ("https://h/?mail=a@b&TOKEN=t", "https://h/?mail=a@b&TOKEN=***"),
        ("not a url", "not a url"),
    ],
)
def test_what_is_secret_in_a_url_is_not_shown(url: str, shown: str):
    assert redacted(url) == shown
