"""How does a number read? Money with its currency, rates in percent with their interval, and why one is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tenure.faces.cli.layout import Column, strong, table, table_width, width, wrapped
from tenure.kernel import money
from tenure.kernel.time import label

if TYPE_CHECKING:
    from tenure.measure.answers import Answer

NOTHING = "–"
KEYS = (
    "metric", "profile", "revenue", "period_start", "period_end", "segment", "currency", "unit", "value", "low", "high",
    "numerator", "denominator", "n", "reason",
)  # fmt: skip


TARGET_COLUMNS = ("target.value", "target.distance", "target.met", "target.more_than_noise")


def amount(value: Decimal, currency: str) -> str:
    """Money in major units as people write it."""
    return money.text(value.scaleb(money.exponent(currency)), currency)


def short(value: Any, currency: str) -> str:
    """Money without minor units: what is estimated is not known to the cent."""
    if value is None:
        return NOTHING
    digits = money.exponent(currency)
    whole = money.text(round(value) * 10**digits, currency)
    return whole.replace("." + "0" * digits, "") if digits else whole


def number(value: Any, unit: str, currency: str | None) -> str:
    """A value in its unit: `$1,234.50`, `8.00 %`, `1.25`, `12`; a dash for what is not known."""
    if value is None:
        return NOTHING
    if unit == "money":
        return amount(value, currency) if currency else f"{value:,}"
    if unit == "rate":
        return f"{100 * value:,.2f} %"
    if unit == "count":
        return f"{value:,}"
    return f"{value:,.2f}"


def interval(row: dict[str, Any]) -> str:
    """A value's interval in its unit, '' where there is none."""
    low, high = row["low"], row["high"]
    if low is None or high is None:
        return ""
    if row["unit"] == "rate":
        return f"{100 * low:,.2f} to {100 * high:,.2f} %"
    return f"{number(low, row['unit'], row['currency'])} to {number(high, row['unit'], row['currency'])}"


def fraction(row: dict[str, Any]) -> str:
    """What a rate was divided from: `2 of 25`; '' where it was not."""
    top, bottom, currency = row["numerator"], row["denominator"], row["currency"]
    if bottom is None or top is None:
        return ""

    def part(value: Any) -> str:
        return amount(value, currency) if isinstance(value, Decimal) and currency else f"{value:,}"

    return f"{part(top)} of {part(bottom)}" if row["unit"] == "rate" else f"{part(top)} / {part(bottom)}"


def distance(row: dict[str, Any]) -> str:
    """How far a number is from its target, and what that says: `+1.20 points, missed`; '' without a target.

    Where the interval reaches the target the distance may be noise, and nothing is said to be met or missed.
    """
    target = row.get("target")
    if target is None or target["distance"] is None:
        return ""
    far, unit = target["distance"], row["unit"]
    if unit == "rate":
        text = f"{100 * abs(far):,.2f} points"
    elif unit == "count" and isinstance(far, float):
        text = f"{abs(far):,g}"
    else:
        text = number(abs(far), unit, row["currency"])
    sign = "+" if far > 0 else "-" if far < 0 else ""
    said = {True: "met", False: "missed", None: ""}[target["met"]]
    if target["more_than_noise"] is False:
        said = "may be noise"
    return ", ".join(filter(None, (sign + text, said)))


