"""The version in the media type: application/vnd.shop.v2+json, or application/json; version=2.

Source: RFC 6838 (vendor trees, suffixes), RFC 9110 section 12.5.1 (Accept).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Scope

from isthmus.services.versioning.asked import Asked, Headers, header_of
from isthmus.services.versioning.reader import Reader
from isthmus.services.versioning.refusals import contradictory, unsupported
from isthmus.versions.names import Names

__all__ = ["MediaType"]

JSON, VENDOR, SUFFIX = "application/json", "application/vnd.", "+json"
_ACCEPT, _CONTENT_TYPE = b"accept", b"content-type"


class MediaType(Reader):
    """What `Accept` and `Content-Type` say: as a vendor's type, or as a parameter of JSON.

    A JSON answer is called what was asked for; the application behind reads of plain JSON.
    """

    def __init__(self, vendor: str = "", *, parameter: str = "version") -> None:
        """`vendor`: only types of this one, as "shop" for application/vnd.shop.v2+json; by
        default of any."""
        self.vendor, self.parameter = vendor.lower(), parameter.lower()

    def __repr__(self) -> str:
        return f"MediaType({self.vendor!r})" if self.vendor else "MediaType()"

    def read(self, scope: Scope, names: Names) -> Asked | None:
        accept, sent = header_of(scope, _ACCEPT), header_of(scope, _CONTENT_TYPE)
        wanted = self._accepted(accept, names) if accept else None
        given = self._sent(sent, names) if sent else None
        if wanted is None and given is None:
            return None
        if wanted and given and wanted.version != given:
            both = {"Accept": wanted.version, "Content-Type": given}
            raise contradictory(both, names.all)
        headers = self._plain(scope["headers"], names, given=given is not None)
        if wanted is None:
            return Asked(given or "", "Content-Type", headers=headers)
        return Asked(wanted.version, "Accept", headers=headers, media_type=wanted.kind)

    @property
    def headers(self) -> tuple[str, ...]:
        return ("accept",)

    def told(self, names: Names) -> str:
        return f"the header 'accept: {VENDOR}{self.vendor or 'name'}.{names.head}{SUFFIX}'"

    def _accepted(self, accept: str, names: Names) -> "_Wanted | None":
        """Return the version that is liked best of those that there are."""
        ranges = sorted(_ranges(accept), key=lambda each: -each.quality)
        asked = [(each, text) for each in ranges if (text := self._version(each, names))]
        for each, text in asked:
            if (version := names.find(text)) is not None and each.quality > 0:
                return _Wanted(version, each.told)
        if asked and not any(each.takes_json for each in ranges if each.quality > 0):
            raise unsupported(406, asked[0][1], names.all)
        return None

    def _sent(self, content_type: str, names: Names) -> str | None:
        ranges = _ranges(content_type)
        if not ranges or not (text := self._version(ranges[0], names)):
            return None
        if (version := names.find(text)) is None:
            raise unsupported(415, text, names.all)
        return version

    def _version(self, each: "_Range", names: Names) -> str:
        """Return the text that stands for a version in a media type; "" if there is none."""
        if each.kind.startswith(VENDOR) and each.kind.endswith(SUFFIX):
            vendor, _, text = self._parted(each.kind[len(VENDOR) : -len(SUFFIX)])
            ours = not self.vendor or vendor == self.vendor
            known = bool(text) and (names.find(text) is not None or names.resembles(text))
            return text if ours and known else ""
        return each.parameters.get(self.parameter, "") if each.is_json else ""

    def _parted(self, subtype: str) -> tuple[str, str, str]:
        """Split "shop.v2" behind the vendor, which may have dots itself."""
        if self.vendor and subtype.startswith(f"{self.vendor}."):
            return self.vendor, ".", subtype[len(self.vendor) + 1 :]
        return subtype.partition(".")

    def _plain(self, headers: Headers, names: Names, *, given: bool) -> Headers:
        """Return the headers as an application expects them that knows of no versions."""
        plain: list[tuple[bytes, bytes]] = []
        for name, value in headers:
            if name == _CONTENT_TYPE and given:
                plain.append((name, JSON.encode()))
            elif name == _ACCEPT:
                plain.append((name, self._plain_accept(value.decode("latin-1"), names)))
            else:
                plain.append((name, value))
        return plain

    def _plain_accept(self, accept: str, names: Names) -> bytes:
        said = [
            f"{JSON};q={each.quality:g}" if self._version(each, names) else each.whole
            for each in _ranges(accept)
        ]
        return ", ".join(said).encode("latin-1")


class _Wanted(NamedTuple):
    version: str
    kind: str


class _Range(NamedTuple):
    kind: str
    parameters: Mapping[str, str]
    quality: float
    whole: str

    @property
    def is_json(self) -> bool:
        return self.kind == JSON or (
            self.kind.startswith("application/") and self.kind.endswith(SUFFIX)
        )

    @property
    def takes_json(self) -> bool:
        """Whether plain JSON, of whatever version, would do."""
        return self.kind in {"*/*", "application/*"} or (
            self.kind == JSON and not self.parameters.keys() - {"charset"}
        )

    @property
    def told(self) -> str:
        """The media type of an answer to it."""
        return "; ".join([self.kind, *(f"{k}={v}" for k, v in self.parameters.items())])


def _ranges(accept: str) -> Sequence[_Range]:
    """Return what an Accept lists; what clients send mostly is read once."""
    return _read(accept) if len(accept) < 200 else _read.__wrapped__(accept)


@lru_cache(256)
def _read(accept: str) -> Sequence[_Range]:
    return [_range(each) for each in accept.split(",") if each.strip()]


def _range(text: str) -> _Range:
    kind, *rest = (part.strip() for part in text.split(";"))
    pairs = (part.partition("=") for part in rest if "=" in part)
    parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    return _Range(kind.lower(), parameters, _quality(parameters.pop("q", "1")), text.strip())


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
