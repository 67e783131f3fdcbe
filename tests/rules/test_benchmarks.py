"""Published figures beside one's own: always over the same period, with a source, and never where nobody tells it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure import Workspace
from tenure.errors import BadInput, UnknownName
from tenure.measure.benchmarks import COUNTS, KEPT, METRICS, Beside, Own, Published, _beside, published, readings
from tenure.measure.catalogue import CATALOGUE
from tests.reference.builder import Facts, Shop

Build = Callable[..., Shop]

FIGURES = {one.id: one for one in published()}


def test_every_published_figure_says_what_of_whom_and_who_says_so() -> None:
    assert len(FIGURES) == len(published()) >= 60
    for one in published():
        assert re.fullmatch(r"[a-z0-9-]+", one.id)
        assert one.metric in ("", *METRICS), one.id
        assert one.says and one.segment and one.source, one.id
        assert one.period in ("month", "year", "none", ""), one.id
        assert 0 < one.low <= one.high < 2, one.id
        assert one.url == "" or one.url.startswith("https://"), one.id
        assert date.fromisoformat(one.seen), one.id
        assert one.compared or one.why, one.id


def test_every_metric_of_a_published_figure_is_in_the_catalogue() -> None:
    assert set(METRICS) <= set(CATALOGUE)


def test_figures_without_a_period_or_told_by_others_are_never_compared() -> None:
    left_out = {one.id: one.left_out for one in published()}
    assert left_out["recurly-2025-b2b-saas"] == left_out["five-percent-myth"] == "no period is told"
    assert left_out["kbcm-2024-grr-median"] == left_out["thumb-smb"] == "secondary"
    assert left_out["revenuecat-monthly"].startswith("it follows newcomers")
    assert left_out["recurly-2019-b2b"] == left_out["saas-capital-2023-nrr-1"] == ""


def test_a_month_becomes_a_year_by_what_is_left_each_month() -> None:
    # 5.15 % a month: 0.9485 ^ 12 = 0.53020 are left; 12 x 5.15 % would be 61.8 %.
    month, year = FIGURES["recurly-2019-b2b"].per("month"), FIGURES["recurly-2019-b2b"].per("year")
    assert month == (0.0515, 0.0515)
    assert year is not None and round(year[0], 4) == 0.4698
    # A range is converted at both ends: 10 to 15 % a year.
    low, high = FIGURES["thumb-mid-market"].per("month") or (0, 0)
    assert (round(low, 5), round(high, 5)) == (0.00874, 0.01345)
    # Retention by what is lost: 0.90 ^ (1/12), and above 1 as well: 1.26 ^ (1/12).
    kept = FIGURES["saas-capital-2023-grr-1"].per("month")
    grew = FIGURES["chartmogul-2023-nrr-high-arpa"].per("month")
    assert kept is not None and isclose(kept[0], 0.9 ** (1 / 12))
    assert grew is not None and isclose(grew[0], 1.26 ** (1 / 12))


def test_a_share_of_leavers_has_no_period_and_a_count_of_them_only_its_own() -> None:
    share = FIGURES["recurly-share-2017"]
    assert share.per("month") == share.per("year") == (0.266, 0.266)
    assert FIGURES["recurly-2017-involuntary"].per("month") == (0.0173, 0.0173)
    assert FIGURES["recurly-2017-involuntary"].per("year") is None
    assert FIGURES["five-percent-myth"].per("month") is None


@given(st.floats(0.3, 0.6), st.sampled_from(["customer_churn_rate", "grr"]))
def test_converting_there_and_back_gives_the_published_figure(share: float, metric: str) -> None:
    said = replace(FIGURES["recurly-2019-b2b"], metric=metric, low=share, high=share)
    year = said.per("year")
    assert year is not None
    back = replace(said, period="year", low=year[0], high=year[1]).per("month")
    assert back is not None and isclose(back[0], share, rel_tol=1e-6)
    assert (year[0] < share) == (metric in KEPT)


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.01, 0.03, "lower"), (0.04, 0.06, "no different"), (0.06, 0.09, "higher")]
)
def test_ones_own_is_judged_by_its_own_interval(low: float, high: float, verdict: str) -> None:
    said = replace(FIGURES["recurly-2019-b2b"], period="year")  # 5.15 % a year

    def own(period: str, value: float | None) -> Own:
        return Own("customer_churn_rate", period, date(2026, 1, 1), date(2027, 1, 1), value, low, high)

    beside = _beside(said, own("month", 0.5), own("year", (low + high) / 2))
    assert (beside.verdict, beside.judged, beside.left_out) == (verdict, "year", "")


def own_company(company: Build, months: int) -> Workspace:
    """Ten customers of 100 USD on the first day; one leaves in the last month but one, by its own choice."""
    facts = Facts()
    # Somebody left early on, so that leavers are known from then.
    facts.span(
        "2025-06-01" if months > 6 else "2026-03-01",
        "2025-06-02" if months > 6 else "2026-03-02",
        customer="early",
        subscription="early",
    )
    start = f"{2026 - (months > 6)}-{'06' if months > 6 else '03'}-01"
    for i in range(10):
        facts.span(start, "2026-05-10" if i == 0 else None, customer=f"c{i}", subscription=f"s{i}")
    return company(facts, currency="USD").workspace


def test_ones_own_year_is_counted_and_not_converted(company: Build) -> None:
    shop = own_company(company, 12)
    found = shop.benchmarks("customer_churn_rate", "nrr", month="2026-06")
    own = {(one.metric, one.period): one for one in found.own}
    assert own["customer_churn_rate", "month"].value == 0.0
    # One of the ten of 1 July 2025 is gone a year later, whatever a month's rate converts to.
    year = own["customer_churn_rate", "year"]
    assert [year.value, year.numerator, year.denominator] == [0.1, 1, 10]
    assert (year.first, year.after) == (date(2025, 7, 1), date(2026, 7, 1))
    assert own["nrr", "year"].value == 0.9 == shop.metrics("nrr_12m", since="2026-06").value()
    assert {one.published.metric for one in found.rows_beside} == {"customer_churn_rate", "nrr"}
    row = next(row for row in found.rows() if row["id"] == "recurly-2019-b2b")
    assert row["own_year"] == 0.1 and row["profile"] == "tenure" and row["judged_over"] == "year"
    assert round(row["year_low"], 4) == 0.4698 and row["year_converted"] and not row["month_converted"]


def test_without_twelve_months_the_year_is_unknown_and_the_month_is_judged(company: Build) -> None:
    shop = own_company(company, 4)
    found = shop.benchmarks("customer_churn_rate", month="2026-05")
    own = {one.period: one for one in found.own}
    assert own["month"].value == 0.1
    assert own["year"].value is None and own["year"].reason == "history begins on 2026-03-01, later than 2025-06-01"
    assert {one.judged for one in found.rows_beside if not one.left_out} == {"month"}


def test_leavers_of_one_kind_are_divided_by_the_customers_at_the_start(company: Build) -> None:
    facts = Facts()
    facts.span("2026-01-01", "2026-01-02", customer="early", subscription="early")
    for i in range(4):
        facts.state("2026-01-01", customer=f"c{i}", subscription=f"s{i}")
    facts.state("2026-03-10", customer="c0", subscription="s0", status="canceled", cancel_actor="customer")
    facts.state("2026-03-11", customer="c1", subscription="s1", status="canceled", cancel_actor="dunning")
    found = company(facts, currency="USD").workspace.benchmarks(*COUNTS, month="2026-03")
    own = {(one.metric, one.period): one for one in found.own}
    assert own[COUNTS[0], "month"].value == own[COUNTS[1], "month"].value == 0.25
    assert own[COUNTS[0], "year"].value is None


def test_a_metric_nobody_publishes_is_refused_by_name(company: Build) -> None:
    with pytest.raises(UnknownName, match="no metric with published figures called 'mrr'"):
        own_company(company, 4).benchmarks("mrr", month="2026-05")


def test_five_percent_is_two_things() -> None:
    monthly, yearly = readings(0.05)
    # 1,000 x 0.95^12 = 540.36; a year of 5 % is 0.4265 % a month.
    assert dict(monthly.left)[12] == 540 and dict(yearly.left)[12] == 950
    assert (round(monthly.year, 4), round(yearly.month, 6)) == (0.4596, 0.004265)
    with pytest.raises(BadInput, match="between 0 and 1"):
        readings(5)


def test_what_is_left_out_is_told_with_its_reason() -> None:
    said: Published = FIGURES["recurly-2025-b2b-saas"]
    beside: Beside = _beside(said, None, None)
    assert (beside.verdict, beside.left_out) == ("", "no period is told")
