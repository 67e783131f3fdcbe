"""What did we publish, what has changed since, and whose definition gives theirs? close, restatements, reconcile."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure.faces.cli.commands import (
    CurrencyOption,
    EngineOption,
    FormatOption,
    KnownOnOption,
    WorkspaceOption,
    _remarks,
    _shop,
    app,
)
from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.app.closing import Closed, MonthRestated, Restatement
    from tenure.measure.reconciling import Compared, Reconciled

ProfileOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
]

CLOSED_KEYS = ("month", "hash", "profile", "currency", "known_before", "closed_at", "customers", "mrr", "file")
RESTATED_KEYS = (
    "month", "metric", "currency", "unit", "published", "profile", "then", "now", "difference", "customers", "because",
)  # fmt: skip
LEARNED_KEYS = (
    "month", "table", "key", "customer_id", "what", "columns", "recorded_at", "loaded_at", "learned_at",
)  # fmt: skip
CORRECTED_KEYS = ("month", "customer_id", "name", "currency", "kind", "closed", "now", "amount", "because")
RECONCILED_KEYS = ("month", "metric", "currency", "theirs", "ours", "remains", "explained", "profile", "reason")


def _print(format: Format, keys: tuple[str, ...], rows: list[dict[str, Any]], text: str) -> None:
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(keys, rows))
    else:
        put(text)


# -------------------------------------------------------------------------------------------------------------- close


@app.command()
def close(
    context: typer.Context,
    month: Annotated[str | None, typer.Argument(metavar="MONTH", help="The month, such as 2026-06.")] = None,
    profile: ProfileOption = None,
    currency: CurrencyOption = None,
    known_on: KnownOnOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Close it anew where figures have changed; the old file is kept.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Print which months are closed.")] = False,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Freeze a month's figures. Under a name and a hash; what is learned later is told as a correction."""
    from tenure.errors import BadInput
    from tenure.faces.cli import progress
    from tenure.faces.cli.layout import wrapped

    shop = _shop(context, workspace)
    if list_:
        found = [closed for closed in shop.closed_months() if month is None or f"{closed.month:%Y-%m}" == month]
        _print(format, CLOSED_KEYS, [_closed_row(one) for one in found], _closed_table(found))
        return
    if month is None:
        raise BadInput("name the month to close, such as `tenure close 2026-06`; --list shows those that are closed")
    with progress.shown(f"closing {month}"):
        closed, is_new = shop.close_month(month, profile=profile, currency=currency, known_on=known_on, again=again)
    if is_new:
        text = f"Closed {closed.name} by the profile {closed.profile}: {_sums(closed)}. The figures: {closed.path}"
    else:
        text = f"{closed.name} was closed before with the same figures; nothing was changed."
    _print(format, CLOSED_KEYS, [_closed_row(closed)], wrapped(text))


def _mrr(closed: Closed) -> list[tuple[Decimal, str]]:
    """The MRR of a closed month: in the reporting currency, or in each."""
    from tenure.app.closing import rounded

    return [
        (rounded(told["value"], currency), currency)
        for (name, currency, converted), told in closed.figures.items()
        if name == "mrr" and currency and told["value"] is not None and converted == (closed.currency is not None)
    ]


def _customers(closed: Closed) -> int:
    return next(int(told["value"]) for (name, _, _), told in closed.figures.items() if name == "customers")


def _sums(closed: Closed) -> str:
    from tenure.faces.cli.numbers import amount

    money = ", ".join(amount(value, currency) for value, currency in _mrr(closed)) or "none"
    return f"MRR {money}, customers {_customers(closed):,}"


def _closed_row(closed: Closed) -> dict[str, Any]:
    return {
        "month": f"{closed.month:%Y-%m}",
        "hash": closed.hash,
        "profile": closed.profile,
        "currency": closed.currency,
        "known_before": closed.known_before,
        "closed_at": closed.closed_at,
        "customers": _customers(closed),
        "mrr": {currency: value for value, currency in _mrr(closed)},
        "file": str(closed.path),
    }


