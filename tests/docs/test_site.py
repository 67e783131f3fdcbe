"""The documentation is a site that opens offline, and no link in it leads nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s#]+)(?:#[^)\s]*)?\)|<img[^>]*\ssrc=\"([^\"]+)\"")
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\ssrc=[\"']?([^\"'\s>]+)|<link\b[^>]*\shref=[\"']?([^\"'\s>]+)"
)
FENCED = re.compile(r"^(`{3,}).*?^\1", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; a broken link or anchor stops it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_the_site_loads_nothing_from_another_host(site: Path) -> None:
    elsewhere = []
    for page in site.rglob("*.html"):
        for found in LOADED.finditer(page.read_text(encoding="utf-8")):
            address = found[1] or found[2]
            if address.startswith(("http:", "https:", "//")):
                elsewhere.append(f"{page.relative_to(site)}: {address}")
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        elsewhere += [
            f"{sheet.relative_to(site)}: {hit}" for hit in re.findall(r"url\([\"']?((?:https?:)?//[^)]*)", text)
        ]
    assert not elsewhere


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_links_of_the_pages_beside_the_readme_lead_somewhere(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    targets = [found[1] or found[2] for found in LINK.finditer(text)]
    broken = [target for target in targets if ":" not in target and not (page.parent / target).exists()]
    assert not broken


def test_the_reference_pages_are_those_that_the_code_makes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tenure.faces.reference_pages", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert made
    kept = ROOT / "docs" / "reference"
    stale = [
        path.relative_to(tmp_path).as_posix()
        for path in made
        if not (kept / path.relative_to(tmp_path)).is_file()
        or (kept / path.relative_to(tmp_path)).read_bytes() != path.read_bytes()
    ]
    assert not stale, "run: make docs"


# Decision records have a form of their own.
SHELVED = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "decisions" not in page.parts]


@pytest.mark.parametrize("page", SHELVED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_opens_with_the_question_it_answers_and_closes_with_what_to_read_next(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    assert "?" in text[:600], "open with the question"
    assert re.search(r"read next", text[-800:], re.IGNORECASE), "close with what to read next"
