"""All that an App serves over gRPC, modules included; filled while it opens."""

from collections.abc import Sequence

from isthmus.services.rpc.contract.contract import Contract
from isthmus.services.rpc.contract.descriptors import File
from isthmus.services.rpc.contract.merging import merged
from isthmus.services.rpc.serving.endpoint import Endpoint

__all__ = ["Site"]


class Site:
    """The services of one App."""

    def __init__(self) -> None:
        self._services: dict[str, tuple[Contract, Sequence[Endpoint]]] = {}

    def add(self, contract: Contract, endpoints: Sequence[Endpoint]) -> None:
        self._services[contract.name] = (contract, endpoints)

    @property
    def names(self) -> Sequence[str]:
        return list(self._services)

    def services(self) -> Sequence[tuple[str, Sequence[Endpoint]]]:
        """Return the endpoints of each service, by its name."""
        return [(name, endpoints) for name, (_, endpoints) in self._services.items()]

    def files(self) -> Sequence[File]:
        """Return what defines them all: a file for each package.

        Raises:
            ConfigError: Two services of one package have different messages of one name.
        """
        return merged([contract.files for contract, _ in self._services.values()])
