"""One contract for all implementations of an interface, real ones and the fake."""

import inspect
import re
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from isthmus.handling.declarations import Declarations
from isthmus.services.adapter import Adapter, living
from isthmus.testing.adapters.recorded import Recorded

__all__ = ["AdapterContract"]


class AdapterContract:
    """Subclass it, and write what the application relies on as tests: each is run with each
    implementation, so that the fake can't promise what the real ones don't keep.

        class TestPayments(AdapterContract):
            interface = Payments
            implementations = {
                "fake": FakePayments,
                "stripelike": Recorded(lambda: Stripelike(settings)),
            }

            async def test_a_charge_has_a_receipt(self, adapter: Payments) -> None: ...

    `adapter` is the implementation as callers get it: open, its errors translated.
    """

    interface: ClassVar[type[Any]]
    implementations: ClassVar[Mapping[str, Callable[[], Any] | Recorded]]
    """By name: a class or function that makes one, or Recorded."""
    raises: ClassVar[Collection[type[Exception]]] = ()
    """The application's own errors, as `app.adapter(raises=...)` has them; beside those that
    `translates` names."""
    cassettes: ClassVar[str] = "cassettes"
    """The folder of what is recorded, beside the test's file."""

    def __init_subclass__(cls, **words: Any) -> None:
        """Have async tests run, in every mode of pytest-asyncio."""
        super().__init_subclass__(**words)
        for name, value in list(vars(cls).items()):
            if name.startswith("test") and inspect.iscoroutinefunction(value):
                setattr(cls, name, pytest.mark.asyncio(value))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test with each implementation."""
        if "provider" in metafunc.fixturenames:
            metafunc.parametrize("provider", list(self.implementations))

    @pytest_asyncio.fixture
    async def adapter(self, provider: str, request: pytest.FixtureRequest) -> AsyncGenerator[Any]:
        """Give what callers hold."""
        made = Adapter(
            Declarations("contract"),
            self.interface,
            {},
            name=provider,
            use="",
            policy=None,
            raises=self.raises,
        )
        async with self._opened(provider, request) as implementation:
            with made.using(implementation):
                yield made.proxy

    def _opened(
        self, provider: str, request: pytest.FixtureRequest
    ) -> AbstractAsyncContextManager[Any]:
        make = self.implementations[provider]
        if not isinstance(make, Recorded):
            return living(make())
        test = request.node.originalname or request.node.name
        folder = Path(inspect.getfile(type(self))).parent / self.cassettes / provider
        return make.opened(folder, re.sub(r"\W+", "-", test))
