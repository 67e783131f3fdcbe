"""Behaviour and leaving: months and tenths against a reference written day by day, and effects that were planted."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from tenure.errors import BadInput, BadPeriod
from tenure.explain.behaviour import Behaviour
from tenure.explain.months import Months
from tests.reference.builder import Facts, Shop, open_company

DAY = timedelta(days=1)
MONTHS = [datetime(2025, month, 1, tzinfo=UTC) for month in range(1, 13)] + [datetime(2026, 1, 1, tzinfo=UTC)]


def told(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


class Life:
    """One customer as the story has him: from when, on which plan, when he asked, when he went, and why."""

    def __init__(self, name: str, rng: np.random.Generator, effect: float) -> None:
        self.name = name
        self.plan = ["basic", "team"][int(rng.integers(2))]
        self.began = datetime(2024, 1, 1, 6, tzinfo=UTC) + int(rng.integers(0, 560)) * DAY
        self.heavy = bool(rng.random() < 0.5)
        self.gone: datetime | None = None
        self.asked: datetime | None = None
        self.forced = False
        month = self.began
        while month < datetime(2026, 3, 1, tzinfo=UTC):
            month += 30 * DAY
            hazard = (0.05 if self.plan == "basic" else 0.02) + (0.0 if self.heavy else effect)
            if rng.random() < hazard:
                self.gone = month + timedelta(hours=int(rng.integers(24)))
                self.asked = self.gone - int(rng.integers(1, 29)) * DAY if rng.random() < 0.7 else None
                self.forced = self.asked is None and bool(rng.random() < 0.3)
                break

    def decided(self) -> datetime | None:
        return None if self.gone is None else self.asked or self.gone - 30 * DAY


def world(customers: int, seed: int, effect: float) -> tuple[Facts, list[Life], dict[str, list[datetime]]]:
    rng = np.random.default_rng(seed)
    facts, lives, used = Facts(), [], {}
    for number in range(customers):
        life = Life(f"c{number}", rng, effect)
        lives.append(life)
        price = {"customer": life.name, "plan_id": life.plan, "amount_minor": 1000 if life.plan == "basic" else 4000}
        facts.state(told(life.began), **price)
        if life.gone is not None:
            actor = "dunning" if life.forced else "customer" if life.asked else None
            asked = {"cancel_requested_at": told(life.asked)} if life.asked else {}
            facts.state(told(life.gone), status="canceled", cancel_actor=actor, **price, **asked)
        used[life.name] = []
        at = max(life.began, datetime(2024, 10, 1, tzinfo=UTC))
        while at < (life.gone or datetime(2026, 2, 1, tzinfo=UTC)):
            at += float(rng.exponential(3 if life.heavy else 9)) * DAY
            used[life.name].append(at.replace(second=0, microsecond=0))
            facts.use(f"{life.name}-{len(used[life.name])}", told(at), customer=life.name, feature="f")
    return facts, lives, used


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, list[Life], dict[str, list[datetime]]]]:
    facts, lives, used = world(120, 5, 0.06)
    shop = open_company(tmp_path_factory.mktemp("behaviour") / "shop", facts)
    yield shop, lives, used
    shop.close()


def rows_by_day(lives: list[Life], lead: int) -> list[tuple[str, int, str, int]]:
    """Who has a row at which month's beginning, and whether he left: the rule, followed customer by customer."""
    found = []
    for cut, (begins, ends) in enumerate(pairwise(MONTHS)):
        opens, closes = begins + lead * DAY, ends + lead * DAY
        for life in lives:
            there = life.began < begins and (life.gone is None or life.gone >= begins)
            decided = life.decided()
            if not there or (decided is not None and decided < opens):
                continue
            gone = decided is not None and decided < closes
            if not (gone and life.forced):
                found.append((life.name, cut, life.plan, int(gone)))
    return sorted(found)


@pytest.mark.parametrize("lead", [0, 7, 20])
def test_who_is_compared_and_who_left_is_as_a_day_by_day_reading_says(
    small: tuple[Shop, list[Life], object], lead: int
) -> None:
    shop, lives, _ = small
    facts = shop.workspace.facts(shop.known_on)
    months = Months.of(facts, shop.workspace.definition(), date(2025, 1, 1), date(2026, 1, 1), lead=lead)
    st = facts.statement()
    step = months.at_risk(st)
    rows = facts.engine.table(st.render(f"SELECT customer_id, cut, plan, gone FROM {step}")).to_pylist()
    assert sorted((row["customer_id"], row["cut"], row["plan"], row["gone"]) for row in rows) == rows_by_day(
        lives, lead
    )


