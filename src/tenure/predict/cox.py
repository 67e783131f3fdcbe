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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tenure.errors import BadInput, CannotFit
from tenure.predict.concordance import pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

Ties: TypeAlias = Literal["efron", "breslow"]

# Above this many rows a first fit of every (rows / this)-th gives the starting point.
_FIRST_LOOK = 100_000
# Rows worked on at a time: ten columns of them fit a processor's cache.
_BLOCK = 8192
# Newton's steps end when the next would gain less than this in log-likelihood.
_GAIN = 1e-12
# exp(30) is 1e13: a standardised coefficient beyond it means that the column parts leavers from stayers for good.
_RUNS_AWAY = 30.0


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Customers from the longest stay to the shortest, and where each stands among the days on which anybody left.

    Columns of X are rows here, so that running sums go along memory. Days are numbered from the last one back. Among
    customers of one day those who left come last.
    """

    x: Real  # (columns, customers), standardised
    end: Real
    begin: Real | None
    gone: NDArray[np.bool_]
    days: Real  # distinct tenures at which anybody left, falling
    deaths: Whole  # how many left on each
    after: Whole  # per day, the first row beyond those whose last day at risk it is
    last: Whole  # per row, its last day at risk
    late: Whole  # rows that enter after the first day of leaving, those who miss most days first
    until: Whole  # per late row, the first (earlier) day on which it was not there yet
    leavers: Whole  # rows seen leaving
    share: Real  # Efron's l/d for each of them: the l-th of d who leave on a day
    begins: Whole  # per day, where its leavers begin
    of_leavers: Real  # per column, its sum over those who left

    @classmethod
    def of(cls, X: Real, mean: Real, spread: Real, end: Real, gone: NDArray[np.bool_], begin: Real | None) -> _Sorted:
        order = np.concatenate([np.flatnonzero(~gone), np.flatnonzero(gone)])
        order = order[_longest_first(end[order])]
        end, gone = end[order], gone[order]
        ends = end[gone]
        begins = np.flatnonzero(np.diff(ends, prepend=np.inf))
        days = ends[begins]
        # Who ended before anybody left was never compared with anybody, nor who entered after all leaving of his time.
        seen = end >= days[-1]
        if begin is not None:
            begin = begin[order]
            seen &= _from_last(days, begin) > _from_last(days, end)
        if not seen.all():
            order, end, gone = order[seen], end[seen], gone[seen]
            begin = None if begin is None else begin[seen]
        last = _from_last(days, end)
        late, until = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        if begin is not None:
            there = _from_last(days, begin)
            late = np.flatnonzero(there < len(days))
            late = late[np.argsort(there[late], kind="stable")]
            until = there[late]
        x = np.empty((X.shape[1], len(order)))
        for a in range(0, len(order), _BLOCK):
            x[:, a : a + _BLOCK] = ((X[order[a : a + _BLOCK]] - mean) / spread).T
        deaths = np.diff(begins, append=len(ends))
        count = np.arange(len(ends)) - np.repeat(begins, deaths)
        after = np.searchsorted(last, np.arange(len(days)), side="right")
        share = count / np.repeat(deaths, deaths)
        of_leavers = x @ gone.astype(np.float64)
        leavers = np.flatnonzero(gone)
        return cls(x, end, begin, gone, days, deaths, after, last, late, until, leavers, share, begins, of_leavers)

    @property
    def tied(self) -> bool:
        """Whether several left on one day anywhere."""
        return len(self.days) < len(self.leavers)

    def blocks(self) -> Iterator[tuple[int, int, int, int]]:
        """Days [j, k) and their rows [a, b), about as many rows at a time as a processor's cache holds."""
        j = a = 0
        while j < len(self.days):
            k = max(j + 1, int(np.searchsorted(self.after, a + _BLOCK, side="right")))
            b = int(self.after[k - 1])
            yield j, k, a, b
            j, a = k, b

    def absent(self, rows: Real) -> Real:
        """Per day, the sum of `rows` (..., customers) over those who stayed longer but were not under observation."""
        away = np.zeros((*rows.shape[:-1], len(self.days)))
        first = np.flatnonzero(np.diff(self.until, prepend=-1))
        away[..., self.until[first]] = np.add.reduceat(rows[..., self.late], first, axis=-1)
        return np.cumsum(away, axis=-1)

    def at_risk(self, theta: Real) -> Real:
        """Per day, the sum of theta over those at risk."""
        total = np.cumsum(theta)[self.after - 1]
        return np.asarray(total - self.absent(theta) if len(self.late) else total)

    def over_stay(self, per_day: Real) -> Real:
        """Per customer, the sum of `per_day` over the days he was at risk."""
        so_far = np.cumsum(per_day[::-1])[::-1]
        total = so_far[self.last]
        if len(self.late):
            total[self.late] -= so_far[self.until]
        return np.asarray(total)


