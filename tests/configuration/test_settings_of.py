"""Settings of a program's own: where they are found, and what is said when they are not."""

import enum
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from isthmus import App, ConfigError, HttpUrl, Module, Secret, Url
from isthmus.settings import Env, Settings


class Database(msgspec.Struct, frozen=True):
    url: Url = Url("postgresql://shop:pw@db/shop")
    pool: Annotated[int, Meta(ge=1, le=100)] = 10


class Shop(msgspec.Struct, frozen=True):
    key: Secret
    payments: HttpUrl = HttpUrl("http://127.0.0.1:8601")
    provider: Literal["stripelike", "adyenlike"] = "stripelike"
    database: Database = Database()


class Plain(msgspec.Struct, frozen=True):
    pool: int = 10


@pytest.fixture
def app() -> App:
    return App("shop", engine="memory://")


def say(monkeypatch: pytest.MonkeyPatch, **variables: object) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


async def opened(app: App) -> None:
    async with app:
        pass


async def refused(app: App) -> list[str]:
    """Return what is said to be wrong, a line each."""
    with pytest.raises(ConfigError) as error:
        await opened(app)
    first, *lines = str(error.value).splitlines()
    assert first == "settings that cannot be used:"
    return [line.strip() for line in lines]


# -- where they are found ---------------------------------------------------------------------


async def test_a_variable_says_it(app: App, monkeypatch: pytest.MonkeyPatch):
    settings = app.settings_of(Shop)
    say(monkeypatch, SHOP_KEY="k1", SHOP_PROVIDER="adyenlike", SHOP_DATABASE__POOL="4")
    assert settings.key == Secret("k1")
    assert (settings.provider, settings.database.pool) == ("adyenlike", 4)
    assert settings.payments == "http://127.0.0.1:8601"


async def test_an_empty_variable_says_nothing(app: App, monkeypatch: pytest.MonkeyPatch):
    settings = app.settings_of(Plain)
    say(monkeypatch, SHOP_POOL="")
    assert settings.pool == 10


