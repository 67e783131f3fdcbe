"""How much of each generation of customers is still there? Cohort triangles for people, spreadsheets and programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tenure.faces.cli.layout import Column, strong, table, width, wrapped
from tenure.faces.cli.numbers import NOTHING, amount
from tenure.kernel import money

if TYPE_CHECKING:
    from tenure.measure.cohorts import CohortTable

KEYS = ("measure", "cohort_start", "cohort_end", "age", "segment", "currency", "unit", "size", "value", "share")
_AGE_WIDTH = 5  # "100" and a gap of two


def as_rows(found: Sequence[CohortTable]) -> Iterator[dict[str, Any]]:
    """One row per cohort and age that lies in the past; shares are fractions, money has its currency's digits."""
    for one in found:
        parts = zip(one.cohorts, one.triangle.sizes, one.triangle.values, one.triangle.shares, strict=True)
        for cohort, size, values, shares in parts:
            for age, (value, share) in enumerate(zip(values, shares, strict=True)):
                if value is not None:
                    yield {
                        "measure": one.measure,
                        "cohort_start": cohort.first,
                        "cohort_end": cohort.after,
                        "age": age,
                        "segment": one.segment,
                        "currency": one.currency,
                        "unit": "count" if one.measure == "customers" else "money",
                        "size": _exact(size, one),
                        "value": _exact(value, one),
                        "share": share,
                    }


def _exact(value: float | None, one: CohortTable) -> int | Decimal | None:
    if value is None:
        return None
    if one.measure == "customers" or one.currency is None:
        return round(value)
    return Decimal(repr(value)).quantize(Decimal(1).scaleb(-money.exponent(one.currency)))


def as_table(found: Sequence[CohortTable], grain: str, remarks: Sequence[str] = ()) -> str:
    """A triangle per segment and currency: rows are cohorts, columns their age, cells percent of the start."""
    text = "\n".join(_one(one, grain) for one in found)
    return text + "".join("\n" + wrapped(remark) + "\n" for remark in remarks)


def _one(one: CohortTable, grain: str) -> str:
    named = "" if one.segment is None else ", " + ", ".join(f"{k} = {v or '(unknown)'}" for k, v in one.segment.items())
    of = f" in {one.currency}" if one.currency else ""
    if one.of == "orders":
        what = "Customers who buy" if one.measure == "customers" else f"Revenue{of}"
        head = f"{what}, % of the cohort's first {grain}, by {grain}s since the first order{named}"
    else:
        what = "Customers" if one.measure == "customers" else f"MRR{of}"
        head = f"{what} still there, % of the start, by {grain}s since joining{named}"
    ages = one.triangle.ages
    known = [row for row in range(len(one.cohorts)) if one.triangle.sizes[row]]
    sizes = [_size(one, row) for row in known]
    lead = 9 + 2 + max([len("start"), *(len(size) for size in sizes)], default=5)
    fits = max(1, (width() - lead) // _AGE_WIDTH)
    shown = ages[:fits]
    columns = [Column("cohort"), Column("start", right=True), *(Column(str(age), right=True) for age in shown)]
    lines = []
    for row, size in zip(known, sizes, strict=True):
        shares = one.triangle.shares[row]
        lines.append([one.cohorts[row].label, size, *(_percent(shares[age]) for age in shown)])
    lines.append(["all", "", *(_percent(one.triangle.average(age)) for age in shown)])
    text = strong(head) + "\n\n" + table(columns, lines)
    if len(shown) < len(ages):
        text += (
            "\n"
            + wrapped(f"Ages up to {ages[-1]} are there: a longer --period shows them, --format csv has them all.")
            + "\n"
        )
    return text


def _size(one: CohortTable, row: int) -> str:
    size = _exact(one.triangle.sizes[row], one)
    if size is None:
        return NOTHING
    return amount(size, one.currency) if isinstance(size, Decimal) and one.currency else f"{size:,}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}"
