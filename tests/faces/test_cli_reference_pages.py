"""The reference pages say what the code does: same numbers, same reasons, nothing left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.app.workspace import Workspace
from tenure.faces import reference_pages
from tenure.faces.cli.ending import run
from tenure.faces.cli.places import leave
from tenure.measure.catalogue import CATALOGUE
from tenure.measure.definition import profiles
from tests.conftest import ROOT

PAGES = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    shop = reference_pages.example(tmp_path_factory.mktemp("example") / "shop")
    yield shop
    leave(shop)


def test_every_metric_stands_under_one_question() -> None:
    listed = [name for names in reference_pages.groups().values() for name in names]
    assert sorted(listed) == sorted(CATALOGUE)
    assert not set(reference_pages.ELSEWHERE) - set(CATALOGUE)


def test_a_page_tells_of_an_interval_exactly_where_there_is_one(shop: Workspace) -> None:
    # The one yearly plan of the example renews in March.
    rows = shop.metrics(*CATALOGUE, since="2026-03", until="2026-06").rows()
    assert {row["metric"] for row in rows if row["low"] is not None} == set(reference_pages.INTERVALS)


def test_what_a_page_says_of_an_empty_base_is_what_an_empty_period_gives(shop: Workspace) -> None:
    for row in shop.metrics(*CATALOGUE, since="2020-01").rows():
        page = (PAGES / "metrics" / f"{row['metric']}.md").read_text(encoding="utf-8")
        says = next(line for line in page.splitlines() if line.startswith("| an empty base |"))
        if row["value"] is None:
            assert row["reason"] in says
        else:
            assert row["value"] == 0
            assert says == "| an empty base | 0 |"


@pytest.mark.parametrize("name", ["nrr", "mrr_fx", "mrr_entering", "quick_ratio"])
def test_the_example_on_a_page_is_what_the_command_prints(
    name: str, shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (PAGES / "metrics" / f"{name}.md").read_text(encoding="utf-8")
    commands = [line for line in page.splitlines() if line.startswith("$ tenure -w shop ")]
    assert len(commands) == 2
    for command in commands:
        assert run(["-w", str(shop.folder), *command.split()[4:]]) == 0
        assert f"{command}\n{capsys.readouterr().out.rstrip()}\n" in page


def test_the_roll_forward_of_the_example_holds_line_by_line(shop: Workspace) -> None:
    kinds = {
        "new": 1,
        "reactivation": 1,
        "resume": 1,
        "expansion": 1,
        "contraction": -1,
        "pause": -1,
        "churn": -1,
        "fx": 1,
    }
    names = ["mrr_opening", "mrr", *(f"mrr_{kind}" for kind in kinds)]
    for month in ("2026-04", "2026-05", "2026-06"):
        found = {row["metric"]: row["value"] for row in shop.metrics(*names, since=month).rows(exact=True)}
        moved = sum(sign * found[f"mrr_{kind}"] for kind, sign in kinds.items())
        assert found["mrr_opening"] + moved == found["mrr"]


def test_the_page_of_the_command_line_knows_every_option() -> None:
    import typer

    from tenure.faces.cli.commands import app

    page = (PAGES / "command-line.md").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"## `tenure {name}`" in page
        section = page.split(f"## `tenure {name}`")[1].split("\n## ")[0]
        assert all(option in section for parameter in command.params for option in parameter.opts if option[0] == "-")


def test_the_module_explains_itself_when_called_wrongly(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference_pages.main([]) == 2
    assert reference_pages.main(["--list"]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_glossary_gives_every_term_in_english_and_thai() -> None:
    lines = (PAGES / "glossary.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    terms = [row for row in rows if row[0] not in ("term", "---")]
    assert len(terms) >= 45
    for row in terms:
        assert len(row) == 4, row
        assert all("\u0e00" <= letter <= "\u0e7f" for letter in row[1][:1]), row
        assert any("\u0e00" <= letter <= "\u0e7f" for letter in row[3]), row
        assert row[2].endswith(".")
    assert len({row[0] for row in terms}) == len(terms)


def test_pages_are_written_below_the_folder_that_is_named(tmp_path: Path) -> None:
    written = {name for name, _ in reference_pages.pages()}
    metrics = {f"metrics/{name}.md" for name in ("index", *CATALOGUE)}
    assert written == {
        "command-line.md",
        "exports.md",
        *metrics,
        *(f"profiles/{name}.md" for name in ("index", *profiles())),
    }
