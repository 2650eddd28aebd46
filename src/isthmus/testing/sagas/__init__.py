"""Recorded histories of sagas, played against the code of today."""

from isthmus.testing.sagas.replay import replay

__all__ = ["replay"]
