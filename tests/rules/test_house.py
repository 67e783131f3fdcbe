"""The house rules that a machine can check: names, layers, clocks, seeds, and what a commit must not hold."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCE = ROOT / "src" / "tenure"
LOCKS = {"uv.lock", "poetry.lock", "Pipfile.lock", "pylock.toml", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
ROLES = {"service", "services", "util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}

# Who stands at the edge and may ask what time it is. Everybody below is handed `now`, `as_of` or `known_on`.
MAY_ASK_THE_CLOCK = {"testing", "faces", "app", "connect"}
CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}
# How old a file is, and when Delta's log says a file went, are the file system's business and no rule's.
FILE_CLOCK = ("lake", "time.time")


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the repository that git knows and that are there."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources() -> Iterator[tuple[str, Path]]:
    """Every Python file of the package with the name of its layer: '' for a file of the root."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).parts
        yield (parts[0] if len(parts) > 1 else ""), path


def dotted(node: ast.expr) -> str:
    """`datetime.datetime.now` as text; '' for what is no plain dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call, str]]:
    """Every call in a file: dotted name, node, and file:line for a message."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            yield name, node, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_no_file_is_named_after_a_role() -> None:
    named = [path for path in tracked() if path.suffix == ".py" and path.stem.lower() in ROLES]
    assert not named, f"name these after the decision they hold: {named}"


def test_no_file_names_a_package_registry_or_a_path_of_somebodys_machine() -> None:
    # Written in pieces, so that this file does not name them either.
    hosts = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "deb.debian" + ".org"]
    paths = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/[a-z]", "/Us" + "ers/[A-Za-z]", "/tmp/" + "stu" + "dio"]
    forbidden = re.compile("|".join([*map(re.escape, hosts), *(rf"(?<![\w.}}]){path}" for path in paths)]))
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(ROOT)}: {hit.group()}" for hit in forbidden.finditer(text)]
    assert not found


def test_no_lock_file_is_committed() -> None:
    assert not [path for path in tracked() if path.name in LOCKS]


def test_nothing_in_the_package_is_left_for_later() -> None:
    marks = re.compile("TO" + r"DO\b|FIX" + r"ME\b|XX" + r"X\b|NotImpl" + "ementedError")
    found = [f"{path.relative_to(ROOT)}" for _, path in sources() if marks.search(path.read_text(encoding="utf-8"))]
    assert not found


def test_every_folder_of_the_package_says_what_it_answers() -> None:
    folders = {path.parent for _, path in sources()}
    for folder in sorted(folders):
        start = folder / "__init__.py"
        assert start.exists(), f"{folder.relative_to(ROOT)} has no __init__.py"
        docstring = ast.get_docstring(tree(start)) or ""
        assert len(docstring.split()) >= 4, f"{start.relative_to(ROOT)} does not say what the folder answers"


def test_every_folder_of_the_package_has_its_place_in_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    optional = {name.strip(" ()") for layer in layers for name in layer.split("|") if "(" in name}
    there = {layer for layer, _ in sources() if layer}
    assert there <= placed
    assert not there & optional, "these folders exist now: take the parentheses away in pyproject.toml"


def test_only_the_edge_asks_the_clock() -> None:
    asked = []
    for layer, path in sources():
        if layer in MAY_ASK_THE_CLOCK or not layer:
            continue
        for name, _, where in calls(path):
            owner, _, verb = name.rpartition(".")
            if (layer, name) == FILE_CLOCK:
                continue
            if verb in CLOCKS and owner.rpartition(".")[2] in {"datetime", "date", "time", "dt"}:
                asked.append(f"{where}: {name}()")
    assert not asked, "hand the instant in as an argument"


def test_chance_comes_in_as_a_seed() -> None:
    hidden = []
    for _, path in sources():
        # How long to wait before trying again is the one thing that must differ between processes.
        sleeps = [call for name, call, _ in calls(path) if name in {"time.sleep", "sleep"}]
        pauses = {node for sleep in sleeps for node in ast.walk(sleep)}
        for name, call, where in calls(path):
            owner, _, verb = name.rpartition(".")
            if call in pauses:
                continue
            if owner in {"np.random", "numpy.random"} or (owner == "random" and verb != "Random"):
                seeded = verb in {"default_rng", "SeedSequence", "PCG64", "Philox"} and (call.args or call.keywords)
                if not seeded and verb != "Generator":
                    hidden.append(f"{where}: {name}()")
            if name in {"random.Random", "Random", "default_rng", "SeedSequence"} and not (call.args or call.keywords):
                hidden.append(f"{where}: {name}() without a seed")
    assert not hidden


def test_every_metric_has_a_definition_page() -> None:
    from tenure.measure.catalogue import CATALOGUE

    assert CATALOGUE
    missing = [name for name in CATALOGUE if not (ROOT / "docs/reference/metrics" / f"{name}.md").is_file()]
    assert not missing, "run: python -m tenure.faces.reference_pages docs/reference"


def test_every_page_of_a_metric_has_a_metric() -> None:
    from tenure.measure.catalogue import CATALOGUE

    pages = {path.stem for path in (ROOT / "docs/reference/metrics").glob("*.md")} - {"index"}
    assert pages <= set(CATALOGUE), "delete the pages of metrics that are gone"


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.name)
def test_names_of_tests_are_sentences(path: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = [
        node.name for node in ast.walk(tree(path)) if isinstance(node, functions) and node.name.startswith("test_")
    ]
    short = [name for name in names if name.count("_") < 3]
    assert not short, "say what is true, in words"