async def test_pyproject_says_what_the_environment_does_not(
    app: App, here: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = app.settings_of(Shop)
    (here / "pyproject.toml").write_text(
        "[tool.isthmus.shop]\nprovider = 'adyenlike'\n[tool.isthmus.shop.database]\npool = 3\n"
    )
    say(monkeypatch, SHOP_KEY="k1", SHOP_PROVIDER="stripelike")
    assert (settings.provider, settings.database.pool) == ("stripelike", 3)


async def test_a_variable_may_name_a_file(app: App, here: Path, monkeypatch: pytest.MonkeyPatch):
    settings = app.settings_of(Shop)
    (here / "key").write_text("k1\n")
    say(monkeypatch, SHOP_KEY_FILE=here / "key")
    assert settings.key.reveal() == "k1"


@pytest.mark.parametrize("name", ["shop_key", "SHOP_KEY"])
async def test_a_folder_holds_secrets_by_their_names(app: App, here: Path, name: str):
    settings = app.settings_of(Shop)
    (here / "secrets").mkdir()
    (here / "secrets" / name).write_text("k1\r\n")
    assert settings.key.reveal() == "k1"


async def test_a_folder_of_secrets_that_is_for_others_is_none(app: App, here: Path):
    settings = app.settings_of(Plain)
    (here / "secrets").write_text("no folder at all")
    assert settings.pool == 10


async def test_a_file_of_variables_is_read_if_it_is_named_and_stands_below_the_environment(
    app: App, here: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = app.settings_of(Shop)
    (here / ".env").write_text("SHOP_KEY=k1\nSHOP_PROVIDER=adyenlike\nISTHMUS_DRAIN=3\n")
    assert (await refused(app))[0].startswith("SHOP_KEY: missing")
    say(monkeypatch, ISTHMUS_ENV_FILE=".env", SHOP_PROVIDER="stripelike")
    assert (settings.key.reveal(), settings.provider) == ("k1", "stripelike")
    assert app.settings.drain == 3


async def test_a_platform_may_have_named_the_variable(app: App, monkeypatch: pytest.MonkeyPatch):
    class Given(msgspec.Struct, frozen=True):
        url: Annotated[Url, Env("DATABASE_URL")]

    settings = app.settings_of(Given)
    say(monkeypatch, DATABASE_URL="postgresql://db/shop")
    assert settings.url == "postgresql://db/shop"


async def test_the_prefix_is_the_name_of_the_app_or_another(monkeypatch: pytest.MonkeyPatch):
    app = App("my-shop", engine="memory://")
    first, second = app.settings_of(Plain), app.settings_of(Database, prefix="DB_")
    say(monkeypatch, MY_SHOP_POOL="3", DB_POOL="4")
    assert (first.pool, second.pool) == (3, 4)


async def test_a_module_has_its_own(app: App, here: Path, monkeypatch: pytest.MonkeyPatch):
    billing = Module("billing")
    settings = billing.settings_of(Plain)
    app.include(billing)
    (here / "pyproject.toml").write_text("[tool.isthmus.billing]\npool = 3\n")
    async with app:
        assert settings.pool == 3
    say(monkeypatch, BILLING_POOL="4")
    async with app:
        assert settings.pool == 4


# -- what they become -------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Many(msgspec.Struct, frozen=True):
    ratio: float = 0.5
    on: bool = False
    hosts: list[str] = []
    ports: tuple[int, ...] = ()
    keys: list[Secret] = []
    limits: dict[str, int] = {}
    path: Path = Path("/tmp")
    colour: Colour = Colour.RED
    wait: timedelta = timedelta(seconds=1)
    maybe: int | None = None
    webhook: Secret | None = None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ratio", "0.25", 0.25),
        ("on", "true", True),
        ("on", "0", False),
        ("hosts", "a, b,c", ["a", "b", "c"]),
        ("hosts", '["a,b"]', ["a,b"]),
        ("hosts", "a", ["a"]),
        ("ports", "1,2", (1, 2)),
        ("keys", "k1,k2", [Secret("k1"), Secret("k2")]),
        ("limits", '{"a": 1}', {"a": 1}),
        ("path", "/var/shop", Path("/var/shop")),
        ("colour", "red", Colour.RED),
        ("wait", "PT3S", timedelta(seconds=3)),
        ("maybe", "3", 3),
        ("webhook", "w1", Secret("w1")),
    ],
)
async def test_text_becomes_what_is_asked_for(
    app: App, monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any
):
    settings = app.settings_of(Many)
    say(monkeypatch, **{f"SHOP_{name.upper()}": text})
    assert getattr(settings, name) == value


async def test_a_default_that_is_text_becomes_what_is_asked_for(app: App):
    class Told(msgspec.Struct, frozen=True):
        url: HttpUrl = "http://127.0.0.1:8601"  # pyright: ignore[reportAssignmentType]
        wrong: HttpUrl = "nowhere"  # pyright: ignore[reportAssignmentType]
        name: str = "x"

    settings = app.settings_of(Told)
    assert type(settings.url) is HttpUrl
    assert (settings.wrong, settings.name) == ("nowhere", "x")


def test_what_makes_no_sense_is_refused_where_it_is_declared(app: App):
    class Odd(msgspec.Struct, frozen=True):
        key: Annotated[Secret, Meta(ge=1)]

    with pytest.raises(
        ConfigError, match=r"Odd.key cannot be read: Can only set `ge` on a numeric"
    ):
        app.settings_of(Odd)


async def test_dataclasses_are_settings_too(app: App, monkeypatch: pytest.MonkeyPatch):
    @dataclass(frozen=True)
    class Inner:
        pool: int = 10

    @dataclass(frozen=True)
    class Data:
        key: Secret
        inner: Inner = Inner()

    settings = app.settings_of(Data)
    say(monkeypatch, SHOP_KEY="k1", SHOP_INNER__POOL="3")
    assert (settings.key, settings.inner.pool) == (Secret("k1"), 3)


async def test_handlers_are_given_the_very_settings(app: App, monkeypatch: pytest.MonkeyPatch):
    settings, seen = app.settings_of(Plain), list[Plain]()
    queue = app.queue("q", str)

    @queue.handler()
    async def handle(_: str, given: Plain) -> None:
        seen.append(given)

    say(monkeypatch, SHOP_POOL="3")
    async with app.test() as t:
        await queue.send("x")
        await t.settle()
    assert seen == [Plain(3)]
    assert type(seen[0]) is Plain
    assert settings == seen[0]


