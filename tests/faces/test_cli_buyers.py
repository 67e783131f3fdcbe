"""`tenure buyers` in the terminal: tables for people, CSV and JSON for programs, charts, words for what cannot be."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure import Workspace
from tenure.faces import reference_pages
from tenure.faces.cli.ending import run


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The example company of the reference: contracts, orders, and Ann with both."""
    with reference_pages.example(tmp_path_factory.mktemp("example") / "shop") as opened:
        yield opened


def said(shop: Workspace, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What the command prints (what it says on stderr, where it fails)."""
    assert run(["-w", str(shop.folder), *words]) == code
    out = capsys.readouterr()
    return out.out if code == 0 else out.err


def flat(text: str) -> str:
    """The text in one line."""
    return " ".join(text.split())


def test_the_window_stands_in_the_first_line(shop: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    text = flat(said(shop, capsys, "buyers"))
    assert text.startswith("Days between purchases Inactivity window: 57 days, chosen from the gaps.")
    assert "50 % up to 33 days 49 days 28 to 71 49 days" in text
    given = flat(said(shop, capsys, "buyers", "--window", "4w"))
    assert "Inactivity window: 28 days, as given. 20.0 % of the 10 gaps" in given


def test_gaps_are_told_to_programs_with_the_whole_distribution(
    shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (told,) = json.loads(said(shop, capsys, "buyers", "gaps", "--format", "json"))
    assert told["window"] | {"low": 0, "high": 0} == {
        "days": 57, "chosen": "gaps", "share_within": 0.8, "reached": 3, "came_back": 2,
        "share_came_back": pytest.approx(2 / 3), "low": 0, "high": 0, "back_within_a_year": None,
    }  # fmt: skip
    assert sum(row["gaps"] for row in told["distribution"]) == 10
    assert sum(row["silent"] for row in told["distribution"]) == told["buyers"] == 6
    rows = list(csv.DictReader(io.StringIO(said(shop, capsys, "buyers", "gaps", "--by", "channel", "--format", "csv"))))
    assert rows[0]["segment.channel"] == "" and {row["window_days"] for row in rows} == {"57"}


def test_a_line_of_churn_adds_up_and_its_doubts_stand_below(
    shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(shop, capsys, "buyers", "churn", "--from", "2026-04", "--to", "2026-06")
    lines = [line.split() for line in text.splitlines()]
    assert ["2026-04", "4", "1", "0", "2", "3", "50.00", "%", "[1]", "15.00", "to", "85.00", "%"] in lines
    assert "[1] small base: under 30 active buyers" in text
    rows = json.loads(said(shop, capsys, "buyers", "churn", "--from", "2026-06", "--format", "json"))
    assert [row["value"] for row in rows] == [3, 1, 2, 1, 5, 0.0]
    quarter = said(shop, capsys, "buyers", "churn", "--from", "2026-Q2", "--period", "quarter", "--by", "channel")
    assert ["2026-Q2", "(unknown)", "4", "2", "2", "3", "5"] in [line.split()[:7] for line in quarter.splitlines()]
    listed = said(shop, capsys, "buyers", "churn", "--from", "2026-04", "--customers", "--format", "csv")
    lapsed = [row for row in csv.DictReader(io.StringIO(listed)) if row["metric"] == "buyers_lapsed"]
    assert sorted(row["customer_id"] for row in lapsed) == ["Ann", "Pim"]


def test_scores_have_a_first_line_a_table_and_everybody_behind_it(
    shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    text = flat(said(shop, capsys, "buyers", "rfm"))
    assert text.startswith("Potential loyalists are 17 % of 6 buyers and bring 28 % of their revenue of $805.00")
    assert "Hibernating 2 33.3 % 4 $185.00 23.0 %" in text
    rows = list(csv.DictReader(io.StringIO(said(shop, capsys, "buyers", "rfm", "--customers", "--format", "csv"))))
    assert [rows[0][name] for name in ("customer_id", "r", "f", "m")] == ["Rosa", "5", "3", "5"]
    assert sum(float(row["monetary"]) for row in rows) == 805
    assert "Rosa" in said(shop, capsys, "buyers", "rfm", "--customers")
    early = json.loads(said(shop, capsys, "buyers", "rfm", "--to", "2026-02", "--format", "json"))
    assert sum(row["customers"] for row in early) == 3 and early[0]["until"] == "2026-02-28"


def test_the_book_counts_each_customer_once(shop: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(shop, capsys, "buyers", "book", "--from", "2026-04")
    assert text.startswith(
        "Of 12 customers at the start of 2026-04, with or without a contract, 2 were lost (16.67 %);"
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["Of", "them", "both", "1", "0", "1", "0"] in lines
    assert ["MRR", "at", "the", "end", "$341.74"] in lines
    people = said(shop, capsys, "buyers", "book", "--from", "2026-04", "--customers")
    assert ["Ann", "contract", "and", "buyer", "contract", "moved"] in [line.split() for line in people.splitlines()]
    rows = list(
        csv.DictReader(io.StringIO(said(shop, capsys, "buyers", "book", "--from", "2026-04", "--format", "csv")))
    )
    assert {row["line"] for row in rows} == {"contract", "buyers", "both", "company", "mrr", "orders_others"}
    assert json.loads(said(shop, capsys, "buyers", "book", "--from", "2026-04", "--customers", "--format", "json"))


def test_each_question_but_the_book_has_a_picture_in_two_languages(
    shop: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["gaps"], ["churn", "--from", "2026-03", "--to", "2026-06"], ["rfm"]):
        for language in ("en", "th"):
            path = tmp_path / f"{words[0]}-{language}.svg"
            said(shop, capsys, "buyers", *words, "--chart", str(path), "--language", language)
            assert "<svg" in path.read_text(encoding="utf-8")
    path = tmp_path / "cohorts.png"
    said(shop, capsys, "cohorts", "--of", "orders", "--chart", str(path))
    assert path.stat().st_size > 1_000
    assert "ลูกค้าชั้นยอด" in (tmp_path / "rfm-th.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["churn"], "needs a period: add --from"),
        (["book"], "needs a period: add --from"),
        (["gaps", "--from", "2026-01"], "gaps are those of the whole history"),
        (["gaps", "--customers"], "`tenure buyers rfm --customers` lists every buyer"),
        (["gaps", "--window", "soon"], "write days or weeks, such as 90d or 13w"),
        (["gaps", "--by", "plan_id"], "buyers cannot be split by plan_id"),
        (["gaps", "--chart", "gaps.pdf"], "drawn as .svg or .png"),
        (["book", "--from", "2026-04", "--chart", "book.png"], "the book has no chart"),
        (["carts"], "carts"),
    ],
)
def test_what_cannot_be_asked_is_said_with_what_can(
    words: list[str], says: str, shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in flat(said(shop, capsys, "buyers", *words, code=2))


def test_the_report_of_a_company_with_orders_says_who_has_stopped_buying(shop: Workspace) -> None:
    from tenure.faces.report.html import render

    told = shop.story(month="2026-04")
    activity = told.orders[0].activity
    assert activity is not None and (activity.window_days, activity.is_chosen, activity.reached) == (57, True, 3)
    assert activity.churn.figure.value == 0.5 and activity.churn.history[-1].value == 0.5
    assert activity.churn.history[0].value is None  # nobody can have lapsed in the first weeks
    page = render(told, "en")
    assert "Who has stopped buying?" in page and "ended in a purchase all the same" in page
    assert "ใครหยุดซื้อไปแล้ว" in render(told, "th")


def test_a_window_of_the_companys_own_is_told_as_such_in_the_report(tmp_path: Path) -> None:
    from tenure import open as open_workspace
    from tenure.faces.report.html import render

    folder = reference_pages.example(tmp_path / "shop").folder
    with (folder / "tenure.toml").open("a", encoding="utf-8") as file:
        file.write('inactivity_window = "90d"\n')
    with open_workspace(folder) as shop:
        page = render(shop.story(month="2026-05"), "en")
    assert "as the company has set it" in page
