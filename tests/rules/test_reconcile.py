"""Whose definition gives these figures? The profile that made them is found, and a switch that was turned in it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tenure import Workspace
from tenure.app.theirs import metric_of, number, read_theirs
from tenure.errors import BadFile, BadInput
from tenure.measure.catalogue import metric
from tests.reference.builder import Facts, open_workspace

METRICS = ("customer_churn_rate", "gross_mrr_churn_rate", "net_mrr_churn_rate", "mrr", "customers")
KNOWN_ON = "2025-12-31"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Twelve old customers; some join and leave at once, some leave and return, one pauses, one is past due."""
    facts = Facts()
    for i in range(12):
        facts.span(
            "2024-06-01", None if i > 2 else f"2025-0{3 + i}-11", customer=f"old{i}", amount_minor=5_000 + 700 * i
        )
    for month in (3, 4, 5):
        facts.span(f"2025-0{month}-03", f"2025-0{month}-24", customer=f"brief{month}", amount_minor=3_100)
        facts.span(f"2025-0{month}-05", None, customer=f"new{month}", amount_minor=2_900)
        facts.span("2024-09-01", f"2025-0{month}-06", customer=f"back{month}", amount_minor=4_300)
        facts.span(f"2025-0{month}-20", None, customer=f"back{month}", amount_minor=4_300)
    facts.state("2024-07-01", customer="late", amount_minor=8_800)
    facts.state("2025-03-20", customer="late", amount_minor=8_800, status="past_due")
    facts.state("2024-07-01", customer="rests", amount_minor=6_600)
    facts.state("2025-04-10", customer="rests", amount_minor=6_600, status="paused")
    facts.state("2024-07-01", customer="weekly", amount_minor=1_500, interval="week")
    found = open_workspace(tmp_path_factory.mktemp("reconcile") / "shop", facts, currency="USD")
    yield found
    found.close()


def shown_by(shop: Workspace, profile: str, folder: Path, percent: bool = True) -> Path:
    """A file as that vendor would show it: rates in percent with two decimals."""
    lines = ["Month,Metric,Value"]
    answer = shop.metrics(*METRICS, since="2025-03", until="2025-05", profile=profile, known_on=KNOWN_ON)
    for row in answer.rows():
        value = f"{100 * row['value']:.2f} %" if row["unit"] == "rate" else f'"{row["value"]:,}"'
        lines.append(f"{row['period_start'][:7]},{row['metric']},{value}")
    path = folder / "theirs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("profile", ["tenure", "stripe", "baremetrics", "chartmogul", "profitwell"])
def test_the_profile_that_made_the_figures_is_found(shop: Workspace, profile: str, tmp_path: Path) -> None:
    found = shop.reconcile(shown_by(shop, profile, tmp_path), known_on=KNOWN_ON)
    assert (found.definition.name, found.switches, found.distance) == (profile, [], 0)
    assert all(row.explained for row in found.rows)
    assert dict(found.by_profile)[profile] == 0
    assert [name for name, _ in found.left_out] == ["recurly"]  # which counts invoice lines


@pytest.mark.parametrize(
    ("made_by", "switch"),
    [("stripe, past_due_days=14", ("past_due_days", "14")), ("baremetrics, pause=churn", ("pause", "churn"))],
)
def test_a_single_changed_switch_is_found(
    shop: Workspace, made_by: str, switch: tuple[str, str], tmp_path: Path
) -> None:
    theirs = shown_by(shop, made_by, tmp_path)
    found = shop.reconcile(theirs, known_on=KNOWN_ON)
    assert (found.definition.name, found.switches, found.distance) == (made_by, [switch], 0)
    # The name is one that --profile takes.
    again = shop.metrics(*METRICS, since="2025-03", until="2025-05", profile=found.definition.name, known_on=KNOWN_ON)
    ours = [row.ours for row in found.rows if row.theirs.metric.name == "mrr" and row.ours is not None]
    told = [Fraction(row["value"]) for row in again.rows() if row["metric"] == "mrr"]
    assert all(abs(one - other) <= Fraction(1, 200) for one, other in zip(ours, told, strict=True))


def test_what_no_definition_explains_remains_and_what_was_found_is_found_again(tmp_path: Path) -> None:
    facts = Facts()
    facts.span("2024-06-01", None, customer="a")
    facts.span("2024-06-01", "2025-03-11", customer="b")
    workspace = open_workspace(tmp_path / "shop", facts, currency="USD")
    path = tmp_path / "theirs.csv"
    path.write_text("month,metric,value\n2025-03,customers,1\n2025-04,customers,999\n")
    one, other = (workspace.reconcile(path, known_on=KNOWN_ON) for _ in range(2))
    assert [(row.ours, row.remains, row.explained) for row in one.rows] == [(1, 0, True), (1, -998, False)]
    assert one.distance == Fraction(998, 999)
    assert (one.definition, one.switches, one.rows) == (other.definition, other.switches, other.rows)
    assert one.definition.name == "tenure"
    workspace.close()


