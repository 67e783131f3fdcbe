"""Every example in a docstring of the package gives what it shows."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest

from tests.conftest import ROOT

SOURCES = sorted((ROOT / "src" / "tenure").rglob("*.py"))


def has_example(path: Path) -> bool:
    """Whether a docstring of the file shows a session; read from the text, so that nothing is imported to find out."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(">>> " in (ast.get_docstring(node) or "") for node in ast.walk(tree) if isinstance(node, holders))


def module_name(path: Path) -> str:
    """`src/tenure/kernel/money.py` is `tenure.kernel.money`."""
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("module", [module_name(path) for path in SOURCES if has_example(path)])
def test_examples_in_docstrings_give_what_they_show(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert result.attempted > 0
    assert result.failed == 0, capsys.readouterr().out
