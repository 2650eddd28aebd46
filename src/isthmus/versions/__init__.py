"""The version table of an API: what each version changed, and the ways between them.

names       the versions, newest first; which of them a text asks for
version     one of them, as a handler sees it
change      what one version changed of one type or operation, written by the user
lineages    which class a type was at which version
fields      what a model has inside
past        the types of an older version, made of today's and of what is known of old
walk        where, in a document, the objects lie that a version changed
migration   the way of a document between an old version and the newest
deprecation what ends, and when
upcasting   the same steps, as upcasters of events
laws        whether values survive the way there and back
changelog   what the users of the API read
table       Versions: all of it, with one face
"""

from isthmus.versions.change import Change
from isthmus.versions.changelog import Release
from isthmus.versions.deprecation import Deprecation
from isthmus.versions.errors import MigrationError, UnknownVersionError
from isthmus.versions.table import HEADER, Versions
from isthmus.versions.version import Version, current

__all__ = [
    "HEADER",
    "Change",
    "Deprecation",
    "MigrationError",
    "Release",
    "UnknownVersionError",
    "Version",
    "Versions",
    "current",
]
