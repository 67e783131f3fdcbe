"""Does the engine's statement agree with the plain reference, exactly, on companies that nobody would think of?

Ten random companies live in one workspace, with disjoint customers and the trait `company` to tell them apart; the
reference (tests/reference/) answers from the same rows. Compared are the movements, every line and count of every
period, rates by numerator and denominator, in each currency or in one, as known on the workspace's day. A build machine
runs a hundred examples, so a thousand companies; while somebody waits it is five.
"""

from __future__ import annotations

import re
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import ON_CI
from tests.reference.builder import Facts, open_workspace
from tests.reference.companies import World, companies, worlds
from tests.reference.day_by_day import ITEM_COLUMNS, Lines, Reference, add_months

COMPANIES = 10  # in one workspace
EXAMPLES = 100 if ON_CI else 5

MONEY = {
    "mrr_opening": "opening",
    "mrr_new": "new",
    "mrr_reactivation": "reactivation",
    "mrr_resume": "resume",
    "mrr_expansion": "expansion",
    "mrr_contraction": "contraction",
    "mrr_pause": "pause",
    "mrr_churn": "churn",
    "mrr_entering": "entering",
    "mrr_leaving": "leaving",
    "mrr_fx": "fx",
    "mrr": "closing",
}
RATES = ("gross_mrr_churn_rate", "net_mrr_churn_rate", "quick_ratio")
RETENTION = ("nrr", "grr", "nrr_12m", "grr_12m")
COUNTS = {
    "customers": lambda counts: counts.closing,
    "paying_customers": lambda counts: counts.paying,
    "customers_new": lambda counts: counts.new,
    "customers_reactivated": lambda counts: counts.reactivated,
    "customers_churned": lambda counts: counts.churned,
    "customers_churned_voluntary": lambda counts: counts.causes["voluntary"],
    "customers_churned_involuntary": lambda counts: counts.causes["involuntary"],
    "customers_churned_other": lambda counts: sum(counts.causes[name] for name in ("dispute", "fraud", "business")),
    "customers_churned_unknown": lambda counts: counts.causes["unknown"],
}
# (grain, first day, the day after the last): months over everything that happens, the others where much does.
WINDOWS = (
    ("month", date(2023, 8, 1), date(2025, 6, 1)),
    ("quarter", date(2023, 7, 1), date(2025, 7, 1)),
    ("year", date(2023, 1, 1), date(2026, 1, 1)),
    ("week", date(2024, 2, 26), date(2024, 4, 1)),
    ("day", date(2024, 2, 25), date(2024, 3, 14)),
    ("day", date(2023, 8, 29), date(2023, 9, 3)),
)
BY: tuple[tuple[str, ...], ...] = (
    (),
    ("plan_id",),
    ("tier",),
    ("company", "plan_id"),
    ("company", "tier"),
    ("channel",),
    ("interval",),
    ("currency",),
    ("tier", "interval", "plan_id"),
)


def periods(grain: str, first: date, after: date) -> list[tuple[date, date]]:
    found = []
    while first < after:
        if grain in ("day", "week"):
            following = first + timedelta(days=1 if grain == "day" else 7)
        else:
            following = add_months(first, {"month": 1, "quarter": 3, "year": 12}[grain])
        found.append((first, following))
        first = following
    return found


def everything(world: World, shops: list[Facts]) -> Facts:
    facts = Facts()
    for told in (world.rates, *shops):
        for table, rows in told.tables.items():
            facts.tables[table] += rows
    facts.trait("tier", "none", customer="nobody")  # a trait that no row names is an unknown name
    return facts


def reference_for(world: World, facts: Facts) -> Reference:
    plain = Reference(facts.tables, zone=world.zone, known_on=datetime.max.replace(tzinfo=UTC))
    horizon = plain.midnight(world.known_on + timedelta(days=1))
    return Reference(facts.tables, zone=world.zone, known_on=horizon, reporting=world.reporting)


