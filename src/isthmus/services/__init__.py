"""HTTP services: typed routes with problem documents, and mounted ASGI applications."""

from isthmus.services.declared import DeclaredMount, DeclaredRoute
from isthmus.services.doors import add_middleware, mount, route
from isthmus.services.problem import Problem

__all__ = ["DeclaredMount", "DeclaredRoute", "Problem", "add_middleware", "mount", "route"]
