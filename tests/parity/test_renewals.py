"""Do renewals and committed MRR agree with a plain program, on companies that nobody would think of?"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tenure.measure.shares import shares
from tests.conftest import ON_CI
from tests.parity.test_brute_force import everything, reference_for
from tests.parity.test_engines import assert_same
from tests.reference.builder import Facts, open_workspace
from tests.reference.companies import World, companies, worlds
from tests.reference.day_by_day import add_months
from tests.reference.renewals import Renewals, promised

FIRST, MONTHS, GRACE, AHEAD = date(2023, 9, 1), 20, 30, 12
OUTCOMES = ("renewed", "late", "undecided", "lost")
PARTS = ("due_renewed", "due_late", "due_undecided", "lost_at_renewal")


def told_by_the_product(
    shop: Any, known_on: date, first: date, after: date, *names: str, **more: Any
) -> dict[Any, Any]:
    """{(metric, month, currency): exact value} of numbers that are not 0; money in micro units."""
    answer = shop.metrics(
        *names, since=first.isoformat(), until=(after - timedelta(days=1)).isoformat(), known_on=known_on.isoformat(),
        intervals=False, **more,
    )  # fmt: skip
    return {
        (row["metric"], date.fromisoformat(row["period_start"]), row["currency"]): row["value"]
        for row in answer.rows(exact=True)
        if row["value"]
    }


@settings(
    max_examples=25 if ON_CI else 8,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(world=worlds(), shops=st.tuples(*(companies(name=f"k{number}") for number in range(5))))
def test_renewals_and_what_is_promised_agree_with_the_plain_reference_on_random_companies(
    world: World, shops: tuple[Facts, ...]
) -> None:
    facts = everything(world, list(shops))
    if not facts.tables["subscription_states"] and not facts.tables["subscription_spans"]:
        return
    reference = reference_for(world, facts)
    after = add_months(FIRST, MONTHS)
    expected: dict[Any, Fraction] = defaultdict(Fraction)
    for due in Renewals(reference, FIRST, after, GRACE).found:
        month = due.day.replace(day=1)
        expected[f"renewals_{due.outcome}", month, None] += 1
        part = dict(zip(OUTCOMES, PARTS, strict=True))[due.outcome]
        expected[f"arr_{part}", month, due.currency] += 12 * due.micro
        if due.again:
            expected["arr_renewed", month, due.again_in] += 12 * due.again
    for i in range(MONTHS):
        month = add_months(FIRST, i)
        for currency, (signed, leaving) in promised(reference, facts.tables, add_months(month, 1), AHEAD).items():
            expected["cmrr_signed", month, currency] += signed
            expected["cmrr_leaving", month, currency] += leaving
    names = [f"renewals_{outcome}" for outcome in OUTCOMES] + [f"arr_{part}" for part in PARTS]
    names += ["arr_renewed", "cmrr_signed", "cmrr_leaving"]
    with (
        tempfile.TemporaryDirectory(prefix="tenure-renewals-") as folder,
        open_workspace(Path(folder) / "shop", facts, timezone=world.zone) as shop,
    ):
        found = told_by_the_product(shop, world.known_on, FIRST, after, *names, currency="each")
        assert found == {key: value for key, value in expected.items() if value}
        # The parts are the whole, in whatever currency.
        reporting = world.reporting or "each"
        whole = ("renewals_due", "arr_due", "arr_renewal_uplift", "arr_renewal_downsell", "mrr", "cmrr")
        found = told_by_the_product(shop, world.known_on, FIRST, after, *names, *whole, currency=reporting)
        for metric, month, currency in list(found):

            def part(*parts: str, month: date = month, currency: str | None = currency) -> Fraction:
                return sum((found.get((name, month, currency), Fraction(0)) for name in parts), Fraction(0))

            if metric == "renewals_due":
                assert part(metric) == part(*(f"renewals_{outcome}" for outcome in OUTCOMES))
            if metric == "arr_due":
                assert part(metric) == part(*(f"arr_{name}" for name in PARTS))
            if metric == "arr_renewed":
                due = part("arr_due_renewed", "arr_due_late")
                assert part(metric) == due + part("arr_renewal_uplift") - part("arr_renewal_downsell")
            if metric == "cmrr":
                assert part(metric) == part("mrr", "cmrr_signed") - part("cmrr_leaving")


def company() -> Facts:
    """One of every outcome, in two currencies; ends that are set, starts that are signed, and causes to expand."""
    facts = Facts()
    yearly: dict[str, Any] = {"interval": "year", "amount_minor": 120_000}
    for number in range(8):
        facts.state("2024-02-29 18:00", customer=f"c{number}", currency="EUR" if number % 3 else "USD", **yearly)
    facts.state("2025-02-28", customer="c0", status="canceled")
    facts.state("2025-03-05", customer="c0", subscription="again", amount_minor=9_000)
    facts.state("2025-02-28", customer="c1", status="past_due", currency="EUR", **yearly)
    facts.state("2025-03-10", customer="c1", currency="EUR", **yearly)
    facts.state("2025-02-28", customer="c2", status="past_due", currency="EUR", **yearly)
    facts.state(
        "2025-01-10", customer="c3", interval="year", amount_minor=150_000, term_ends_at="2026-02-28", quantity=2
    )
    facts.state("2025-01-10", customer="c4", currency="EUR", cancel_at="2025-06-01", **yearly)
    facts.state(
        "2025-01-15", customer="c5", status="scheduled", item="more", amount_minor=2_000, period_start="2025-05-01"
    )
    facts.span("2025-01-03", None, customer="weekly", interval="week", amount_minor=1_000)
    facts.span("2025-07-01", None, customer="signed", amount_minor=4_000, recorded_at="2025-01-20")
    facts.rate("2024-01-01", "EUR", "0.8")
    facts.rate("2025-02-15", "EUR", "0.9")
    return facts


def test_renewals_promises_and_causes_are_the_same_on_spark(tmp_path: Path, spark: Any) -> None:
    with open_workspace(tmp_path / "shop", company()) as shop:
        asked: dict[str, Any] = {"since": "2025-01", "until": "2025-03", "currency": "USD", "known_on": "2025-03-20"}
        here, there = (shop.renewals(engine=engine, **asked) for engine in ("duckdb", "spark"))
        assert here.rows() == there.rows()
        assert here.each() == there.each()
        assert {row["outcome"] for row in here.each()} == {"renewed", "late", "undecided"}
        names = ("renewals_due", "arr_net_renewal_rate", "cmrr", "cmrr_signed", "cmrr_leaving")
        one, other = (shop.metrics(*names, engine=engine, **asked) for engine in ("duckdb", "spark"))
        assert_same(one.rows(exact=True), other.rows(exact=True))
        assert one.customers().to_pylist() == other.customers().to_pylist()
        assert all(any(row["value"] for row in one.rows() if row["metric"] == name) for name in names)
        one, other = (
            shop.metrics("mrr_expansion", "mrr_churn", engine=engine, by="cause", **asked)
            for engine in ("duckdb", "spark")
        )
        assert_same(one.rows(exact=True), other.rows(exact=True))
        assert {row["segment"]["cause"] for row in one.rows() if row["metric"] == "mrr_expansion"} == {"seats"}


@pytest.mark.parametrize("passed_on", [False, True])
def test_asked_of_a_share_of_the_customers_at_a_time_renewals_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed_on: bool
) -> None:
    facts = company()
    if passed_on:  # both customers must be looked at together
        facts.state("2025-02-20", customer="another", subscription="c0-subscription", interval="year", amount_minor=1)
        facts.state("2025-01-20", customer="c0", subscription="c0-subscription", interval="year", amount_minor=1)
    asked: dict[str, Any] = {"since": "2025-01", "until": "2025-04", "known_on": "2025-04-20"}
    with open_workspace(tmp_path / "shop", facts) as shop:
        for more in ({}, {"currency": "USD"}, {"by": "plan_id"}, {"by": "tenure"}):
            whole = shop.renewals(**asked, **more).rows()
            monkeypatch.setattr("tenure.measure.shares.ROWS", 4)
            several = shares(shop.facts(known_on="2025-04-20"))
            assert len(several) == (1 if passed_on else 5)
            assert_same(shop.renewals(**asked, **more).rows(), whole)
            monkeypatch.undo()
