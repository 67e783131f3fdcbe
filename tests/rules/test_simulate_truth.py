"""The truth beside the made-up facts is true: hazards come out as often as they say, causes do what they are for."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tenure.simulate import Company, people, plans, world
from tenure.simulate.chance import Chance
from tenure.simulate.hazards import CAUSES, INVOLUNTARY, UNKNOWN, Causes
from tenure.simulate.lives import Lives, Walk
from tenure.simulate.months import DAY, Months
from tenure.simulate.standing import CUSTOMER


def lived(company: Company) -> Lives:
    """The lives of a whole company in one chunk."""
    months, chance = Months(company.until, company.months), Chance(company.seed)
    folk = people.newcomers(company, months, chance, np.arange(company.customers))
    return Walk(company, months, chance, world.calendar(company, months), folk).walked()


@pytest.fixture(scope="module")
def many() -> Lives:
    return lived(Company(customers=12_000, seed=11))


def deviations(happened: float, expected: float) -> float:
    """How many standard deviations a count is from its expectation (Poisson)."""
    return float((happened - expected) / np.sqrt(expected))


def test_as_many_leave_as_the_hazards_say(many: Lives) -> None:
    alive = many.alive
    chose = many.left & (many.left_actor == CUSTOMER)
    assert abs(deviations(chose[alive].sum(), many.hazard_voluntary[alive].sum())) < 4
    assert abs(deviations((many.left & ~chose)[alive].sum(), many.hazard_involuntary[alive].sum())) < 4


def test_a_hazard_is_right_at_every_height(many: Lives) -> None:
    alive = many.alive
    hazard, left = many.hazard_voluntary[alive], (many.left & (many.left_actor == CUSTOMER))[alive]
    for low, high in [(0, 0.01), (0.01, 0.02), (0.02, 0.04), (0.04, 0.08), (0.08, 1)]:
        here = (hazard > low) & (hazard <= high)
        assert abs(deviations(left[here].sum(), hazard[here].sum())) < 4, (low, high)


def test_the_truth_of_a_month_does_not_know_how_the_month_went(many: Lives) -> None:
    # Among customers with one hazard of losing the card payment as many leave as it says: stayers got nothing added.
    hazard, left = many.hazard_involuntary, many.left & (many.left_actor != CUSTOMER)
    values, counts = np.unique(hazard[many.alive].round(9), return_counts=True)
    checked = 0
    for value in values[(counts > 2_000) & (values > 0.005)]:
        here = many.alive & (hazard.round(9) == value)
        assert abs(deviations(left[here].sum(), value * here.sum())) < 4, value
        checked += 1
    assert checked >= 4


def test_nobody_leaves_who_was_no_customer(many: Lives) -> None:
    assert not (many.left & ~many.alive).any()
    assert not (many.left & (many.hazard_voluntary + many.hazard_involuntary <= 0)).any()


def test_three_in_a_hundred_leave_each_month_and_newcomers_more_often(many: Lives) -> None:
    assert 0.025 < many.left[many.alive].mean() < 0.038
    months = Months(date(2026, 6, 30), 30)
    age = np.arange(30)[None, :] - months.of(many.people.start)[:, None]
    young = many.alive & (age >= 1) & (age <= 3)
    old = many.alive & (age > 18)
    chose = many.left & (many.left_actor == CUSTOMER)
    assert chose[young].mean() > 1.6 * chose[old].mean()


def test_starter_won_by_ads_is_visibly_worse(many: Lives) -> None:
    plan, channel = many.people.plan[:, None], many.people.channel[:, None]
    worst = many.alive & (plan == plans.STARTER) & (channel == people.ADS)
    others = many.alive & ~worst
    assert many.left[worst].mean() > 1.6 * many.left[others].mean()


def test_each_cause_takes_about_the_leavers_its_hazards_say(many: Lives) -> None:
    left = np.zeros(len(CAUSES))
    who, month = np.nonzero(many.left & ~many.people.is_test[:, None])
    np.add.at(left, many.left_cause[who, month], 1)
    expected = many.hazard_by_cause.sum(axis=1)
    for cause, name in enumerate(CAUSES):
        assert expected[cause] > 20, name
        assert abs(deviations(left[cause], expected[cause])) < 4, name


def test_a_world_without_effects_has_no_causes_but_the_base() -> None:
    null = lived(Company(customers=4_000, causes=Causes.none()))
    by_cause = null.hazard_by_cause.sum(axis=1)
    # The end of a pause is a circumstance in every world.
    assert {CAUSES[cause] for cause in np.flatnonzero(by_cause)} == {"unknown", "involuntary", "circumstance"}
    assert by_cause[CAUSES.index("circumstance")] < 0.05 * (by_cause[UNKNOWN] + by_cause[INVOLUNTARY])


def test_a_leavers_shares_sum_to_one_and_the_causes_are_drawn_by_them(many: Lives) -> None:
    shares, cause = many.leaver_shares, many.leavers["cause"]
    assert len(shares) == len(cause) > 2_000
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(shares)))
    assert (shares[np.arange(len(cause)), cause] > 0).all()
    for number, name in enumerate(CAUSES):
        assert abs(deviations((cause == number).sum(), shares[:, number].sum())) < 4, name
    assert (many.leavers["decided"] <= many.leavers["at"]).all()


def test_in_a_null_world_all_leave_at_one_rate_whoever_they_are() -> None:
    null = lived(Company.null(customers=8_000, seed=4))
    chose = null.left & (null.left_actor == CUSTOMER)
    monthly = null.people.interval == plans.MONTH
    rates = []
    for plan in (plans.STARTER, plans.TEAM):
        here = null.alive & ((null.people.plan == plan) & monthly)[:, None]
        assert abs(deviations(chose[here].sum(), null.hazard_voluntary[here].sum())) < 4
        rates.append(null.hazard_voluntary[here].mean())
    assert rates[0] == pytest.approx(rates[1], rel=0.05)


def test_in_a_confounded_world_the_unhappy_get_the_mail_and_the_mail_does_nothing() -> None:
    world_ = lived(Company.confounded(customers=4_000, seed=4))
    here = world_.alive & (world_.active_from[:, 1:] > 0)
    gets = world_.gets_weekly[:, 1:]
    grudge = world_.discontent[:, 1:]
    assert grudge[here & gets].mean() > grudge[here & ~gets].mean() + 0.5
    assert world_.hazard_voluntary[here & gets].mean() > 1.3 * world_.hazard_voluntary[here & ~gets].mean()
    assert world_.hazard_by_cause[CAUSES.index("contact")].sum() == 0


def test_who_leaves_for_an_event_decides_after_it_where_the_company_has_it_so() -> None:
    plain, ordered = lived(Company(customers=3_000)), lived(Company(customers=3_000, causes_first=True))
    told = world.calendar(Company(), Months(Company().until, Company().months)).incident_told
    before = []
    for lives in (plain, ordered):
        left = lives.leavers["cause"] == CAUSES.index("quality")
        assert left.sum() > 5
        before.append(int((lives.leavers["decided"][left] < told).sum()))
    # Who cancels while a payment is past due does so when it suits him.
    assert before[0] > 5 * before[1]
    assert (plain.left == ordered.left).mean() > 0.999
    # What is expected of the decisions is what is drawn.
    decided = np.bincount(ordered.leavers["cause"], minlength=len(CAUSES))[: len(CAUSES) - 2].sum()
    assert ordered.decided_by_cause[: len(CAUSES) - 2].sum() == pytest.approx(decided, rel=0.2)


def test_two_worlds_with_one_seed_differ_by_their_causes_only() -> None:
    plain = lived(Company(customers=4_000))
    dear = lived(Company(customers=4_000, causes=Causes(price=4.0)))
    # The same people, and until the price change is announced the same lives.
    assert (plain.people.start == dear.people.start).all()
    told = Company().at(world.PRICE)
    assert (plain.left[:, :told] == dear.left[:, :told]).all()
    team = plain.people.plan == plans.TEAM
    after = slice(told, told + 4)
    assert dear.left[team, after].sum() > 1.5 * plain.left[team, after].sum()
    business = plain.people.plan == plans.BUSINESS
    assert abs(int(dear.left[business, after].sum()) - int(plain.left[business, after].sum())) < 10


def test_the_checklist_converts_more_trials_and_only_by_as_much_as_set() -> None:
    company = Company(customers=20_000)
    months, chance, who = Months(company.until, company.months), Chance(3), np.arange(company.customers)
    with_effect = people.newcomers(company, months, chance, who)
    without = people.newcomers(Company(customers=20_000, checklist_effect=0.0), months, chance, who)
    treated, control = with_effect.checklist == 2, with_effect.checklist == 1
    assert abs(int(treated.sum()) - int(control.sum())) < 4 * np.sqrt(treated.sum() + control.sum())
    assert (with_effect.converts[~treated] == without.converts[~treated]).all()
    assert with_effect.converts[treated].sum() > without.converts[treated].sum() * 1.05


def test_draws_depend_on_their_names_alone() -> None:
    chance = Chance(5)
    whole = chance.uniform("weather", np.arange(100), 3)
    assert (whole[40:60] == chance.uniform("weather", np.arange(40, 60), 3)).all()
    assert (whole != chance.uniform("weather", np.arange(100), 4)).all()
    assert (whole != chance.uniform("mood", np.arange(100), 3)).all()
    assert (whole != Chance(6).uniform("weather", np.arange(100), 3)).all()


def test_draws_are_uniform_normal_and_unrelated() -> None:
    chance = Chance(1)
    u = chance.uniform("u", np.arange(400)[:, None], np.arange(250)[None, :])
    # 100,000 draws in 20 bins of 5,000: chi-square with 19 degrees of freedom is under 50 but once in 10,000.
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    assert ((counts - 5_000) ** 2 / 5_000).sum() < 50
    for lag in (u[1:], u[:, 1:]):
        other = u[:-1] if lag.shape[0] < 400 else u[:, :-1]
        assert abs(np.corrcoef(lag.ravel(), other.ravel())[0, 1]) < 0.015
    z = chance.normal("z", np.arange(100_000))
    assert abs(z.mean()) < 0.015
    assert abs(z.std() - 1) < 0.012
    assert abs((z**4).mean() - 3) < 0.15
    assert np.bincount(chance.pick("p", [1, 0, 3], np.arange(8_000))).tolist()[1] == 0


def test_an_anchor_on_the_31st_falls_on_the_last_day_of_shorter_months() -> None:
    months = Months(date(2024, 12, 31), 12)
    days = months.anchor(np.arange(12), np.full(12, 31), np.zeros(12, np.int64))
    first = months.start(np.arange(12))
    # 2024 was a leap year.
    assert ((days - first) // DAY + 1).tolist() == [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


@pytest.mark.parametrize(
    ("net", "interval", "micro"),
    [
        (12_000, plans.YEAR, 1_000_000_000),  # 120.00 a year is 10.00 a month
        (100, plans.QUARTER, 33_333_333),  # 33.333333|3 rounds down
        (200, plans.QUARTER, 66_666_667),  # 66.666666|6 rounds up
        (7, plans.MONTH, 7_000_000),
        (5, plans.YEAR, 416_667),  # 0.416666|6 rounds up
    ],
)
def test_a_months_worth_is_rounded_half_even_to_a_millionth_of_a_minor_unit(
    net: int, interval: int, micro: int
) -> None:
    assert plans.micro_mrr(np.array([net]), np.array([interval])).tolist() == [micro]
