"""Event studies and who was written to, in worlds whose effects, drifts and mails we chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenure.errors import UnknownName
from tenure.explain.changes import WEAK, Studied, studied
from tenure.explain.evidence import evidence
from tenure.explain.findings import Strength
from tenure.explain.selection import chosen_by_state
from tests.reference.builder import Facts, Shop, open_company

DAY = timedelta(days=1)
TOLD = datetime(2025, 6, 4, 9, tzinfo=UTC)  # a Wednesday
MONDAY = datetime(2025, 6, 2, tzinfo=UTC)


class World:
    """Customers who decide at the end of some day, half of them of the group that a change touches."""

    def __init__(self, seed: int, effect: float, drift: float = 0.0, customers: int = 700) -> None:
        chance = np.random.default_rng(seed)
        self.facts, self.decided, self.expected = Facts(), {}, 0.0
        self.facts.change("rise", "price", "2025-06-04 09:00")
        self.facts.change("policy", "policy", "2025-07-02 09:00")
        for number in range(customers):
            name, group = f"c{number}", "a" if number % 2 else "b"
            began = datetime(2024, 3, 1, 6, tzinfo=UTC) + int(chance.integers(0, 250)) * DAY
            price = {"customer": name, "plan_id": "team", "amount_minor": 5000}
            self.facts.state(began, **price)
            self.facts.trait("group", group, customer=name)
            at, gone = began + 30 * DAY, None
            while at < datetime(2026, 1, 1, tzinfo=UTC):
                extra = effect * 7 / 30 if group == "a" and TOLD < at < TOLD + 140 * DAY else 0.0
                months = (at - TOLD).days / 30
                # A drift: the group leaves more and more in the half year before it is told anything.
                base = 0.02 * 7 / 30 + (drift * (months + 6) / 6 * 7 / 30 if group == "a" and -6 < months < 0 else 0.0)
                self.expected += extra
                if chance.random() < base + extra:
                    gone = at
                    break
                at += 7 * DAY
            if group == "a" and (gone is None or gone > TOLD):
                self.facts.exposed("rise", "2025-06-04 09:00", "2025-07-01 00:00", customer=name)
            if gone is not None:
                end = gone + 20 * DAY
                self.facts.state(end, **price, status="canceled", cancel_actor="customer", cancel_requested_at=gone)
                self.decided[name] = (group, gone)


def asked(folder: Path, world: World) -> tuple[Shop, Studied]:
    shop = open_company(folder / "shop", world.facts)
    facts = shop.workspace.facts(shop.known_on)
    return shop, studied(facts, shop.workspace.definition(), date(2025, 6, 1), date(2026, 1, 1))


@pytest.fixture(scope="module")
def risen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Studied]]:
    world = World(1, 0.05)
    shop, found = asked(tmp_path_factory.mktemp("risen"), world)
    yield world, found
    shop.close()


def test_what_a_change_did_is_found_and_its_checks_pass(risen: tuple[World, Studied]) -> None:
    world, found = risen
    one = next(one for one in found.findings if one.name == "rise")
    extra = found.extra["rise"]
    assert extra.low is not None and extra.high is not None and extra.low > 0
    assert extra.low < world.expected < extra.high
    assert one.more["passed"] and one.strength is Strength.event_study and one.stands
    assert one.more["kin"] == "group a" and one.cause == "price"
    assert found.passed("price") is True


def test_those_touched_are_counted_as_a_day_by_day_reading_says(risen: tuple[World, Studied]) -> None:
    world, found = risen
    path = found.path("rise")
    after = [month for month in path if month.month >= 0]
    assert [month.month for month in after] == [0, 1, 2, 3, 4]
    # The week of the announcement and the nineteen after it, of who was there then.
    told = [at for group, at in world.decided.values() if group == "a" and at >= MONDAY]
    for month in after:
        begins = MONDAY + 28 * month.month * DAY
        assert month.left == sum(begins <= at < begins + 28 * DAY and at > TOLD for at in told), month.month
        low, value, high = month.difference.low, month.difference.value, month.difference.high
        assert low is not None and value is not None and high is not None and low < value < high
    with pytest.raises(UnknownName, match="rise"):
        found.path("rize")


def test_where_everybody_was_touched_at_once_it_is_before_and_after_and_weak(risen: tuple[World, Studied]) -> None:
    one = next(one for one in risen[1].findings if one.name == "policy")
    assert one.more["beside"] == WEAK
    assert one.reason is not None and one.reason.startswith(WEAK)
    assert one.p is None and not one.stands and one.more["passed"] is None
    assert risen[1].passed("change") is None


def test_a_change_that_does_nothing_is_not_said_to_do_something(tmp_path: Path) -> None:
    shop, found = asked(tmp_path, World(2, 0.0))
    one = next(one for one in found.findings if one.name == "rise")
    shop.close()
    assert not one.stands
    low, high = found.extra["rise"].low, found.extra["rise"].high
    assert low is not None and high is not None and low < 0 < high


def test_groups_that_drifted_apart_before_the_announcement_tell_no_effect(tmp_path: Path) -> None:
    shop, found = asked(tmp_path, World(3, 0.0, drift=0.30))
    one = next(one for one in found.findings if one.name == "rise")
    shop.close()
    assert one.more["passed"] is False
    assert one.strength is Strength.association
    assert found.passed("price") is False


def mailed(folder: Path, chosen: Callable[[int, int], bool]) -> dict[str, list[Any]]:
    """Customers of whom the greater numbers use the product more; those chosen get the same mail twice a week."""
    chance = np.random.default_rng(5)
    facts = Facts()
    first = datetime(2025, 3, 3, 8, tzinfo=UTC)
    for number in range(120):
        name = f"c{number}"
        facts.state("2024-06-01", customer=name, plan_id="team", amount_minor=5000)
        for week in range(16):
            at = first + 7 * week * DAY
            for use in range(1 + int(chance.poisson(0.5 + number / 15))):
                facts.use(
                    f"u{number}-{week}-{use}", at + use * timedelta(hours=3), customer=name, feature="f", quantity=1.0
                )
            if week >= 4 and chosen(number, int(chance.integers(120))):
                for day in (0, 3):
                    facts.touch(f"t{number}-{week}-{day}", at + day * DAY, customer=name, play="tips")
    shop = open_company(folder / "shop", facts, known_on="2025-06-22")
    known = shop.workspace.facts(shop.known_on)
    counted = evidence(known, shop.workspace.definition(), date(2025, 3, 3), date(2025, 6, 23))
    found = chosen_by_state(known, counted)
    shop.close()
    return {flag: list(told) for flag, told in found.items()}


def test_mail_sent_to_those_who_use_the_product_less_makes_its_effect_doubtful(tmp_path: Path) -> None:
    (one,) = mailed(tmp_path, lambda number, _: number < 40)["bulk"]
    assert one.measure == "use" and one.customers == 40
    assert one.is_doubtful and one.difference < -0.2


def test_mail_sent_by_chance_leaves_no_doubt(tmp_path: Path) -> None:
    (one,) = mailed(tmp_path, lambda number, lot: (number * 7) % 3 == 0)["bulk"]
    assert not one.is_doubtful
    assert abs(one.difference) < 0.15
