"""Contributions are LightGBM's own, and Shapley's values written out coalition by coalition."""

from __future__ import annotations

import itertools
from math import factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.errors import BadInput
from tenure.predict import contributions
from tenure.predict.contributions import TreeContributions, grouped

lightgbm = pytest.importorskip("lightgbm")


def trained(rows: int = 1500, trees: int = 25, seed: int = 0, **settings: Any) -> tuple[Any, np.ndarray]:
    """A small model, and other rows with unknowns and zeros among them."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(rows, 6)), 1)
    x[:, 4] = rng.integers(0, 9, rows)
    x[rng.random((rows, 6)) < settings.pop("unknown", 0.0)] = np.nan
    y = (rng.random(rows) < 1 / (1 + np.exp(-np.nan_to_num(x[:, 0] + x[:, 1] * x[:, 2])))).astype(int)
    data = lightgbm.Dataset(x, y, categorical_feature=settings.pop("categorical_feature", "auto"))
    options = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 20, **settings}
    booster = lightgbm.train(options, data, trees)
    other = np.round(rng.normal(size=(400, 6)), 1)
    other[:, 4] = rng.integers(-1, 12, 400)
    other[::7, 1], other[::5, 0], other[3::11, 4] = np.nan, 0.0, np.nan
    return booster, other


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"unknown": 0.2},
        {"zero_as_missing": True},
        {"zero_as_missing": True, "unknown": 0.1},
        {"use_missing": False},
        {"categorical_feature": [4]},
        {"categorical_feature": [4], "unknown": 0.2},
        {"monotone_constraints": [1, 0, 0, -1, 0, 0]},
        {"objective": "regression"},
        {"num_leaves": 2},
        {"num_leaves": 60, "min_data_in_leaf": 3},
        {"bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.5},
    ],
    ids=str,
)
def test_the_numbers_are_those_of_lightgbm_to_the_ninth_digit(settings: dict[str, Any]) -> None:
    booster, x = trained(**settings)
    told = TreeContributions.of(booster).values(x)
    assert np.abs(told - booster.predict(x, pred_contrib=True)).max() < 1e-9
    assert told.sum(axis=1) == pytest.approx(booster.predict(x, raw_score=True), abs=1e-9)


@given(st.integers(0, 10_000))
def test_a_contribution_is_shapleys_value_written_out(seed: int) -> None:
    booster, x = trained(rows=120, trees=1, seed=seed, num_leaves=6, min_data_in_leaf=5)
    tree = booster.dump_model()["tree_info"][0]["tree_structure"]
    row = np.nan_to_num(x[seed % 400])

    def worth(node: dict[str, Any], known: tuple[int, ...]) -> float:
        if "split_index" not in node:
            return float(node["leaf_value"])
        left, right = node["left_child"], node["right_child"]
        if node["split_feature"] in known:
            return worth(left if row[node["split_feature"]] <= node["threshold"] else right, known)
        count = [float(each.get("internal_count", each.get("leaf_count"))) for each in (left, right)]
        return (count[0] * worth(left, known) + count[1] * worth(right, known)) / sum(count)

    told = TreeContributions.of(booster).values(row[None])[0]
    assert told[-1] == pytest.approx(worth(tree, ()), abs=1e-12)
    for i in range(6):
        others = [j for j in range(6) if j != i]
        value = 0.0
        for size in range(6):
            for some in itertools.combinations(others, size):
                weight = factorial(size) * factorial(5 - size) / factorial(6)
                value += weight * (worth(tree, (*some, i)) - worth(tree, some))
        assert told[i] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(("numbers", "block"), [(1, 7), (64, 100), (1 << 20, 4096)])
def test_how_leaves_are_packed_and_rows_are_cut_changes_nothing(
    numbers: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    booster, x = trained(unknown=0.1, trees=8)
    whole = TreeContributions.of(booster).values(x, threads=1)
    monkeypatch.setattr(contributions, "_NUMBERS", numbers)
    monkeypatch.setattr(contributions, "_BLOCK", block)
    assert TreeContributions.of(booster).values(x, threads=2) == pytest.approx(whole, abs=1e-12)


def test_a_model_without_a_split_gives_its_level_and_other_rows_of_columns_are_refused() -> None:
    booster, x = trained(rows=30, trees=3)
    told = TreeContributions.of(booster).values(x)
    assert np.abs(told[:, :-1]).max() == 0.0
    assert told[:, -1] == pytest.approx(booster.predict(x, raw_score=True), abs=1e-12)
    assert TreeContributions.of(booster).values(x[:0]).shape == (0, 7)
    with pytest.raises(BadInput, match="the model has 6 columns"):
        TreeContributions.of(booster).values(x[:, :5])


def test_models_of_several_scores_are_refused() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(300, 3)), rng.integers(0, 3, 300)
    many = lightgbm.train({"objective": "multiclass", "num_class": 3, "verbosity": -1}, lightgbm.Dataset(x, y), 2)
    with pytest.raises(BadInput, match="one score per row"):
        TreeContributions.of(many)


def test_contributions_are_summed_over_columns_that_say_the_same() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0], [0.5, 0.0, -1.0, 2.0]])
    names, told = grouped(["a", "b", "c", "level"], values, {"a": "usage", "c": "usage"})
    assert names == ("usage", "b", "level")
    assert told.tolist() == [[4.0, 2.0, 4.0], [-0.5, 0.0, 2.0]]
    with pytest.raises(BadInput, match="3 names"):
        grouped(["a", "b", "c"], values, {})
