"""API versions over HTTP: which one a request asks for, and a layer that speaks all of them.

asked       what a request asked for
reader      Uri, Header and MediaType, joined by |
uri, header, media_type     the places where a version is said
readers     all that one API goes by: what one request asked for, or what is wrong with it
refusals    the answers to who asked for what is not to be had
operations  which operation a request is for
etags       a tag for each version's representation
report      headers about versions: supported, deprecated, gone when
requests    bodies of an older version, checked and led up
answers     bodies for an older version, led down
ways        which of both is to be done, for each operation in each version
layer       Versioned, plain ASGI: around an App's routes and mounts, or any other application
doors       what stands behind `app.versions`
"""

from isthmus.services.versioning.declared import DeclaredVersions
from isthmus.services.versioning.doors import versions
from isthmus.services.versioning.facts import DeprecatedVersionCalled
from isthmus.services.versioning.layer import Versioned
from isthmus.services.versioning.media_type import MediaType
from isthmus.services.versioning.uri import Uri

__all__ = [
    "DeclaredVersions",
    "DeprecatedVersionCalled",
    "MediaType",
    "Uri",
    "Versioned",
    "versions",
]
