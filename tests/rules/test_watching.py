"""What left its usual range? As few false alarms as stated, planted jumps found, and nothing judged that cannot be."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tenure.charts import svg
from tenure.errors import BadInput, BadPeriod
from tenure.faces.cli.ending import run
from tenure.kernel.time import add_months, periods
from tenure.kernel.usual import AS_IT_IS, CUBE_ROOT, Counted, Past, usual_amount, usual_count
from tenure.measure.answers import Cell
from tenure.measure.catalogue import CATALOGUE, metrics
from tenure.measure.currencies import SCALE
from tenure.measure.definition import BASE, profile
from tenure.measure.watching import CORE, KEYS, Watched, compare
from tests.reference.builder import Facts, Shop

Built = Callable[..., Shop]
FOLK = 2_000

# --------------------------------------------------------------------------------------- the range of a single number


def test_a_count_is_judged_by_the_binomial_share_that_scipy_gives() -> None:
    # 40 events in 4 units of exposure before, 21 in 1 now: of 61, a fifth was to be expected.
    usual = Counted(40, 4.0, 1.0, 1.0, 0, 4)
    above = binomtest(21, 61, 1 / 5, alternative="greater").pvalue
    assert usual.p(21) == pytest.approx(2 * above)
    assert usual.p(2) == pytest.approx(2 * binomtest(2, 42, 1 / 5, alternative="less").pvalue)


@given(st.integers(0, 400), st.floats(0.5, 40), st.floats(0.2, 3), st.floats(1, 4), st.sampled_from([0.05, 0.005]))
def test_the_range_of_a_count_holds_exactly_what_is_no_alarm(
    events: int, past: float, now: float, scatter: float, level: float
) -> None:
    usual = Counted(events, past, now, scatter, 11, 12)
    low, high = usual.range(level)
    assert usual.p(low) > level and usual.p(high) > level and 0 <= low <= usual.expected + 1
    assert usual.p(high + 1) <= level
    assert low == 0 or usual.p(low - 1) <= level


def test_the_range_of_normal_numbers_is_the_prediction_range_of_the_textbook() -> None:
    # Evenly spread around 10 without outliers: mean 10, and Hahn & Meeker's mean +- t sd sqrt(1 + 1/n).
    numbers = [8.0, 8.7, 9.2, 9.6, 10.0, 10.4, 10.8, 11.3, 12.0]
    usual = usual_amount([Past(0, x) for x in numbers], 0, 1.0, AS_IT_IS)
    assert usual is not None
    sd = float(np.std(numbers, ddof=1))
    assert usual.range(0.05)[1] - 10 == pytest.approx(2.306 * sd * (1 + 1 / 9) ** 0.5, rel=1e-3)


def test_one_outage_in_the_past_neither_becomes_usual_nor_hides_the_next() -> None:
    quiet = [Past(0, x) for x in (18, 22, 20, 19, 25, 17, 21, 20, 23, 16, 20)]
    calm, shaken = (usual_count(past, 0, 1.0) for past in ([*quiet, Past(0, 20)], [*quiet, Past(0, 200)]))
    assert calm is not None and shaken is not None
    assert shaken.expected < 1.1 * calm.expected
    assert shaken.range(0.01)[1] < 80  # the plain mean is 35, and its over-dispersed range ends beyond 200
    amounts = [Past(0, 1000 + 10 * i) for i in range(11)]
    money = usual_amount([*amounts, Past(0, 20_000)], 0, 1.0, CUBE_ROOT)
    assert money is not None and money.range(0.01)[1] < 2_000


def test_a_range_of_poisson_counts_is_never_narrower_than_poisson() -> None:
    usual = usual_count([Past(0, 20) for _ in range(12)], 0, 1.0)
    assert usual is not None and usual.scatter == 1.0
    assert usual.range(0.05)[0] <= 11 and usual.range(0.05)[1] >= 29


def test_growth_is_no_alarm_for_a_count_is_weighed_by_exposure() -> None:
    usual = usual_count([Past(0, 0.02 * n, float(n)) for n in range(1000, 2200, 100)], 0, 4000.0)
    assert usual is not None and usual.expected == pytest.approx(80.0)


def test_a_period_in_which_nothing_can_happen_is_refused() -> None:
    with pytest.raises(BadInput, match="without exposure"):
        usual_count([Past(0, 1, 0.0)], 0, 1.0)


# ------------------------------------------------------------------- the family: simulated books, as an answer has them


def books(rng: np.random.Generator, grain: str, n: int, jump: float = 1.0) -> SimpleNamespace:
    """n periods and one more of a company in which nothing changes, or whose leavers `jump` in the last period."""
    last = date(2026, 6, 1)
    if grain == "month":
        first, after = add_months(last, -n), add_months(last, 1)
    else:
        step = 7 if grain == "week" else 1
        first, after = date(2026, 6, 1) - timedelta(days=step * n), date(2026, 6, 1) + timedelta(days=step)
    cells: list[Cell] = []
    spans = periods(first, after, grain, ZoneInfo("UTC"))

    def tell(name: str, period: Any, value: float, heads: int | None = None, over: int | None = None) -> None:
        metric = CATALOGUE[name]
        exact = Fraction(round(value * 10**8)) * SCALE if metric.unit == "money" else Fraction(value)
        top, bottom = (None, None) if over is None else (Fraction(heads or 0), Fraction(over))
        currency = "USD" if metric.of_money else None
        cells.append(Cell(metric, period, None, currency, exact, None, None, top, bottom, over, ""))

    opening = FOLK * 73.0
    for period in spans:
        days = (period.after - period.first).days * (jump if period.first == spans[-1].first else 1.0)

        def money(per_day: float, mean: float, spread: float = 0.8, days: float = days) -> tuple[int, float]:
            count = int(rng.poisson(per_day * days))
            return count, float(rng.lognormal(mean, spread, count).sum())

        (left, churn), (_, down), (_, up) = money(0.9, 4), money(0.8, 2.5), money(1.2, 2.5)
        joined, new = money(1.0, 4)
        failed = int(rng.binomial(left, 0.3))
        for name, value in (
            ("customers_churned", left),
            ("customers_churned_involuntary", failed),
            ("customers_new", joined),
            ("mrr_churn", churn),
            ("mrr_contraction", down),
            ("mrr_expansion", up),
            ("mrr_new", new),
            ("nrr", 1 + (up - down - churn) / opening),
            ("mrr_opening", opening),
        ):
            tell(name, period, value)
        if churn + down > 0:
            tell("quick_ratio", period, (new + up) / (churn + down))
        tell("customer_churn_rate", period, left / FOLK, left, FOLK)
    order = {name: i for i, name in enumerate(CATALOGUE)}
    cells.sort(key=lambda cell: (order[cell.metric.name], cell.period.first))
    return SimpleNamespace(cells=cells, definition=profile(BASE), judged=spans[-1].first)


def looked_at(answer: SimpleNamespace, grain: str, horizon: date = date(2026, 12, 1)) -> Watched:
    """The family of CORE, judged."""
    found = Watched(None, grain, (), 0.05, answer.definition, [], [], None)  # type: ignore[arg-type]
    compare(found, answer, metrics(CORE), answer.judged, horizon)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(("grain", "n"), [("month", 12), ("month", 24), ("month", 36), ("week", 52), ("day", 182)])
def test_if_nothing_changes_no_more_looks_list_anything_than_stated(grain: str, n: int) -> None:
    rng = np.random.default_rng(20260601)
    runs = 100 if grain == "day" else 300
    alarms = 0
    for _ in range(runs):
        found = looked_at(books(rng, grain, n), grain)
        # Money that some days bring nothing of is not judged.
        assert found.judged >= {"day": 3, "week": 6, "month": len(CORE)}[grain]
        alarms += bool(found.out)
    # At most 5 %: of 1,000 such series of looks at exactly 5 %, one would have more alarms than this.
    assert alarms <= binom.ppf(0.999, runs, 0.05)


@pytest.mark.parametrize(("grain", "n"), [("month", 12), ("month", 36), ("week", 52)])
def test_leavers_that_double_and_more_are_found(grain: str, n: int) -> None:
    rng = np.random.default_rng(7)
    times = 2.5 if grain == "month" else 4.0
    found = [looked_at(books(rng, grain, n, times), grain) for _ in range(40)]
    told = [look for one in found for look in one.out if look.cell.metric.name == "customers_churned"]
    assert len(told) >= 34
    assert all(look.direction == "above" and look.is_better is False for look in told)


def test_what_is_listed_lies_outside_its_range_and_what_is_not_within() -> None:
    rng = np.random.default_rng(11)
    for times in (1.0, 1.8, 2.2, 3.0):
        for look in looked_at(books(rng, "month", 14, times), "month").looks:
            if look.p is None:
                continue
            assert look.low is not None and look.high is not None
            value = float(look.cell.value or 0) / (SCALE if look.cell.metric.unit == "money" else 1)
            assert look.is_out == (not look.low <= value <= look.high), look


def test_a_period_that_is_not_over_is_not_judged() -> None:
    found = looked_at(books(np.random.default_rng(1), "month", 14, 9.0), "month", horizon=date(2026, 6, 30))
    assert found.judged == 0 and not found.out
    assert {look.reason for look in found.looks} == {"the period is not over"}


def test_months_are_held_against_the_same_month_where_there_are_two_such_years() -> None:
    rng = np.random.default_rng(3)
    assert {look.compared_with for look in looked_at(books(rng, "month", 36), "month").looks} == {"3 Junes"}
    assert {look.compared_with for look in looked_at(books(rng, "month", 23), "month").looks} == {"23 months"}
    days = {look.cell.metric.name: look for look in looked_at(books(rng, "day", 60), "day").looks}
    assert days["customers_churned"].compared_with == "8 Mondays"
    assert "too rare" in days["mrr_churn"].reason


def test_a_trend_of_years_is_followed_by_the_season() -> None:
    answer = books(np.random.default_rng(9), "month", 36)
    start = answer.cells[0].period.first
    for i, cell in enumerate(answer.cells):
        if (
            cell.metric.name == "customers_churned"
        ):  # of as many customers 3 % more leave every month: 20, 58 in the end
            months = 12 * (cell.period.first.year - start.year) + cell.period.first.month - start.month
            more = Fraction(round(20 * 1.03**months))
            answer.cells[i] = Cell(*(getattr(cell, name) for name in Cell.__slots__[:4]), more, *[None] * 5, "")
    (look,) = (one for one in looked_at(answer, "month").looks if one.cell.metric.name == "customers_churned")
    # The mean of three Junes alone is 30, and 58 would be an alarm.
    assert not look.is_out and look.expected == pytest.approx(58, rel=0.1)


def test_a_season_that_comes_every_year_is_no_alarm() -> None:
    rng = np.random.default_rng(5)
    answer = books(rng, "month", 36, 3.0)
    for i, cell in enumerate(answer.cells):
        if cell.metric.name == "customers_churned" and cell.period.first.month == 6:
            answer.cells[i] = Cell(*(getattr(cell, name) for name in Cell.__slots__[:4]), Fraction(80), *[None] * 5, "")
    (look,) = (one for one in looked_at(answer, "month").looks if one.cell.metric.name == "customers_churned")
    assert not look.is_out


# ------------------------------------------------------------------------------------ the whole way, through the lake


def company_of_months(months: int = 18, jump: int = 1, last: str = "2025-06") -> Facts:
    """Some 200 customers; 6 of them leave a month and 6 come, in the last month `jump` times as many leave."""
    facts, rng = Facts(), random.Random(4)
    ends = date.fromisoformat(f"{last}-01")
    first = add_months(ends, -months)
    there: list[str] = []
    for i in range(200):
        there.append(f"c{i:04d}")
        facts.state(f"{first} 00:00", customer=there[-1], amount_minor=rng.randint(2_000, 9_000))
    made = 200
    for t in range(months + 1):
        month = add_months(first, t)
        for k in range((6 + t % 3) * (jump if month == ends else 1)):
            gone = there.pop(rng.randrange(len(there)))
            facts.state(f"{month + timedelta(days=1 + k % 26)} 10:00", customer=gone, status="canceled")
        for k in range(5 + t % 2):
            there.append(f"c{made:04d}")
            facts.state(
                f"{month + timedelta(days=27 - (5 * k + t) * (k > 0) % 27)}",
                customer=there[-1],
                amount_minor=rng.randint(2_000, 9_000),
            )
            made += 1
    return facts


def test_a_planted_jump_is_listed_with_the_customers_behind_it(company: Built) -> None:
    shop = company(company_of_months(jump=6)).workspace
    found = shop.watch(known_on="2025-07-05")
    row = found.rows()[0]
    assert tuple(row) == KEYS
    assert row["metric"] in ("customers_churned", "mrr_churn") and row["period_start"] == "2025-06-01"
    churned = next(row for row in found.rows() if row["metric"] == "customers_churned")
    assert churned["value"] == 36 and churned["usual_high"] < 36
    assert (churned["direction"], churned["is_better"], churned["compared_with"]) == ("above", False, "17 months")
    listed = found.customers().to_pylist()
    assert {one["metric"] for one in listed} == {row["metric"] for row in found.rows()}
    assert sum(one["metric"] == "customers_churned" for one in listed) == 36
    assert json.loads(json.dumps(found.as_json(), default=str))["false_alarms"] == 0.05
    drawn = svg(found.chart("th"))
    assert "นอกช่วงปกติ" in drawn and "Left its usual range" in svg(found.chart())
    assert {part.split('"')[0] for part in drawn.split("http")[1:]} <= {
        "://www.w3.org/2000/svg",
        "://www.w3.org/1999/xlink",
    }
    assert found.chart().to_dict(validate=True)["config"]["font"].startswith("Sarabun")


def test_a_steady_company_lists_nothing_and_a_day_and_a_week_can_be_watched(company: Built) -> None:
    shop = company(company_of_months()).workspace
    for period in ("month", "week", "day"):
        found = shop.watch(period=period, known_on="2025-07-05")
        assert found.rows() == [] and found.judged > 0
        assert found.customers().num_rows == 0


def test_the_latest_period_is_one_that_is_over_and_known_to_its_end(company: Built) -> None:
    shop = company(company_of_months(jump=6)).workspace
    assert shop.watch(known_on="2025-06-29").period.label == "2025-05"  # type: ignore[union-attr]
    long_after = shop.watch(known_on="2025-10-31")
    assert long_after.period is not None and long_after.period.label == "2025-06"
    assert any("no later month is judged" in note for note in long_after.notes)
    named = shop.watch(until="2025-06", known_on="2025-06-29")
    assert named.rows() == [] and named.judged == 0
    assert {row["reason"] for row in named.rows(every=True)} >= {"the period is not over"}


def test_too_little_history_says_so_and_lists_nothing(company: Built, capsys: pytest.CaptureFixture[str]) -> None:
    shop = company(company_of_months(months=7, jump=9)).workspace
    found = shop.watch(known_on="2025-07-05")
    assert found.rows() == [] and found.judged == 0
    assert any("too little history" in (row["reason"] or "") for row in found.rows(every=True))
    asked = ["-w", str(shop.folder), "watch", "--known-on", "2025-07-05", "--fail"]
    assert run(asked) == 0
    told = capsys.readouterr()
    assert told.out == "" and "nothing is watched yet: too little history: 6 months" in told.err


def test_segments_and_named_metrics_are_watched_as_one_family(company: Built) -> None:
    facts = company_of_months(jump=6)
    for row in list(facts.tables["subscription_states"]):
        row["plan_id"] = "big" if int(row["customer_id"][1:]) % 2 else "small"
    shop = company(facts).workspace
    found = shop.watch("customers_churned", "customer_churn_rate", by="plan_id", known_on="2025-07-05")
    assert found.judged == 4
    rates = {row["metric"]: row for row in found.rows(every=True) if row["segment"] == {"plan_id": "big"}}
    rate, count = rates["customer_churn_rate"], rates["customers_churned"]
    assert rate["p"] == pytest.approx(count["p"], rel=0.5)  # the same leavers against the same customers
    assert 0 <= rate["usual_low"] <= rate["usual_high"] <= 1


def test_what_has_no_usual_range_is_refused_with_what_to_watch_instead(company: Built) -> None:
    shop = company(company_of_months(months=2)).workspace
    for name, instead in (("mrr", "it is a level"), ("nrr_12m", "repeats"), ("ltv", "assumptions")):
        with pytest.raises(BadInput, match=instead):
            shop.watch(name)
    with pytest.raises(BadPeriod, match="day, week, month"):
        shop.watch(period="year")
    with pytest.raises(BadInput, match="between 0 and 1"):
        shop.watch(false_alarms=5.0)


def test_the_command_is_silent_in_a_pipe_and_fails_only_when_asked(
    company: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    calm, loud = (company(company_of_months(jump=jump)).workspace.folder for jump in (1, 6))
    on = ["watch", "--known-on", "2025-07-05"]
    assert run(["-w", str(calm), *on, "--fail"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
    assert run(["-w", str(calm), *on, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run(["-w", str(calm), *on, "--format", "csv"]) == 0
    assert capsys.readouterr().out == ",".join(KEYS) + "\n"
    assert run(["-w", str(calm), *on, "--all"]) == 0
    assert "Nothing left its usual range in 2025-06: 7 numbers watched" in capsys.readouterr().out
    assert run(["-w", str(loud), *on]) == 0
    assert run(["-w", str(loud), *on, "--fail"]) == 1
    text = capsys.readouterr().out
    assert "customers_churned" in text and "above, worse" in text and "at most 5 % of such looks" in text
    assert run(["-w", str(loud), *on, "--customers", "--format", "json", "--fail"]) == 1
    assert {row["metric"] for row in json.loads(capsys.readouterr().out)} >= {"customers_churned"}
    assert run(["-w", str(loud), *on, "--chart", "x.pdf"]) == 2
