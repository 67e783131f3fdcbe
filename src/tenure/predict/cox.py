"""What goes with leaving sooner, whatever the tenure? Cox's proportional hazards, with late entries and tied days.

    fit = Cox().fit(X, duration, left, entry=entry, names=["seats", "tickets"])
    fit.coefficients_, fit.standard_errors_, fit.log_likelihood_, fit.concordance_
    fit.predict_survival(X, times=[30, 90, 365])          share of such customers still here at those tenures

A customer's hazard at tenure t is h(t) exp(x b): h is left open and cancels, b is what is estimated. Rows of X are
customers, columns numbers; duration is the tenure at which observation ended, left whether the customer left then,
entry the tenure at which it began (0 if not given). At risk over (entry, duration].

How it is made fast: customers are sorted by tenure once. With A(t) the sum over events up to t of 1 / (sum of exp(x b)
at risk), the gradient is X' (left - exp(x b) A) and the large part of the Hessian X' diag(exp(x b) A) X, both plain
matrix products; the rest needs one running sum per column at the days on which anybody left. A fit of a tenth of the
rows gives the starting point, so that all rows are gone through three or four times.

Sources: Cox 1972; Breslow 1974; Efron 1977; Kalbfleisch & Prentice 2002, ch. 4 (ties, truncation, baseline).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from tenure.errors import BadInput, CannotFit
from tenure.predict.concordance import pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]

Ties: TypeAlias = Literal["efron", "breslow"]

# Above this many rows a first fit of every (rows / this)-th gives the starting point.
_FIRST_LOOK = 100_000
# Newton's steps end when the next would gain less than this in log-likelihood.
_GAIN = 1e-12
# exp(30) is 1e13: a standardised coefficient beyond it means that the column parts leavers from stayers for good.
_RUNS_AWAY = 30.0


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Customers in order of tenure, and where each stands among the days on which anybody left."""

    x: Real
    event: NDArray[np.bool_]
    days: Real  # distinct tenures at which anybody left, rising
    deaths: NDArray[np.int64]  # how many left on each
    starts: NDArray[np.int64]  # first row whose last day at risk is this one
    last: NDArray[np.int64]  # per row: index of its last day at risk
    late: NDArray[np.int64]  # rows that enter after the first day, by entry
    missed: NDArray[np.int64]  # per late row: how many days came before its entry
    tied: NDArray[np.int64]  # days on which more than one left
    event_rows: NDArray[np.int64]
    event_day: NDArray[np.int64]

    @classmethod
    def of(cls, x: Real, duration: Real, event: NDArray[np.bool_], entry: Real | None) -> _Sorted:
        order = np.argsort(duration, kind="stable")
        end, gone = duration[order], event[order]
        days, deaths = np.unique(end[gone], return_counts=True)
        # Who ended before anybody left was never compared with anybody; nor who entered after the last day of leaving.
        seen = end >= days[0]
        if entry is not None:
            seen &= np.searchsorted(days, entry[order], side="right") < np.searchsorted(days, end, side="right")
        if not seen.all():
            order, end, gone = order[seen], end[seen], gone[seen]
        last = np.searchsorted(days, end, side="right") - 1
        late, missed = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        if entry is not None:
            before = np.searchsorted(days, entry[order], side="right")
            late = np.flatnonzero(before)
            late = late[np.argsort(before[late], kind="stable")]
            missed = before[late]
        rows = np.flatnonzero(gone)
        return cls(
            np.ascontiguousarray(x[order]),
            gone,
            days,
            deaths,
            np.searchsorted(last, np.arange(len(days)), side="left"),
            last,
            late,
            missed,
            np.flatnonzero(deaths > 1),
            rows,
            last[rows],
        )

    def at_risk(self, rows: Real) -> Real:
        """Per day, the sum of `rows` (one per customer, or one row of columns) over those at risk."""
        sums = rows if len(self.days) == len(rows) else np.add.reduceat(rows, self.starts, axis=0)
        total = np.cumsum(sums[::-1], axis=0)[::-1]
        if len(self.late):
            # Somebody with `missed` days before his entry was not there on days 0 .. missed - 1.
            absent = np.zeros((len(self.days) + 1, *rows.shape[1:]))
            first = np.flatnonzero(np.diff(self.missed, prepend=-1))
            absent[self.missed[first]] = np.add.reduceat(rows[self.late], first, axis=0)
            total = total - np.cumsum(absent[::-1], axis=0)[::-1][1:]
        return np.asarray(total)

    def over_stay(self, per_day: Real) -> Real:
        """Per customer, the sum of `per_day` over the days he was at risk."""
        so_far = np.cumsum(per_day)
        total = so_far[self.last]
        if len(self.late):
            total[self.late] -= so_far[self.missed - 1]
        return np.asarray(total)

    def of_leavers(self, rows: Real) -> Real:
        """Per day, the sum of `rows` over those who left on it."""
        first = np.flatnonzero(np.diff(self.event_day, prepend=-1))
        return np.asarray(np.add.reduceat(rows[self.event_rows], first, axis=0))


