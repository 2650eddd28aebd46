"""What documents say of an App as a whole."""

from collections.abc import Sequence
from typing import Any, ClassVar

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.model import Declared, Model
from isthmus.services.documents.security import Security

__all__ = ["UNVERSIONED", "DeclaredAbout", "about", "about_in"]

UNVERSIONED = "0.0.0"
"""The version in the documents of an App that has not said one."""


class DeclaredAbout(Declared, frozen=True, kw_only=True):
    """What the documents of an App say of it; there is one at most."""

    kind: ClassVar[str] = "about"
    title: str = ""
    version: str = UNVERSIONED
    description: str = ""
    servers: Sequence[str] = ()
    security: Sequence[Security] = ()


def about(
    declared: Declarations,
    *,
    title: str = "",
    version: str = "",
    description: str = "",
    servers: Sequence[str] = (),
    security: Sequence[Security] = (),
) -> None:
    """Say it; `App.about` tells what each option means.

    Raises:
        ConfigError: It was said before, or two ways of saying who one is have one name.
    """
    names = [each.name for each in security]
    if len(set(names)) < len(names):
        raise ConfigError(f"security={names}: two have one name; give one another, by name=")
    if isinstance(servers, str):
        raise ConfigError(f"servers={servers!r}: expected a list of URLs, as [{servers!r}]")
    declared.declare(
        DeclaredAbout(
            name="documents",
            title=title,
            version=version or UNVERSIONED,
            description=description,
            servers=tuple(servers),
            security=tuple(security),
        )
    )


def about_in(model: Model, **words: Any) -> DeclaredAbout:
    """Return what the model says, but for those of `words` that say something."""
    import msgspec

    said = next(iter(model.of(DeclaredAbout)), DeclaredAbout(name="documents"))
    return msgspec.structs.replace(said, **{name: word for name, word in words.items() if word})
