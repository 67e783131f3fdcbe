"""On how few customers does the revenue rest? Against a count by hand, in one currency, in several, and on Spark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure import Workspace
from tenure.errors import NoRate
from tenure.lake.engines import Spark
from tenure.measure.concentration import Concentration, concentration
from tests.reference.builder import Facts, Shop, open_company

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Build = Callable[..., Shop]
AT = date(2026, 7, 1)


def spread(shop: Workspace, currency: str | None = None, engine: str | None = None) -> list[Concentration]:
    return concentration(shop.facts("2026-12-31", engine), shop.definition(), at=AT, currency=currency)


def test_shares_of_the_largest_are_those_counted_by_hand(company: Build) -> None:
    facts = Facts()
    # c01 pays 10, c02 pays 20, ... c12 pays 120: together 780. c12 has it in two subscriptions.
    for i in range(1, 12):
        facts.span("2026-01-01", customer=f"c{i:02}", subscription=f"s{i}", amount_minor=1000 * i)
    for name, amount in (("s12", 5_000), ("s13", 7_000)):
        facts.span("2026-01-01", customer="c12", subscription=name, amount_minor=amount)
    (found,) = spread(company(facts, currency="USD").workspace)
    assert (found.currency, found.payers, found.major(found.total)) == ("USD", 12, Decimal("780.00"))
    # The largest: 120. The ten largest: 780 - 10 - 20. A tenth of 12 is 2 (rounded up): 120 + 110.
    told = {held.group: (held.customers, found.major(held.mrr), held.share) for held in found.groups}
    assert told == {
        "largest": (1, Decimal("120.00"), Fraction(120, 780)),
        "top_10": (10, Decimal("750.00"), Fraction(750, 780)),
        "top_tenth": (2, Decimal("230.00"), Fraction(230, 780)),
    }
    assert [one.customer_id for one in found.largest][:3] == ["c12", "c11", "c10"]
    assert [one.place for one in found.largest] == list(range(1, 11))


def test_who_has_left_joins_later_or_pays_nothing_has_no_share(company: Build) -> None:
    facts = Facts()
    facts.span("2026-01-01", customer="stays", subscription="s1", amount_minor=1000)
    facts.span("2026-01-01", "2026-06-30", customer="left", subscription="s2", amount_minor=9000)
    facts.span("2026-07-01", customer="later", subscription="s3", amount_minor=9000)
    facts.span("2026-01-01", customer="free", subscription="s4", amount_minor=0)
    (found,) = spread(company(facts, currency="USD").workspace)
    assert (found.payers, [one.customer_id for one in found.largest]) == (1, ["stays"])
    assert [held.share for held in found.groups] == [1, 1, 1]


def test_where_nobody_pays_there_is_nothing_to_share(company: Build) -> None:
    facts = Facts()
    facts.span("2026-01-01", "2026-02-01")
    shop = company(facts, currency="USD").workspace
    assert spread(shop) == [] and spread(shop, "EUR") == []


def test_customers_who_pay_the_same_stand_in_the_order_of_their_ids(company: Build) -> None:
    facts = Facts()
    for name in ("b", "c", "a"):
        facts.span("2026-01-01", customer=name, subscription=name, amount_minor=500)
    (found,) = spread(company(facts, currency="USD").workspace)
    assert [one.customer_id for one in found.largest] == ["a", "b", "c"]


def two_currencies() -> Facts:
    facts = Facts()
    facts.rate("2026-01-01", "EUR", "0.5")  # one USD is half a EUR
    facts.rate("2026-06-30", "EUR", "0.8")
    facts.span("2026-01-01", customer="both", subscription="s1", amount_minor=1000)
    facts.span("2026-01-01", customer="both", subscription="s2", amount_minor=8000, currency="EUR")
    facts.span("2026-01-01", customer="dollars", subscription="s3", amount_minor=9000)
    return facts


def test_currencies_are_added_up_per_customer_at_the_rates_of_the_last_day(company: Build) -> None:
    shop = company(two_currencies()).workspace
    # 80 EUR are 100 USD at 0.8: "both" pays 110 of 200.
    (found,) = spread(shop, "USD")
    assert (found.payers, found.major(found.total)) == (2, Decimal("200.00"))
    assert [(one.customer_id, one.share) for one in found.largest] == [
        ("both", Fraction(110, 200)),
        ("dollars", Fraction(90, 200)),
    ]
    assert (
        found.major(found.total) == shop.metrics("mrr", since="2026-06", currency="USD", known_on="2026-12-31").value()
    )
    # Each by itself: two answers, the larger first.
    apart = spread(shop)
    assert [(one.currency, one.payers, one.major(one.total)) for one in apart] == [
        ("USD", 2, Decimal("100.00")),
        ("EUR", 1, Decimal("80.00")),
    ]
    with pytest.raises(NoRate):
        spread(shop, "THB")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 15),
            st.sampled_from(["month", "year", "quarter"]),
            st.integers(0, 10**7),
            st.sampled_from(["USD", "EUR"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=25,
    )
)
@settings(max_examples=15)
def test_shares_are_those_of_a_plain_count(items: list[tuple[int, str, int, str, bool]]) -> None:
    import tempfile

    facts = Facts()
    facts.rate("2026-01-01", "EUR", "0.9")
    held: dict[str, Fraction] = defaultdict(Fraction)
    months = {"month": 1, "quarter": 3, "year": 12}
    for n, (customer, interval, amount, currency, left) in enumerate(items):
        ended = "2026-05-01" if left else None
        name = f"c{customer:02}"
        facts.span(
            "2026-02-01",
            ended,
            customer=name,
            subscription=f"s{n}",
            amount_minor=amount,
            currency=currency,
            interval=interval,
        )
        if not left:
            # A state's MRR is rounded half-even once, to 10^-6 minor units; the rate to twelve decimals.
            monthly = Fraction(round(Fraction(amount * 10**6, months[interval])), 10**6)
            rate = Fraction(1) if currency == "USD" else Fraction(round(Fraction(10, 9) * 10**12), 10**12)
            held[name] += monthly * rate
    with tempfile.TemporaryDirectory() as folder:
        shop = open_company(Path(folder) / "shop", facts)
        found = spread(shop.workspace, "USD")
        shop.close()
    paying = sorted((mrr for mrr in held.values() if mrr > 0), reverse=True)
    if not paying:
        assert found == []
        return
    total = sum(paying, Fraction(0))
    (one,) = found
    assert one.payers == len(paying)
    tenth = -(-len(paying) // 10)
    expected = {"largest": paying[:1], "top_10": paying[:10], "top_tenth": paying[:tenth]}
    for group in one.groups:
        assert group.customers == len(expected[group.group])
        assert group.share == sum(expected[group.group], Fraction(0)) / total
    assert [largest.share for largest in one.largest] == [mrr / total for mrr in paying[:10]]


def test_spark_says_the_same(company: Build, spark: SparkSession) -> None:
    shop = company(two_currencies()).workspace
    shop._engines["spark"] = Spark(spark)
    for currency in ("USD", None):
        ours, theirs = spread(shop, currency), spread(shop, currency, "spark")
        assert [(one.total, one.payers, one.groups, one.largest) for one in ours] == [
            (one.total, one.payers, one.groups, one.largest) for one in theirs
        ]
