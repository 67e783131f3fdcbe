"""The verdict is held against worlds whose causes we chose: its hazard, the words it weighs, and the whole of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tenure
from tenure.app.workspace import Workspace
from tenure.errors import BadPeriod, CannotFit
from tenure.explain.attribution import CAUSES, Verdict
from tenure.explain.excess import Cells, fitted
from tenure.explain.saying import heard
from tenure.simulate import Company, write
from tenure.simulate.hazards import Causes

LABELS = ["price", "support", "circumstance", "unknown"]


def cells(seed: int, price: float, support: float, kinds: int = 4_000) -> Cells:
    """Customer-weeks of customers on two plans; a tenth see a price rise, a twentieth wait for support."""
    chance = np.random.default_rng(seed)
    plan, long = chance.random(kinds) < 0.5, chance.random(kinds) < 0.2
    near = long & (chance.random(kinds) < 0.25)
    base = np.column_stack([np.ones(kinds), plan, long & ~near, near]).astype(float)
    evidence = np.column_stack([chance.random(kinds) < 0.1, chance.random(kinds) < 0.05]).astype(float)
    weeks = chance.integers(5, 60, kinds).astype(float)
    opportunity = np.where(near, 4.0, np.where(long, 0.02, 1.0))
    hazard = 0.006 * np.where(plan, 0.6, 1.0) * opportunity + opportunity * (evidence @ [price, support])
    left = chance.poisson(weeks * hazard).astype(float)
    return Cells(base, evidence, long.astype(np.int64), weeks, left, nearness=(2, 3))


def test_the_parts_of_an_additive_hazard_are_found_with_their_errors() -> None:
    off = []
    for seed in range(20):
        one = cells(seed, 0.006, 0.010)
        found = fitted(one, {"price": [0], "support": [1]})
        assert set(found.columns) == {"price", "support"}
        value, covariance = found.shares(one, one.left)
        plain = one.weighed(np.log([0.02, 4.0])).chance
        h0 = 0.006 * np.where(one.base[:, 1] > 0, 0.6, 1.0) * plain
        h = h0 + plain * (one.evidence @ [0.006, 0.010])
        for i, name in enumerate(found.columns):
            slope = {"price": 0.006, "support": 0.010}[name]
            truth = float(
                (one.left * plain * one.evidence[:, {"price": 0, "support": 1}[name]] * slope / h).sum()
                / one.left.sum()
            )
            off.append((value[name] - truth) / covariance[i, i] ** 0.5)
    # Standard deviations from the truth: about normal, so nine in ten within 1.645 (40 draws: 4 beyond, rarely 10).
    assert abs(np.mean(off)) < 0.35
    assert (np.abs(off) > 1.645).sum() <= 10
    assert 0.7 < np.std(off) < 1.35


def test_where_nothing_has_an_effect_a_cause_is_admitted_in_at_most_one_world_in_twenty() -> None:
    admitted = sum(
        bool(fitted(cells(seed, 0.0, 0.0, 1_500), {"price": [0], "support": [1]}).columns) for seed in range(100)
    )
    # 5 % of 60 are 3: 8 or more would come about once in a hundred times.
    assert admitted <= 7


def test_shares_of_a_hazard_sum_to_one_with_the_base() -> None:
    one = cells(3, 0.006, 0.010)
    found = fitted(one, {"price": [0], "support": [1]})
    parts = found.parts(one)
    base, scale, slopes = found.hazards(one)
    inside = [column for held in found.columns.values() for column in held]
    whole = base + scale * (one.evidence[:, inside] @ slopes)
    assert sum(parts.values()) + base / whole == pytest.approx(np.ones(len(whole)), abs=1e-9)


def test_too_few_who_left_say_nothing() -> None:
    one = cells(1, 0.0, 0.0)
    with pytest.raises(CannotFit, match="it takes 20"):
        fitted(replace(one, left=np.zeros(len(one.left))), {"price": [0]})


def spoken(seed: int, circumstance: float, speakers: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
    """Speakers whose chances of two causes are known; 0.7 name what was true, the others anything."""
    chance = np.random.default_rng(seed)
    prior = np.zeros((speakers, 2))
    kind = chance.integers(0, 4, speakers)
    prior[kind == 0, 0], prior[kind == 1, 1] = 0.7, 0.6
    draw = chance.random(speakers)
    truth = np.where(draw < prior[:, 0], 0, np.where(draw < prior.sum(axis=1), 1, -1))
    truth = np.where(truth < 0, np.where(chance.random(speakers) < circumstance, 2, 3), truth)
    named = np.where(chance.random(speakers) < 0.7, truth, chance.choice(4, speakers, p=[0.4, 0.2, 0.1, 0.3]))
    return prior, named


def test_what_words_are_worth_is_learned_from_causes_with_evidence() -> None:
    prior, named = spoken(1, 0.3)
    found = heard(prior, named, ["price", "support"], ["circumstance", "unknown"], LABELS)
    assert found is not None
    assert found.honest == pytest.approx(0.7, abs=0.05)
    assert found.hidden["circumstance"] == pytest.approx(0.3, abs=0.05)
    assert found.p["circumstance"] < 0.001
    assert sum(found.hidden.values()) == pytest.approx(1)


def test_loose_talk_makes_no_cause_and_without_evidence_words_are_not_weighed() -> None:
    false = 0
    for seed in range(12):
        prior, named = spoken(seed + 10, 0.0, 500)
        found = heard(prior, named, ["price", "support"], ["circumstance", "unknown"], LABELS)
        assert found is not None
        false += found.p["circumstance"] < 0.05
    assert false <= 3
    assert heard(np.zeros((500, 2)), named, ["price", "support"], ["circumstance", "unknown"], LABELS) is None
    assert heard(prior[:, :1], named, ["price"], ["support", "circumstance", "unknown"], LABELS) is None


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A company with strong causes, small enough to be asked in seconds."""
    folder = tmp_path_factory.mktemp("why")
    causes = Causes(price=3, quality=3, support=2, experience=2, contact=0, fit=0, competition=0, change=0)
    files = write(Company(customers=1_500, months=24, seed=5, causes=causes, causes_first=True), folder / "facts")
    opened = tenure.open(folder / "shop", create=True, currency="USD")
    for table in (
        "customers", "traits", "changes", "change_exposures", "rates", "subscription_states", "usage", "tickets",
        "answers", "touches", "competitor_offers", "exposures",
    ):  # fmt: skip
        for file in files[table]:
            opened.load(table, file)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(shop: Workspace) -> Verdict:
    answer: Verdict = shop.why("verdict", since="2025-01", until="2026-06", known_on="2026-06-30")
    return answer


