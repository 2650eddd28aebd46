"""The same request twice is one effect, with one answer.

options     what may be said: Idempotency
key         the header, and what makes a request the same one
claims      who works on a key, and the answer that is kept: in the store
taking      a request read whole, an answer held back
idempotent  the layer that puts them together
"""

from isthmus.services.layers.idempotency.idempotent import Idempotent
from isthmus.services.layers.idempotency.options import Idempotency

__all__ = ["Idempotency", "Idempotent"]
