"""How likely is it to leave at the t-th term? Curves of one stratum: a model's, or the shares that were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tenure.predict.staying import Draw

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

# Fewer customers than these tell too little of a term by itself, fewer leavers too little of a plan.
ENOUGH = 30
_LAST_TERMS = 12
_RATE_FLOOR = 1e-6


class Curve:
    """The chance to leave at the t-th term, t from 1 on: by a model, or by the shares seen."""

    def __init__(self, kind: str, at_risk: Real, lost: Real) -> None:
        self.kind, self.at_risk, self.lost = kind, at_risk, lost
        self._model: Any = None
        self._table: Real | None = None
        self._told: tuple[Real, Real] = (at_risk, lost)
        if kind == "Kaplan-Meier":
            self._told = _thickened(at_risk, lost)
            self._table = _shares(*self._told)
            return
        from tenure.predict.retention_curves import BetaDiscreteWeibull, ShiftedBetaGeometric

        made: Any = ShiftedBetaGeometric if kind == "sBG" else BetaDiscreteWeibull
        t = np.arange(1, len(at_risk) + 1)
        seen = at_risk > 0
        stayed = at_risk - lost
        self._model = made().fit(
            np.concatenate([t[seen], t[seen]]),
            np.concatenate([np.ones(seen.sum()), np.zeros(seen.sum())]),
            weights=np.concatenate([lost[seen], stayed[seen]]),
            entry=np.concatenate([t[seen] - 1, t[seen] - 1]),
        )
        self._table = self._by_model(self._model)

    @property
    def parameters(self) -> str:
        """The model as people read it."""
        return repr(self._model) if self._model is not None else f"shares of {int(self.lost.sum()):,} leavers"

    @staticmethod
    def _by_model(model: Any) -> Real:
        return np.clip(model.churn(np.arange(1, 241)), _RATE_FLOOR, 0.999)

    def at(self, t: Whole, draw: Draw | None = None) -> Real:
        """The chance at each of these terms."""
        table = self._table if draw is None else draw.kept(id(self), self._drawn)
        assert table is not None
        return np.asarray(table[np.minimum(t, len(table)) - 1])

    def _drawn(self, rng: np.random.Generator) -> Real:
        if self._model is None:
            at_risk, lost = self._told
            return _shares(at_risk, at_risk * rng.beta(lost + 0.5, np.maximum(at_risk - lost, 0) + 0.5))
        names = self._model.names
        values = np.array([self._model.parameters_[name] for name in names])
        spread = np.nan_to_num(self._model.covariance_ / np.outer(values, values))
        # Where the data hardly hold a parameter its error is no help; draws stay within what changes a curve.
        values_, vectors = np.linalg.eigh(spread)
        step = vectors @ (np.sqrt(np.clip(values_, 0, 1.0)) * rng.normal(size=len(names)))
        drawn = type(self._model).of(**dict(zip(names, (float(v) for v in values * np.exp(step)), strict=True)))
        return self._by_model(drawn)

    def log_likelihood(self, at_risk: Real, lost: Real, level: float = 1.0) -> float:
        """Of leavers at each term, by this curve times a level."""
        t = np.arange(1, len(at_risk) + 1)
        chance = np.clip(self.at(t) * level, _RATE_FLOOR, 0.999)
        return float(lost @ np.log(chance) + (at_risk - lost) @ np.log1p(-chance))


def _thickened(at_risk: Real, lost: Real) -> tuple[Real, Real]:
    """The counts by term as far as enough are known; from there on one count of the last year of them."""
    known = np.flatnonzero(at_risk >= ENOUGH)
    end = int(known[-1]) + 1 if len(known) else len(at_risk)
    begin = max(end - _LAST_TERMS, 1)
    tail_n, tail_lost = at_risk[begin - 1 :].sum(), lost[begin - 1 :].sum()
    return np.append(at_risk[: begin - 1], tail_n), np.append(lost[: begin - 1], tail_lost)


def _shares(at_risk: Real, lost: Real) -> Real:
    whole = lost.sum() / max(at_risk.sum(), 1.0)
    return np.clip(np.where(at_risk > 0, (lost + whole) / (at_risk + 1.0), whole), _RATE_FLOOR, 0.999)
