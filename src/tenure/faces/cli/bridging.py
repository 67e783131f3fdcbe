"""`tenure bridge`: why do two definitions give two numbers? The lines as a table, and who is behind each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenure.faces.cli import numbers
from tenure.faces.cli.layout import Column, strong, table, width, wrapped

if TYPE_CHECKING:
    from tenure.measure.bridge import Bridge

KEYS = ("line", "amount", "alone", "touched", "choices")


def as_rows(found: Bridge) -> list[dict[str, Any]]:
    """The bridge as rows for a spreadsheet: start, each line, end."""
    told = found.as_json()
    ends = [
        {"line": f"start: {told['from_profile']}", "amount": told["from_value"]},
        {"line": f"end: {told['to_profile']}", "amount": told["to_value"]},
    ]
    lines = [
        {**line, "choices": "; ".join(f"{c['choice']}: {c['from']} -> {c['to']}" for c in line["choices"])}
        for line in told["lines"]
    ]
    empty = dict.fromkeys(KEYS)
    return [{**empty, **row} for row in (ends[0], *lines, ends[1])]


def as_table(found: Bridge, remarks: list[str]) -> str:
    """The bridge for people: from one number to the other, a line each, with what the choices are."""
    from tenure.charts.language import language
    from tenure.measure.definition import CHOICES

    words = language("en")
    told = found.as_json()
    unit, currency = found.metric.unit, found.currency
    rate = unit == "rate"

    def shown(value: Any, signed: bool) -> str:
        if rate:
            return f"{100 * value:+.2f} points" if signed else f"{100 * value:.2f} %"
        text = numbers.number(abs(value) if signed else value, unit, currency)
        sign = ("+" if value > 0 else "-" if value < 0 else "") if signed else ""
        return sign + text

    rows = [[told["from_profile"], shown(told["from_value"], False), ""]]
    differs = []
    for line in told["lines"]:
        touched = "" if line["touched"] is None else f"{line['touched']:,}"
        rows.append([f"  {words.named('bridge', line['line'])}", shown(line["amount"], True), touched])
        choices = "; ".join(
            f"{choice['choice']} {choice['from']} -> {choice['to']}{_meaning(choice, CHOICES)}"
            for choice in line["choices"]
        )
        differs.append(wrapped(f"{words.named('bridge', line['line'])}: {choices}", indent="  "))
    rows.append([told["to_profile"], shown(told["to_value"], False), ""])
    columns = [Column("", cut=True), Column(found.metric.title, right=True), Column("could touch", right=True)]
    title = f"{found.metric.title}, {told['period_start']} up to {told['period_end']}"
    notes = [
        "The lines add up exactly. What several do only together is shared among them, whatever their order (Shapley).",
        *remarks,
    ]
    body = table(columns, rows, width()).rstrip("\n")
    return "\n".join([strong(title), body, "", "What differs", *differs, "", *(wrapped(note) for note in notes)])


def _meaning(choice: dict[str, Any], choices: dict[str, Any]) -> str:
    """What the second definition says there, in words."""
    says = choices[choice["choice"]].says.get(str(choice["to"]))
    return f" ({says})" if says else ""


PEOPLE_KEYS = (
    "customer_id", "name", "numerator_before", "numerator_after", "denominator_before", "denominator_after", "change",
)  # fmt: skip


def people_rows(found: Bridge, line: str) -> list[dict[str, Any]]:
    """Who is behind a line, as rows."""
    rows: list[dict[str, Any]] = found.customers(line).to_pylist()
    return rows


def people_table(found: Bridge, rows: list[dict[str, Any]]) -> str:
    """Who is behind a line, for people; the largest change first."""
    if not rows:
        return "Nobody: this line changes nobody's part in the number."
    rate = found.metric.unit == "rate"

    def part(value: float) -> str:
        return f"{value:,.2f}".rstrip("0").rstrip(".")

    columns = [Column("customer", cut=True), Column("name", cut=True)]
    columns += [Column(title, right=True) for title in ("above", "then", "below", "then")]
    columns.append(Column("change", right=True))
    lines = [
        [
            row["customer_id"],
            row["name"] or "",
            *(part(row[key]) for key in PEOPLE_KEYS[2:6]),
            f"{100 * row['change']:+.3f} points" if rate else f"{row['change']:+,.2f}",
        ]
        for row in rows
    ]
    note = (
        f"{len(rows):,} customers. Above and below the line: each one's part by {found.before.name}, then with this "
        "line's choices alone; change: of the number, if only this customer's part moved."
    )
    return table(columns, lines, width()).rstrip("\n") + "\n" + wrapped(note)
