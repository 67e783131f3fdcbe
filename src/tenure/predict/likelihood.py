"""Which parameters make the data likeliest, how sure are we of them, and when is a simpler model all the data can hold?

Parameters are positive, and searched on the scale of their logarithms by Newton's method with the exact gradient and
Hessian, damped where the surface is not a hill, from several starts. Standard errors come from the observed
information, intervals are symmetric on the log scale, so that they stay positive.

Some data have no best parameters: when all customers buy alike, a likelihood for customers who differ rises for ever
towards "they do not differ". Then the parameter in question is set to that end (an `Edge`), the rest is fitted, and a
`Note` says in words which simpler model was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

import numpy as np
from scipy import special

from tenure.errors import BadInput, CannotFit
from tenure.kernel.stats import Interval, normal_quantile, small_base

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Real = NDArray[np.float64]
    Objective = Callable[[Real], tuple[float, Real, Real]]
    Self = TypeVar("Self", bound="Model")

# A Newton step that would gain less than this in log-likelihood ends the search.
_GAIN = 1e-9
# To tell the hills apart that starts stand on, this is near enough to the top.
_NEAR = 0.05
_STEPS = 200
# No step goes further than this on the scale of logarithms.
_STRIDE = 2.0
# Beyond exp(20) of where it began a parameter has run away.
_FAR = 20.0
# An interval that spans more than exp(4 * 1.96) each way says that the data do not hold the parameter.
_LOOSE = 4.0
# Where the data do not hold all parameters, a simpler model that loses less than this in log-likelihood is preferred:
# half of what Akaike's criterion would allow for one parameter.
_AS_GOOD = 0.5


class Note(NamedTuple):
    """Something a reader of the fit must know: `kind` for programs (edge, few, loose, ...), `text` for people."""

    kind: str
    text: str


class Edge(NamedTuple):
    """A parameter at the end of its range, which is a simpler model: `value` stands for the limit, `text` names it.

    At that end the likelihood no longer depends on the parameters in `drops`; they are set to the values given there.
    """

    parameter: str
    value: float
    text: str
    drops: tuple[tuple[str, float], ...] = ()


class Optimum(NamedTuple):
    """Where a search ended: logarithms of the parameters, log-likelihood with gradient and Hessian in them."""

    at: Real
    value: float
    gradient: Real
    hessian: Real
    converged: bool


def climb(objective: Objective, start: Real, free: NDArray[np.bool_] | None = None, gain: float = _GAIN) -> Optimum:
    """The top of the hill that `start` stands on; coordinates that are not `free` stay where they are.

    gain: a step that promises less log-likelihood than this ends the search.
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore", under="ignore"):
        # Far from the top numbers overflow; such steps are not taken.
        return _climb(objective, start, np.ones(len(start), dtype=bool) if free is None else free, gain)


def _climb(objective: Objective, start: Real, free: NDArray[np.bool_], enough: float) -> Optimum:
    at = np.array(start, dtype=np.float64)
    value, gradient, hessian = objective(at)
    damping = 0.0
    for _ in range(_STEPS):
        slope, bend = gradient[free], -hessian[np.ix_(free, free)]
        if not (math.isfinite(value) and np.isfinite(bend).all()):
            break
        values, vectors = np.linalg.eigh(bend)
        floor = max(1e-12, 1e-13 * float(abs(values).max(initial=0.0)))
        along = vectors.T @ slope
        # Where the surface curves upwards, its mirror image still points uphill.
        step = vectors @ (along / (np.maximum(abs(values), floor) + damping))
        gain = float(slope @ step) / 2
        if (values > -floor).all() and damping == 0.0 and gain < enough + 1e-14 * abs(value):
            return Optimum(at, value, gradient, hessian, True)
        step *= min(1.0, _STRIDE / max(float(abs(step).max(initial=0.0)), 1e-300))
        there = at.copy()
        there[free] += step
        if abs(there - start).max() > _FAR:
            break
        found = objective(there)
        if math.isfinite(found[0]) and found[0] >= value - 1e-12 * abs(value):
            rose = found[0] - value
            at, (value, gradient, hessian) = there, found
            damping = 0.0 if rose > gain / 4 or damping < 1e-3 else damping / 8
        else:
            damping = max(4 * damping, 1e-2 * float(abs(values).max(initial=1.0)))
            if damping > 1e12 * max(1.0, float(abs(values).max())):
                break
    # Rounding may forbid the last step; a slope that promises nothing is a top all the same.
    bend = -hessian[np.ix_(free, free)]
    flat = False
    if math.isfinite(value) and np.isfinite(bend).all():
        values, vectors = np.linalg.eigh(bend)
        promise = (vectors.T @ gradient[free]) ** 2 / np.maximum(abs(values), 1e-12)
        flat = bool((values > 0).all() and promise.sum() < 1e-6)
    return Optimum(at, value, gradient, hessian, flat)


