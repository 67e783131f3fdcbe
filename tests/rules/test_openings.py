"""Who is in a number? The listed customers add up to it, in one currency as the number itself is made, and in each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tenure import Workspace
from tenure.measure.catalogue import CATALOGUE
from tests.parity.test_openings import differences, sums
from tests.reference.builder import Facts, open_workspace


def told_facts() -> Facts:
    """Ann pays dollars, Bo euros and leaves, Cy both, Dan pauses; the euro moves on 15 March from 0.8 to 1."""
    facts = Facts()
    facts.span("2025-01-05", "2025-03-10", customer="Ann", plan_id="basic", amount_minor=2_000)
    facts.span("2025-03-10", None, customer="Ann", plan_id="pro", amount_minor=5_000)
    facts.span("2025-01-05", "2025-03-20", customer="Bo", plan_id="pro", amount_minor=8_000, currency="EUR")
    facts.span("2025-01-05", None, customer="Cy", subscription="cy-1", plan_id="basic", amount_minor=1_000)
    facts.span(
        "2025-02-05", None, customer="Cy", subscription="cy-2", plan_id="pro", amount_minor=4_000, currency="EUR"
    )
    facts.span("2025-02-01", "2025-03-01", customer="Dan", plan_id="basic", amount_minor=3_000)
    facts.span("2025-03-01", None, customer="Dan", plan_id="basic", amount_minor=3_000, status="paused")
    facts.span("2025-03-31", None, customer="Eve", plan_id="pro", amount_minor=6_000, currency="EUR")
    facts.rate("2024-12-30", "EUR", "0.8")
    facts.rate("2025-03-15", "EUR", "1")
    return facts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The company above, in no currency of its own."""
    with open_workspace(tmp_path_factory.mktemp("opened") / "shop", told_facts()) as opened:
        yield opened


def listed(shop: Workspace, name: str, **options: Any) -> list[tuple[Any, ...]]:
    """(customer, currency, amount, base, what) of one number in March 2025."""
    rows = shop.metrics(name, since="2025-03", **options).customers().to_pylist()
    return [(row["customer_id"], row["currency"], row["amount"], row["base"], row["what"]) for row in rows]


@pytest.mark.parametrize(
    ("currency", "by"),
    [
        ("USD", ()),
        ("USD", ("tenure",)),
        ("EUR", ("plan_id",)),
        ("EUR", ("currency",)),
        ("each", ()),
        ("each", ("plan_id",)),
    ],
    ids=str,
)
def test_every_metric_of_the_catalogue_adds_up_to_its_customers(
    shop: Workspace, currency: str, by: tuple[str, ...]
) -> None:
    answer = shop.metrics(*CATALOGUE, since="2025-01", until="2025-04", by=by, currency=currency)
    assert differences(answer) == []
    opened = {metric for metric, *_ in sums(answer)}
    assert opened >= {"mrr", "arr", "arpa", "mrr_opening", "mrr_pause", "quick_ratio", "nrr", "grr", "customers"}
    assert opened >= {"customers_churned_unknown", "customer_churn_rate_annual", "involuntary_churn_share"}


def test_nobody_pays_in_a_currency_that_a_segment_never_saw(shop: Workspace) -> None:
    answer = shop.metrics("arpa", since="2025-03", by="currency", currency="each")
    told = {(row["segment"]["currency"], row["currency"]): (row["value"], row["n"]) for row in answer.rows()}
    assert told["EUR", "USD"] == (None, 0) and told["EUR", "EUR"] == (50, 2)


def test_a_movement_is_worth_the_rate_of_its_day(shop: Workspace) -> None:
    assert listed(shop, "mrr_churn", currency="USD") == [("Bo", "USD", Decimal(80), None, "churn")]
    assert listed(shop, "mrr_churn", currency="EUR") == [("Bo", "EUR", Decimal(80), None, "churn")]
    assert listed(shop, "mrr_new", currency="USD") == [("Eve", "USD", Decimal(60), None, "new")]


