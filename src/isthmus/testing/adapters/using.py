"""Another implementation, for as long as a test lasts."""

from contextlib import AbstractContextManager

from isthmus.services.adapter import adapter_behind

__all__ = ["using"]


def using(adapter: object, implementation: object) -> AbstractContextManager[None]:
    """Have `implementation` fulfil an adapter meanwhile, whether the App is open or not:

        with using(payments, FakePayments()):
            await payments.charge(...)

    It is neither opened nor closed. For a whole App: `app.test(adapters={Payments: fake})`.

    Raises:
        ConfigError: It does not fit the interface, or `adapter` is not what app.adapter returned.
    """
    return adapter_behind(adapter).using(implementation)
