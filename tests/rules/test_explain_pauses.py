"""Who leaves when a pause ends has not used the product before: that is the pause, and no lost habit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tenure.explain.behaviour import behaviour
from tenure.explain.evidence import evidence
from tenure.explain.excess import fitted
from tests.reference.builder import Company, Facts, Shop

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
WEEKS = 60


@pytest.fixture
def shop(company: Company) -> Shop:
    """A hundred customers use the product alike; one in four pauses for two months, and half of those leave then."""
    facts = Facts()
    for number in range(100):
        name = f"c{number:03d}"
        facts.state("2024-06-01", customer=name)
        pauses = number % 4 == 0
        begin = FIRST + timedelta(weeks=10 + number // 4)
        end = begin + timedelta(days=60)
        if pauses:
            facts.state(begin, customer=name, status="paused", resumes_at=end)
            if number % 8 == 0:
                facts.state(end, customer=name, status="canceled", cancel_requested_at=end, cancel_actor="customer")
            else:
                facts.state(end, customer=name)
        elif number % 10 == 1:
            left = FIRST + timedelta(weeks=45, days=number % 7)
            facts.state(left, customer=name, status="canceled", cancel_requested_at=left, cancel_actor="customer")
        for week in range(WEEKS):
            at = FIRST + timedelta(weeks=week, days=2)
            if not (pauses and begin <= at < end):
                facts.use(f"{name}-{week}", at, customer=name, feature="documents", quantity=5 + number % 3)
    return company(facts)


def test_who_paused_meanwhile_has_no_rank_by_use_and_nothing_stands(shop: Shop) -> None:
    facts = shop.workspace.facts(shop.known_on)
    counted = evidence(facts, shop.workspace.definition(), date(2025, 2, 1), date(2026, 2, 1))
    left = counted.table.to_pylist()
    after_a_pause = [row for row in left if int(row["customer_id"][1:]) % 8 == 0]
    assert len(after_a_pause) == 13 and len(left) > 13
    assert {row["e_low"] for row in after_a_pause} == {0}
    assert any(row["e_low"] for row in left)  # the others are ranked
    found = fitted(counted.cells, {"experience": counted.columns["experience"]})
    assert [one.stands for one in found.tried] == [False]


def test_use_before_a_month_is_not_told_of_who_had_paused(shop: Shop) -> None:
    facts = shop.workspace.facts(shop.known_on)
    found = behaviour(facts, shop.workspace.definition(), date(2025, 2, 1), date(2026, 2, 1))
    assert not [one.name for one in found.findings if one.stands and one.name in ("use", "active_days", "breadth")]
    lowest = min(tenth.lowest for tenth in found.tenths if tenth.metric == "use")
    assert lowest > 0  # no month of nothing: those were pauses
