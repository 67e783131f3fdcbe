"""On public data the models reach what is possible there, and no more: more would smell of leakage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tenure.predict import BetaGeoNBD, Cox, DiscreteHazard
from tenure.predict.censored_scores import judge_survival
from tenure.predict.features_refused import auc
from tenure.predict.hazards import person_periods
from tenure.predict.judging import judge


def test_telco_in_ten_folds_reaches_what_good_boosting_reaches_there_and_not_more(
    shared_data: Callable[[str], Path],
) -> None:
    frame = pd.read_csv(shared_data("telco_ibm_v1/Telco-Customer-Churn.csv"))
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")  # 11 are blank: unknown
    left = (frame["Churn"] == "Yes").to_numpy()
    tenure = frame["tenure"].to_numpy(dtype=float)
    X = frame.drop(columns=["customerID", "Churn", "tenure"])
    found = []
    # Five times cut in two at random, each half foretold from the other.
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(left))
        halves = order[: len(left) // 2], order[len(left) // 2 :]
        for learn, ahead in (halves, halves[::-1]):
            model = DiscreteHazard(seed=seed, threads=1).fit(X.iloc[learn], tenure[learn], left[learn])
            assert model.chosen_ in ("boosted trees", "logistic") and not model.why_
            told = judge(left[ahead], model.predict_leaving(X.iloc[ahead], tenure[ahead]), draws=2)
            names = ("auc", "brier", "calibration_slope", "top_decile_lift")
            found.append([told[name].value or 0.0 for name in names])
    auc, brier, slope, lift = np.mean(found, axis=0)
    assert 0.845 <= auc <= 0.87
    assert brier <= 0.136
    assert 0.9 <= slope <= 1.1
    assert lift >= 2.8


def test_pysurvivals_subscribers_held_out_are_ranked_and_timed_well(shared_data: Callable[[str], Path]) -> None:
    frame = pd.read_csv(shared_data("pysurvival_churn/churn.csv"))
    # The 42 of month 0 are all still here: they were watched for no time and say nothing.
    assert frame.loc[frame["months_active"] == 0, "churned"].sum() == 0
    frame = frame[frame["months_active"] > 0].reset_index(drop=True)
    end, left = frame["months_active"].to_numpy(), frame["churned"].to_numpy(dtype=bool)
    X = {name: frame[name].to_numpy() for name in frame.columns.drop(["months_active", "churned"])}
    numbers = pd.get_dummies(pd.DataFrame(X), drop_first=True).astype(float)
    months = np.arange(12.0)
    found = []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(frame))
        learn, ahead = order[: int(0.7 * len(order))], order[int(0.7 * len(order)) :]
        # Month m of the file is the m-th period of tenure, [m - 1, m).
        rows = person_periods(end[learn] - np.where(left[learn], 0.5, 0.0), np.where(left[learn], "unknown", ""))
        of_rows = {name: column[learn][rows.customer] for name, column in X.items()}
        model = DiscreteHazard(threads=1, seed=seed).fit(of_rows, rows.period, rows.outcome, customer=rows.customer)
        others = {name: column[ahead] for name, column in X.items()}
        start = np.zeros(len(ahead))
        stay = np.column_stack([np.ones(len(ahead)), model.predict_survival(others, start, range(1, 12))])
        told = judge_survival(end[ahead], left[ahead], stay, months, draws=20)
        cox = Cox(penalty=1).fit(numbers.iloc[learn], end[learn], left[learn])
        plain = judge_survival(
            end[ahead], left[ahead], cox.predict_survival(numbers.iloc[ahead], months), months, draws=5
        )
        found.append([told.concordance.value, told.brier.value, told.brier_of_nobody, plain.concordance.value])
        assert (told.brier.high or 1) < told.brier_of_nobody
    concordance, brier, nobody, plainly = np.mean(np.array(found, dtype=float), axis=0)
    assert concordance >= 0.86 and brier <= 0.085
    assert 0.19 < nobody < 0.23
    assert plainly >= 0.86


@pytest.mark.parametrize("learner", ["boosted", "logistic"])
def test_either_learner_alone_holds_on_telco(learner: str, shared_data: Callable[[str], Path]) -> None:
    frame = pd.read_csv(shared_data("telco_ibm_v1/Telco-Customer-Churn.csv"))
    left = (frame["Churn"] == "Yes").to_numpy()
    X, tenure = frame[["Contract", "MonthlyCharges", "InternetService", "PaymentMethod"]], frame["tenure"].to_numpy()
    odd = np.arange(len(left)) % 2 == 1
    model = DiscreteHazard(learner=learner, threads=1).fit(X[odd], tenure[odd], left[odd])
    told = judge(left[~odd], model.predict_leaving(X[~odd], tenure[~odd]), draws=50)
    assert 0.82 < (told["auc"].value or 0) < 0.87
    assert 0.9 <= (told["calibration_slope"].value or 0) <= 1.1


@pytest.mark.parametrize(
    ("cut", "happened", "expected", "off", "naive"),
    [("2011-06-09", 6866, 6112, 1.509, 1.610), ("2011-09-01", 4806, 3610, 0.997, 0.966)],
)
def test_online_retail_out_of_time_is_foreseen_but_for_its_christmas(
    cut: str, happened: int, expected: int, off: float, naive: float, shared_data: Callable[[str], Path]
) -> None:
    import duckdb

    file = shared_data("onlineretail_uci/onlineretail.parquet")
    sql = f"""
    WITH days AS (
     SELECT DISTINCT CustomerID AS c, CAST(InvoiceDate AS DATE) AS day FROM '{file}'
     WHERE CustomerID IS NOT NULL AND Quantity > 0 AND UnitPrice > 0 AND InvoiceNo NOT LIKE 'C%'
    ), buyers AS (
     SELECT c, min(day) AS first, max(day) FILTER (day < DATE '{cut}') AS last,
      count(*) FILTER (day < DATE '{cut}') - 1 AS again, count(*) FILTER (day >= DATE '{cut}') AS later
     FROM days GROUP BY c HAVING min(day) < DATE '{cut}'
    )
    SELECT again, date_diff('day', first, last) / 7.0, date_diff('day', first, DATE '{cut}') / 7.0, later FROM buyers
    ORDER BY c
    """
    told = duckdb.sql(sql).fetchnumpy()
    again, recency, age, later = (np.asarray(column, dtype=np.float64) for column in told.values())
    ahead = (np.datetime64("2011-12-10") - np.datetime64(cut)).astype(int) / 7
    model = BetaGeoNBD().fit(again, recency, age)
    said = model.conditional_expected_purchases(ahead, again, recency, age)
    assert later.sum() == happened
    # 11 % too few over half a year, 25 % from September on: a shop of presents, and no model of these knows Christmas.
    assert said.sum() == pytest.approx(expected, rel=0.002)
    rates = again / age * ahead
    assert [np.abs(guess - later).mean() for guess in (said, rates)] == pytest.approx([off, naive], abs=0.002)
    assert abs(said.sum() - happened) < abs(rates.sum() - happened)
    # Who will buy again is ranked better than by the last purchase alone.
    assert auc(said, later > 0) > auc(recency - age, later > 0) + 0.03
