"""Segments: counts against the metrics, what was planted is found, and where nothing is planted nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tenure
from tenure.explain.findings import adjusted, share_of
from tenure.explain.hunting import Proposal, hunt
from tests.reference.builder import Company, Facts, Shop

SIZES = (4, 5, 3, 2, 6)


def world(
    seed: int, effect: float, customers: int = 5_000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Customers with five traits over a year: churn falls with tenure; of trait 0 = 1 and trait 1 = 2, more leave."""
    rng = np.random.default_rng(seed)
    levels = np.stack([rng.integers(0, size, customers) for size in SIZES], axis=1)
    young = rng.random(customers) < 0.4
    planted = (levels[:, 0] == 1) & (levels[:, 1] == 2)
    hazard = np.where(young, 0.05, 0.02) + effect * planted
    months = np.minimum(rng.geometric(np.maximum(hazard, 1e-9)), 12)
    gone = (rng.random(customers) < 1 - (1 - hazard) ** 12).astype(float)
    people = np.where(gone > 0, np.minimum(months, 12), 12).astype(float)
    expected = np.zeros(customers)
    for band in (True, False):
        mine = young == band
        expected[mine] = people[mine] * gone[mine].sum() / people[mine].sum()
    return levels, expected, gone, rng.random(customers) < 0.5, planted


def standing(found: list[Proposal]) -> list[Proposal]:
    corrected = adjusted([one.p for one in found], share_of("segments"))
    return [one for one, p in zip(found, corrected, strict=True) if p is not None and p <= 0.05]


def test_the_planted_segment_is_found_with_the_right_customers() -> None:
    precision, recall = [], []
    for seed in range(30):
        levels, expected, gone, half, planted = world(seed, 0.05)
        worse = [one for one in standing(hunt(levels, expected, gone, half)) if one.gone > one.expected]
        found = np.zeros(len(levels), dtype=bool)
        for one in worse:
            found |= np.all([levels[:, trait] == level for trait, level in one.cell], axis=0)
        precision.append((found & planted).sum() / max(1, found.sum()))
        recall.append((found & planted).sum() / planted.sum())
    assert np.mean(precision) > 0.9
    assert np.mean(recall) > 0.9


def test_where_nothing_is_planted_nothing_is_found_in_ninety_five_of_a_hundred_worlds() -> None:
    alarms = 0
    for seed in range(100):
        levels, expected, gone, half, _ = world(1_000 + seed, 0.0, 2_000)
        alarms += bool(standing(hunt(levels, expected, gone, half)))
    # The segments' part of the family is a third of 5 %: 1.7 expected, 6 would be a chance of 1 in 300.
    assert alarms <= 5


def test_the_held_back_customers_alone_judge() -> None:
    # In the half that is looked at everybody of level 1 leaves; in the other nobody does.
    levels = np.repeat([[0], [1]], 200, axis=0)
    levels = np.concatenate([levels, levels])
    half = np.arange(800) < 400
    gone = np.where(half & (levels[:, 0] == 1), 1.0, 0.0)
    gone[400::10] = 1.0
    found = hunt(levels, np.full(800, 0.3), gone, half)
    assert found
    assert not standing(found)


@pytest.fixture
def shop(company: Company) -> Shop:
    rng = np.random.default_rng(3)
    facts = Facts()
    for number in range(500):
        name = f"c{number:03d}"
        country, plan = ["TH", "DE", "US"][int(rng.integers(3))], ["basic", "team"][int(rng.integers(2))]
        facts.customer(name, country=country, channel=["ads", "friends"][int(rng.integers(2))])
        facts.trait("sector", ["events", "law"][int(rng.integers(2))], customer=name)
        facts.trait("people", None if number % 9 == 0 else str(number), customer=name, number=float(number))
        facts.state("2024-11-10", customer=name, plan_id=plan)
        hazard = 0.02 + 0.12 * (country == "TH" and plan == "team")
        for month in range(1, 13):
            if rng.random() < hazard:
                facts.state(
                    f"2025-{month:02d}-15", customer=name, plan_id=plan, status="canceled", cancel_actor="customer"
                )
                break
    return company(facts)


