"""How is a trained hazard written down, so that it says the same tomorrow, on another machine, and to an auditor?

    told = as_data(model)       plain lists, numbers and texts: JSON, with LightGBM's trees as LightGBM's own text
    model = from_data(told)     the same model; nothing in it is ever executed

Floats go through JSON unchanged, so scores are equal to the last digit. Whatever is not as it was written is refused
(Damaged). Pickle would run what somebody put into the file; this cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tenure.errors import Damaged
from tenure.predict.calibration import Calibrator, Curve, Rising
from tenure.predict.encoding import Encoder, _Trait
from tenure.predict.hazards import DiscreteHazard, Split
from tenure.predict.learners import Boosted, ByTenure, Learner, Logistic

FORMAT = 1


def as_data(model: DiscreteHazard) -> dict[str, Any]:
    """The model as JSON can hold it."""
    return {
        "format": FORMAT,
        "causes": list(model.causes),
        "monotone": dict(model.monotone),
        "seed": model.seed,
        "chosen": model.chosen_,
        "why": list(model.why_),
        "losses": dict(model.losses_),
        "judged_on": model.judged_on_,
        "columns": list(model.columns_),
        "left_out": list(model.left_out_),
        "rows": model.rows_,
        "customers": model.customers_,
        "leavers": model.leavers_,
        "oldest": model.oldest_,
        "encoder": _encoder_data(model.encoder_),
        "learner": _learner_data(model.model_),
        "calibrator": _calibrator_data(model.calibrator_),
        "shares": model.shares_.tolist(),
        "split": None
        if model.split_ is None
        else {
            "mean": model.split_.mean_.tolist(),
            "scale": _finite(model.split_.scale_),
            "weights": model.split_.weights_.tolist(),
        },
    }


def from_data(told: Mapping[str, Any], threads: int = 0) -> DiscreteHazard:
    """The model that was written down. Damaged where something is missing or is not what it should be."""
    if told.get("format") != FORMAT:
        raise Damaged(
            f"the model is of format {told.get('format')!r}, and this version reads {FORMAT}; run `tenure fit`"
        )
    try:
        model = DiscreteHazard(told["monotone"], tuple(told["causes"]), seed=int(told["seed"]), threads=threads)
        model.chosen_, model.why_, model.losses_ = str(told["chosen"]), list(told["why"]), dict(told["losses"])
        model.judged_on_, model.columns_ = str(told["judged_on"]), tuple(told["columns"])
        model.left_out_ = tuple(told["left_out"])
        model.rows_, model.customers_, model.leavers_ = (int(told[name]) for name in ("rows", "customers", "leavers"))
        model.oldest_ = float(told["oldest"])
        model.encoder_ = _encoder_of(told["encoder"])
        model.model_ = _learner_of(told["learner"], threads)
        model.calibrator_ = _calibrator_of(told["calibrator"])
        model.shares_ = _array(told["shares"])
        if model.shares_.shape != (len(model.causes),):
            raise ValueError("one share per cause")
        model.split_ = None
        if told["split"] is not None:
            model.split_ = Split(len(model.causes))
            model.split_.mean_, model.split_.scale_, model.split_.weights_ = (
                _array(told["split"][name]) for name in ("mean", "scale", "weights")
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"the model lacks a part or holds a strange one ({error}); run `tenure fit` again") from error
    return model


def _finite(values: np.ndarray[Any, Any]) -> list[Any]:
    """Infinity is None: JSON has no word for it."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _array(values: Any) -> np.ndarray[Any, Any]:
    if not isinstance(values, list):
        raise ValueError(f"numbers were expected, not {values!r}")
    if values and not isinstance(values[0], list):
        return np.array([np.inf if value is None else value for value in values], dtype=np.float64)
    return np.array(values, dtype=np.float64)