def _closed_table(found: list[Closed]) -> str:
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import amount

    if not found:
        return "No month is closed; `tenure close 2026-06` closes one."
    columns = [Column("month"), Column("hash"), Column("closed at"), Column("customers", right=True)]
    columns += [Column("MRR", right=True), Column("profile", cut=True)]
    lines = [
        [
            f"{one.month:%Y-%m}",
            one.hash[:12],
            f"{one.closed_at:%Y-%m-%d %H:%M} UTC",
            f"{_customers(one):,}",
            ", ".join(amount(value, currency) for value, currency in _mrr(one)),
            one.profile,
        ]
        for one in found
    ]
    return table(columns, lines)


# ------------------------------------------------------------------------------------------------------- restatements


@app.command()
def restatements(
    context: typer.Context,
    since: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First month, or a year, whole.")] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last month, included [default: that of --from].")
    ] = None,
    profile: ProfileOption = None,
    currency: CurrencyOption = None,
    published_on: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="When it was published [default: at the close, else the day after it ended]."
        ),
    ] = None,
    known_on: KnownOnOption = None,
    rows: Annotated[bool, typer.Option("--rows", help="Print every row that was learned since instead.")] = False,
    customers: Annotated[
        bool, typer.Option("--customers", help="Print who stands otherwise than closed months say instead.")
    ] = False,
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Tell which published figures have changed. By how much, because of which rows, and when each was learned."""
    from tenure.errors import BadInput, BadPeriod
    from tenure.faces.cli import progress

    if since is None:
        raise BadPeriod("restatements are of months: add --from, such as --from 2026-01")
    if rows and customers:
        raise BadInput("--rows and --customers answer two questions; ask one of them")
    shop = _shop(context, workspace)
    with progress.shown("comparing what was known"):
        if customers:
            corrected = _corrected(shop, since, until, known_on, engine)
            _print(format, CORRECTED_KEYS, corrected, _corrected_table(corrected))
            return
        found = shop.restatements(
            since=since,
            until=until,
            profile=profile,
            currency=currency,
            published_on=published_on,
            known_on=known_on,
            engine=engine,
        )
    if rows:
        learned = [{"month": f"{m.month:%Y-%m}", **row.as_json()} for m in found for row in m.learned]
        _print(format, LEARNED_KEYS, learned, _learned_table(found))
        return
    restated = [_restated_row(month, one) for month in found for one in month.changed]
    remarks = [remark for remark in _remarks(shop, known_on) if not remark.startswith("Counted by")]
    _print(format, RESTATED_KEYS, restated, _restated_table(found, remarks))


def _value(value: Fraction | None, unit: str, currency: str | None) -> Any:
    """An exact figure as JSON has it: money in major units, counts whole, rates as fractions."""
    from tenure.app.closing import rounded

    if value is None:
        return None
    if unit == "money" and currency:
        return rounded(value, currency)
    return int(value) if unit == "count" else float(value)


def _difference(one: Restatement) -> Fraction | None:
    return None if one.then is None or one.now is None else one.now - one.then


def _restated_row(month: MonthRestated, one: Restatement) -> dict[str, Any]:
    unit, currency = one.metric.unit, one.currency
    return {
        "month": f"{one.month:%Y-%m}",
        "metric": one.metric.name,
        "currency": currency,
        "unit": unit,
        "published": one.published,
        "profile": month.profile,
        "then": _value(one.then, unit, currency),
        "now": _value(one.now, unit, currency),
        "difference": _value(_difference(one), unit, currency),
        "customers": list(one.customers),
        "because": [row.as_json() for row in one.because],
    }


def _restated_table(found: list[MonthRestated], remarks: list[str]) -> str:
    from tenure.faces.cli.layout import Column, table, wrapped
    from tenure.faces.cli.numbers import number

    learned = [(month, row) for month in found for row in month.learned]
    places = {(month.month, row): i for i, (month, row) in enumerate(learned, 1)}
    lines = []
    for month in found:
        for one in month.changed:
            texts = [
                number(_value(value, one.metric.unit, one.currency), one.metric.unit, one.currency)
                for value in (one.then, one.now, _difference(one))
            ]
            marks = ", ".join(str(places[month.month, row]) for row in one.because[:5])
            marks += ", ..." if len(one.because) > 5 else ""
            lines.append([f"{one.month:%Y-%m}", one.metric.name, *texts, marks])
    below = [wrapped(f"{month.month:%Y-%m} {month.published}, by the profile {month.profile}.") for month in found]
    below += [wrapped(remark) for remark in remarks]
    if not lines:
        text = "No published figure has changed.\n"
        if learned:
            many = len(learned)
            text += f"{many} row{'s were' if many > 1 else ' was'} learned all the same; --rows lists them.\n"
        return text + "".join(f"{line}\n" for line in below)
    columns = [Column("month"), Column("metric"), Column("published", right=True), Column("now", right=True)]
    columns += [Column("difference", right=True), Column("because of")]
    return table(columns, lines) + "\n" + _learned_table(found) + "\n" + "".join(f"{line}\n" for line in below)


def _learned_table(found: list[MonthRestated], most: int = 40) -> str:
    from tenure.faces.cli.layout import Column, table

    learned = [(month, row) for month in found for row in month.learned]
    if not learned:
        return "Nothing was learned of these months since.\n"
    columns = [Column("row", right=True), Column("month"), Column("table"), Column("key", cut=True)]
    columns += [Column("customer", cut=True), Column("what"), Column("learned")]
    lines = [
        [
            str(place),
            f"{month.month:%Y-%m}",
            row.table,
            ", ".join(dict.fromkeys(value.removesuffix("T00:00:00+00:00") for _, value in row.key)),
            row.customers[0] if row.customers else "",
            f"{row.what} ({', '.join(row.columns)})" if row.columns else row.what,
            f"{row.learned_at:%Y-%m-%d}",
        ]
        for place, (month, row) in enumerate(learned[:most], 1)
    ]
    more = f"... and {len(learned) - most:,} more: --rows --format csv lists them all\n" if len(learned) > most else ""
    return table(columns, lines) + more


def _corrected(
    shop: Any, since: str, until: str | None, known_on: str | None, engine: str | None
) -> list[dict[str, Any]]:
    """The customers whose balance differs, of every closed month in between."""
    from tenure.errors import BadInput
    from tenure.kernel.time import add_months, whole_days

    first, after = whole_days(since)[0], whole_days(until or since)[1]
    months = [one.month for one in shop.closed_months() if first <= one.month < after]
    if not months:
        raise BadInput("no month in between is closed; `tenure close --list` shows which are")
    return [
        {"month": f"{month:%Y-%m}", **row}
        for month in months
        for row in shop.corrections(f"{add_months(month, 1):%Y-%m}", known_on=known_on, engine=engine)
    ]


def _corrected_table(rows: list[dict[str, Any]], most: int = 100) -> str:
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import amount

    if not rows:
        return "Everybody stands as the closed months say."
    columns = [Column("closed"), Column("customer", cut=True), Column("as closed", right=True)]
    columns += [Column("now", right=True), Column("correction", right=True), Column("because of", cut=True)]

    def money(row: dict[str, Any], name: str) -> str:
        return amount(row[name], row["currency"]) if row["currency"] else ""

    lines = [
        [
            row["month"],
            row["customer_id"],
            *(money(row, name) for name in ("closed", "now", "amount")),
            "; ".join(f"{one['what']} {one['table']}, {one['learned_at']:%Y-%m-%d}" for one in row["because"]),
        ]
        for row in rows[:most]
    ]
    more = f"... and {len(rows) - most:,} more: --format csv lists them all\n" if len(rows) > most else ""
    return table(columns, lines) + more


# ---------------------------------------------------------------------------------------------------------- reconcile


@app.command()
def reconcile(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Their figures: month, metric, value; also currency.")],
    customers: Annotated[
        bool, typer.Option("--customers", help="Print who is in our figures where a difference remains instead.")
    ] = False,
    currency: CurrencyOption = None,
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Find the definition behind another tool's figures. The profile and switches that come closest, what remains."""
    from tenure.faces.cli import progress

    shop = _shop(context, workspace)
    with progress.shown("comparing definitions") as moved:
        found = shop.reconcile(file, currency=currency, known_on=known_on, engine=engine, progress=moved)
        people = _behind(shop, found, currency, known_on, engine) if customers else []
    if customers:
        from tenure.faces.cli.commands import _people

        _people(people, "month", (), shop.settings.timezone, format, [_summary(found)])
        return
    _print(format, RECONCILED_KEYS, [_compared_row(found, row) for row in found.rows], _compared_table(found))


