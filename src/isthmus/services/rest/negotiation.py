"""Which of a route's formats a body has, and which an answer gets."""

from collections.abc import Sequence

from isthmus.services.problem import Problem
from isthmus.services.rest.formats import JSON, Accepted, Format, accepted

__all__ = ["Negotiation"]

REMEMBERED = 128
"""Accept headers whose outcome is kept; clients send few different ones."""


class Negotiation:
    """Content negotiation of one route. Of what is accepted alike, the first format is chosen."""

    def __init__(self, formats: Sequence[Format], *, strict: bool = True) -> None:
        """`strict`: whether an answer in none of the formats is a 406; else it gets the first."""
        self.formats, self._strict = formats, strict
        self.varies = len(formats) > 1
        """Whether answers depend on the Accept header."""
        self._by_name = {
            name: each for each in formats for name in (each.media_type, *each.aliases)
        }
        self._outcomes: dict[bytes, Format] = {b"*/*": formats[0]}

    def of_body(self, content_type: bytes) -> Format:
        """Return the format of a body.

        Raises:
            Problem: 415 that lists what is read here.
        """
        kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
        if kind in self._by_name:
            return self._by_name[kind]
        if kind.startswith("application/") and kind.endswith("+json") and self._reads_json:
            return JSON
        raise Problem(
            415,
            f"the body is {kind or 'of no media type'}; send {self._listed}, and say so in the "
            f"header 'content-type: {self.formats[0].media_type}'",
            headers={"Accept": self._listed},
            supported=self._names,
        )

    def of_answer(self, accept: bytes) -> Format:
        """Return the format that fits an Accept header best.

        Raises:
            Problem: 406 that lists what there is.
        """
        if (known := self._outcomes.get(accept)) is not None:
            return known
        chosen = self._best(accepted(accept.decode("latin-1")))
        if chosen is None and self._strict:
            raise Problem(406, f"there is {self._listed} here", supported=self._names)
        outcome = chosen or self.formats[0]
        if len(self._outcomes) < REMEMBERED:
            self._outcomes[accept] = outcome
        return outcome

    def _best(self, ranges: Sequence[Accepted]) -> Format | None:
        if not ranges:
            return self.formats[0]
        best = max(self.formats, key=lambda each: _quality(each, ranges))
        return best if _quality(best, ranges) > 0 else None

    @property
    def _reads_json(self) -> bool:
        return JSON.media_type in self._by_name

    @property
    def _names(self) -> Sequence[str]:
        return [each.media_type for each in self.formats]

    @property
    def _listed(self) -> str:
        return ", ".join(self._names)


def _quality(format_: Format, ranges: Sequence[Accepted]) -> float:
    """Return how much it is wanted: what names it most exactly decides."""
    names = (format_.media_type, *format_.aliases)
    exact, quality = 0, 0.0
    for each in ranges:
        covers = max(map(each.covers, names))
        if covers > exact:
            exact, quality = covers, each.quality
    return quality
