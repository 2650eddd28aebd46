"""Who fits an interface is told where it is declared, with names and signatures."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any, Protocol

import msgspec
import pytest

from isthmus import App, ConfigError
from isthmus.services.adapter import Interface


class Charge(msgspec.Struct, frozen=True):
    amount: int


class CardCharge(Charge, frozen=True):
    card: str


class Payments(Protocol):
    async def charge(self, charge: Charge, *, key: str, note: str = "") -> Charge: ...

    def all(self, since: float) -> AsyncIterator[Charge]: ...


class Charging(Protocol):
    """The one method in which the ones below differ."""

    async def charge(self, charge: Charge, *, key: str, note: str = "") -> Charge: ...


def refusal(kind: type, interface: type = Charging) -> str:
    with pytest.raises(ConfigError) as refused:
        Interface(interface).refuse(kind)
    return str(refused.value)


def test_one_that_fits_is_taken_whatever_more_it_has():
    class Fits:
        async def charge(
            self, charge: Charge, *, key: str, note: str = "", more: int = 1
        ) -> Charge:
            return charge

        async def all(self, since: float) -> AsyncGenerator[Charge, None]:
            yield Charge(1)

        def close(self) -> None: ...

    Interface(Payments).refuse(Fits)


def test_it_may_take_more_than_is_given_and_give_less_than_is_asked():
    class Wide:
        async def charge(
            self, charge: Charge | int | None, *, key: str | int, note: str | None = None
        ) -> CardCharge: ...

    Interface(Charging).refuse(Wide)


def test_it_may_take_anything():
    class Anything:
        async def charge(self, *args: Any, **kwargs: Any) -> Any: ...

    class Untold:
        async def charge(self, charge, *, key, note=""): ...

    Interface(Charging).refuse(Anything)
    Interface(Charging).refuse(Untold)


def test_one_that_takes_by_place_alone_what_may_be_given_by_name_does_not_fit():
    class OnlyByPlace:
        async def charge(self, charge: Charge, /, *, key: str, note: str = "") -> Charge: ...

    assert "parameter 'charge' is missing" in refusal(OnlyByPlace)


def test_all_that_is_missing_is_named_with_its_signature():
    class Nothing: ...

    of = f"{Charge.__module__}.Charge"
    first, charge, every = refusal(Nothing, Payments).splitlines()
    assert first == "Nothing is no Payments:"
    assert charge == f"  charge(self, charge: {of}, *, key: str, note: str = '') -> {of} is missing"
    assert every == f"  all(self, since: float) -> collections.abc.AsyncIterator[{of}] is missing"


def test_a_method_that_is_only_inherited_and_empty_is_missing():
    class Inherits(Payments): ...

    assert "charge(self" in refusal(Inherits, Payments)
    assert "all(self" in refusal(Inherits, Payments)


def test_a_method_of_the_interface_that_does_something_may_be_inherited():
    class Greeting(Protocol):
        def hello(self) -> str:
            """Say it."""
            return "hello"

        def bye(self) -> str:
            """Say it."""
            ...

    class Polite(Greeting):
        def bye(self) -> str:
            return "bye"

    Interface(Greeting).refuse(Polite)


def test_abstract_classes_are_interfaces_too():
    class Store(ABC):
        @abstractmethod
        def put(self, key: str) -> None: ...

        @abstractmethod
        def get(self, key: str) -> str:
            return ""

    class Half(Store):
        def put(self, key: str) -> None: ...

    assert refusal(Half, Store).splitlines()[1:] == ["  get(self, key: str) -> str is missing"]


def async_charge(source: str) -> type:
    """Return a class with that method."""
    namespace: dict[str, Any] = {"Charge": Charge, "CardCharge": CardCharge, "Any": Any}
    exec(f"{source}: ...", namespace)
    return type("Odd", (), {"charge": namespace["charge"]})


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("def charge(self, charge, *, key, note='')", "it has to be async def"),
        ("async def charge(self, *, key, note='')", "parameter 'charge' is missing"),
        ("async def charge(self, charg, *, key, note='')", "parameter 'charge' is missing"),
        ("async def charge(self, charge, *, note='')", "parameter 'key' is missing"),
        ("async def charge(self, key, charge, note='')", "parameter 'charge' is missing"),
        ("async def charge(self, *, charge, key, note='')", "parameter 'charge' is missing"),
        ("async def charge(self, charge, *, key, note)", "parameter 'note' has no default"),
        (
            "async def charge(self, charge, *, key, merchant, note='')",
            "parameter 'merchant' has to be given, and nobody gives it",
        ),
        (
            "async def charge(self, charge: CardCharge, *, key, note='')",
            "'charge' is CardCharge, and Charge is given",
        ),
        ("async def charge(self, charge, *, key: int, note='')", "'key' is int, and str is given"),
        (
            "async def charge(self, charge, *, key, note='') -> str",
            "it gives str, and not Charge",
        ),
        (
            "async def charge(self, charge, *, key, note='') -> Charge | None",
            "it gives Charge | None, and not Charge",
        ),
    ],
)
def test_what_does_not_fit_is_told(written: str, why: str):
    (line,) = refusal(async_charge(written)).splitlines()[1:]
    assert line.strip().startswith("charge(self")
    assert line.endswith(f"does not fit charge{_shown()}: {why}")


def _shown() -> str:
    name = f"{Charge.__module__}.Charge"
    return f"(self, charge: {name}, *, key: str, note: str = '') -> {name}"


@pytest.mark.parametrize(
    ("written", "fits"),
    [
        ("int", True),
        ("float", True),
        ("str", False),
        ("int | str", False),
        ("Any", True),
    ],
)
def test_a_number_that_is_whole_is_one(written: str, fits: bool):
    class Rate(Protocol):
        def rate(self) -> float: ...

    namespace: dict[str, Any] = {"Any": Any}
    exec(f"def rate(self) -> {written}: ...", namespace)
    kind = type("Odd", (), {"rate": namespace["rate"]})
    if fits:
        Interface(Rate).refuse(kind)
    else:
        assert "and not float" in refusal(kind, Rate)


def test_generics_fit_by_their_parts():
    class Listing(Protocol):
        def all(self) -> Sequence[Charge]: ...

        def each(self) -> Iterator[int]: ...

    class Fits:
        def all(self) -> list[CardCharge]: ...

        def each(self) -> Iterator[int]: ...

    class Odd:
        def all(self) -> list[str]: ...

        def each(self) -> Sequence[int]: ...

    Interface(Listing).refuse(Fits)
    told = refusal(Odd, Listing)
    assert "it gives list[str], and not Sequence[Charge]" in told
    assert "it gives Sequence[int], and not Iterator[int]" in told


def test_what_is_no_method_does_not_fit():
    class Odd:
        charge = 7

    class Static:
        @staticmethod
        async def charge(charge: Charge, *, key: str, note: str = "") -> Charge: ...

    assert "charge = 7 does not fit" in refusal(Odd)
    assert "it is no method" in refusal(Static)


def test_a_method_whose_name_is_almost_one_of_the_interface_is_mistyped():
    class Mistyped:
        async def charge(self, charge: Charge, *, key: str, note: str = "") -> Charge: ...

        async def chrage(self, charge: Charge, *, key: str, note: str = "") -> Charge: ...

    assert refusal(Mistyped).endswith("\n  chrage: no method of Charging; charge was meant?")


def test_an_interface_has_methods():
    class Empty(Protocol): ...

    with pytest.raises(ConfigError, match=r"adapter\(Empty\): it has no methods"):
        Interface(Empty)
    with pytest.raises(ConfigError, match="expected a class"):
        Interface(7)  # pyright: ignore[reportArgumentType]


def test_it_is_refused_where_it_is_declared():
    class Nothing: ...

    async def making() -> AsyncIterator[Nothing]:
        yield Nothing()

    app = App("shop")
    with pytest.raises(ConfigError, match="Nothing is no Payments"):
        app.adapter(Payments, {"nothing": Nothing})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="Nothing is no Payments"):
        app.adapter(Payments, {"nothing": making})  # pyright: ignore[reportArgumentType]
    assert list(app.describe()) == []
