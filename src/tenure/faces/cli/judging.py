"""`tenure why --from`: the verdict, all ways of asking taken together."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.explain.attribution import Cause, Verdict
    from tenure.kernel.stats import Estimate

KEYS = (
    "cause", "customers_share", "low", "high", "mrr_share", "mrr_low", "mrr_high", "avoidable", "strength", "settles",
    "withheld",
)  # fmt: skip
PEOPLE = ("customer_id", "left_at", "mrr", "currency", "says", "causes")
_SHOWN = 100


def tell_verdict(found: Verdict, format: Format, remarks: list[str], customers: bool) -> None:
    """Prints the verdict: shares with intervals and evidence; with `customers` one leaver a line."""
    if customers:
        _tell_customers(found, format, remarks)
    elif format is Format.json:
        put(json.dumps(found.as_json(), ensure_ascii=False, indent=2) + "\n")
    elif format is Format.csv:
        put(as_csv(KEYS, [{name: row[name] for name in KEYS} for row in (one.as_json() for one in found.causes)]))
    else:
        put(as_text(found, remarks))


def as_text(found: Verdict, remarks: list[str]) -> str:
    """The verdict for people."""
    from tenure.faces.cli.layout import Column, table
    from tenure.faces.cli.numbers import amount
    from tenure.text import Taxonomy

    names = Taxonomy.load()
    whole = found.as_json()
    mrr = whole["mrr_lost"]
    lost = "MRR not in one currency" if mrr is None else f"{amount(Decimal(mrr), whole['currency'])} of MRR"
    period = f"from {found.first} to {found.after - timedelta(days=1)}"
    lines = [f"{whole['customers_lost']:,} customers lost {period}, {lost}.", ""]
    columns = [Column("cause", cut=True), Column("customers", right=True), Column("90 % interval", right=True)]
    columns += [Column("MRR", right=True), Column("90 % interval", right=True)]
    columns += [Column("avoidable", right=True), Column("strength")]
    rows = []
    for one in found.causes:
        strength = "" if one.strength is None else one.strength.words
        avoidable = "" if one.avoidable is None else f"{100 * one.avoidable:.1f} %"
        shares = [_share(one.customers), _between(one.customers), _share(one.mrr), _between(one.mrr)]
        rows.append([names[one.cause].name("en"), *shares, avoidable, strength])
    lines.append(table(columns, rows).rstrip("\n"))
    for one in found.causes:
        lines += ["", *_evidence(one, names[one.cause].name("en"))]
    order = sorted(found.says.items(), key=lambda item: -item[1])
    said = ", ".join(f"{names[cause].name('en')} {n:,}" for cause, n in order)
    lines += ["", *_wrapped(f"What they say, corrected by nothing: {said or 'nothing'}.")]
    if not found.reported:
        lines += _wrapped("Nothing was found beyond what chance explains: the reasons are not in these facts.")
    if found.speaking is None and found.says:
        lines += _wrapped(
            "Too few of those whose cause has evidence said why, so nothing tells how far words can be trusted."
        )
    return "\n".join([*lines, *(line for remark in remarks for line in ["", *_wrapped(remark)])]) + "\n"


def _wrapped(text: str) -> list[str]:
    from tenure.faces.cli.layout import wrapped

    return wrapped(text).split("\n")


def _evidence(one: Cause, name: str) -> list[str]:
    found = [f"{name}:"]
    if one.withheld:
        found += _wrapped(f"  {one.withheld}")
    for each in one.evidence:
        found += _wrapped(f"  {each.method} ({each.n:,}): {each.finding}")
    if not one.evidence:
        found.append("  no evidence of any kind")
    return [*found, *_wrapped(f"  What would settle it: {one.settles}.")]


def _share(estimate: Estimate) -> str:
    return "" if estimate.value is None else f"{100 * estimate.value:.1f} %"


def _between(estimate: Estimate) -> str:
    low, high = estimate.low, estimate.high
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def _tell_customers(found: Verdict, format: Format, remarks: list[str]) -> None:
    from tenure.faces.cli.layout import Column, table

    rows: list[dict[str, Any]] = found.customers()
    if format is Format.json:
        put(as_json(rows))
        return
    told = [{**row, "causes": "; ".join(_cause(one) for one in row["causes"])} for row in rows]
    if format is Format.csv:
        put(as_csv(PEOPLE, [{name: row[name] for name in PEOPLE} for row in told]))
        return
    columns = [Column("customer"), Column("left"), Column("MRR", right=True)]
    columns.append(Column("probable causes, and the facts", cut=True))
    lines = [
        [row["customer_id"], row["left_at"][:10], f"{row['mrr'] or ''} {row['currency'] or ''}".strip(), row["causes"]]
        for row in told[:_SHOWN]
    ]
    more = f"{len(told) - _SHOWN:,} more: --format csv lists all.\n" if len(told) > _SHOWN else ""
    put(table(columns, lines) + more + "".join("\n".join(_wrapped(remark)) + "\n" for remark in remarks))


def _cause(one: dict[str, Any]) -> str:
    facts = f" ({', '.join(one['facts'])})" if one["facts"] else ""
    return f"{one['cause']} {100 * one['chance']:.0f} %{facts}"