async def test_a_global_behaves_like_the_settings(app: App, monkeypatch: pytest.MonkeyPatch):
    settings = app.settings_of(Plain)
    say(monkeypatch, SHOP_POOL="3")
    assert isinstance(settings, Plain)
    assert repr(settings) == "Plain(pool=3)"
    assert hash(settings) == hash(Plain(3))
    with pytest.raises(AttributeError, match="immutable"):
        settings.pool = 4  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="'Plain' object has no attribute 'poll'"):
        settings.poll  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_global_is_read_when_it_is_first_looked_at_and_again_when_the_app_opens(
    app: App, monkeypatch: pytest.MonkeyPatch
):
    settings = app.settings_of(Plain)
    say(monkeypatch, SHOP_POOL="3")
    assert settings.pool == 3
    say(monkeypatch, SHOP_POOL="4")
    assert settings.pool == 3
    async with app:
        assert settings.pool == 4


async def test_what_is_looked_at_early_does_not_mind_what_is_declared_later(app: App, here: Path):
    (here / "pyproject.toml").write_text("[tool.isthmus.shop]\npool = 3\nlater = 4\n")

    class Later(msgspec.Struct, frozen=True):
        later: int

    assert app.settings_of(Plain).pool == 3
    assert app.settings_of(Later).later == 4
    await opened(app)


async def test_a_test_gives_its_own(app: App):
    settings = app.settings_of(Shop)
    async with app.test(settings=[Shop(Secret("k1"))]) as t:
        assert settings.key.reveal() == "k1"
        assert t.host.resources[Shop] == Shop(Secret("k1"))
    with pytest.raises(ConfigError, match="SHOP_KEY: missing"):
        settings.key
    with pytest.raises(ConfigError, match="Plain is no class of settings here; there are: Shop"):
        async with app.test(settings=[Plain()]):
            pass


# -- what is wrong ----------------------------------------------------------------------------


async def test_every_fault_is_listed_at_once_before_anything_is_opened(
    app: App, here: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = app.settings_of(Shop)
    opened = list[str]()

    @app.resource
    def pool() -> list[str]:
        opened.append("pool")
        return opened

    (here / "pyproject.toml").write_text(
        "[tool.isthmus]\ndrian = 3\n[tool.isthmus.shop]\nprovidre = 'x'\n"
        "[tool.isthmus.shop.database]\npool = 0\npoll = 1\n[tool.isthmus.shop.databse]\npool = 1\n"
    )
    say(
        monkeypatch, SHOP_PAYMENTS="htp://x", SHOP_PROVIDER="paypal", SHOP_KYE="k", ISTHMUS_PORT="x"
    )
    faults = await refused(app)
    told = "pyproject.toml: [tool.isthmus"
    assert faults == [
        f"{told}] drian: no such setting; there are {', '.join(Settings.__struct_fields__)}",
        f"{told}.shop] providre: no such setting; there are key, payments, provider, database",
        f"{told}.shop] databse: no such setting; database was meant?",
        f"{told}.shop.database] poll: no such setting; there are url, pool",
        "SHOP_KYE: no such setting; SHOP_KEY was meant?",
        "ISTHMUS_PORT = 'x': Expected `int`, got `str`",
        "SHOP_KEY: missing; set it, or SHOP_KEY_FILE to the path of a file",
        "SHOP_PAYMENTS = 'htp://x': 'htp://x' is no URL: expected http:// or https://",
        "SHOP_PROVIDER = 'paypal': Invalid enum value 'paypal'",
        f"{told}.shop.database] pool = 0: Expected `int` >= 1",
    ]
    assert opened == []
    with pytest.raises(ConfigError, match="SHOP_KEY: missing"):
        settings.provider


async def test_faults_of_an_app_and_of_its_modules_are_one_list(app: App):
    class Needed(msgspec.Struct, frozen=True):
        size: int

    billing = Module("billing")
    billing.settings_of(Needed)
    app.include(billing)
    app.settings_of(Shop)
    assert [fault.partition(":")[0] for fault in await refused(app)] == [
        "BILLING_SIZE",
        "SHOP_KEY",
    ]


async def test_tables_and_variables_of_others_are_no_faults(
    app: App, here: Path, monkeypatch: pytest.MonkeyPatch
):
    app.settings_of(Plain)
    (here / "pyproject.toml").write_text("[tool.isthmus.mobile]\nkey = 'x'\n")
    say(monkeypatch, SHOP_SOMETHING_ELSE="x", MOBILE_KEY="x")
    await opened(app)


async def test_a_secret_is_shown_by_no_fault(app: App, here: Path, monkeypatch):
    class Keys(msgspec.Struct, frozen=True):
        keys: dict[str, Secret]
        url: HttpUrl

    app.settings_of(Keys)
    say(monkeypatch, SHOP_KEYS="s3cret", SHOP_URL="ftp://shop:s3cret@pay.example")
    faults = await refused(app)
    assert len(faults) == 2
    assert "s3cret" not in str(faults)


async def test_a_secret_in_pyproject_is_a_fault(app: App, here: Path):
    app.settings_of(Shop)
    (here / "pyproject.toml").write_text("[tool.isthmus.shop]\nkey = 's3cret'\n")
    (fault,) = await refused(app)
    assert fault.startswith("pyproject.toml: [tool.isthmus.shop] key: a secret has no place in a ")
    assert "s3cret" not in fault


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "cannot be read: it is not UTF-8"),
        (b"x" * 65_537, "is larger than 65,536 bytes"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    app: App, here: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, why: str
):
    app.settings_of(Shop)
    if content is not None:
        (here / "key").write_bytes(content)
    say(monkeypatch, SHOP_KEY_FILE=here / "key")
    assert await refused(app) == [f"SHOP_KEY_FILE: {here / 'key'} {why}"]