def test_churn_by_trait_is_that_of_the_metrics(shop: Shop) -> None:
    found = shop.workspace.why("segments", since="2025-03", until="2025-05", known_on=shop.known_on)
    counted = {row.levels[0]: (row.left, row.customer_months) for row in found.rows if row.traits == ("country",)}
    for country in ("TH", "DE", "US"):
        left = people = 0
        for month in ("2025-03", "2025-04", "2025-05"):
            (row,) = (
                row
                for row in shop.rows(("customer_churn_rate",), month, by=("country",))
                if row["segment"]["country"] == country
            )
            left, people = left + int(row["numerator"]), people + int(row["denominator"])
        assert counted[country] == (left, people)


def test_pairs_add_up_to_their_traits_and_numbers_are_in_bands(shop: Shop) -> None:
    found = shop.workspace.why("segments", since="2025", known_on=shop.known_on)
    single = {row.levels[0]: row.customer_months for row in found.rows if row.traits == ("country",)}
    pairs = [row for row in found.rows if row.traits == ("plan", "country")]
    for country, months in single.items():
        assert sum(row.customer_months for row in pairs if row.levels[1] == country) == months
    bands = [row.levels[0] for row in found.rows if row.traits == ("trait people",)]
    assert len(bands) == 4
    assert any(band.startswith("over ") for band in bands)


def test_a_pair_that_leaves_more_is_found_confirmed_and_its_customers_are_listed(shop: Shop) -> None:
    found = shop.workspace.why("segments", since="2025", known_on=shop.known_on)
    standing = [one for one in found.findings if one.stands]
    assert [one.more["segment"] for one in standing] == [{"plan": "team", "country": "TH"}]
    (one,) = standing
    assert one.en == "plan team and country TH"
    assert one.estimate.low is not None and one.estimate.low > 0.03
    # Who is still there as December begins.
    assert 0 < one.who().num_rows < one.customers
    assert "แพ็กเกจ team และ ประเทศ TH" in str(found.chart("th").to_dict())


def test_a_trait_that_was_written_after_leaving_is_left_out_and_named(company: Company) -> None:
    facts = Facts()
    for number in range(200):
        name = f"c{number:03d}"
        facts.state("2024-06-01", customer=name)
        gone = number % 4 == 0
        facts.trait("churned", "yes" if gone else "no", customer=name)
        facts.trait("shoe", "a" if number % 3 else "b", customer=name)
        if gone:
            facts.state(f"2025-{1 + number % 12:02d}-15", customer=name, status="canceled")
    shop = company(facts)
    found = shop.workspace.why("segments", since="2025", known_on=shop.known_on)
    assert "written afterwards" in found.left_out["trait churned"]
    assert not [one for one in found.findings if one.stands]
    assert {row.traits for row in found.rows} >= {("trait shoe",)}


def test_telco_customers_on_monthly_contracts_are_the_first_segment(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    file = shared_data("telco_ibm_v1/Telco-Customer-Churn.csv")
    with tenure.open(tmp_path / "telco", create=True, currency="USD") as shop:
        theirs = {
            "customerID": "customer_id",
            "Churn": "left",
            "MonthlyCharges": "amount",
            "=2026-06-30": "observed_on",
        }
        shop.load("snapshot", file, mapping=theirs)
        found = shop.why("segments", since="2026-06", known_on="2026-07-31")
        first = next(one for one in found.findings if one.stands)
        assert first.more["segment"]["trait contract"] == "Month-to-month"
        (monthly,) = (
            row for row in found.rows if row.traits == ("trait contract",) and row.levels == ("Month-to-month",)
        )
        # Published: 1,655 of 3,875 monthly customers left.
        assert (monthly.left, monthly.customer_months) == (1_655, 3_875)


def test_ravenstack_has_no_segment_and_no_behaviour_that_tells_who_leaves(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    with tenure.open(tmp_path / "raven", create=True, currency="USD") as shop:
        shop.load_export("ravenstack", shared_data("ravenstack"))
        for method in ("segments", "behaviour"):
            found = shop.why(method, since="2024", known_on="2025-03-31")
            assert not [one.en for one in found.findings if one.stands]
