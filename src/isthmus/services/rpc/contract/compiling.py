"""The .proto of somebody else, compiled by the tool that is there."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from isthmus.errors import ConfigError

__all__ = ["compiled"]

_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)
PATIENCE = 60.0
"""Seconds that a compiler may take."""


def compiled(path: Path) -> DescriptorPool:
    """Return a pool with all that the file defines, and what it imports. A file that does not
    end in .proto is a compiled descriptor set (`protoc --descriptor_set_out
    --include_imports`, `buf build -o`).

    Raises:
        ConfigError: There is no such file, or it is wrong, or nothing can compile it.
    """
    if not path.is_file():
        raise ConfigError(f"proto {path}: there is no such file")
    found = _compile(path) if path.suffix == ".proto" else path.read_bytes()
    pool = DescriptorPool()
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(found).file
        for file in files:
            pool.Add(file)
    except Exception as error:
        raise ConfigError(
            f"proto {path}: it is no .proto, and no descriptor set with all its imports: {error}"
        ) from error
    return pool


def _compile(path: Path) -> bytes:
    root = _root(path)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        done = subprocess.run(  # noqa: S603 - the compiler that is installed
            _command(path, root, out),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=root,
        )
        if done.returncode:
            told = (done.stderr or done.stdout).strip()
            raise ConfigError(f"proto {path} does not compile:\n{told}")
        return out.read_bytes()


def _command(path: Path, root: Path, out: Path) -> Sequence[str]:
    here = str(path.relative_to(root))
    protoc = [f"-I{root}", "--include_imports", f"--descriptor_set_out={out}", here]
    if importlib.util.find_spec("grpc_tools"):
        return [sys.executable, "-m", "grpc_tools.protoc", *protoc]
    if found := shutil.which("protoc"):
        return [found, *protoc]
    if found := shutil.which("buf"):
        built = [found, "build", str(root), "--path", str(path)]
        return [*built, "--as-file-descriptor-set", "-o", str(out)]
    raise ConfigError(
        f"proto {path}: nothing here can compile it; pip install grpcio-tools, or give a "
        "descriptor set that was compiled elsewhere (buf build -o orders.binpb)"
    )


def _root(path: Path) -> Path:
    """Return the folder that imports are relative to: the one that the package's path is in."""
    folder = path.parent
    found = _PACKAGE.search(path.read_text("utf-8"))
    parts: Any = found[1].split(".") if found else ()
    if len(parts) and folder.parts[-len(parts) :] == tuple(parts):
        return folder.parents[len(parts) - 1]
    return folder
