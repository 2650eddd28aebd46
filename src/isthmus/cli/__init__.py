"""The `isthmus` command: run an app, look into it, mend what went wrong."""

from isthmus.cli.main import main

__all__ = ["main"]
