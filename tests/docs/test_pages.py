"""Every block of code that a reader can copy from the README or the docs does what the page says."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.blocks import RUNS, BlockFailed, Page, Reader, read_page

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNABLE = [page for page in PAGES if any(block.runs for block in read_page(page).blocks)]


def name(path: Path) -> str:
    """The page's path from the repository's root, as its test is called."""
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that `tenure demo` makes; pages get a copy of it."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    tenure = Path(sysconfig.get_path("scripts")) / "tenure"
    done = subprocess.run([tenure, "demo", folder], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page], Path]:
    """The folder that a page's set-up makes: pages with the same set-up get a copy of it."""
    made: dict[tuple[str, ...], Path] = {}

    def folder_of(page: Page) -> Path:
        if page.setup not in made:
            folder, state = tmp_path_factory.mktemp("set-up"), tmp_path_factory.mktemp("state")
            Reader(page, folder, state).set_up()
            made[page.setup] = folder
        return made[page.setup]

    return folder_of


def prepare(page: Page, folder: Path, request: pytest.FixtureRequest) -> None:
    """Put what the page needs into its folder, or skip the page and say what is missing."""
    if (ROOT / "examples").is_dir():
        shutil.copytree(ROOT / "examples", folder / "examples")
    for what, which in page.needs:
        if what in {"java", "chromium"}:
            request.getfixturevalue(f"needs_{what}")
        elif what == "demo":
            shutil.copytree(request.getfixturevalue("demo"), folder / "demo")
        elif what == "data":
            find: Callable[[str], Path] = request.getfixturevalue("shared_data")
            (folder / "data").mkdir(exist_ok=True)
            (folder / "data" / which).symlink_to(find(which).resolve())
        else:
            raise AssertionError(f"{name(page.path)}: no such need as {what!r}; see tests/docs/blocks.py")


@pytest.mark.parametrize("path", RUNNABLE, ids=name)
def test_a_page_does_what_it_says(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = read_page(path)
    folder, state = tmp_path / "page", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    prepare(page, folder, request)
    if page.setup:
        shutil.copytree(request.getfixturevalue("set_up")(page), folder, dirs_exist_ok=True)
    try:
        Reader(page, folder, state).follow()
    except BlockFailed as broken:
        pytest.fail(str(broken), pytrace=False)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_block_names_its_language_and_a_block_that_is_not_run_says_why(path: Path) -> None:
    for block in read_page(path).blocks:
        where = f"{name(path)}:{block.line}"
        assert block.language, f"{where}: name the block's language; `text` if it is none"
        if "no-run" in block.directives:
            assert len(block.directives["no-run"].split()) >= 2, f"{where}: say why this block is not run"
            assert block.language in RUNS, f"{where}: a {block.language} block never runs, it needs no reason"
            print(f"{where}: {block.language} block not run: {block.directives['no-run']}")


def test_most_blocks_that_could_run_do_run() -> None:
    could = [block for page in PAGES for block in read_page(page).blocks if block.language in RUNS]
    not_run = [block for block in could if "no-run" in block.directives]
    assert len(not_run) <= max(3, len(could) // 10), [block.directives["no-run"] for block in not_run]
