import copy
import json
import logging
import pickle
from dataclasses import dataclass

import msgspec
import pytest

from isthmus import ConfigError, Secret

TEXT = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


class Held(msgspec.Struct, frozen=True):
    key: Secret


@dataclass
class HeldToo:
    key: Secret


def test_reveal_alone_gives_the_text():
    assert Secret(TEXT).reveal() == TEXT


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret:>40}",
        lambda secret: f"{secret!r}",
        lambda secret: "%s and %r" % (secret, secret),  # noqa: UP031
        lambda secret: repr([secret, {"key": secret}]),
        lambda secret: repr(Held(secret)),
        lambda secret: repr(HeldToo(secret)),
        lambda secret: str(ValueError(secret)),
        lambda secret: msgspec.json.encode(Held(secret), enc_hook=str).decode(),
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: str(dir(secret)),
    ],
)
def test_nothing_else_shows_it(show):
    shown = show(Secret(TEXT))
    assert TEXT not in shown
    assert TEXT[:8] not in shown


def test_a_log_line_does_not_show_it(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("the key is %s, %r", Secret(TEXT), {"key": Secret(TEXT)})
    assert "the key is ***" in caplog.text
    assert TEXT not in caplog.text


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, pickle.dumps])
def test_what_would_carry_it_away_refuses_it(encode):
    with pytest.raises(TypeError):
        encode(Secret(TEXT))


def test_two_are_equal_if_their_texts_are():
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret(TEXT[:-1])
    assert Secret("schlüssel") != Secret("schlussel")
    assert len({Secret(TEXT), Secret(TEXT), Secret("x")}) == 2


def test_no_text_is_equal_to_it_so_that_none_is_compared_slowly():
    assert Secret(TEXT) != TEXT
    assert Secret(TEXT) != TEXT


def test_a_copy_is_the_same():
    secret = Secret(TEXT)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret


def test_an_empty_one_is_refused_as_it_guards_nothing():
    with pytest.raises(ConfigError, match="a secret is empty"):
        Secret("")
    with pytest.raises(ConfigError, match="expected text, got int"):
        Secret(7)  # pyright: ignore[reportArgumentType]
