"""Finding the App that a command is about."""

import importlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from isthmus.app import App
from isthmus.cli.commands import known
from isthmus.errors import ConfigError, IsthmusError
from isthmus.settings import Settings

__all__ = ["find_app", "folder_of", "locate"]

_DECLARED = re.compile(r"^(\w+)(?:\s*:\s*\w+)?\s*=\s*(?:isthmus\.)?App\(", re.MULTILINE)


def locate(spec: str | None) -> App:
    """Return the App that `spec` names, as "shop:app"; without one, what the environment
    or pyproject.toml name.

    Raises:
        ConfigError: Nothing names one, or there is none.
    """
    if (app := find_app(spec)) is None:
        raise ConfigError(_which())
    return app


def find_app(spec: str | None) -> App | None:
    """Return the same; None where nothing names one."""
    if not (spec := spec or Settings.load().app):
        return None
    module_name, _, attribute = _written(spec).partition(":")
    module = _imported(module_name)
    return _app_in(module, attribute or "app")


def folder_of(spec: str | None) -> Path:
    """Return the folder in which the app's code lies."""
    spec = spec or Settings.load().app
    name = _written(spec).partition(":")[0].partition(".")[0]
    sys.path.insert(0, str(Path.cwd()))
    found = importlib.util.find_spec(name) if name else None
    return Path(found.origin).parent if found and found.origin else Path.cwd()


def _written(spec: str) -> str:
    """Take "shop/app.py" for "shop.app", which is what was meant."""
    path, colon, attribute = spec.partition(":")
    if path.endswith(".py"):
        path = path.removesuffix(".py").strip("./").replace("/", ".")
    return path + colon + attribute


def _imported(name: str) -> ModuleType:
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error) from error  # something that the user's code imports
        raise ConfigError(
            f"there is no module {error.name!r} in {Path.cwd()} or among the installed ones; "
            f"{_suggestion() or 'go to the folder of your app, or check the name'}"
        ) from error
    except IsthmusError as error:
        raise ConfigError(f"{_place(error)}{error}") from error
    except Exception as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> ConfigError:
    """Return an error of one line; `--traceback` shows the way to it."""
    what = error.msg if isinstance(error, SyntaxError) else error
    return ConfigError(f"{name} cannot be imported: {_place(error)}{type(error).__name__}: {what}")


def _app_in(module: ModuleType, attribute: str) -> App:
    found = getattr(module, attribute, None)
    if isinstance(found, App):
        return found
    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    if found is not None and not apps:
        raise ConfigError(
            f"{module.__name__}:{attribute} is a {type(found).__name__}, not an isthmus App"
        )
    raise ConfigError(
        f"module {module.__name__!r} has no App called {attribute!r}; "
        f"{known(attribute, apps, what='apps in it')}"
    )


def _place(error: Exception) -> str:
    """Return the line of the user's own that led to `error`, "shop.py:12: "."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: "
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if _is_users(frame.filename)]
    here = [frame for frame in theirs if Path(frame.filename).is_relative_to(Path.cwd())]
    for frame in (here or theirs)[-1:]:
        return f"{Path(frame.filename).name}:{frame.lineno}: "
    return ""


def _is_users(filename: str) -> bool:
    ours = str(Path(__file__).parent.parent)
    return not filename.startswith((ours, "<frozen")) and "importlib" not in filename


def _which() -> str:
    lines = [
        "which app? Say it in one of these ways:",
        "  isthmus run shop:app               (module:variable; other commands: --app shop:app)",
        "  export ISTHMUS_APP=shop:app",
        '  [tool.isthmus] app = "shop:app"    in ./pyproject.toml',
    ]
    lines += [suggestion] if (suggestion := _suggestion()) else []
    return "\n".join([*lines, "no app yet? `isthmus new shop` makes one that runs"])


def _suggestion() -> str:
    """Point to what looks like an App in this folder."""
    for path in sorted(Path.cwd().glob("*.py")):
        if found := _DECLARED.search(path.read_text("utf-8", errors="ignore")):
            return f"found here: {path.stem}:{found[1]}, in {path.name}"
    return ""