def targets_apart(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for CSV: what is told of a target stands in columns of its own, `target.value` and so on."""
    return [
        {**row, **{f"target.{name}": value for name, value in row.get("target", {}).items()}, "target": None}
        for row in rows
    ]


_SMALL_BASE = re.compile(r"small base: [\d,]+ (.+?) \(under (\d+)\)")


@dataclass
class Footnotes:
    """Reasons under a table, each once and numbered in the order in which they are met."""

    found: dict[str, int] = field(default_factory=dict)

    def mark(self, reason: str | None) -> str:
        """The mark of a reason, '' without one."""
        if not reason:
            return ""
        # One note for all small bases; how small each is stands in its interval and in the machine formats.
        reason = _SMALL_BASE.sub(r"small base: under \2 \1", reason)
        return f"[{self.found.setdefault(reason, len(self.found) + 1)}]"

    def text(self, room: int) -> str:
        """The notes, a line or more each."""
        lines = []
        for reason, place in self.found.items():
            first = f"[{place}] "
            lines.append(wrapped(reason, room, indent=" " * len(first), first=first) + "\n")
        return "".join(lines)


@dataclass(frozen=True, slots=True)
class _Series:
    """One metric's numbers by row: the columns they take and the texts in them."""

    columns: tuple[Column, ...]
    texts: dict[tuple[Any, ...], tuple[str, ...]]


def as_table(rows: Sequence[dict[str, Any]], grain: str, by: Sequence[str], remarks: Sequence[str] = ()) -> str:
    """The rows of an answer for people: a line per period and segment, a column per metric, reasons as footnotes."""
    room = width()
    names = list(dict.fromkeys(row["metric"] for row in rows))
    blocks: list[str] = []
    notes = Footnotes()
    # Metrics of one currency each and metrics without one have different lines, so they stand in different tables.
    several = len({row["currency"] for row in rows if row["currency"]}) > 1
    kinds = {name: any(row["currency"] for row in rows if row["metric"] == name) for name in names}
    for has_currency, group in groupby(names, key=lambda name: several and kinds[name]):
        chosen = list(group)
        mine = [row for row in rows if row["metric"] in chosen]
        blocks += _block(mine, chosen, grain, by, has_currency, len(names) == 1, notes, room)
    text = "\n".join(blocks)
    below = notes.text(room) + "".join(wrapped(remark, room) + "\n" for remark in remarks)
    return text + ("\n" + below if below else "")


def _block(
    rows: Sequence[dict[str, Any]],
    names: Sequence[str],
    grain: str,
    by: Sequence[str],
    has_currency: bool,
    alone: bool,
    notes: Footnotes,
    room: int,
) -> list[str]:
    """Tables that fit in the room: as many metrics side by side as there is place for."""

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        segment = row["segment"] or {}
        values = tuple(segment.get(name) for name in by)
        return (row["period_start"], *values, row["currency"] if has_currency else None)

    keys = list(dict.fromkeys(key(row) for row in rows))
    lead = [Column("period"), *(Column(name, cut=True) for name in by)]
    lead += [Column("currency")] if has_currency else []
    heads = []
    for start, *rest in keys:
        segment = ["(unknown)" if value is None else str(value) for value in rest[: len(by)]]
        heads.append([label(date.fromisoformat(start), grain), *segment, *([rest[-1] or ""] if has_currency else [])])
    found: list[str] = []
    columns, texts = list(lead), [list(head) for head in heads]
    for name in names:
        series = _series([row for row in rows if row["metric"] == name], name, key, alone, notes)
        empty = ("",) * len(series.columns)
        wider = [*columns, *series.columns]
        longer = [[*line, *series.texts.get(k, empty)] for k, line in zip(keys, texts, strict=True)]
        if len(columns) > len(lead) and table_width(wider, longer) > room:
            found.append(table(columns, texts, room))
            wider = [*lead, *series.columns]
            longer = [[*head, *series.texts.get(k, empty)] for k, head in zip(keys, heads, strict=True)]
        columns, texts = wider, longer
    found.append(table(columns, texts, room))
    return found


def _series(rows: Sequence[dict[str, Any]], name: str, key: Any, alone: bool, notes: Footnotes) -> _Series:
    """One metric's columns: the value, the mark of a reason, the interval, and (if it is asked alone) its fraction."""
    values = [number(row["value"], row["unit"], row["currency"]) for row in rows]
    marks = [notes.mark(row["reason"]) for row in rows]
    intervals = [interval(row) for row in rows]
    fractions = [fraction(row) if alone else "" for row in rows]
    # The mark stands behind the number in a place of its own, so that numbers stay aligned.
    room = max(map(len, marks), default=0)
    shown = [f"{value} {mark.ljust(room)}" if room else value for value, mark in zip(values, marks, strict=True)]
    columns = [Column(name, right=True)]
    parts: list[Sequence[str]] = [shown]
    if any(intervals):
        columns.append(Column("95 % interval", right=True))
        parts.append(intervals)
    if any(fractions):
        columns.append(Column("from", right=True))
        parts.append(fractions)
    if any("target" in row for row in rows):
        columns += [Column("target", right=True), Column("distance")]
        goals = [row.get("target", {}).get("value") for row in rows]
        units = [(row["unit"], row["currency"]) for row in rows]
        parts.append(["" if goal is None else number(goal, *of) for goal, of in zip(goals, units, strict=True)])
        parts.append([distance(row) for row in rows])
    lines = zip(*parts, strict=True)
    return _Series(tuple(columns), {key(row): tuple(line) for row, line in zip(rows, lines, strict=True)})


PEOPLE_KEYS = (
    "metric", "period_start", "segment", "customer_id", "name", "currency", "amount", "base", "at", "what",
)  # fmt: skip


def trimmed(value: Decimal | None, currency: str | None) -> Decimal | None:
    """Money with its currency's digits, and with more only where it is finer than those."""
    if value is None or currency is None:
        return value
    rounded = value.quantize(Decimal(1).scaleb(-money.exponent(currency)))
    return rounded if rounded == value else value.normalize()


def people(answer: Answer) -> list[dict[str, Any]]:
    """The customers behind an answer's numbers: money with its currency's digits, counts whole, segments as objects."""
    return listed(answer.customers())


def listed(table: Any) -> list[dict[str, Any]]:
    """The rows of a listing of customers (Arrow), in the same way."""
    from tenure.measure.catalogue import metric

    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        of = metric(row["metric"])
        row["segment"] = row["segment"] and json.loads(row["segment"])
        for name, is_money in (("amount", of.of_money), ("base", of.money_parts)):
            if row[name] is not None:
                row[name] = trimmed(row[name], row["currency"]) if is_money else int(row[name])
    return rows


def revenue_told(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Which revenue the numbers are of, in a sentence, where any of them is of another than committed revenue."""
    lines = {row["metric"]: row["revenue"] for row in rows if row["revenue"] != "orders"}
    if set(lines.values()) <= {"committed"}:
        return []
    of = {line: [name for name in lines if lines[name] == line] for line in dict.fromkeys(lines.values())}
    if len(of) == 1:
        return [f"Of {next(iter(of))} revenue."]
    return ["; ".join(f"of {line} revenue: {', '.join(names)}" for line, names in of.items()).capitalize() + "."]


def not_followed(answer: Answer) -> str:
    """A caution where the definition makes more of the movements than the listing does, '' where it does not."""
    from tenure.measure import openings

    names = openings.not_followed(answer.definition)
    if not names:
        return ""
    return f"Listed by the movements alone: with {', '.join(names)} as this definition has it, they need not add up."


def people_table(
    rows: Sequence[dict[str, Any]],
    grain: str,
    tz: ZoneInfo,
    by: Sequence[str] = (),
    remarks: Sequence[str] = (),
    limit: int = 100,
) -> str:
    """The customers behind numbers, for people, a table for each metric: who, how much, when (in the zone), by what.

    Of many numbers each shows its first customers, of one number the first `limit`.
    """
    below = "".join("\n" + wrapped(remark) + "\n" for remark in remarks)
    if not rows:
        return "There is nobody in these numbers.\n" + below

    def number_of(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["metric"], row["period_start"], *(row["segment"] or {}).values(), row["currency"]

    each = max(5, limit // len({number_of(row) for row in rows}))
    shown = [row for _, group in groupby(rows, key=number_of) for row in list(group)[:each]]
    tables = {name: list(group) for name, group in groupby(shown, key=lambda row: row["metric"])}
    parts = [
        (f"{strong(name)}\n\n" if len(tables) > 1 else "") + _people_of_one(mine, grain, tz, by)
        for name, mine in tables.items()
    ]
    if len(rows) > len(shown):
        parts.append(f"... and {len(rows) - len(shown):,} more: --format csv lists them all\n")
    return "\n".join(parts) + below


def _people_of_one(rows: Sequence[dict[str, Any]], grain: str, tz: ZoneInfo, by: Sequence[str]) -> str:
    """The customers of one metric, with the columns that say something of it."""
    has = {name: any(row[name] is not None for row in rows) for name in ("name", "at", "what")}
    # Counts add one for everybody; what became of the customer says more.
    has |= {name: any(isinstance(row[name], Decimal) for row in rows) for name in ("amount", "base")}
    columns = [Column("period"), *(Column(name, cut=True) for name in by), Column("customer", cut=True)]
    columns += [Column("name", cut=True)] if has["name"] else []
    columns += [Column("base", right=True)] if has["base"] else []
    columns += [Column("amount", right=True)] if has["amount"] else []
    columns += [Column("when")] if has["at"] else []
    columns += [Column("what")] if has["what"] else []

    def money_of(value: Any, currency: str | None) -> str:
        return amount(value, currency) if currency and isinstance(value, Decimal) else ""

    lines = []
    for row in rows:
        segment = row["segment"] or {}
        line = [label(row["period_start"], grain)]
        line += ["(unknown)" if segment.get(name) is None else str(segment[name]) for name in by]
        line.append(row["customer_id"])
        line += [row["name"] or ""] if has["name"] else []
        line += [money_of(row["base"], row["currency"])] if has["base"] else []
        line += [money_of(row["amount"], row["currency"])] if has["amount"] else []
        line += ["" if row["at"] is None else row["at"].astimezone(tz).strftime("%Y-%m-%d %H:%M")] if has["at"] else []
        line += [row["what"] or ""] if has["what"] else []
        lines.append(line)
    return table(columns, lines)