def test_where_every_profile_gives_the_figures_it_is_the_default(shop: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("month,metric,value\n2024-06,customers,12\n")
    found = shop.reconcile(path, known_on=KNOWN_ON)
    assert (found.definition.name, found.distance) == ("tenure", 0)


def test_progress_tells_what_is_tried(shop: Workspace, tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []
    shop.reconcile(shown_by(shop, "stripe", tmp_path), known_on=KNOWN_ON, progress=lambda *moved: told.append(moved))
    assert told[0] == ("tenure", 0, 9)
    assert [name for name, _, _ in told[:9]][-1] == "stripe"


# ------------------------------------------------------------------------------------------------------ their file


@pytest.mark.parametrize(
    ("text", "name", "value", "digits"),
    [
        ("1,234.50", "mrr", Fraction(2469, 2), 2),
        ("1234.5", "mrr", Fraction(2469, 2), 1),
        ("-12", "mrr_fx", Fraction(-12), 0),
        ("8 %", "customer_churn_rate", Fraction(8, 100), 2),
        ("8.25%", "customer_churn_rate", Fraction(825, 10_000), 4),
        ("0.08", "customer_churn_rate", Fraction(8, 100), 2),
        ("104%", "nrr", Fraction(104, 100), 2),
        ("1.04", "nrr", Fraction(104, 100), 2),
        ("1,204", "customers", Fraction(1204), 0),
    ],
)
def test_a_number_is_read_as_it_is_meant(text: str, name: str, value: Fraction, digits: int) -> None:
    assert number(text, metric(name)) == (value, digits)


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("8,25", "customer_churn_rate", "not a plain number"),
        ("1,234 %", "customer_churn_rate", "decimal one"),
        ("0,123", "mrr", "decimal one"),
        ("1.234,50", "mrr", "not a plain number"),
        ("$12", "mrr", "not a plain number"),
        ("12 %", "mrr", "mrr is none"),
        ("8", "customer_churn_rate", "write 8 %"),
        ("104", "nrr", "write 104 %"),
        ("12.5", "customers", "not a whole number"),
        ("", "mrr", "empty"),
    ],
)
def test_a_number_that_may_mean_two_things_is_refused(text: str, name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        number(text, metric(name))


def test_columns_and_metrics_go_by_their_usual_names(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(
        "KPI;Period;Amount\nLogo churn;Jan 2025;8 %\nNet revenue retention;02/2025;101.5%\nMRR;2025-03-01;12\n"
    )
    rows = read_theirs(path)
    assert [(row.metric.name, f"{row.month:%Y-%m}", float(row.value)) for row in rows] == [
        ("customer_churn_rate", "2025-01", 0.08),
        ("nrr", "2025-02", 1.015),
        ("mrr", "2025-03", 12.0),
    ]
    assert metric_of("Gross MRR churn rate").name == "gross_mrr_churn_rate"


def test_bad_rows_are_refused_with_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(
        "month,metric,value,currency\n2025-13,mrr,1,USD\n\n2025-01,wow,1,\n2025-01,mrr,1,\n2025-01,mrr,2,\n2025-01,arr,1,XX\n"
    )
    with pytest.raises(BadFile) as refused:
        read_theirs(path)
    lines = str(refused.value).splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == ["line 2", "line 4", "line 6", "line 7"]
    for line, reason in zip(lines, ("not a month", "no metric", "line 5 already", "not an ISO 4217"), strict=True):
        assert reason in line


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "is empty"), ("month,metric\n", "no column value"), ("month,metric,value\n", "no figure under it")],
)
def test_a_file_without_figures_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(content)
    with pytest.raises(BadFile, match=reason):
        read_theirs(path)


def test_money_without_a_currency_is_refused_where_there_are_several(tmp_path: Path) -> None:
    facts = Facts()
    facts.span("2025-01-01", customer="a")
    facts.span("2025-01-01", customer="b", currency="EUR", amount_minor=4_000)
    workspace = open_workspace(tmp_path / "shop", facts)
    path = tmp_path / "theirs.csv"
    path.write_text("month,metric,value\n2025-02,mrr,100\n")
    with pytest.raises(BadInput, match="line 2: mrr is money, and there is EUR, USD"):
        workspace.reconcile(path, known_on=KNOWN_ON)
    path.write_text("month,metric,value,currency\n2025-02,mrr,100,USD\n2025-02,mrr,40,eur\n")
    assert workspace.reconcile(path, known_on=KNOWN_ON).distance == 0
    workspace.close()