def test_a_balance_is_worth_the_rate_of_the_periods_end(shop: Workspace) -> None:
    assert listed(shop, "mrr", currency="USD") == [
        ("Eve", "USD", Decimal(60), None, "balance"),
        ("Ann", "USD", Decimal(50), None, "balance"),
        ("Cy", "USD", Decimal(50), None, "balance"),
    ]
    assert listed(shop, "arr", currency="USD")[0][2] == 12 * 60


def test_retention_stands_at_the_rates_of_the_start_and_begins_with_whom_moved_it_most(shop: Workspace) -> None:
    assert listed(shop, "nrr", currency="USD") == [
        ("Bo", "USD", Decimal(0), Decimal(100), "left"),
        ("Dan", "USD", Decimal(0), Decimal(30), "left"),
        ("Ann", "USD", Decimal(50), Decimal(20), "more"),
        ("Cy", "USD", Decimal(60), Decimal(60), "same"),
    ]
    assert [row[2] for row in listed(shop, "grr", currency="USD")] == [0, 0, 60, 20]


def test_a_rate_of_customers_lists_who_was_there_and_who_is_gone(shop: Workspace) -> None:
    found = listed(shop, "customer_churn_rate", currency="USD")
    assert found[0] == ("Bo", None, Decimal(1), Decimal(1), "lost")
    assert {row[0]: row[4] for row in found} == {"Bo": "lost", "Ann": "stayed", "Cy": "stayed", "Dan": "stayed"}


def test_the_fx_effect_opens_to_what_rates_did_to_each_customer(shop: Workspace) -> None:
    # Cy: 40 EUR from 1.25 to 1. Bo: 80 EUR the same, until he left at the new rate. Eve came at it.
    assert listed(shop, "mrr_fx", currency="USD") == [
        ("Bo", "USD", Decimal(-20), None, "fx"),
        ("Cy", "USD", Decimal(-10), None, "fx"),
    ]
    assert listed(shop, "mrr_fx", currency="each") == []


def test_currencies_that_are_kept_apart_are_listed_apart(shop: Workspace) -> None:
    found = listed(shop, "mrr", currency="each")
    assert [row[:3] for row in found] == [
        ("Eve", "EUR", 60), ("Cy", "EUR", 40), ("Ann", "USD", 50), ("Cy", "USD", 10),
    ]  # fmt: skip


def test_without_a_rate_the_number_has_no_value_and_opens_in_the_customers_own_currency(shop: Workspace) -> None:
    answer = shop.metrics("mrr", since="2025-03", currency="THB")
    assert answer.rows()[0]["value"] is None
    assert {row["currency"] for row in answer.customers().to_pylist()} == {"EUR", "USD"}


def test_a_limit_holds_for_each_number_by_itself(shop: Workspace) -> None:
    rows = shop.metrics("mrr", since="2025-02", until="2025-03", by="plan_id", currency="USD").customers(1).to_pylist()
    places = [(row["period_start"].month, json.loads(row["segment"])["plan_id"]) for row in rows]
    assert sorted(places) == sorted(set(places)) and len(places) == 4


def test_two_questions_in_two_currencies_open_in_their_own(shop: Workspace) -> None:
    in_dollars = shop.metrics("mrr_new", since="2025-01", currency="USD")
    shop.metrics("mrr_new", since="2025-01", currency="EUR")
    assert {row["currency"] for row in in_dollars.customers().to_pylist()} == {"USD"}
    assert differences(in_dollars) == []


def test_a_definition_that_makes_more_of_the_movements_says_that_the_list_need_not_add_up(shop: Workspace) -> None:
    from tenure.faces.cli.numbers import not_followed

    assert not_followed(shop.metrics("mrr", since="2025-03")) == ""
    assert "churn_base" in not_followed(shop.metrics("customer_churn_rate", since="2025-03", profile="stripe"))


def test_the_listing_is_the_same_on_spark(tmp_path: Path, spark: Any) -> None:
    with open_workspace(tmp_path / "shop", told_facts()) as shop:
        options: dict[str, Any] = {"since": "2025-02", "until": "2025-03", "by": "plan_id", "currency": "USD"}
        here = shop.metrics("mrr", "nrr", "mrr_fx", "customers_new", **options).customers()
        there = shop.metrics("mrr", "nrr", "mrr_fx", "customers_new", **options, engine="spark").customers()
        assert there.to_pylist() == here.to_pylist()
