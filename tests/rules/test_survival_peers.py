"""Do our survival numbers agree with the outside world? lifelines on the same customers, and published curves.

lifelines is an oracle for tests only; nothing of Tenure imports it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tenure.kernel import survival
from tenure.kernel.survival import Counts, KaplanMeier

lifelines = pytest.importorskip("lifelines", reason="the oracle is in the test extra: pip install 'tenure[test]'")
from lifelines import AalenJohansenFitter, KaplanMeierFitter  # noqa: E402
from lifelines.datasets import load_lung, load_waltons  # noqa: E402
from lifelines.exceptions import StatError  # noqa: E402
from lifelines.statistics import multivariate_logrank_test  # noqa: E402
from lifelines.utils import median_survival_times, restricted_mean_survival_time  # noqa: E402

EXACT = {"abs": 1e-12, "rel": 0}


@pytest.fixture(autouse=True)
def numpy_as_lifelines_leaves_it() -> Iterator[None]:
    """lifelines switches numpy's floating-point warnings off for good; tests after these must have them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        yield


def theirs(duration: object, left: object, entry: object = None, level: float = 0.95) -> KaplanMeierFitter:
    return KaplanMeierFitter(alpha=1 - level).fit(duration, left, entry=entry)


def assert_same_curve(ours: KaplanMeier, fitted: KaplanMeierFitter, first: int = 0) -> None:
    """Survival and both ends of the band at every tenure either of them lists."""
    # lifelines lists 0 even when nobody enters there.
    mine = pd.DataFrame({"s": ours.survival, "low": ours.low, "high": ours.high}, index=ours.time.astype(float))
    its = fitted.survival_function_.join(fitted.confidence_interval_)
    its.columns = pd.Index(["s", "low", "high"])
    both = its.join(mine, rsuffix="_ours", how="outer").ffill().fillna(1.0).loc[first:]
    assert len(both) >= len(ours.time)
    for column in ("s", "low", "high"):
        assert both[f"{column}_ours"].to_numpy() == pytest.approx(both[column].to_numpy(), **EXACT)


@pytest.fixture(scope="module")
def telco(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    frame = pd.read_csv(shared_data("telco_ibm_v1/Telco-Customer-Churn.csv"))
    return pd.DataFrame({"tenure": frame["tenure"], "left": frame["Churn"] == "Yes", "contract": frame["Contract"]})


def test_telco_stays_as_published(telco: pd.DataFrame) -> None:
    curve = survival.kaplan_meier(Counts.of_customers(telco["tenure"], telco["left"]))
    published = {12: 0.8432, 24: 0.7887, 36: 0.7485, 48: 0.7088, 60: 0.6644, 72: 0.5928}
    assert {t: round(curve.survival_at(t).value or 0, 4) for t in published} == published
    assert curve.median == (None, None, None)
    assert curve.survival_at(73).value is None


def test_telco_is_lifelines_to_the_twelfth_digit_with_its_band(telco: pd.DataFrame) -> None:
    for _, group in [("all", telco), *telco.groupby("contract")]:
        counts = Counts.of_customers(group["tenure"], group["left"])
        for level in (0.8, 0.95, 0.99):
            fitted = theirs(group["tenure"], group["left"], level=level)
            assert_same_curve(survival.kaplan_meier(counts, level), fitted)


def test_telco_contracts_differ_by_the_published_log_rank(telco: pd.DataFrame) -> None:
    groups = {str(name): Counts.of_customers(rows["tenure"], rows["left"]) for name, rows in telco.groupby("contract")}
    test = survival.log_rank(groups)
    peer = multivariate_logrank_test(telco["tenure"], telco["contract"], telco["left"])
    assert round(test.chi2 or 0, 2) == 2352.87
    assert test.chi2 == pytest.approx(peer.test_statistic, rel=1e-12)
    assert test.df == 2 and test.p == peer.p_value == 0.0


def test_the_waltons_flies_have_their_published_median() -> None:
    flies = load_waltons()
    curve = survival.kaplan_meier(Counts.of_customers(flies["T"], flies["E"]))
    assert curve.median.value == 56
    assert round(curve.survival_at(50).value or 0, 6) == 0.616817
    fitted = theirs(flies["T"], flies["E"])
    assert_same_curve(curve, fitted)
    low, high = median_survival_times(fitted.confidence_interval_).iloc[0]
    assert curve.median == (56, low, high)
    for until in (1, 30, 56, 75):
        mean = curve.restricted_mean(until)
        assert mean is not None
        assert mean.value == pytest.approx(restricted_mean_survival_time(fitted, until), abs=1e-10)


def test_the_lung_patients_have_their_published_median() -> None:
    lung = load_lung()
    counts = Counts.of_customers(lung["time"], lung["status"])
    curve = survival.kaplan_meier(counts)
    # R: survfit(Surv(time, status) ~ 1, conf.type = "log-log") prints 310, 284, 361.
    assert curve.median == (310, 284, 361)
    assert_same_curve(curve, theirs(lung["time"], lung["status"]))
    # R: survdiff(Surv(time, status) ~ sex) prints chisq 10.3 on 1 degree of freedom, p 0.001.
    men, women = (Counts.of_customers(rows["time"], rows["status"]) for _, rows in lung.groupby("sex"))
    test = survival.log_rank({"men": men, "women": women})
    assert (round(test.chi2 or 0, 1), test.df, round(test.p or 0, 3)) == (10.3, 1, 0.001)
    assert {name: round(k, 1) for name, k in test.expected.items()} == {"men": 91.6, "women": 73.4}


lives = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 20), st.booleans()), min_size=3, max_size=60).map(
    lambda rows: [(min(begin, end - 1), end, left) for begin, end, left in rows]
)


