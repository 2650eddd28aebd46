import pytest

from isthmus import ConfigError, HttpUrl, Url


@pytest.mark.parametrize(
    "text",
    [
        "https://pay.example/v1",
        "http://127.0.0.1:8601",
        "http://[::1]:8601/x?y=z",
        "postgresql://shop:pw@db/shop",
        "sqlite:///shop.db",
        "memory://",
    ],
)
def test_a_url_is_its_text(text: str):
    assert Url(text) == text
    assert str(Url(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has no scheme"),
        ("pay.example", "it has no scheme"),
        ("://pay.example", "it has no scheme"),
        ("https://pay.example /v1", "it has blanks"),
        ("https://pay.example\n", "it has blanks"),
        ("https://pay.example:port", "port could not be cast"),
        ("https://pay.example:70000", "port out of range"),
        ("https://[::1", "invalid ipv6 url"),
    ],
)
def test_what_is_none_is_refused(text: str, why: str):
    with pytest.raises(ConfigError, match=why):
        Url(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("htp://pay.example", "expected http:// or https://"),
        ("postgresql://db/shop", "expected http:// or https://"),
        ("https:///v1/", "it names no host"),
        ("https://", "it names no host"),
        ("https://?a=b", "it names no host"),
        ("http://:80", "it names no host"),
    ],
)
def test_one_of_the_web_has_its_scheme_and_a_host(text: str, why: str):
    with pytest.raises(ConfigError, match=why):
        HttpUrl(text)
    assert HttpUrl("HTTPS://pay.example") == "HTTPS://pay.example"


def test_its_repr_and_its_errors_show_no_password():
    url = Url("postgresql://shop:s3cret@db/shop?sslpassword=s3cret")
    assert repr(url) == "'postgresql://shop:***@db/shop?sslpassword=***'"
    assert "s3cret" not in repr([url])
    with pytest.raises(ConfigError) as refused:
        Url("postgresql://shop:s3cret@db:port/shop")
    assert "s3cret" not in str(refused.value)