def differences(expected: dict[Any, Any], found: dict[Any, Any]) -> list[str]:
    """Readable lines for what differs; a key that is missing counts as zero or nothing."""
    keys = sorted({*expected, *found}, key=repr)
    return [
        f"{key}: the reference says {expected.get(key)}, the product {found.get(key)}"
        for key in keys
        if (expected.get(key) or 0) != (found.get(key) or 0)
    ]


def expected_cells(reference: Reference, grain: str, first: date, after: date, by: tuple[str, ...]) -> dict[Any, Any]:
    """(metric, period's first day, segment, currency) -> value, or (numerator, denominator) of a quotient."""
    cells: dict[Any, Any] = {}
    for start, end in periods(grain, first, after):
        answer = reference.period(start, end, by)
        for (where, currency), lines in answer.money.items():
            key = (start, where, currency)
            cells |= {(name, *key): getattr(lines, line) for name, line in MONEY.items()}
            cells |= {(name, *key): quotient(name, lines) for name in RATES}
            cells |= {(name, *key): getattr(lines, name) for name in RETENTION}
        for where, counts in answer.counts.items():
            key = (start, where, None)
            cells |= {(name, *key): count(counts) for name, count in COUNTS.items()}
            cells["customer_churn_rate", *key] = (counts.base_lost, counts.opening)
    return {key: value for key, value in cells.items() if value not in (0, (0, 0))}


def quotient(name: str, lines: Lines) -> tuple[Fraction, Fraction]:
    losses = lines.churn + lines.contraction + lines.pause
    gains = lines.expansion + lines.reactivation + lines.resume
    return {
        "gross_mrr_churn_rate": (losses, lines.opening),
        "net_mrr_churn_rate": (losses - gains, lines.opening),
        "quick_ratio": (lines.new + gains, losses),
    }[name]


def found_cells(answer: Any, by: tuple[str, ...]) -> dict[Any, Any]:
    cells = {}
    for row in answer.rows(exact=True):
        where = tuple(row["segment"][name] for name in by) if by else ()
        key = (row["metric"], date.fromisoformat(row["period_start"]), where, row["currency"])
        if row["unit"] in ("rate", "ratio"):
            cells[key] = (row["numerator"] or 0, row["denominator"] or 0)
        else:
            cells[key] = row["value"]
    return {key: value for key, value in cells.items() if value not in (None, 0, (0, 0))}


def wrong_cells(
    workspace: Any, reference: Reference, world: World, window: tuple[str, date, date], by: Any
) -> list[str]:
    grain, first, after = window
    names = [*MONEY, *RATES, *RETENTION]
    if not set(by) & set(ITEM_COLUMNS):
        names += [*COUNTS, "customer_churn_rate"]
    answer = workspace.metrics(
        *names,
        since=first.isoformat(),
        until=(after - timedelta(days=1)).isoformat(),
        period=grain,
        by=by,
        currency=world.reporting,
        known_on=world.known_on.isoformat(),
        intervals=False,
    )
    expected = expected_cells(reference, grain, first, after, by)
    return [f"by {by}, {grain}: {line}" for line in differences(expected, found_cells(answer, by))]


def wrong(world: World, facts: Facts, window: tuple[str, date, date], by: tuple[str, ...]) -> list[str]:
    """What the product says otherwise than the reference, in words; nothing where they agree."""
    if not facts.tables["subscription_states"] and not facts.tables["subscription_spans"]:
        return []
    reference = reference_for(world, facts)
    with tempfile.TemporaryDirectory(prefix="tenure-random-") as folder:
        workspace = open_workspace(Path(folder) / "shop", facts, timezone=world.zone)
        try:
            found = [] if world.reporting else wrong_movements(workspace, reference, world)
            found = found or wrong_cells(workspace, reference, world, WINDOWS[0], ("company",))
            return found or wrong_cells(workspace, reference, world, window, by)
        except Exception as error:  # an answer that fails is a wrong answer; told like one, it is made small too
            where = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}"]
        finally:
            workspace.close()