def _longest_first(times: Real) -> Whole:
    """The order from the longest to the shortest; equal times stay as they are. Whole days sort by counting."""
    if len(times) and times.max() < 2**16 and times.min() >= 0:
        whole = times.astype(np.uint16)
        if np.array_equal(whole, times):
            return np.argsort(whole.max() - whole, kind="stable")
    return np.argsort(-times, kind="stable")


def _from_last(days: Real, times: Real) -> Whole:
    """How many of the days (falling) are later than each time: the number of the last day not later than it."""
    return np.asarray(len(days) - np.searchsorted(days[::-1], times, side="right"))


def _evaluate(data: _Sorted, b: Real, efron: bool) -> tuple[float, Real, Real]:
    """Partial log-likelihood, its gradient and the negative of its Hessian at b."""
    x, gone = data.x, data.leavers
    eta = b @ x
    top = float(eta.max())
    theta = np.exp(eta - top)
    s0 = data.at_risk(theta)
    d = data.deaths.astype(np.float64)
    value = float(b @ data.of_leavers) - top * len(gone)
    fractions = efron and data.tied
    if fractions:
        # Of d who leave on a day, the l-th in any order meets a risk set without l/d of each of them.
        d0 = np.add.reduceat(theta[gone], data.begins)
        phi = np.repeat(s0, data.deaths) - data.share * np.repeat(d0, data.deaths)
        value -= float(np.log(phi).sum())
        inverse = 1.0 / phi
        less = data.share * inverse
        c0 = np.add.reduceat(inverse * inverse, data.begins)
        c1 = np.add.reduceat(less * inverse, data.begins)
        c2 = np.add.reduceat(less * less, data.begins)
        hazard = data.over_stay(np.add.reduceat(inverse, data.begins))
        hazard[gone] -= np.repeat(np.add.reduceat(less, data.begins), data.deaths)
    else:
        value -= float((d * np.log(s0)).sum())
        c0 = d / (s0 * s0)
        hazard = data.over_stay(d / s0)
    expected = theta * hazard
    gradient = data.of_leavers - x @ expected
    away = data.absent(x * theta) if len(data.late) else None
    information = np.zeros((len(b), len(b)))
    before = np.zeros((len(b), 1))
    for j, k, first, end in data.blocks():
        part = x[:, first:end]
        information += (part * expected[first:end]) @ part.T
        s1, d1 = _by_day(part * theta[first:end], data.after[j:k] - first, data.deaths[j:k])
        s1 += before
        before = s1[:, -1:]
        if away is not None:
            s1 = s1 - away[:, j:k]
        information -= (s1 * c0[j:k]) @ s1.T
        if fractions:
            cross = (s1 * c1[j:k]) @ d1.T
            information += cross + cross.T - (d1 * c2[j:k]) @ d1.T
    return value, gradient, information


