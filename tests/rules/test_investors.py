"""What an investor is told: the report's numbers, nothing of its own making, and no customer by name."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tenure import BadInput
from tenure.app import demo
from tenure.app.investors import NAMES, OWN, SHOWN, Investors
from tenure.faces.report import investor_files
from tenure.measure.catalogue import CATALOGUE
from tests.reference.builder import Facts, Shop

Build = Callable[..., Shop]


@pytest.fixture(scope="module")
def told() -> Iterator[Investors]:
    """The summary of a made-up company."""
    with tempfile.TemporaryDirectory() as folder, demo.run(Path(folder) / "shop", customers=400) as shop:
        yield shop.investors(month="2026-06")


@pytest.fixture(scope="module")
def pack(told: Investors) -> dict[str, list[dict[str, str]]]:
    """The rows of each CSV file."""
    files = investor_files.texts(told)
    return {name: list(csv.DictReader(io.StringIO(text))) for name, text in files.items() if name.endswith(".csv")}


def growing() -> Facts:
    """100 USD from June 2024 on; 50 more come in July 2025; 20 of the first go in January 2026, 10 more in May."""
    facts = Facts()
    facts.span("2024-06-01", customer="a", subscription="a", amount_minor=7_000)
    facts.span("2024-06-01", "2026-01-10", customer="b", subscription="b", amount_minor=2_000)
    facts.span("2024-06-01", "2026-05-10", customer="c", subscription="c", amount_minor=1_000)
    facts.span("2025-07-05", customer="d", subscription="d", amount_minor=5_000)
    facts.span("2024-06-01", "2024-06-02", customer="early", subscription="early", amount_minor=1_000)
    return facts


def test_growth_and_quick_ratio_over_twelve_months_are_those_counted_by_hand(company: Build) -> None:
    found = company(growing(), currency="USD").workspace.investors(month="2026-06")
    figures = {one.figure.metric: one.figure for one in found.headlines}
    # 70 + 50 = 120 now, 100 a year before.
    assert figures["mrr"].value == Decimal("120.00") and figures["arr"].value == Decimal("1440.00")
    assert figures["mrr_growth_12m"].value == pytest.approx(0.2)
    # Won 50 in July; lost 20 in January and 10 in May.
    ratio = figures["quick_ratio_12m"]
    assert (ratio.numerator, ratio.denominator) == (Decimal("50.00"), Decimal("30.00"))
    assert ratio.value == pytest.approx(5 / 3)
    assert figures["nrr_12m"].value == figures["grr_12m"].value == pytest.approx(0.7)
    assert [one.figure.metric for one in found.headlines] == list(SHOWN)


def test_without_a_year_of_history_growth_is_unknown_and_says_why(company: Build) -> None:
    found = company(growing(), currency="USD").workspace.investors(month="2025-01")
    figures = {one.figure.metric: one.figure for one in found.headlines}
    assert figures["mrr_growth_12m"].value is None
    assert figures["mrr_growth_12m"].reason == "no MRR is known of twelve months before"
    assert figures["quick_ratio_12m"].value is None
    assert figures["quick_ratio_12m"].reason == "twelve months are not known"


def test_money_in_several_currencies_needs_one_to_be_chosen(company: Build) -> None:
    facts = growing()
    facts.rate("2024-01-01", "EUR", "0.5")
    facts.span("2025-01-01", customer="e", subscription="e", amount_minor=1_000, currency="EUR")
    shop = company(facts).workspace
    with pytest.raises(BadInput, match="money is in EUR, USD: choose"):
        shop.investors(month="2026-06")
    # 10 EUR are 20 USD.
    assert shop.investors(month="2026-06", currency="USD").recurring.closing == Decimal("140.00")


def test_every_number_is_the_one_that_the_report_and_the_metrics_tell(told: Investors) -> None:
    cells = {(cell.metric.name, cell.period.first): cell for cell in told.metrics.cells}
    month = date(2026, 6, 1)
    for one in told.headlines:
        cell = cells.get((one.figure.metric, month))
        if cell is not None:
            value = cell.major(cell.value) if cell.metric.unit == "money" else cell.value
            assert value is not None and float(one.figure.value or 0) == pytest.approx(float(value)), one.figure.metric
    assert told.concentration is not None
    assert told.concentration.major(told.concentration.total) == told.recurring.closing
    assert told.concentration.payers == cells["paying_customers", month].value


def test_every_metric_told_is_of_the_catalogue_or_explained() -> None:
    assert set(NAMES) <= set(CATALOGUE)
    assert set(SHOWN) <= set(CATALOGUE) | set(OWN)


def test_every_file_has_the_columns_that_the_readme_explains(told: Investors) -> None:
    files = investor_files.texts(told)
    assert list(files) == ["README.txt", *investor_files.FILES]
    for name, (tells, columns) in investor_files.FILES.items():
        assert files[name].splitlines()[0] == ",".join(columns)
        assert len(files[name].splitlines()) > 1, f"{name} is empty"
        assert f"{name}: {tells}" in files["README.txt"]
        for column, meaning in columns.items():
            assert any(line.split() == [column, *meaning.split()] for line in files["README.txt"].splitlines())


def test_the_movements_of_each_month_add_up_as_they_are_written(pack: dict[str, list[dict[str, str]]]) -> None:
    months: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for row in pack["movements.csv"]:
        months[row["period_start"]][row["kind"]] = Decimal(row["amount"])
    assert len(months) >= 12
    before = None
    for lines in months.values():
        closing = lines.pop("closing")
        assert sum(lines.values()) == closing
        assert before in (None, lines["opening"])
        before = closing


def test_the_layers_of_a_month_and_the_cohorts_come_to_its_mrr(
    told: Investors, pack: dict[str, list[dict[str, str]]]
) -> None:
    closing = {row["period_start"]: Decimal(row["amount"]) for row in pack["movements.csv"] if row["kind"] == "closing"}
    layers: dict[str, Decimal] = defaultdict(Decimal)
    for row in pack["layers.csv"]:
        layers[row["period_start"]] += Decimal(row["mrr"])
    last = {row["cohort_start"]: Decimal(row["value"]) for row in pack["cohorts_revenue.csv"]}
    # Each layer and each cohort is rounded by itself.
    assert abs(layers["2026-06-01"] - closing["2026-06-01"]) <= Decimal("0.10")
    assert abs(sum(last.values()) - closing["2026-06-01"]) <= Decimal("1.00")
    heads = {row["cohort_start"]: int(row["value"]) for row in pack["cohorts_customers.csv"]}
    customers = next(one.figure.value for one in told.headlines if one.figure.metric == "customers")
    assert sum(heads.values()) == customers


def test_the_definitions_hold_every_choice_and_every_metric(
    told: Investors, pack: dict[str, list[dict[str, str]]]
) -> None:
    rows = pack["definitions.csv"]
    by_section = defaultdict(set)
    for row in rows:
        by_section[row["section"]].add(row["name"])
    assert by_section["choice"] == set(told.definition.choices)
    assert {row["metric"] for row in pack["metrics.csv"]} | set(OWN) <= by_section["metric"]
    assert {"month", "profile", "known_before", "made_up", "reconstructed", "provisional"} <= by_section["about"]


def test_no_file_names_a_customer(told: Investors) -> None:
    assert told.concentration is not None
    everything = "".join(investor_files.texts(told).values())
    for one in told.concentration.largest:
        assert one.customer_id not in everything
        assert one.name and one.name not in everything


def test_a_pack_is_a_folder_or_a_zip_of_the_same_bytes(told: Investors, tmp_path: Path) -> None:
    names = investor_files.write(told, tmp_path / "pack")
    for name in ("one.zip", "two.zip"):
        assert investor_files.write(told, tmp_path / name) == names
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as pack:
        assert pack.namelist() == names
        for name in names:
            assert pack.read(name) == (tmp_path / "pack" / name).read_bytes()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BadInput, match="taken is a file"):
        investor_files.write(told, tmp_path / "taken")
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(BadInput, match=r"folder\.zip is a folder"):
        investor_files.write(told, tmp_path / "folder.zip")