def _behind(
    shop: Any, found: Reconciled, currency: str | None, known_on: str | None, engine: str | None
) -> list[dict[str, Any]]:
    """The customers in our figures that still differ from theirs."""
    from tenure.faces.cli import numbers

    people: list[dict[str, Any]] = []
    for row in found.rows:
        if not row.explained:
            answer = shop.metrics(
                row.theirs.metric.name,
                since=f"{row.theirs.month:%Y-%m}",
                profile=found.definition.name,
                currency=currency,
                known_on=known_on,
                engine=engine,
            )
            people += [one for one in numbers.people(answer) if row.theirs.currency in (None, one["currency"])]
    return sorted(people, key=lambda one: [row.theirs.metric.name for row in found.rows].index(one["metric"]))


def _told(value: Fraction | None, unit: str) -> Any:
    """A figure in the units of JSON: money in major units with two digits, counts whole, rates as fractions."""
    if value is None:
        return None
    if unit == "money":
        return Decimal(round(value * 100)).scaleb(-2)
    return int(value) if unit == "count" else round(float(value), 10)


def _compared_row(found: Reconciled, row: Compared) -> dict[str, Any]:
    unit = row.theirs.metric.unit
    return {
        "month": f"{row.theirs.month:%Y-%m}",
        "metric": row.theirs.metric.name,
        "currency": row.theirs.currency,
        "theirs": _told(row.theirs.value, unit),
        "ours": _told(row.ours, unit),
        "remains": _told(row.remains, unit),
        "explained": row.explained,
        "profile": found.definition.name,
        "reason": row.reason or None,
    }


