"""HTTP services: typed routes with problem documents, and mounted ASGI applications."""

from isthmus.services.declared import DeclaredMount, DeclaredRoute
from isthmus.services.problem import Problem
from isthmus.services.rest import mount, route

__all__ = ["DeclaredMount", "DeclaredRoute", "Problem", "mount", "route"]
