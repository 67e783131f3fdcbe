"""What experiments showed, by hand and by chance; the size and the power of those that are proposed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from tenure.errors import BadInput
from tenure.explain.experiments import Experiments, cause_of, detectable, sample_size
from tenure.explain.findings import Strength
from tenure.faces.cli.commands import app
from tenure.kernel.stats import same_share_p
from tests.reference.builder import Facts, Shop, open_company

DAY = timedelta(days=1)
BEGAN, EXPOSED = datetime(2025, 1, 5, tzinfo=UTC), datetime(2025, 5, 1, 12, tzinfo=UTC)


def test_the_size_of_an_experiment_is_that_of_the_tables() -> None:
    # Fleiss, Levin & Paik's formula without the correction for continuity, and worked by hand for 0.5 against 0.3:
    # (1.95996 sqrt(2 x 0.4 x 0.6) + 0.84162 sqrt(0.25 + 0.21))^2 / 0.04 = 92.99.
    assert sample_size(0.5, 0.3) == 93
    assert sample_size(0.10, 0.05) == 435
    with pytest.raises(BadInput, match="a smaller one"):
        sample_size(0.1, 0.1)


def test_an_experiment_of_that_size_finds_the_difference_four_times_in_five() -> None:
    chance = np.random.default_rng(2)
    n = sample_size(0.20, 0.12)
    a, b = chance.binomial(n, 0.20, 800), chance.binomial(n, 0.12, 800)
    found = sum((same_share_p(int(x), n, int(y), n) or 1.0) < 0.05 for x, y in zip(a, b, strict=True))
    assert 0.76 <= found / 800 <= 0.84


def test_what_so_many_customers_can_tell_is_what_that_size_is_for() -> None:
    least = detectable(0.10, 435)
    assert least == pytest.approx(0.05, abs=5e-4)
    assert detectable(0.10, 20) is None
    assert detectable(0.0, 1_000) is None


def test_an_experiment_asks_about_the_cause_that_its_name_tells_or_that_it_is_told() -> None:
    assert cause_of("Onboarding_checklist", {}) == "experience"
    assert cause_of("faster-reply", {}) == "support"
    assert cause_of("exp-17", {}) is None
    assert cause_of("exp-17", {"exp-17": "price"}) == "price"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Two hundred customers in an experiment on replies, whose arms and ends are written down one by one."""
    facts = Facts()
    for number in range(200):
        name = f"c{number:03}"
        treated = number % 2 == 0
        price = {"customer": name, "plan_id": "team", "amount_minor": 5000}
        facts.state(BEGAN + number % 28 * DAY, **price)
        facts.assigned("faster-reply", "fast" if treated else "Control", EXPOSED, customer=name)
        # Of the treated 4, of the hold-out 25 ask to leave within 90 days; others later, or before they were exposed.
        if number in range(0, 8, 2) or number in range(1, 51, 2):
            asked = EXPOSED + (5 + number) * DAY
        elif number in range(60, 80):
            asked = EXPOSED + 95 * DAY
        elif number in (100, 101, 102):
            asked = EXPOSED - 20 * DAY
        elif number in (110, 111):
            facts.state(EXPOSED + 30 * DAY, **price, status="canceled", cancel_actor="dunning")
            continue
        else:
            continue
        facts.state(asked + 10 * DAY, **price, status="canceled", cancel_actor="customer", cancel_requested_at=asked)
    for number in range(30):
        # Exposed so late that their windows are not over.
        facts.state(BEGAN, customer=f"late{number}", plan_id="team", amount_minor=5000)
        facts.assigned("price-test", "control" if number % 2 else "higher", "2026-10-01", customer=f"late{number}")
    # Never customers: exposed in a trial, and one of two pays afterwards.
    for number in range(40):
        name = f"t{number}"
        begins, price = EXPOSED - 3 * DAY, {"customer": name, "plan_id": "team", "amount_minor": 5000}
        facts.state(begins, **price, status="trialing", trial_ends_at=begins + 14 * DAY)
        facts.assigned("welcome", "control" if number % 2 else "call", EXPOSED, customer=name)
        if number < 20 or number % 4 == 0:
            facts.state(begins + 14 * DAY, **price)
        else:
            facts.state(begins + 14 * DAY, **price, status="canceled", cancel_actor="customer")
    opened = open_company(tmp_path_factory.mktemp("experiments") / "shop", facts)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(shop: Shop) -> Experiments:
    answer: Experiments = shop.workspace.why("experiments", since="2025-03", until="2026-10", known_on=shop.known_on)
    return answer


def test_everybody_counts_as_assigned_and_who_had_left_before_does_not(found: Experiments) -> None:
    one = next(one for one in found.findings if one.name == "faster-reply: fast")
    # 100 each; 100 and 102 (treated) and 101 (hold-out) had decided before they were exposed.
    assert (one.more["people"], one.more["left"]) == (98, 4)
    assert (one.more["people_hold_out"], one.more["left_hold_out"]) == (99, 25)
    assert one.estimate.value == pytest.approx(4 / 98 - 25 / 99)
    assert one.estimate.high is not None and one.estimate.high < 0
    assert one.stands and one.strength is Strength.experiment and one.cause == "support"
    assert one.who is not None and one.who().num_rows == 98


def test_windows_that_are_not_over_tell_nothing_yet(found: Experiments) -> None:
    one = next(one for one in found.findings if one.name == "price-test: higher")
    assert one.estimate.value is None and one.reason is not None and "90 days are over" in one.reason
    assert one.more["unfinished"] == 15


def test_of_who_was_no_customer_yet_it_is_asked_whether_he_became_one(found: Experiments) -> None:
    one = next(one for one in found.findings if one.name == "welcome: call")
    # Called: 10 of the first 20 and the five of the rest that 4 divides; of the hold-out the 10 of the first 20.
    assert (one.more["people"], one.more["left"]) == (20, 5)
    assert (one.more["people_hold_out"], one.more["left_hold_out"]) == (20, 10)
    assert "not customers" in one.en


def test_the_command_tells_what_was_shown_and_refuses_a_cause_that_is_none(shop: Shop) -> None:
    period = ["--from", "2025-03", "--to", "2026-10", "--known-on", shop.known_on]

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["-w", str(shop.workspace.folder), "why", "experiments", *period, *arguments])
        return result.exit_code, result.output + str(result.exception or "")

    code, told = run()
    assert code == 0
    assert "faster-reply: fast, left within 90 days" in " ".join(told.split())
    rows = json.loads(run("--format", "json", "--cause", "welcome=experience")[1])
    assert {row["cause"] for row in rows if row.get("experiment") == "welcome"} == {"experience"}
    assert "causes are experience" in run("--cause", "welcome=luck")[1]