def highest(objective: Objective, starts: Iterable[Real], rough: Objective | None = None) -> Optimum:
    """The best top over several starts; `rough`, the same on fewer data, sorts out the starts where data are many."""
    tops = [climb(rough or objective, np.asarray(start, dtype=np.float64), gain=_NEAR) for start in starts]
    tops = sorted((top for top in tops if math.isfinite(top.value)), key=lambda top: -top.value)
    if not tops:
        raise CannotFit("the likelihood has no value at any start; are times or counts of an absurd size?")
    return climb(objective, tops[0].at)


def covariance(hessian: Real, free: NDArray[np.bool_]) -> Real:
    """The inverse of the observed information in the free logarithms; NaN for the others and where it has none."""
    full = np.full(hessian.shape, np.nan)
    bend = -hessian[np.ix_(free, free)]
    if bend.size and np.isfinite(bend).all():
        values, vectors = np.linalg.eigh(bend)
        if values.min() > 0:
            full[np.ix_(free, free)] = (vectors / values) @ vectors.T
    return full


class Model:
    """What all models share: parameters by name, their errors, and notes on what the data can hold.

    After `fit`: one attribute per parameter (`r_`, `alpha_`, ...), `parameters_` and `standard_errors_` (dicts by
    name), `covariance_` (of the parameters, in the order of `names`), `log_likelihood_`, `converged_`, `n_` (customers)
    and `notes_`. `Model.of(r=..., alpha=...)` makes a model of known parameters, to predict and simulate with.
    """

    names: ClassVar[tuple[str, ...]] = ()
    edges: ClassVar[tuple[Edge, ...]] = ()

    parameters_: dict[str, float]
    standard_errors_: dict[str, float]
    covariance_: Real
    log_likelihood_: float
    converged_: bool
    n_: float
    notes_: tuple[Note, ...]

    @classmethod
    def of(cls: type[Self], **parameters: float) -> Self:
        """A model of known parameters: nothing was fitted, so it has no errors and no log-likelihood (NaN)."""
        if set(parameters) != set(cls.names):
            raise BadInput(
                f"{cls.__name__}.of() takes {', '.join(cls.names)}; got {', '.join(parameters) or 'nothing'}"
            )
        for name, value in parameters.items():
            if not (math.isfinite(value) and value > 0):
                raise BadInput(f"{name} is {value!r}; every parameter of {cls.__name__} is a positive number")
        model = cls()
        model._set(np.array([float(parameters[name]) for name in cls.names]))
        model.log_likelihood_, model.converged_, model.n_, model.notes_ = math.nan, False, 0.0, ()
        model.covariance_ = np.full((len(cls.names), len(cls.names)), np.nan)
        model.standard_errors_ = dict.fromkeys(cls.names, math.nan)
        return model

    def interval(self, level: float = 0.95) -> dict[str, Interval]:
        """From where to where each parameter may lie; None where it is at an edge or the data do not hold it."""
        z = normal_quantile(level)
        found = {}
        for name, value in self._fitted().items():
            error = self.standard_errors_[name] / value
            reach = z * error if math.isfinite(error) else math.inf
            # Further than a float reaches is nowhere.
            known = reach < 600
            found[name] = Interval(value * math.exp(-reach), value * math.exp(reach)) if known else Interval(None, None)
        return found

    def summary(self) -> str:
        """Parameters with errors, log-likelihood and notes, for people to read."""
        lines = [f"{type(self).__name__} on {self.n_:,.0f} customers, log-likelihood {self.log_likelihood_:,.3f}"]
        for name, value in self._fitted().items():
            error = self.standard_errors_[name]
            told = f"standard error {error:.4g}" if math.isfinite(error) else "no standard error"
            lines.append(f"  {name:<6}{value:>12.5g}   {told}")
        return "\n".join([*lines, *(f"  note: {note.text}" for note in self.notes_)])

    def __repr__(self) -> str:
        """The model's name with its parameters, once it has some."""
        shown = ", ".join(f"{name}={value:.4g}" for name, value in getattr(self, "parameters_", {}).items())
        return f"{type(self).__name__}({shown})"

    # ---------------------------------------------------------------------------------------------- for the families

    def _fitted(self) -> dict[str, float]:
        if not hasattr(self, "parameters_"):
            name = type(self).__name__
            raise BadInput(f"this {name} has no parameters yet; call fit(...) first, or {name}.of(...)")
        return self.parameters_

    def _set(self, values: Real) -> None:
        self.parameters_ = {name: float(value) for name, value in zip(self.names, values, strict=True)}
        for name, value in self.parameters_.items():
            setattr(self, f"{name}_", value)

    def _settle(
        self,
        objective: Objective,
        starts: Sequence[Real],
        n: float,
        rough: Objective | None = None,
        units: dict[str, float] | None = None,
    ) -> None:
        """Search, fall back to the simplest model that holds, and keep what was found.

        starts: parameters, not their logarithms; units: what the value of an edge is counted in (1 if not given).
        """
        best = highest(objective, [np.log(start) for start in starts], rough)
        free = np.ones(len(self.names), dtype=bool)
        notes: list[Note] = []
        if not self._holds(best, free):
            best, free, notes = self._simpler(objective, best, units or {})
        if not best.converged:
            notes.append(
                Note("not_converged", "the search stopped before the top of the likelihood; do not rely on this fit")
            )
        found = covariance(best.hessian, free)
        values = np.exp(best.at)
        self._set(values)
        self.covariance_ = found * np.outer(values, values)
        with np.errstate(invalid="ignore"):
            errors = np.sqrt(np.diag(self.covariance_))
        self.standard_errors_ = {name: float(error) for name, error in zip(self.names, errors, strict=True)}
        with np.errstate(invalid="ignore"):
            spread = np.sqrt(np.diag(found))
        loose = [
            name for name, one, is_free in zip(self.names, spread, free, strict=True) if is_free and not one <= _LOOSE
        ]
        if loose:
            notes.append(
                Note(
                    "loose",
                    f"the data hardly hold {', '.join(loose)}: other values fit as well. Predictions near the data "
                    "stand, the parameters by themselves mean little",
                )
            )
        if small_base(n):
            notes.append(
                Note("few", f"so few customers ({n:,.0f}) tell little about how customers differ; expect wide errors")
            )
        self.log_likelihood_, self.converged_, self.n_ = best.value, best.converged, n
        self.notes_ = tuple(notes)

    @staticmethod
    def _holds(best: Optimum, free: NDArray[np.bool_]) -> bool:
        with np.errstate(invalid="ignore"):
            spread = np.sqrt(np.diag(covariance(best.hessian, free)))[free]
        return best.converged and bool((spread <= _LOOSE).all())

    def _simpler(
        self, objective: Objective, best: Optimum, units: dict[str, float]
    ) -> tuple[Optimum, NDArray[np.bool_], list[Note]]:
        """Set parameters to their edges, one after the other, as long as the likelihood loses nothing by it."""
        free = np.ones(len(self.names), dtype=bool)
        notes: list[Note] = []
        while not self._holds(best, free):
            tried: list[tuple[Optimum, Edge]] = []
            for edge in self.edges:
                place = self.names.index(edge.parameter)
                if not free[place]:
                    continue
                rest = self._without(free, edge)
                tops = [climb(objective, start, rest) for start in self._towards(best.at, edge, units)]
                tried += [(top, edge) for top in tops if math.isfinite(top.value)]
            tried = [(top, edge) for top, edge in tried if top.value >= best.value - _AS_GOOD]
            if not tried:
                break
            # The simplest of them: whatever drops most parameters.
            top, edge = max(tried, key=lambda pair: (len(pair[1].drops), pair[0].converged, pair[0].value))
            best, free = top, self._without(free, edge)
            notes.append(Note("edge", edge.text))
        return best, free, notes

    def _without(self, free: NDArray[np.bool_], edge: Edge) -> NDArray[np.bool_]:
        """What is still free with one parameter at its edge."""
        return free & ~np.isin(self.names, (edge.parameter, *(name for name, _ in edge.drops)))

    def _towards(self, at: Real, edge: Edge, units: dict[str, float]) -> list[Real]:
        """Where to begin with one parameter at its edge: the others as they were, and moved along with it."""
        place = self.names.index(edge.parameter)
        alone = at.copy()
        alone[place] = math.log(edge.value * units.get(edge.parameter, 1.0))
        shift = alone[place] - at[place]
        for name, value in edge.drops:
            alone[self.names.index(name)] = math.log(value * units.get(name, 1.0))
        begins = [alone]
        for partner, sign in self._partners(edge.parameter).items() if not edge.drops else ():
            along = alone.copy()
            along[self.names.index(partner)] += sign * shift
            begins.append(along)
        return begins

    def _partners(self, parameter: str) -> dict[str, int]:
        """Parameters whose ratio to this one (1) or product with it (-1) is a mean: they go to the edge together."""
        return {}

    def _draw(self, seed: int) -> np.random.Generator:
        self._fitted()
        return np.random.default_rng(seed)


def chain(gradient: Real, hessian: Real, values: Real) -> tuple[Real, Real]:
    """Gradient and Hessian in the logarithms of parameters, from those in the parameters themselves."""
    first = gradient * values
    return first, hessian * np.outer(values, values) + np.diag(first)


def log_rise(q: Real | float, by: Real | float) -> Real:
    """ln Gamma(q + by) / Gamma(q); by Stirling's series where the difference would be lost in rounding."""
    q, by = np.asarray(q, dtype=np.float64), np.asarray(by, dtype=np.float64)
    large = np.maximum(q, 1e4)
    rest = (1 / (large + by) - 1 / large) / 12
    stirling = (large + by - 0.5) * np.log1p(by / large) + by * (np.log(large) - 1) + rest
    return np.asarray(np.where(q < 1e4, special.gammaln(q + by) - special.gammaln(q), stirling))
