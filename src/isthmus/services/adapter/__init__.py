"""External providers behind an interface of the application's own.

interface, fitting       what is asked for; who fits it
choice                   which implementation, by configuration, and its settings
adapter, living          the one that is open, and its clients
proxy, call              what callers hold; what is around each method
translates, translation  the provider's errors become the application's (code, errors)
"""

from isthmus.services.adapter.adapter import Adapter, adapter_behind
from isthmus.services.adapter.code import code_of
from isthmus.services.adapter.declared import DeclaredAdapter
from isthmus.services.adapter.door import adapter, adapter_of
from isthmus.services.adapter.errors import ProviderError, ProviderUnavailableError
from isthmus.services.adapter.facts import AdapterCalled
from isthmus.services.adapter.interface import Interface
from isthmus.services.adapter.living import clients_of, living
from isthmus.services.adapter.translates import translates

__all__ = [
    "Adapter",
    "AdapterCalled",
    "DeclaredAdapter",
    "Interface",
    "ProviderError",
    "ProviderUnavailableError",
    "adapter",
    "adapter_behind",
    "adapter_of",
    "clients_of",
    "code_of",
    "living",
    "translates",
]