def _encoder_data(encoder: Encoder) -> dict[str, Any]:
    return {
        "columns": list(encoder.columns_),
        "middle": dict(encoder.middle_),
        "flagged": sorted(encoder.flagged_),
        "traits": {
            name: {
                "values": list(trait.values),
                "share": trait.share.tolist(),
                "rate": trait.rate.tolist(),
                "spelled": trait.spelled,
            }
            for name, trait in encoder.traits_.items()
        },
    }


def _encoder_of(told: Mapping[str, Any]) -> Encoder:
    encoder = Encoder()
    encoder.columns_, encoder.flagged_ = tuple(told["columns"]), set(told["flagged"])
    encoder.middle_ = {name: float(value) for name, value in told["middle"].items()}
    encoder.traits_ = {
        name: _Trait(
            {value: place for place, value in enumerate(trait["values"])},
            _array(trait["share"]),
            _array(trait["rate"]),
            bool(trait["spelled"]),
        )
        for name, trait in told["traits"].items()
    }
    encoder.names_, encoder.origin_ = encoder._names()
    return encoder


def _learner_data(learner: Learner) -> dict[str, Any]:
    if isinstance(learner, Boosted):
        return {
            "kind": learner.kind,
            "direction": list(learner.direction),
            "seed": learner.seed,
            "trees": learner.booster_.model_to_string(),
        }
    if isinstance(learner, Logistic):
        return {
            "kind": learner.kind,
            "direction": list(learner.direction),
            "ridge": learner.ridge,
            "tenure": _learner_data(learner.tenure_),
            "low": learner.low_.tolist(),
            "high": learner.high_.tolist(),
            "knees": [[column, at] for column, at in learner.knees_],
            "origin": learner.origin_.tolist(),
            "mean": learner.mean_.tolist(),
            "scale": _finite(learner.scale_),
            "weights": learner.weights_.tolist(),
        }
    assert isinstance(learner, ByTenure)
    return {
        "kind": learner.kind,
        "edges": learner.edges_.tolist(),
        "rates": learner.rates_.tolist(),
        "level": learner.level_,
    }


def _learner_of(told: Mapping[str, Any], threads: int) -> Learner:
    kind = told["kind"]
    if kind == Boosted.kind:
        import lightgbm

        trees = Boosted(tuple(told["direction"]), int(told["seed"]), threads)
        try:
            trees.booster_ = lightgbm.Booster(model_str=str(told["trees"]))
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"its trees cannot be read: {error}") from error
        return trees
    if kind == Logistic.kind:
        line = Logistic(tuple(told["direction"]), float(told["ridge"]))
        tenure = _learner_of(told["tenure"], threads)
        assert isinstance(tenure, ByTenure)
        line.tenure_ = tenure
        line.low_, line.high_, line.mean_, line.scale_, line.weights_ = (
            _array(told[name]) for name in ("low", "high", "mean", "scale", "weights")
        )
        line.knees_ = [(int(column), float(at)) for column, at in told["knees"]]
        line.origin_ = np.array(told["origin"], dtype=np.int64)
        return line
    if kind == ByTenure.kind:
        base = ByTenure()
        base.edges_, base.rates_, base.level_ = _array(told["edges"]), _array(told["rates"]), float(told["level"])
        return base
    raise ValueError(f"no learner is called {kind!r}")


def _calibrator_data(calibrator: Calibrator | None) -> dict[str, Any] | None:
    if calibrator is None:
        return None
    if isinstance(calibrator, Curve):
        return {"kind": calibrator.kind, "a": calibrator.a, "b": calibrator.b, "c": calibrator.c}
    assert isinstance(calibrator, Rising)
    return {"kind": calibrator.kind, "said": calibrator.said.tolist(), "happened": calibrator.happened.tolist()}


def _calibrator_of(told: Mapping[str, Any] | None) -> Calibrator | None:
    if told is None:
        return None
    if told["kind"] == "isotonic":
        return Rising(_array(told["said"]), _array(told["happened"]))
    return Curve(str(told["kind"]), float(told["a"]), float(told["b"]), float(told["c"]))
