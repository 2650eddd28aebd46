"""How settings are read: a class, the place, and every fault at once.

secret, address       Secret, Url
field                 what a class asks for, and under which names
place                 where it is looked for: environment, files, pyproject.toml (dotenv, source)
converting            text becomes a value
section, report       a class of settings, read; all of them together, with every fault
lazy                  settings as a module's global
"""

from isthmus.configuration.address import HttpUrl, Url
from isthmus.configuration.field import Env
from isthmus.configuration.place import Place
from isthmus.configuration.report import Report
from isthmus.configuration.secret import Secret
from isthmus.configuration.section import Found
from isthmus.configuration.source import SecretSource

__all__ = ["Env", "Found", "HttpUrl", "Place", "Report", "Secret", "SecretSource", "Url"]