def wrong_movements(workspace: Any, reference: Reference, world: World) -> list[str]:
    """Movement rows that differ, summed by customer, time, kind and currency."""
    expected, found = Counter[Any](), Counter[Any]()
    for row in reference.movements():
        expected[row.customer, row.at, row.kind, row.currency] += row.micro
    table = workspace.movements(since="2023-01", until="2026-12", known_on=world.known_on.isoformat())
    for told in table.to_pylist():
        key = (told["customer_id"], told["at"].astimezone(UTC), told["kind"], told["currency"])
        found[key] += told["amount_micro"]
    return differences(expected, found)


def smallest(facts: Facts, is_wrong: Callable[[Facts], bool]) -> Facts:
    """The facts without all that can be left out while the same is wrong: companies, customers, items, then rows."""
    for column in ("company", "customer_id", "subscription_id", None):
        parts = {part_of(row, column, number) for number, (_, row) in enumerate(all_rows(facts))} - {None}
        for part in sorted(parts, key=repr):
            smaller = Facts()
            for number, (table, row) in enumerate(all_rows(facts)):
                if part_of(row, column, number) != part:
                    smaller.tables[table].append(row)
            if len(all_rows(smaller)) < len(all_rows(facts)) and is_wrong(smaller):
                facts = smaller
    return facts


def all_rows(facts: Facts) -> list[tuple[str, Any]]:
    return [(table, row) for table, rows in facts.tables.items() for row in rows]


def part_of(row: Any, column: str | None, number: int) -> Any:
    """Which part of the story a row belongs to; None for what every story needs."""
    if row.get("trait") == "company" or row.get("customer_id") == "nobody" or row.get("day") == date(2022, 1, 1):
        return None
    if column == "company":
        return row["customer_id"].split("-")[0] if "customer_id" in row else None
    return id(row) if column is None else row.get(column)


def what_is_wrong(found: list[str]) -> str:
    """Which error, or which number, without the values: what a smaller story must still show."""
    match = re.search(r"\w+ in \w+\.py:\d+|: \('[a-z_0-9]+', datetime", found[0]) if found else None
    return match.group() if match else "; ".join(found[:1])


def told(facts: Facts) -> str:
    """The rows of a story, without what every story needs and every row says."""
    plain = {"retracted": False, "recorded_assumed": False, "interval_count": 1, "quantity": 1}
    lines = []
    for table, row in all_rows(facts):
        if part_of(row, None, 0) is not None:
            shown = {
                name: str(value)
                for name, value in row.items()
                if value is not None and name != "row_hash" and plain.get(name, "") != value
            }
            lines.append(f"{table}: {shown}")
    return "\n".join(lines)


# Hypothesis would shrink for an hour, because every look costs a workspace; leaving out rows is quicker and as clear.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(
    world=worlds(),
    shops=st.tuples(*(companies(name=f"k{number}") for number in range(COMPANIES))),
    window=st.sampled_from(WINDOWS),
    by=st.sampled_from(BY),
)
def test_the_statement_agrees_with_the_plain_reference_on_random_companies(
    world: World, shops: tuple[Facts, ...], window: tuple[str, date, date], by: tuple[str, ...]
) -> None:
    facts = everything(world, list(shops))
    if found := wrong(world, facts, window, by):
        kind = what_is_wrong(found)
        facts = smallest(facts, lambda smaller: what_is_wrong(wrong(world, smaller, window, by)) == kind)
        shown = "\n".join(wrong(world, facts, window, by)[:12])
        looked = f"in {world.zone}, in {world.reporting or 'each currency'}, known on {world.known_on}"
        raise AssertionError(f"{shown}\n{looked}\n{told(facts)}")