def _by_day(rows: Real, stop: Whole, deaths: Whole) -> tuple[Real, Real]:
    """Of a block's rows (columns, customers): per day the sum over all up to its `stop`, and over its leavers.

    The last `deaths` rows before each stop are those who left on the day.
    """
    start = stop - deaths
    if 4 * len(stop) > rows.shape[1]:
        running = np.cumsum(rows, axis=1)
        up_to = running[:, stop - 1]
        return up_to, up_to - np.where(start > 0, running[:, start - 1], 0.0)
    # Few days: sums of stretches, those who stay and those who leave in turn. An empty stretch sums to one row instead.
    turns = np.stack([np.concatenate([[0], stop[:-1]]), start], axis=1)
    sums = np.add.reduceat(rows, turns.ravel(), axis=1)
    stayed, left = sums[:, ::2], sums[:, 1::2]
    stayed[:, turns[:, 0] == turns[:, 1]] = 0.0
    return np.cumsum(stayed + left, axis=1), left


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
        if not self.events_:
            raise CannotFit(
                f"none of the {len(x)} customers left, so nothing goes with leaving; watch longer, or take "
                "kernel.survival.kaplan_meier, which needs no leavers to say that all stayed"
            )
        self.means_ = x.mean(axis=0)
        spread = np.sqrt(
            sum(((x[a : a + _BLOCK] - self.means_) ** 2).sum(axis=0) for a in range(0, len(x), _BLOCK)) / len(x)
        )
        varies = spread > 1e-12 * np.maximum(np.abs(self.means_), 1e-300)
        self.left_out_ = tuple(name for name, keep in zip(self.names_, varies, strict=True) if not keep)
        kept = [name for name, keep in zip(self.names_, varies, strict=True) if keep]
        spread, mean, used = spread[varies], self.means_[varies], x if varies.all() else x[:, varies]
        b = self._first_look(used, mean, spread, end, gone, begin, kept)
        data = _Sorted.of(used, mean, spread, end, gone, begin)
        efron = self.ties == "efron"
        self.null_log_likelihood_ = _null(data, efron)
        if len(b):
            ridge = self.penalty * np.eye(len(b))
            b, self.log_likelihood_, information, self.iterations_ = _newton(data, b, efron, ridge, _GAIN, kept)
        else:
            self.log_likelihood_, information, self.iterations_ = self.null_log_likelihood_, np.empty((0, 0)), 0
        full = len(self.names_)
        self.coefficients_, self.standard_errors_ = np.zeros(full), np.full(full, np.nan)
        self.covariance_ = np.full((full, full), np.nan)
        self.coefficients_[varies] = b / spread
        covariance = np.linalg.inv(information) / np.outer(spread, spread) if len(b) else information
        self.covariance_[np.ix_(varies, varies)] = covariance
        self.standard_errors_[varies] = np.sqrt(np.diag(covariance))
        log_hazard = b @ data.x
        self.baseline_times_ = data.days[::-1]
        self.baseline_cumulative_hazard_ = np.cumsum((data.deaths / data.at_risk(np.exp(log_hazard)))[::-1])
        self._seen: tuple[Any, ...] | None = (data.end, data.gone, log_hazard, data.begin)
        self._concordance: float | None = None
        return self

    def _first_look(
        self,
        x: Real,
        mean: Real,
        spread: Real,
        end: Real,
        gone: NDArray[np.bool_],
        begin: Real | None,
        names: list[str],
    ) -> Real:
        """Where to begin: the answer of every so-many-th row where there are many, else 0."""
        b = np.zeros(x.shape[1])
        every = len(x) // _FIRST_LOOK
        if every < 4 or not len(b) or gone[::every].sum() < 50 * len(b):
            return b
        few = None if begin is None else begin[::every]
        some = _Sorted.of(x[::every], mean, spread, end[::every], gone[::every], few)
        # A poor start costs a step or two, never the answer: the climb goes on from wherever it is.
        try:
            return _newton(some, b, self.ties == "efron", self.penalty / every * np.eye(len(b)), 1e-3, names)[0]
        except CannotFit:
            return b

    @property
    def concordance_(self) -> float | None:
        """Harrell's C of the fitted risks on the rows of the fit."""
        if self._seen is not None:
            self._concordance, self._seen = pairs(*self._seen).index(), None
        return self._concordance

    def __getstate__(self) -> dict[str, Any]:
        # A stored model keeps its C and not the customers.
        _ = self.concordance_
        return self.__dict__.copy()

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
    if not efron or not data.tied:
        return -float((d * np.log(n)).sum())
    from scipy.special import gammaln

    # On a day the product of (n - l) over l < d is n! / (n - d)!.
    return -float((gammaln(n + 1) - gammaln(n - d + 1)).sum())


def _newton(
    data: _Sorted, b: Real, efron: bool, ridge: Real, gain: float, names: Sequence[str]
) -> tuple[Real, float, Real, int]:
    """Newton's steps, halved where one overshoots: coefficients, log-likelihood, information, number of evaluations."""

    from threadpoolctl import threadpool_limits

    # Products of a few columns are too small to be shared out: threads would wait for each other most of the time.
    threads = 1 if len(b) < 64 else None

    def evaluate(at: Real) -> tuple[float, float, Real, Real]:
        with threadpool_limits(threads, user_api="blas"):
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
    alike = [names[int(i)] for i in np.flatnonzero(np.abs(flat) > 0.1)]
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