@given(lives, st.sampled_from([0.5, 0.9, 0.95]))
def test_any_customers_have_the_curve_and_band_of_lifelines(rows: list[tuple[int, int, bool]], level: float) -> None:
    _, end, left = (np.array(column) for column in zip(*rows, strict=True))
    curve = survival.kaplan_meier(Counts.of_customers(end, left), level)
    fitted = theirs(end, left, level=level)
    assert_same_curve(curve, fitted)
    # Where exactly half have left, lifelines' logarithms may land just above one half and miss it.
    if curve.median.value is not None and abs(curve.survival - 0.5).min() > 1e-12:
        assert curve.median.value == fitted.median_survival_time_


@given(lives)
def test_truncated_entry_is_that_of_lifelines(rows: list[tuple[int, int, bool]]) -> None:
    begin, end, left = (np.array(column) for column in zip(*rows, strict=True))
    curve = survival.kaplan_meier(Counts.of_customers(end, left, begin))
    # Where the risk set empties, lifelines raises or carries NaN on; ours says where knowledge ends (test_survival.py).
    assume(curve.stops in ("", "nobody was observed longer"))
    try:
        fitted = theirs(end, left, entry=begin)
    except StatError:
        assume(False)
    assert_same_curve(curve, fitted, first=int(begin.min()))


def test_truncated_entry_of_many_customers_is_that_of_lifelines() -> None:
    rng = np.random.default_rng(3)
    begin = np.where(rng.random(5000) < 0.4, 0, rng.integers(0, 400, 5000))
    end = begin + rng.integers(1, 700, 5000)
    left = rng.random(5000) < 0.6
    curve = survival.kaplan_meier(Counts.of_customers(end, left, begin))
    fitted = theirs(end, left, entry=begin)
    assert_same_curve(curve, fitted)
    assert curve.median.value == fitted.median_survival_time_
    # lifelines takes those who enter at a tenure as at risk in its table, and subtracts them for the estimate.
    table = fitted.event_table
    population = (table["at_risk"] - table["entrance"].where(table.index > 0, 0)).to_numpy()
    assert curve.at_risk.tolist() == population.tolist()


groups = st.lists(st.tuples(st.integers(1, 20), st.booleans(), st.sampled_from("abc")), min_size=6, max_size=60)


@given(groups)
def test_any_groups_have_the_log_rank_of_lifelines(rows: list[tuple[int, bool, str]]) -> None:
    end, left, name = (np.array(column) for column in zip(*rows, strict=True))
    ours = survival.log_rank(
        {str(one): Counts.of_customers(end[name == one], left[name == one]) for one in np.unique(name)}
    )
    # lifelines inverts whatever it gets; compare where its matrix has full rank.
    assume(len(np.unique(name)) > 1 and ours.df == len(np.unique(name)) - 1)
    with warnings.catch_warnings():
        # A group alone at a tenure divides 0 by 0 inside lifelines, which then fills the gap.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="pandas|numpy|lifelines")
        peer = multivariate_logrank_test(end, name, left)
    assert ours.chi2 == pytest.approx(peer.test_statistic, rel=1e-8, abs=1e-10)
    assert ours.p == pytest.approx(peer.p_value, rel=1e-6, abs=1e-12)


def test_incidence_by_kind_is_that_of_lifelines_where_kinds_never_tie() -> None:
    """lifelines jitters ties of different kinds, so here they leave on even days and on odd ones."""
    rng = np.random.default_rng(12)
    kind = rng.integers(0, 3, 800)  # 0 stays
    end = 2 * rng.integers(1, 60, 800) + (kind == 2)
    time = np.concatenate([[0], end])
    found = survival.cumulative_incidence(
        time,
        entries=np.concatenate([[800], np.zeros(800)]),
        censored=np.concatenate([[0], kind == 0]),
        events={"voluntary": np.concatenate([[0], kind == 1]), "involuntary": np.concatenate([[0], kind == 2])},
    )
    for number, name in ((1, "voluntary"), (2, "involuntary")):
        fitted = AalenJohansenFitter(alpha=0.05).fit(end, kind, event_of_interest=number)
        one = found.kinds[name]
        assert one.share == pytest.approx(fitted.cumulative_density_.iloc[:, 0].to_numpy(), **EXACT)
        # When the last at risk all leave, lifelines divides 0 by 0; ours has nothing more to add.
        fine = (found.curve.at_risk > found.curve.events) & (one.share > 0)
        assert one.variance[fine] == pytest.approx(fitted.variance_.to_numpy()[fine], **EXACT)
        band = fitted.confidence_interval_.to_numpy()[fine]
        assert one.low[fine] == pytest.approx(band.min(axis=1), abs=1e-9)
        assert one.high[fine] == pytest.approx(band.max(axis=1), abs=1e-9)


def test_one_snapshot_read_two_ways_gives_curves_seven_hundred_times_apart(telco: pd.DataFrame) -> None:
    """The file marks who left in the last month. Whether it holds earlier leavers decides all, and it does not say."""
    lifetimes = survival.kaplan_meier(Counts.of_customers(telco["tenure"], telco["left"]))
    last_month = Counts.of_customers(telco["tenure"], telco["left"], entry=(telco["tenure"] - 1).clip(lower=0))
    one_month = survival.kaplan_meier(last_month)
    assert round(lifetimes.survival_at(12).value or 0, 3) == 0.843
    assert round(one_month.survival_at(12).value or 0, 4) == 0.0012
    # Each of the 7,032 who have a tenure lived one month under observation, and 1,869 of them left in it.
    assert last_month.exposure(0, 72) == 7032
    assert int(last_month.events.sum()) == 1869