def test_by_the_clock_of_losses_customers_and_churn_are_those_of_the_metrics(
    small: tuple[Shop, object, object],
) -> None:
    shop = small[0]
    facts = shop.workspace.facts(shop.known_on)
    months = Months.of(facts, shop.workspace.definition(), date(2025, 3, 1), date(2025, 6, 1), clock="lost")
    st = facts.statement()
    step = months.at_risk(st)
    sql = st.render(f"SELECT cut, count(*) AS n, sum(gone) AS gone FROM {step} GROUP BY cut ORDER BY cut")
    rows = facts.engine.table(sql).to_pylist()
    rates = [shop.row("customer_churn_rate", f"2025-0{month}") for month in (3, 4, 5)]
    assert [(int(row["gone"]), row["n"]) for row in rows] == [
        (int(rate["numerator"]), int(rate["denominator"])) for rate in rates
    ]


def test_tenths_of_usage_are_as_counted_by_hand(small: tuple[Shop, list[Life], dict[str, list[datetime]]]) -> None:
    shop, lives, used = small
    found: Behaviour = shop.workspace.why("behaviour", since="2025", lead=7, known_on=shop.known_on)
    rows = rows_by_day(lives, 7)
    expected: Counter[tuple[int, int]] = Counter()
    for cut in range(12):
        mine = [(name, gone) for name, at, _, gone in rows if at == cut]
        uses = {name: sum(MONTHS[cut] - 28 * DAY <= at < MONTHS[cut] for at in used[name]) for name, _ in mine}
        order = sorted(uses.values())
        for name, gone in mine:
            tenth = 10 * bisect_left(order, uses[name]) // len(order)
            expected[tenth, 0] += 1
            expected[tenth, 1] += gone
    counted = {(one.tenth, 0): one.customer_months for one in found.tenths if one.metric == "use"}
    counted |= {(one.tenth, 1): one.left for one in found.tenths if one.metric == "use"}
    assert counted == {key: expected[key] for key in counted}
    assert sum(n for (_, kind), n in expected.items() if kind == 0) == sum(
        n for (_, kind), n in counted.items() if kind == 0
    )


def test_what_cannot_be_told_says_why_and_is_not_tested(small: tuple[Shop, object, object]) -> None:
    shop = small[0]
    found = shop.workspace.why("behaviour", since="2025", known_on=shop.known_on)
    assert "tenure load tickets" in found.missing["tickets"]
    assert found.missing["breadth"] == "it is the same for every customer" or any(
        one.metric == "breadth" for one in found.tenths
    )
    assert {one.name for one in found.findings}.isdisjoint(found.missing)


def test_a_usage_that_keeps_customers_is_found_and_its_customers_are_listed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    facts, _, _ = world(500, 8, 0.09)
    shop = open_company(tmp_path_factory.mktemp("planted") / "shop", facts)
    found = shop.workspace.why("behaviour", since="2025", known_on=shop.known_on)
    (use,) = (one for one in found.findings if one.name == "use")
    assert use.stands
    assert use.estimate.high < 0
    # Light users leave nine points more; the lowest and the highest tenth differ by nearly that.
    assert -0.16 < use.estimate.value < -0.05
    assert 0 < use.who().num_rows < use.customers
    assert not [one.name for one in found.findings if one.stands and one.name not in ("use", "active_days")]
    shop.close()


def test_a_world_in_which_usage_means_nothing_finds_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    facts, _, _ = world(400, 9, 0.0)
    shop = open_company(tmp_path_factory.mktemp("null") / "shop", facts)
    found = shop.workspace.why("behaviour", since="2025", known_on=shop.known_on)
    assert [one.p is not None for one in found.findings]
    assert not [one.name for one in found.findings if one.stands]
    shop.close()


def test_months_that_nobody_saw_to_their_end_are_left_out_and_named(small: tuple[Shop, object, object]) -> None:
    shop = small[0]
    facts = shop.workspace.facts("2025-06-10")
    months = Months.of(facts, shop.workspace.definition(), date(2025, 1, 1), date(2025, 7, 1))
    # Losses that nobody announced show 31 days later: of April (to 7 May) by 7 June, of May not yet.
    assert len(months.cuts) == 4
    assert months.notes == ["2025-05 to 2025-06: left out, for it is not yet seen to its end who left."]
    with pytest.raises(BadPeriod, match="ask for an earlier one"):
        Months.of(facts, shop.workspace.definition(), date(2025, 6, 1), date(2025, 7, 1))
    with pytest.raises(BadInput, match="0 to 90"):
        Months.of(facts, shop.workspace.definition(), date(2025, 1, 1), date(2025, 7, 1), lead=120)
