"""A client calls what is below its base URL, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ConfigError
from isthmus.services.client.address import Address, origin_of

BASE = "https://pay.example/v1"


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        (BASE, "/charges", f"{BASE}/charges"),
        (f"{BASE}/", "charges", f"{BASE}/charges"),
        ("https://pay.example", "/", "https://pay.example/"),
        ("https://pay.example", "", "https://pay.example/"),
        (BASE, "/a b/é%20", f"{BASE}/a%20b/%C3%A9%20"),
        (BASE, "/charges?limit=3", f"{BASE}/charges?limit=3"),
        (BASE, "/v1.0/..a/a..", f"{BASE}/v1.0/..a/a.."),
        (BASE, "/a\r\nb", f"{BASE}/a%0D%0Ab"),
        (BASE, "/a:b@c", f"{BASE}/a:b@c"),
        (BASE, "/go?to=https://x.example/../y", f"{BASE}/go?to=https://x.example/../y"),
    ],
)
def test_a_path_is_put_below_the_base(base: str, path: str, url: str) -> None:
    address = Address("pay", base)
    assert address.url(path) == url
    assert address.url(path) == url


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/x", "//evil.example/x", "http://pay.example/v1/x", "\\\\evil\\x",
        "/../admin", "/a/../../admin", "/..", "..", "/%2e%2e/admin", "/a/%2E./b", "/.", "/a/./b",
        "/a#b",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="pay: "):
        Address("pay", BASE).url(path)


def test_a_query_follows() -> None:
    address = Address("pay", BASE)
    assert address.url("/x", "a=1") == f"{BASE}/x?a=1"
    assert address.url("/x?b=2", "a=1") == f"{BASE}/x?b=2&a=1"


def test_what_is_named_in_the_path_is_quoted() -> None:
    address = Address("pay", BASE)
    assert address.url("/c/{id}/{n}", named={"id": "a/../b?c#d", "n": 7}) == (
        f"{BASE}/c/a%2F..%2Fb%3Fc%23d/7"
    )
    for wrong in ("", ".", ".."):
        with pytest.raises(ConfigError, match="id="):
            address.url("/c/{id}", named={"id": wrong})
    with pytest.raises(ConfigError, match=r"has \{id\}, but path_params= does not"):
        address.url("/c/{id}", named={})
    with pytest.raises(ConfigError, match=r"has \{id\}: give path_params=\{'id': \.\.\.\}"):
        address.url("/c/{id}")
    assert address.url("/c?like={id}") == f"{BASE}/c?like=%7Bid%7D"


@given(st.text(min_size=1).filter(lambda text: text not in {".", ".."}))
def test_nothing_that_is_named_leaves_its_place(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    url = Address("pay", BASE).url("/c/{id}/end", named={"id": text})
    assert url.startswith(f"{BASE}/c/")
    assert url.count("/") == f"{BASE}/c/x/end".count("/")
    assert not set(url) & set("?#\\ \r\n")


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("", "expected as"),
        ("pay.example", "expected as"),
        ("ftp://pay.example", "expected as"),
        ("https://", "expected as"),
        ("https://pay.example:99999", "Port out of range"),
        ("https://me:secret@pay.example", "holds credentials"),
        ("https://pay.example/?a=1", "query or fragment"),
        ("https://pay.example/#a", "query or fragment"),
    ],
)
def test_a_base_that_cannot_be_one_is_refused(base: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        Address("pay", base)
    assert "secret" not in str(caught.value)


def test_paths_are_remembered_and_not_without_end() -> None:
    address = Address("pay", BASE)
    urls = [address.url(f"/{n}") for n in range(3000)]
    assert urls[2999] == f"{BASE}/2999"
    assert len(address._known) == 1024


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin_of("https://pay.example/a") == origin_of("https://pay.example:443")
    assert origin_of("https://pay.example") != origin_of("http://pay.example")
    assert origin_of("http://pay.example:80") != origin_of("http://pay.example:81")
