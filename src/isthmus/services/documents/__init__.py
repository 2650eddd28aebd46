"""The documents that an App gives of itself: OpenAPI and AsyncAPI, and a page to read them.

All is read from the declared model, `app.describe()`, and from nothing else.
"""

from isthmus.services.documents.about import DeclaredAbout, about, about_in
from isthmus.services.documents.asyncapi import asyncapi
from isthmus.services.documents.openapi import openapi
from isthmus.services.documents.security import ApiKey, Basic, Bearer, Security

__all__ = [
    "ApiKey",
    "Basic",
    "Bearer",
    "DeclaredAbout",
    "Security",
    "about",
    "about_in",
    "asyncapi",
    "openapi",
]
