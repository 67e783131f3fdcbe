"""Spikes of the hazard by age, on curves we drew and lives we wrote; the command that shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from tenure.explain.findings import FAMILY_LEVEL
from tenure.explain.journey import Journey, beside_neighbours
from tenure.faces.cli.commands import app
from tenure.kernel.time import add_months
from tests.reference.builder import Facts, Shop, open_company

DAY = timedelta(days=1)


def drawn(seed: int, hazard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """So many at each age, and who of them left, by chance."""
    chance = np.random.default_rng(seed)
    there = np.round(1500 * np.exp(-0.05 * np.arange(len(hazard))))
    return there, chance.binomial(there.astype(int), hazard).astype(float)


def found_at(seed: int, hazard: np.ndarray) -> set[int]:
    """The months that stand out of a drawn curve at the family's level, all of it theirs."""
    tests = beside_neighbours(*drawn(seed, hazard))
    p = {i + 1: test.p for i, test in enumerate(tests) if test is not None}
    return {month for month, one in p.items() if one * len(p) <= FAMILY_LEVEL}


def test_on_smooth_curves_a_month_stands_out_in_about_one_of_twenty() -> None:
    age = np.arange(36)
    level = sum(bool(found_at(seed, np.full(36, 0.03))) for seed in range(100))
    falling = sum(bool(found_at(seed, 0.02 + 0.05 * np.exp(-age / 6))) for seed in range(100))
    # 5 of 100 are expected, 11 or more come once in a hundred times.
    assert level <= 10
    assert falling <= 10


def test_a_spike_is_found_and_lifts_no_neighbour() -> None:
    hazard = np.full(36, 0.03)
    hazard[[11, 23]] = 0.10
    sets = [found_at(seed, hazard) for seed in range(30)]
    assert all(12 in one for one in sets)
    assert sum(24 in one for one in sets) >= 28
    assert sum(bool(one - {12, 24}) for one in sets) <= 4


def test_too_few_who_left_tell_no_level() -> None:
    there, left = np.full(12, 40.0), np.zeros(12)
    left[5] = 3
    assert all(test is None for test in beside_neighbours(there, left))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Monthly customers, of whom many leave as a discount ends, and yearly ones, who can leave once a year."""
    chance = np.random.default_rng(3)
    facts = Facts()
    for number in range(700):
        name, yearly = f"c{number}", number % 3 == 0
        begins = datetime(2024, 1, 1, 9, tzinfo=UTC) + int(chance.integers(0, 500)) * DAY
        price = {"customer": name, "plan_id": "team", "amount_minor": 5000, "interval": "year" if yearly else "month"}
        cut = begins + 92 * DAY
        discount = {"discount_limited_minor": 2500, "discount_ends_at": cut} if not yearly else {}
        facts.state(begins, **price, **discount)
        for month in range(1, 20):
            at = datetime.combine(add_months(begins.date(), month), begins.timetz())
            if yearly:
                leaves = month == 12 and chance.random() < 0.3
            else:
                leaves = chance.random() < (0.25 if month == 4 else 0.03)
            if at > datetime(2026, 1, 1, tzinfo=UTC):
                break
            if leaves:
                end = {"period_end": at} if yearly else {}
                if yearly:
                    facts.state(at - 20 * DAY, **price, status="non_renewing", cancel_at=at, **end)
                facts.state(at, **price, status="canceled", cancel_actor="customer", cancel_requested_at=at - 20 * DAY)
                break
    opened = open_company(tmp_path_factory.mktemp("journey") / "shop", facts)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(shop: Shop) -> Journey:
    answer: Journey = shop.workspace.why("journey", since="2024-01", until="2025-12", known_on=shop.known_on)
    return answer


def test_spikes_are_named_by_what_happens_at_that_age(found: Journey) -> None:
    standing = {one.name: one for one in found.findings if one.stands}
    assert standing.keys() == {"month 4", "month 12"}
    assert standing["month 4"].more["event"] == "discount_end"
    assert standing["month 4"].cause == "price"
    assert standing["month 12"].more["event"] == "yearly_renewal"
    assert standing["month 12"].more["opportunity"] and standing["month 12"].cause is None
    for one in standing.values():
        assert one.estimate.low is not None and one.estimate.low > 0
        assert one.th.startswith("เดือนที่ ")


def test_ages_count_who_was_there_and_who_left(found: Journey, shop: Shop) -> None:
    by_month = {age.month: age for age in found.ages}
    assert by_month[1].there == 700
    for age in found.ages[:-1]:
        low, high = age.hazard.low, age.hazard.high
        assert low is not None and high is not None and low <= age.left / age.there <= high
    spike = next(one for one in found.findings if one.name == "month 4")
    assert spike.who is not None
    assert spike.who().num_rows == by_month[4].left == spike.more["left"]
    assert [age.month for age in found.ages if age.spike is not None] == [4, 12]


def test_the_command_says_which_months_stand_out_and_lists_who_left(shop: Shop) -> None:
    def run(*arguments: str) -> str:
        folder = str(shop.workspace.folder)
        period = ["--from", "2024-01", "--to", "2025-12", "--known-on", shop.known_on]
        result = CliRunner().invoke(app, ["-w", folder, "why", "journey", *period, *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    told = " ".join(run().split())
    assert "month 4: a discount ended" in told and "month 12: a yearly renewal" in told
    rows = json.loads(run("--format", "json"))
    assert {row["section"] for row in rows} == {"age", "finding"}
    listed = run("--customers", "month 12", "--format", "csv").split()
    assert listed[0] == "customer_id" and len(listed) > 10


def test_both_pictures_are_drawn_in_both_languages(found: Journey) -> None:
    for language in ("en", "th"):
        drawing = json.dumps(found.chart(language).to_dict(), ensure_ascii=False)
        assert ("a discount ended" if language == "en" else "ส่วนลดสิ้นสุด") in drawing
