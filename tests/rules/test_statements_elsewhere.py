"""Does what `--sql` prints give the figures where nothing of Tenure is, exchange rates included?"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tenure import Workspace
from tenure.kernel.time import periods
from tenure.lake.portable import SPARK, day_number
from tenure.measure.catalogue import metric
from tenure.measure.currencies import SCALE, Conversion, by_day, written
from tenure.measure.figures import assemble, rows
from tests.reference.builder import Facts, open_workspace

NAMES = ("mrr", "mrr_opening", "mrr_expansion", "mrr_contraction", "mrr_fx", "nrr", "grr", "gross_mrr_churn_rate")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workspace]:
    """Customers in dollars, euros and both at once, one of whom swaps one for the other within the hour."""
    facts = Facts()
    facts.span("2025-01-05", None, customer="Ann", amount_minor=2_000)
    facts.span("2025-01-05", "2025-03-10", customer="Bo", amount_minor=5_000, currency="EUR")
    facts.span("2025-01-07", "2025-03-20 10:00", customer="Cy", subscription="cy-1", amount_minor=4_000, currency="EUR")
    facts.span("2025-03-20 10:00", None, customer="Cy", subscription="cy-2", amount_minor=4_500)
    facts.span("2025-01-08", None, customer="Cy", subscription="cy-3", amount_minor=100, currency="EUR")
    for day, rate in (("2024-12-30", "0.9"), ("2025-02-10", "0.95"), ("2025-03-15", "0.8"), ("2025-03-25", "0.85")):
        facts.rate(day, "EUR", rate)
    with open_workspace(tmp_path / "O'Hara's [shop]", facts, currency="USD") as opened:
        yield opened


def run_elsewhere(text: str) -> list[Any]:
    """The answers of the printed statements in a new DuckDB of another time zone, with nothing lent to it."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Bangkok'")
        found = []
        for statement in connection.extract_statements(text):
            answer = connection.execute(statement).to_arrow_table()
            if answer.column_names[0] == "what":
                found.append(rows(answer))
        return found


def test_the_printed_statement_gives_the_figures_in_a_reporting_currency(shop: Workspace) -> None:
    answer = shop.metrics(*NAMES, since="2025-01", until="2025-04")
    asked = periods(answer.question.first, answer.question.after, "month", answer.facts.timezone)
    (told,) = run_elsewhere(answer.sql())
    conversion = Conversion.of(answer.facts, "USD")
    figures = assemble(told, asked, conversion, None, day_number(answer.question.after))
    for cell in answer.cells:
        again = metric(cell.metric.name).compute(figures[asked.index(cell.period), "", "USD"])
        assert again.value == cell.value, cell
    worth = {(cell.metric.name, cell.period.label): cell.value for cell in answer.cells}
    assert worth["mrr_fx", "2025-03"], "rates moved"
    assert worth["nrr", "2025-03"] != Fraction(1)


def test_every_statement_of_an_answer_that_looks_back_brings_its_own_rates(shop: Workspace) -> None:
    answer = shop.metrics("mrr", "nrr_12m", since="2026-01", by="currency")
    told = run_elsewhere(answer.sql())
    assert len(told) == len(answer.statements)
    kept = [row for rows_ in told for row in rows_ if (row.what, row.kind, row.seg) == ("kept", "net", "EUR")]
    # Of January's euros (50 + 40 + 1) only 1 is left a year later; each at the rate of the day before February.
    (found,) = [
        cell for cell in answer.cells if cell.metric.name == "nrr_12m" and (cell.segment or {}) == {"currency": "EUR"}
    ]
    assert found.numerator is not None and found.denominator is not None
    assert found.numerator - found.denominator in [Fraction(row.amount) * SCALE for row in kept]
    assert found.value == Fraction(1, 91)


def test_the_last_statement_is_the_answer_when_all_are_run_as_one(shop: Workspace) -> None:
    with duckdb.connect() as connection:
        assert connection.execute(shop.metrics("mrr", since="2025-02").sql()).fetchall()


def test_rates_that_stay_are_one_line_of_the_text(shop: Workspace) -> None:
    answer = shop.metrics("mrr", since="2025-04")
    conversion = Conversion.of(answer.facts, "USD")
    table = by_day(answer.facts, conversion, ["EUR", "USD"], answer.question.first, answer.question.after)
    assert table.num_rows > 200
    assert written(answer.facts.engine.dialect, "rates", table).count("'EUR'") == 4
    with duckdb.connect() as connection:
        connection.execute(written(answer.facts.engine.dialect, "rates", table))
        again = connection.execute("SELECT * FROM rates ORDER BY day, currency").fetchall()
    assert again == sorted(tuple(row.values()) for row in table.to_pylist())
    assert "explode(sequence(first, after - 1))" in written(SPARK, "rates", table)
    assert "WHERE 1 = 0" in written(SPARK, "rates", table.slice(0, 0))
