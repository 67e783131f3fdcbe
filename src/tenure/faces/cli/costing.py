"""`tenure cost`: what did churn cost? The answer in words, and tables that a chief financial officer can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tenure.faces.cli import numbers
from tenure.faces.cli.layout import Column, strong, table, table_width, width, wrapped
from tenure.kernel.time import Period, floor_day, label, next_day
from tenure.measure.segments import resolve

if TYPE_CHECKING:
    from tenure.measure.costs import Cost, Line

KEYS = (
    "section", "line", "segment", "currency", "unit", "value", "low", "high", "numerator", "denominator", "n", "reason",
)  # fmt: skip
TITLES = {
    "lost": "What was lost",
    "replacing": "What replacing it costs",
    "point": "What one point of churn is worth",
    "at_risk": "ARR at risk, as the period closes",
    "protected": "ARR protected in the period",
    "reputation": "Reputation, beside churn",
    "owners": "Owners of customers",
}


def stretch(period: Period) -> str:
    """The days in words: a month, quarter or year by its name, else from and to."""
    for grain in ("year", "quarter", "month", "day"):
        if floor_day(period.first, grain) == period.first and next_day(period.first, grain) == period.after:
            return label(period.first, grain)
    return f"{period.first} to {period.after - timedelta(days=1)}"


def headline(found: Cost) -> str:
    """What churn cost, in a sentence or two."""
    when = stretch(found.period)
    # Of segments of items somebody may leave several.
    segment = resolve(found.facts, found.by)
    places = "" if segment is None or not segment.of_item else f" (counted in each {' and '.join(segment.item)})"
    heads = sum(int(line.value or 0) for line in found.lines if line.kind.name == "customers_lost")

    def total(name: str) -> str:
        by: dict[str, Line] = {}
        for line in found.lines:
            if line.kind.name == name and line.currency is not None:
                if line.value is None:
                    return ""
                before = by.get(line.currency)
                by[line.currency] = line if before is None else replace(line, value=line.value + (before.value or 0))
        parts = [numbers.number(line.shown(), "money", currency) for currency, line in by.items() if line.value]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)

    left = f"{heads:,} customer{'' if heads == 1 else 's'} left{places}"
    money, yearly = total("mrr_lost"), total("arr_lost")
    if not heads and not money:
        return f"Nobody left in {when}: churn cost nothing."
    said = f"Churn cost {money} of MRR in {when}, {yearly} a year: {left}." if money else f"{left} in {when}."
    forgone, replacing = total("forgone_value"), total("replacement_cost")
    if forgone:
        said += f" The margin they would still have brought is worth {forgone}"
        said += f"; replacing them costs {replacing}." if replacing else "."
    elif replacing:
        said += f" Replacing them costs {replacing}."
    return said


def as_table(found: Cost, remarks: Sequence[str]) -> str:
    """The answer in words, then a table per section, reasons and remarks below."""
    room = width()
    notes = numbers.Footnotes()
    rows = found.rows()
    several = len(found.currencies) > 1
    blocks = [wrapped(headline(found), room) + "\n"]
    for section, title in TITLES.items():
        mine = [row for row in rows if row["section"] == section]
        whole = [row for row in mine if row["segment"] is None]
        parts = [row for row in mine if row["segment"] is not None]
        if not mine:
            continue
        text = strong(title) + "\n"
        if whole and several and section not in ("reputation", "owners"):
            text += "\n".join(_across(whole, (), several, notes, room))
        elif whole:
            text += _down(whole, notes, room)
        if parts:
            by = tuple(parts[0]["segment"])
            text += ("\n" if whole else "") + "\n".join(_across(parts, by, several, notes, room))
        blocks.append(text)
    lag = found.assumed.lag_months
    share = f"{100 * float(found.assumed.margin):g} %"
    earlier = "of the same time" if not lag else f"of {lag} month{'' if lag == 1 else 's'} before"
    told = [f"Margin {share}. Customers are weighed against the spend {earlier}.", *found.notes, *remarks]
    below = notes.text(room) + "".join(wrapped(note, room) + "\n" for note in told)
    return "\n".join(blocks) + "\n" + below


def _value(row: dict[str, Any], notes: numbers.Footnotes) -> tuple[str, str]:
    """A line's value as text, and the mark of its reason."""
    value = row["value"]
    if row["unit"] == "points" and value is not None:
        text = f"{value:+.1f}"
    elif row["unit"] == "months" and value is not None:
        text = f"{value:,.1f}"
    else:
        text = numbers.number(value, row["unit"], row["currency"])
    return text, notes.mark(row["reason"])


def _interval(row: dict[str, Any]) -> str:
    if row["unit"] == "points" and row["low"] is not None:
        return f"{row['low']:+.1f} to {row['high']:+.1f}"
    return numbers.interval(row)


