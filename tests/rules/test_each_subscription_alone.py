"""Is what was kept of each subscription the same, summed beside the customers' look and looked at on its own?"""

from __future__ import annotations

from typing import Any

import pytest

from tenure.measure import totals
from tests.reference.builder import LONG_AFTER, Company, Facts

METRICS = ("nrr", "grr", "mrr", "customers")


def _book(free: bool, pauses: bool) -> Facts:
    """Three customers with two subscriptions each, one of them of two items: up, down, gone, back, split."""
    facts = Facts()
    for number in range(3):
        who = f"c{number}"
        for name, price in (("a", 1_000), ("b", 2_500)):
            facts.state("2025-01-10", customer=who, subscription=f"{who}{name}", amount_minor=price + 100 * number)
        facts.state("2025-01-20", customer=who, subscription=f"{who}b", item="seats", amount_minor=700)
    # One subscription grows by what the other loses: kept of the customer, lost of the subscription.
    facts.state("2025-03-05", customer="c0", subscription="c0a", amount_minor=400)
    facts.state("2025-03-05", customer="c0", subscription="c0b", amount_minor=3_100)
    facts.state("2025-03-09", customer="c1", subscription="c1a", amount_minor=1_100, status="canceled")
    facts.state("2025-04-02", customer="c1", subscription="c1a", amount_minor=1_500)
    facts.state("2025-03-31 23:30", customer="c2", subscription="c2b", item="seats", amount_minor=300)
    if free:
        facts.state("2025-02-03", customer="c2", subscription="c2free", amount_minor=0)
        facts.state("2025-03-20", customer="c2", subscription="c2a", amount_minor=0)
    if pauses:
        facts.state("2025-02-11", customer="c0", subscription="c0a", amount_minor=1_000, status="paused")
    return facts


@pytest.mark.parametrize("until", ["2025-03", "2025-05"])
@pytest.mark.parametrize(("free", "pauses"), [(False, False), (True, False), (True, True)])
def test_one_look_and_two_tell_the_same_of_each_subscription(
    company: Company, monkeypatch: pytest.MonkeyPatch, free: bool, pauses: bool, until: str
) -> None:
    shop = company(_book(free, pauses))

    def told() -> tuple[list[tuple[object, ...]], list[float | None], int]:
        looks: list[str] = []
        statement = totals.statement

        def counted(*arguments: Any, **options: Any) -> str:
            looks.append(statement(*arguments, **options))
            return looks[-1]

        with monkeypatch.context() as patch:
            patch.setattr(totals, "statement", counted)
            rows = list(
                shop.workspace.metrics(*METRICS, since="2025-03", until=until, profile="chargebee", known_on=LONG_AFTER)
            )
        exact: list[tuple[object, ...]] = [
            (row.metric.name, row.value, row.numerator, row.denominator, row.reason) for row in rows
        ]
        return exact, [bound for row in rows for bound in (row.low, row.high)], len(looks)

    quick, bounds, looks = told()
    with monkeypatch.context() as patch:
        patch.setattr(totals, "adds_up", lambda *_: False)
        general, others, more = told()
    assert (looks, more) == (1, 2)
    assert quick == general
    assert len(quick) == len(METRICS) * (1 if until == "2025-03" else 3)
    assert bounds == pytest.approx(others, abs=1e-9, nan_ok=True)