async def test_a_value_and_a_file_of_it_contradict_each_other(app: App, monkeypatch):
    app.settings_of(Plain)
    say(monkeypatch, SHOP_POOL="3", SHOP_POOL_FILE="pool")
    assert await refused(app) == ["SHOP_POOL and SHOP_POOL_FILE are both set; keep one"]


async def test_what_the_class_checks_itself_is_a_fault(app: App, monkeypatch):
    class Ordered(msgspec.Struct, frozen=True):
        least: int = 1
        most: int = 2

        def __post_init__(self) -> None:
            if self.least > self.most:
                raise ValueError("least is above most")

    app.settings_of(Ordered)
    say(monkeypatch, SHOP_LEAST="3")
    assert await refused(app) == ["shop: least is above most"]


def test_settings_that_change_are_refused(app: App):
    class Changing(msgspec.Struct):
        pool: int = 10

    @dataclass
    class ChangingToo:
        pool: int = 10

    for kind in (Changing, ChangingToo, dict):
        with pytest.raises(ConfigError, match=f"make {kind.__name__} a msgspec.Struct with frozen"):
            app.settings_of(kind)


def test_settings_of_pydantic_are_a_resource(app: App):
    from pydantic import BaseModel

    class Model(BaseModel):
        pool: int = 10

    with pytest.raises(ConfigError, match=r"give it as a resource, `@app.resource`"):
        app.settings_of(Model)


@pytest.mark.parametrize("prefix", ["ISTHMUS_", "ISTHMUS_SHOP_"])
def test_the_prefix_of_isthmus_is_its_own(app: App, prefix: str):
    with pytest.raises(ConfigError, match="it is isthmus' own"):
        app.settings_of(Plain, prefix=prefix)


def test_a_class_is_declared_once(app: App):
    app.settings_of(Plain)
    with pytest.raises(ConfigError, match="settings 'Plain' is declared twice"):
        app.settings_of(Plain, prefix="OTHER_")


def test_the_model_names_them(app: App):
    app.settings_of(Shop)
    (record,) = app.describe()
    assert (record.kind, record.name) == ("settings", "Shop")
    assert msgspec.to_builtins(record)["variables"] == (
        "SHOP_KEY",
        "SHOP_PAYMENTS",
        "SHOP_PROVIDER",
        "SHOP_DATABASE__URL",
        "SHOP_DATABASE__POOL",
    )
