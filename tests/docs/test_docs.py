"""The pages keep their word: their code runs, their links lead somewhere, their commands exist."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
COMMAND = re.compile(r"^\$ (isthmus|make)\b([^|>&;#\\\n]*)", re.MULTILINE)

pytestmark = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)


def run(*argv: str | Path, cwd: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        argv, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=50
    )
    if done.returncode:
        pytest.fail(done.stderr[-4000:] or done.stdout[-4000:], pytrace=False)


def tokens(page: Path) -> Iterator[Token]:
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        yield token
        yield from token.children or ()


def test_its_code_runs(page: Path, tmp_path: Path) -> None:
    run(sys.executable, "-W", "error", ROOT / "tools/run_page.py", page, cwd=tmp_path)


def test_its_links_lead_somewhere(page: Path) -> None:
    links = [str(token.attrGet("href") or token.attrGet("src") or "") for token in tokens(page)]
    assert [link for link in links if link and not resolves(page, link)] == []


def resolves(page: Path, link: str) -> bool:
    url = urlsplit(link)
    if url.scheme or url.netloc:
        return True
    target = page.parent / unquote(url.path) if url.path else page
    return target.exists() and (not url.fragment or url.fragment in anchors(target))


def anchors(page: Path) -> set[str]:
    """The places of a page, named as GitHub names them."""
    titles = [text.content for mark, text in pairwise(tokens(page)) if mark.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_its_commands_exist(page: Path) -> None:
    for token in tokens(page):
        if token.type == "fence" and token.info.strip() == "console":
            for program, words in COMMAND.findall(token.content):
                known(program, words.split())


def known(program: str, words: list[str]) -> None:
    if program == "make":
        targets = [word for word in words if "=" not in word]
        run("make", "--dry-run", *targets, cwd=ROOT)
    else:
        run(Path(sys.executable).with_name("isthmus"), *words, "--help", cwd=ROOT)