def _summary(found: Reconciled) -> str:
    exact = all(row.explained for row in found.rows)
    return f"The definition that {'gives' if exact else 'comes closest to'} these figures: {found.definition.name}"


def _compared_table(found: Reconciled) -> str:
    from tenure.faces.cli.layout import Column, table, wrapped
    from tenure.faces.cli.numbers import NOTHING, number

    columns = [Column("month"), Column("metric"), Column("theirs", right=True)]
    columns += [Column("ours", right=True), Column("remains", right=True)]

    def text(value: Fraction | None, row: Compared) -> str:
        unit = row.theirs.metric.unit
        if unit == "money" and value is not None:
            return f"{_told(value, unit):,}" + (f" {row.theirs.currency}" if row.theirs.currency else "")
        return number(_told(value, unit), unit, None)

    lines = [
        [
            f"{row.theirs.month:%Y-%m}",
            row.theirs.metric.name,
            text(row.theirs.value, row),
            text(row.ours, row),
            "" if row.explained else text(row.remains, row) if row.remains is not None else NOTHING,
        ]
        for row in found.rows
    ]
    far = sorted(found.by_profile, key=lambda one: one[1])
    told = ", ".join(f"{name} {float(distance):.3f}" for name, distance in far)
    below = [
        f"How far each profile is (the sum of relative differences): {told}.",
        *(f"{name} was left out: {reason}." for name, reason in found.left_out),
    ]
    if found.switches:
        below.insert(0, f"With its switches it is {float(found.distance):.3f} away.")
    if not all(row.explained for row in found.rows):
        below.append("--customers lists who is in the figures that still differ.")
    use = f"Use it: --profile '{found.definition.name}'"
    return "\n".join([wrapped(_summary(found)), use, "", table(columns, lines), *map(wrapped, below)])