def _from(row: dict[str, Any]) -> str:
    """What a rate is of, or how many customers a line is about."""
    if row["denominator"]:
        return f"{row['numerator']:,} of {row['denominator']:,}"
    return f"{row['n']:,}" if row["n"] is not None and row["unit"] != "count" else ""


def _down(rows: Sequence[dict[str, Any]], notes: numbers.Footnotes, room: int) -> str:
    """A line each: title, value, interval, from how many."""
    from tenure.measure.costs import LINES

    told = [(LINES[row["line"]].title, *_value(row, notes), _interval(row), _from(row)) for row in rows]
    marks = max(len(mark) for _, _, mark, _, _ in told)
    lines = [
        [title, f"{value} {mark.ljust(marks)}" if marks else value, between, of]
        for title, value, mark, between, of in told
    ]
    columns = [Column("", cut=True), Column("value", right=True)]
    keep = [0, 1]
    for place, name in ((2, "95 % interval"), (3, "from")):
        if any(line[place] for line in lines):
            columns.append(Column(name, right=True))
            keep.append(place)
    return table(columns, [[line[place] for place in keep] for line in lines], room)


def _across(
    rows: Sequence[dict[str, Any]], by: Sequence[str], several: bool, notes: numbers.Footnotes, room: int
) -> list[str]:
    """A line per segment (and currency), a column per line of the section; as many side by side as fit."""

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple((row["segment"] or {}).get(name) for name in by)

    names = list(dict.fromkeys(row["line"] for row in rows))
    places = list(dict.fromkeys((key(row), row["currency"]) for row in rows if row["currency"] or not several))
    if not several:
        places = [(segment, None) for segment in dict.fromkeys(segment for segment, _ in places)]
    lead = [Column(name, cut=True) for name in by] + ([Column("currency")] if several else [])
    heads = [
        ["(unknown)" if value is None else str(value) for value in segment] + ([currency or ""] if several else [])
        for segment, currency in places
    ]
    found = []
    columns, texts = list(lead), [list(head) for head in heads]
    for name in names:
        told = {
            (key(row), row["currency"] if several else None): " ".join(filter(None, _value(row, notes)))
            for row in rows
            if row["line"] == name
        }
        # What has no currency stands once, in the segment's first line.
        first = dict(reversed(places))
        more = [
            told.get((segment, currency)) or (told.get((segment, None), "") if first[segment] == currency else "")
            for segment, currency in places
        ]
        wider = [*columns, Column(name, right=True)]
        longer = [[*line, text] for line, text in zip(texts, more, strict=True)]
        if len(columns) > len(lead) and table_width(wider, longer) > room:
            found.append(table(columns, texts, room))
            wider = [*lead, Column(name, right=True)]
            longer = [[*head, text] for head, text in zip(heads, more, strict=True)]
        columns, texts = wider, longer
    found.append(table(columns, texts, room))
    return found


PEOPLE_KEYS = (
    "segment", "customer_id", "name", "at", "how", "tenure_months", "currency", "mrr_lost", "arr_lost", "forgone_value",
    "replacement_cost",
)  # fmt: skip
_SHOWN = 100


def people_rows(found: Cost) -> list[dict[str, Any]]:
    """Who left, as rows: money with its currency's digits where it has no more, segments as objects."""
    import json

    rows: list[dict[str, Any]] = found.customers().to_pylist()
    for row in rows:
        row["segment"] = row["segment"] and json.loads(row["segment"])
        for name in PEOPLE_KEYS[-4:]:
            row[name] = numbers.trimmed(row[name], row["currency"])
    return rows


def people_table(rows: Sequence[dict[str, Any]], by: Sequence[str], tz: ZoneInfo) -> str:
    """Who left, for people; with whom most was lost first."""
    if not rows:
        return "Nobody left.\n"
    columns = [Column(name, cut=True) for name in by]
    columns += [Column("customer", cut=True), Column("name", cut=True), Column("left"), Column("how")]
    columns += [Column(name, right=True) for name in ("months", "MRR", "ARR", "forgone", "replacing")]
    lines = []
    for row in rows[:_SHOWN]:
        segment = row["segment"] or {}
        money = [numbers.number(row[name], "money", row["currency"]) for name in PEOPLE_KEYS[-4:]]
        lines.append(
            [
                *("(unknown)" if segment.get(name) is None else str(segment[name]) for name in by),
                row["customer_id"],
                row["name"] or "",
                row["at"].astimezone(tz).strftime("%Y-%m-%d"),
                row["how"],
                f"{row['tenure_months']:,}",
                *money,
            ]
        )
    more = f"... and {len(rows) - _SHOWN:,} more: --format csv lists them all\n" if len(rows) > _SHOWN else ""
    return table(columns, lines) + more