def test_the_shares_of_all_causes_sum_to_one_and_lie_in_their_intervals(found: Verdict) -> None:
    assert {one.cause for one in found.causes} == set(CAUSES)
    for unit in ("customers", "mrr"):
        assert sum(getattr(one, unit).value for one in found.causes) == pytest.approx(1, abs=1e-6)
        for one in found.causes:
            share = getattr(one, unit)
            assert 0 <= share.low <= share.value <= share.high <= 1, one.cause
    assert found.causes[-1].cause == "unknown"


def test_strong_causes_are_found_and_those_that_are_none_are_not(found: Verdict) -> None:
    assert found.reported
    for cause in ("price", "quality", "experience"):
        assert (found[cause].customers.value or 0) > 0.02, cause
    for cause in ("contact", "fit", "competition", "change"):
        assert found[cause].customers.value == 0, cause
    assert found["involuntary"].evidence[0].n == pytest.approx(
        (found["involuntary"].customers.value or 0) * len(found.left.people), abs=0.5 + 0.05 * len(found.left.people)
    )


def test_each_leaver_has_causes_with_chances_and_facts(found: Verdict) -> None:
    rows = found.customers()
    assert len(rows) == len(found.left.people)
    for row in rows:
        assert sum(one["chance"] for one in row["causes"]) == pytest.approx(1, abs=0.06)
    told = [one for row in rows for one in row["causes"] if one["cause"] == "price" and one["chance"] > 0.3]
    assert told and all("told of a change of the price" in one["facts"] for one in told)


def test_the_answer_is_plain_json_and_says_what_would_settle_each_cause(found: Verdict) -> None:
    told = json.loads(json.dumps(found.as_json()))
    assert told["customers_lost"] == len(found.left.people)
    for one in told["causes"]:
        assert one["settles"]
        assert {
            "cause",
            "customers_share",
            "low",
            "high",
            "mrr_share",
            "mrr_low",
            "mrr_high",
            "avoidable",
            "strength",
        } < set(one)


def test_the_report_tells_the_same_verdict_of_its_last_twelve_months(shop: Workspace) -> None:
    told = shop.story(month="2026-05", known_on="2026-06-30").causes
    assert told is not None
    asked = shop.why("verdict", since="2025-06", until="2026-05", known_on="2026-06-30")
    assert (told.period.start, told.period.end, told.customers) == (asked.first, asked.after, len(asked.left.people))
    assert [part.cause for part in told.parts] == [one.cause for one in asked.causes]
    for part, one in zip(told.parts, asked.causes, strict=True):
        assert (part.customers, part.mrr) == pytest.approx((one.customers.value, one.mrr.value)), part.cause
    assert told.command == "tenure why --from 2025-06 --to 2026-05"


def test_a_period_in_which_nobody_left_is_refused(shop: Workspace) -> None:
    with pytest.raises(BadPeriod, match="nobody left"):
        shop.why("verdict", since="2030-01", known_on="2030-02-28")


def test_the_same_verdict_is_given_twice(shop: Workspace, found: Verdict, tmp_path: Path) -> None:
    again: Verdict = shop.why("verdict", since="2025-01", until="2026-06", known_on="2026-06-30")
    for one in found.causes:
        assert again[one.cause].customers == pytest.approx(one.customers, abs=1e-9), one.cause