def _evaluate(data: _Sorted, b: Real, efron: bool) -> tuple[float, Real, Real]:
    """Partial log-likelihood, its gradient and the negative of its Hessian at b."""
    eta = data.x @ b
    top = float(eta.max())
    theta = np.exp(eta - top)
    s0 = data.at_risk(theta)
    d = data.deaths.astype(np.float64)
    fractions = efron and len(data.tied) > 0
    weighted = data.x * theta[:, None]
    s1 = data.at_risk(weighted)
    spread = theta  # what each customer's x counts in the first part of the Hessian, filled below
    if not fractions:
        value = float(eta[data.event_rows].sum() - (d * (np.log(s0) + top)).sum())
        spread = theta * data.over_stay(d / s0)
        outer = s1 * (np.sqrt(d) / s0)[:, None]
        second = outer.T @ outer
    else:
        # Of d who leave on a day, the l-th in any order meets a risk set without l/d of each of them.
        index = np.repeat(np.arange(len(d)), data.deaths)
        gone_share = (np.arange(len(index)) - np.repeat(np.cumsum(data.deaths) - data.deaths, data.deaths)) / d[index]
        d0 = data.of_leavers(theta)
        phi = s0[index] - gone_share * d0[index]
        value = float(eta[data.event_rows].sum() - (np.log(phi) + top).sum())
        inverse = 1.0 / phi
        begins = np.cumsum(data.deaths) - data.deaths
        a = np.add.reduceat(inverse, begins)
        less = np.add.reduceat(gone_share * inverse, begins)
        hazard = data.over_stay(a)
        hazard[data.event_rows] -= less[data.event_day]
        spread = theta * hazard
        square = inverse * inverse
        c0 = np.add.reduceat(square, begins)
        outer = s1 * np.sqrt(c0)[:, None]
        second = outer.T @ outer
        tied = data.tied
        c1 = np.add.reduceat(gone_share * square, begins)[tied]
        c2 = np.add.reduceat(gone_share**2 * square, begins)[tied]
        d1 = data.of_leavers(weighted)[tied]
        cross = s1[tied].T @ (d1 * c1[:, None])
        second = second - cross - cross.T + d1.T @ (d1 * c2[:, None])
    gradient = data.x[data.event_rows].sum(axis=0) - data.x.T @ spread
    information = (data.x * spread[:, None]).T @ data.x - second
    return value, gradient, information


class Cox:
    """Which columns go with leaving sooner, by how much, and how sure is that? Proportional hazards.

    Parameters
    ----------
    ties : "efron" (default) or "breslow", how several leavers on one day are counted
    penalty : ridge on the coefficients of standardised columns, in units of log-likelihood: penalty / 2 x |b|^2.
        0 is plain maximum likelihood. Above 0 a column that parts leavers from stayers for good stays finite.

    Attributes after fit
    --------------------
    coefficients_ : (columns,) change of the log hazard per unit of the column
    standard_errors_, covariance_ : of the coefficients, from the observed information
    log_likelihood_, null_log_likelihood_ : partial log-likelihood at the coefficients (without the penalty), and at 0
    means_ : (columns,) of X; the baseline is a customer at these means
    baseline_times_, baseline_cumulative_hazard_ : Breslow's estimate at each tenure on which anybody left
    concordance_ : Harrell's C on the rows of the fit; None without a comparable pair
    left_out_ : columns that are the same for everybody: coefficient 0, standard error NaN
    names_, iterations_, customers_, events_
    """

    def __init__(self, ties: Ties = "efron", penalty: float = 0.0) -> None:
        if ties not in ("efron", "breslow"):
            raise BadInput(f"ties are counted by 'efron' or 'breslow', got {ties!r}")
        if not penalty >= 0:
            raise BadInput(f"a penalty is 0 or more, got {penalty!r}")
        self.ties: Ties = ties
        self.penalty = penalty

    def fit(
        self,
        X: ArrayLike,
        duration: ArrayLike,
        left: ArrayLike,
        entry: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> Cox:
        """Estimate the coefficients. Raises CannotFit where nobody left or a column parts leavers from stayers."""
        x, self.names_ = _columns(X, names)
        end, gone, begin = _lives(duration, left, entry, len(x))
        self.customers_, self.events_ = len(x), int(gone.sum())
        self._lives = (end, gone, begin)
        if not self.events_:
            raise CannotFit(
                f"none of the {len(x)} customers left, so nothing goes with leaving; watch longer, or take "
                "kernel.survival.kaplan_meier, which needs no leavers to say that all stayed"
            )
        self.means_ = x.mean(axis=0)
        centred = x - self.means_
        spread = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(x))
        varies = spread > 1e-12 * np.maximum(np.abs(self.means_), 1e-300)
        self.left_out_ = tuple(name for name, keep in zip(self.names_, varies, strict=True) if not keep)
        if not varies.all():
            centred, spread = centred[:, varies], spread[varies]
        centred /= spread
        data = _Sorted.of(centred, end, gone, begin)
        kept = [name for name, keep in zip(self.names_, varies, strict=True) if keep]
        b, value, information = self._climb(data, end, gone, begin, centred, kept)
        full = len(self.names_)
        self.coefficients_, self.standard_errors_ = np.zeros(full), np.full(full, np.nan)
        self.covariance_ = np.full((full, full), np.nan)
        covariance = np.linalg.inv(information) / np.outer(spread, spread) if len(b) else np.empty((0, 0))
        self.coefficients_[varies] = b / spread
        self.covariance_[np.ix_(varies, varies)] = covariance
        self.standard_errors_[varies] = np.sqrt(np.diag(covariance))
        self.log_likelihood_ = value
        self._log_hazard = (x - self.means_) @ self.coefficients_
        theta = np.exp(data.x @ b)
        self.baseline_times_ = data.days
        self.baseline_cumulative_hazard_ = np.cumsum(data.deaths / data.at_risk(theta))
        return self

    def _climb(
        self,
        data: _Sorted,
        end: Real,
        gone: NDArray[np.bool_],
        begin: Real | None,
        x: Real,
        names: Sequence[str],
    ) -> tuple[Real, float, Real]:
        efron, ridge = self.ties == "efron", self.penalty * np.eye(x.shape[1])
        b = np.zeros(x.shape[1])
        self.null_log_likelihood_ = _null(data, efron)
        if not len(b):
            self.iterations_ = 0
            return b, self.null_log_likelihood_, np.empty((0, 0))
        if len(x) >= 4 * _FIRST_LOOK:
            pick = slice(None, None, len(x) // _FIRST_LOOK)
            if gone[pick].sum() >= 50 * x.shape[1]:
                some = _Sorted.of(x[pick], end[pick], gone[pick], None if begin is None else begin[pick])
                # A poor start costs a step or two, never the answer: the climb below goes on from wherever it is.
                try:
                    b = _newton(some, b, efron, ridge / (len(x) // _FIRST_LOOK), 1e-4, names)[0]
                except CannotFit:
                    b = np.zeros(x.shape[1])
        b, value, information, self.iterations_ = _newton(data, b, efron, ridge, _GAIN, names)
        return b, value, information

    @property
    def concordance_(self) -> float | None:
        """Harrell's C of the fitted risks on the rows of the fit."""
        end, gone, begin = self._lives
        return pairs(end, gone, self._log_hazard, begin).index()

    def predict_log_hazard(self, X: ArrayLike) -> Real:
        """(customers,) log of the hazard relative to a customer at the means: above 0 leaves sooner."""
        x, _ = _columns(X, self.names_)
        return np.asarray((x - self.means_) @ self.coefficients_)

    def predict_cumulative_hazard(self, X: ArrayLike, times: ArrayLike) -> Real:
        """(customers, times) expected leavings per customer up to each tenure; the last known value is kept beyond."""
        at = np.searchsorted(self.baseline_times_, np.asarray(times, dtype=np.float64).ravel(), side="right")
        base = np.concatenate([[0.0], self.baseline_cumulative_hazard_])[at]
        return np.asarray(np.exp(self.predict_log_hazard(X))[:, None] * base)

    def predict_survival(self, X: ArrayLike, times: ArrayLike, since: ArrayLike | None = None) -> Real:
        """(customers, times) the chance to stay longer than each tenure; with `since`, given that one stayed so long.

        since: each customer's tenure now. The chance is 1 at tenures he has passed.
        """
        whole = self.predict_cumulative_hazard(X, times)
        if since is not None:
            now = np.asarray(since, dtype=np.float64).ravel()
            at = np.searchsorted(self.baseline_times_, now, side="right")
            spent = np.exp(self.predict_log_hazard(X)) * np.concatenate([[0.0], self.baseline_cumulative_hazard_])[at]
            whole = np.maximum(whole - spent[:, None], 0.0)
        return np.asarray(np.exp(-whole))

    def concordance(
        self, X: ArrayLike, duration: ArrayLike, left: ArrayLike, entry: ArrayLike | None = None
    ) -> float | None:
        """Harrell's C on other customers; None without a comparable pair."""
        return pairs(duration, left, self.predict_log_hazard(X), entry).index()


def _null(data: _Sorted, efron: bool) -> float:
    """The log-likelihood when nobody differs: it needs no columns."""
    n = data.at_risk(np.ones(len(data.last)))
    d = data.deaths
    if not efron or not len(data.tied):
        return -float((d * np.log(n)).sum())
    from scipy.special import gammaln

    # On a day the product of (n - l) over l < d is n! / (n - d)!.
    return -float((gammaln(n + 1) - gammaln(n - d + 1)).sum())


def _newton(
    data: _Sorted, b: Real, efron: bool, ridge: Real, gain: float, names: Sequence[str]
) -> tuple[Real, float, Real, int]:
    """Newton's steps, halved where one overshoots: coefficients, log-likelihood, information, number of evaluations."""

    def evaluate(at: Real) -> tuple[float, float, Real, Real]:
        value, gradient, information = _evaluate(data, at, efron)
        return value, value - float(at @ ridge @ at) / 2, gradient - ridge @ at, information + ridge

    value, height, gradient, information = evaluate(b)
    for count in range(1, 61):
        roots, directions = np.linalg.eigh(information)
        if roots[0] <= 1e-10 * roots[-1]:
            _blame(b, directions[:, 0], names)
        step = directions @ ((directions.T @ gradient) / roots)
        if float(gradient @ step) <= gain:
            # So near the top the last step's gain is known without looking again.
            return b + step, value + float((gradient + ridge @ b) @ step) / 2, information, count
        if np.abs(b + step).max() > _RUNS_AWAY:
            _blame(b + step, None, names)
        for _ in range(30):
            tried = evaluate(b + step)
            if np.isfinite(tried[1]) and tried[1] >= height - 1e-10 * abs(height):
                break
            step = step / 2
        b = b + step
        value, height, gradient, information = tried
    _blame(b, None, names)
    raise AssertionError("unreachable")


def _blame(b: Real, flat: Real | None, names: Sequence[str]) -> None:
    """Say which columns cannot be told apart, or which one decides leaving by itself."""
    far = int(np.argmax(np.abs(b)))
    if abs(b[far]) > 10 or flat is None:
        raise CannotFit(
            f"column '{names[far]}' parts those who leave from those who stay without exception, so its coefficient "
            "has no end; leave it out, look whether it was known before they left, or give penalty=1"
        )
    alike = [names[i] for i in np.flatnonzero(np.abs(flat) > 0.1)]
    raise CannotFit(f"columns {alike} say the same, so their parts cannot be told; leave one out, or give penalty=1")


def _columns(X: ArrayLike, names: Sequence[str] | None) -> tuple[Real, tuple[str, ...]]:
    x = np.asarray(X, dtype=np.float64)
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2:
        raise BadInput(f"X has one row per customer and one column per fact, got {x.ndim} dimensions")
    called = tuple(names) if names is not None else tuple(f"x{i}" for i in range(x.shape[1]))
    if len(called) != x.shape[1]:
        raise BadInput(f"{x.shape[1]} columns and {len(called)} names; give one name per column")
    if not np.isfinite(x.sum()):
        for i, name in enumerate(called):
            if bad := int((~np.isfinite(x[:, i])).sum()):
                raise BadInput(
                    f"column '{name}' is unknown for {bad} of {len(x)} customers; fill it and add a column that says "
                    "where it was filled, or leave those customers out"
                )
    return x, called


def _lives(
    duration: ArrayLike, left: ArrayLike, entry: ArrayLike | None, rows: int
) -> tuple[Real, NDArray[np.bool_], Real | None]:
    end = np.asarray(duration, dtype=np.float64).ravel()
    told = np.asarray(left).ravel()
    begin = None if entry is None else np.asarray(entry, dtype=np.float64).ravel()
    if not rows == len(end) == len(told) or (begin is not None and len(begin) != rows):
        raise BadInput(f"one row per customer, got {rows} of X, {len(end)} durations and {len(told)} of who left")
    if not np.isin(told, (0, 1)).all():
        raise BadInput("who left is true or false, 1 or 0")
    if not np.isfinite(end).all() or np.any(end < 0):
        raise BadInput("durations are numbers from 0 up; look for customers who leave before they start")
    if begin is not None and (not np.isfinite(begin).all() or np.any(begin >= end)):
        raise BadInput("observation begins before it ends; leave out customers with entry = duration")
    return end, told.astype(bool), begin
