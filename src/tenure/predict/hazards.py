"""How likely does each customer leave in the next period, and by what: choice, a failed card, or unknown?

    rows = person_periods(entry, end, cause, width=30)     who was watched over which period, and how it ended
    model = DiscreteHazard(monotone={"failed_payments": 1}).fit(X, rows.period, rows.outcome, time=month)
    model.predict(X, period)               (customers, causes) within the next period; columns add up to leaving
    model.predict(X, period, horizon=3)    within three
    model.chosen_, model.why_              which learner holds, and why not a better one

One row per customer and period of tenure in which he was under observation from its start, with what was known then,
and whether he left within it. So late entries (left truncation) and people still here (right censoring) need no
assumption: a period not watched has no row. The chance to leave is learned by whichever of LightGBM and a ridge
logistic regression has the lower log loss on time later than it learned from, and put right by all months and the level
of the latest (calibration_now); what leavers leave by is learned from leavers alone, so causes share the chance and add
up to it. Where the data hold too little, the base rate by tenure stays, and `why_` says so.

Sources: Cox 1972 (discrete time); Singer & Willett 1993; Tutz & Schmid 2016, ch. 8 (competing risks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import BadInput, CannotFit
from tenure.predict.calibration import Calibrator, calibrate
from tenure.predict.calibration_now import level_now, moved, stretched
from tenure.predict.encoding import Columns, Encoder, columns
from tenure.predict.judging import log_losses
from tenure.predict.learners import Boosted, ByTenure, Learner, Logistic

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]
    Whole = NDArray[np.int64]

CAUSES = ("voluntary", "involuntary", "unknown")
# Fewer leavers (or stayers) than this cannot be told apart by anything but tenure.
FEW = 30
_FOLDS = 5
_HELD_OUT = 0.25
_SURELY = 3
# From so many rows on, chances are put right by models of halves of the customers instead of three quarters.
_MANY_ROWS = 10_000


# ---------------------------------------------------------------------------------------------------------------------
# Rows: one customer, one period


@dataclass(frozen=True, eq=False)
class PersonPeriods:
    """One row per customer and whole period watched. customer: position in what was given; period: 0, 1, ...; outcome:
    '' where he was still here at its end, else the cause."""

    customer: Whole
    period: Whole
    outcome: NDArray[np.str_]


def person_periods(
    end: ArrayLike,
    cause: ArrayLike,
    entry: ArrayLike | None = None,
    width: float = 1.0,
    watched_until: ArrayLike | None = None,
) -> PersonPeriods:
    """The periods over which each customer was watched. Period k is tenure [k width, (k + 1) width).

    end: tenure when he left or was last seen; cause: what he left by, '' or None where he was still here; entry: tenure
    when observation began. A period counts if he was under observation at its start, and saw its end or his leaving.

    watched_until: tenure up to which he would have been seen, had he stayed (for leavers too; the day of the cut-off
    less the first day). A leaver of a period that the cut-off leaves unfinished is then left out, as those are who
    stayed in it. Without it such leavers count, and the last period's chance comes out too high.

    >>> rows = person_periods(end=[2.5, 3.2], cause=["voluntary", ""], entry=[0.0, 1.5])
    >>> list(zip(rows.customer.tolist(), rows.period.tolist(), rows.outcome.tolist()))
    [(0, 0, ''), (0, 1, ''), (0, 2, 'voluntary'), (1, 2, '')]
    """
    if not width > 0:
        raise BadInput(f"a period is longer than 0, got {width!r}")
    until = np.asarray(end, dtype=np.float64).ravel() / width
    begin = np.zeros(len(until)) if entry is None else np.asarray(entry, dtype=np.float64).ravel() / width
    told = np.array(["" if each is None or each != each else str(each) for each in np.asarray(cause).tolist()])
    if not len(until) == len(begin) == len(told):
        raise BadInput(f"one row per customer, got {len(until)} ends, {len(begin)} entries and {len(told)} causes")
    if not (np.isfinite(until).all() and np.isfinite(begin).all()) or np.any(begin < 0) or np.any(until < begin):
        raise BadInput("tenures are numbers from 0 up, and nobody ends before he enters")
    first = np.ceil(begin).astype(np.int64)
    # Who left did so within a period; of who stayed only whole periods are known.
    ended = told != ""
    if watched_until is not None:
        whole = np.floor(np.asarray(watched_until, dtype=np.float64).ravel() / width)
        if len(whole) != len(until):
            raise BadInput(f"one row per customer, got {len(until)} ends and {len(whole)} of watched_until")
        ended &= np.floor(until) < whole
    stop = np.floor(until).astype(np.int64) + ended
    count = np.maximum(stop - first, 0)
    customer = np.repeat(np.arange(len(until)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    period = first[customer] + within
    last = (within == count[customer] - 1) & ended[customer]
    return PersonPeriods(customer, period, np.where(last, told[customer], ""))


# ---------------------------------------------------------------------------------------------------------------------
# The model


class DiscreteHazard:
    """The chance to leave within the next period, by cause; the learner that holds best on later time, calibrated.

    Parameters
    ----------
    monotone : column -> 1 where more of it may only raise the chance to leave, -1 where it may only lower it
    causes : what people leave by, as outcomes name it
    learner : "best", or one of "boosted", "logistic", "tenure"
    seed, threads : of LightGBM (0 threads: as many as the machine has)

    Attributes after fit
    --------------------
    chosen_ : "boosted trees", "logistic" or "base rate by tenure"
    why_ : reasons, in sentences, for everything that was not done as usual; empty where all was
    losses_ : log loss of each learner on what it had not seen
    calibrator_, judged_on_ : how probabilities were put right, and on what: "later time" or "other customers"
    columns_ : what it learned from; left_out_ : columns that are the same everywhere
    customers_, rows_, leavers_
    """

    def __init__(
        self,
        monotone: Mapping[str, int] | None = None,
        causes: Sequence[str] = CAUSES,
        learner: str = "best",
        seed: int = 0,
        threads: int = 0,
    ) -> None:
        if learner not in ("best", "boosted", "logistic", "tenure"):
            raise BadInput(f"a learner is 'best', 'boosted', 'logistic' or 'tenure', got {learner!r}")
        if any(each not in (-1, 0, 1) for each in (monotone or {}).values()):
            raise BadInput("monotone says 1 (raises), -1 (lowers) or 0 for each column it names")
        self.monotone, self.causes, self.learner = dict(monotone or {}), tuple(causes), learner
        self.seed, self.threads = seed, threads

    def fit(
        self,
        X: Mapping[str, ArrayLike] | ArrayLike,
        period: ArrayLike,
        outcome: ArrayLike,
        *,
        time: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        customer: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> DiscreteHazard:
        """Learn from rows of one customer and one period.

        X: what was known at the start of the period; numbers (NaN: unknown) or traits (text). period: tenure then.
        outcome: '' / None / False stayed; a cause; True left, by what is not known. time: the calendar period of a row
        (any numbers that rise): the last quarter of rows by time judges and chooses. Without it, folds of
        customers do. weight: how much each row counts. customer: who a row is about; his rows stay together.
        """
        told = columns(X, names)
        y, self.outcomes_ = self._outcomes(outcome)
        rows = len(y)
        age = _numbers(period, rows, "period")
        w = np.ones(rows) if weight is None else _numbers(weight, rows, "weight")
        if np.any(w < 0):
            raise BadInput("weights are 0 or more")
        if told and len(next(iter(told.values()))) != rows:
            raise BadInput(f"one row of X per outcome, got {len(next(iter(told.values())))} and {rows}")
        who = np.arange(rows) if customer is None else np.unique(np.asarray(customer), return_inverse=True)[1]
        if len(who) != rows:
            raise BadInput(f"one customer per row, got {rows} rows and {len(who)} customers")
        unknown = sorted(set(self.monotone) - set(told))
        if unknown:
            raise BadInput(f"monotone names columns that X has not: {unknown}")
        counted = w > 0
        if not counted.any():
            raise CannotFit("no customer was watched over a whole period; load more history or take shorter periods")
        self.rows_, self.customers_ = rows, len(np.unique(who[counted]))
        self.leavers_, stayers = int(y[counted].sum()), int((1 - y[counted]).sum())
        self.why_: list[str] = []
        self.losses_: dict[str, float] = {}
        self.calibrator_: Calibrator | None = None
        self.judged_on_ = "nothing"
        self.oldest_ = float(age.max())
        varying = {name: column for name, column in told.items() if _varies(column)}
        self.left_out_ = tuple(name for name in told if name not in varying)
        if self.left_out_:
            self.why_.append(f"the same for everybody, so they say nothing: {', '.join(self.left_out_)}")
        self.columns_ = tuple(varying)
        if min(self.leavers_, stayers) < FEW:
            self.why_.append(self._too_few(self.leavers_, stayers))
        elif not varying:
            self.why_.append("no column differs between customers: the base rate by tenure is all there is")
        elif self.learner != "tenure":
            self._choose(varying, age, y, w, who, None if time is None else _numbers(time, rows, "time"))
            return self._causes(varying, age, w)
        return self._simplest(varying, age, y, w, who)._causes(varying, age, w)

    def _too_few(self, leavers: int, stayers: int) -> str:
        if not leavers:
            return "nobody left: the chance to leave is only known to be small, and nothing tells who is next"
        if not stayers:
            return "everybody left: nothing tells who goes first, beyond tenure"
        fewer = f"only {leavers} left" if leavers <= stayers else f"only {stayers} stayed"
        return f"{fewer}, and it takes {FEW} to learn who: the base rate by tenure stands"

    def _simplest(self, told: Columns, age: Real, y: Real, w: Real, who: Whole) -> DiscreteHazard:
        self.encoder_ = Encoder()
        x = self.encoder_.fit_transform({}, y, np.zeros(len(y), dtype=np.int64))
        x = np.empty((len(y), 0))
        self.model_: Learner = ByTenure().fit(x, age, y, w, who)
        self.chosen_ = self.model_.kind
        return self

    def _learners(self, direction: Sequence[int]) -> list[Learner]:
        every: dict[str, Learner] = {
            "logistic": Logistic(direction),
            "boosted": Boosted(direction, self.seed, self.threads, trees=self._trees),
        }
        return list(every.values()) if self.learner == "best" else [every[self.learner]]

    def _choose(self, told: Columns, age: Real, y: Real, w: Real, who: Whole, time: Real | None) -> None:
        """Learn on part, judge on the rest, keep the better one, and put its probabilities right."""
        later = None if time is None else self._later(time, y)
        ids = np.random.default_rng(self.seed).integers(0, _FOLDS, int(who.max()) + 1)
        fold = ids[who]
        if later is None and any(not 0 < y[fold != each].sum() < (fold != each).sum() for each in range(_FOLDS)):
            self.why_.append("a fold of customers has leavers only, or none: the base rate by tenure stands")
            self._simplest(told, age, y, w, who)
            return
        said: dict[str, Real] = {}
        self._trees = 0
        judged = np.ones(len(y), dtype=bool) if later is None else later
        self.judged_on_ = "other customers" if later is None else "later time"
        pieces = [fold == each for each in range(_FOLDS)] if later is None else [later]
        made: dict[str, Learner] = {}
        for piece in pieces:
            rest = ~piece
            encoder = Encoder()
            x = encoder.fit_transform(_rows(told, rest), y[rest], fold[rest], w[rest])
            ahead = encoder.transform(_rows(told, piece))
            for learner in [ByTenure(), *self._learners(self._direction(encoder))]:
                learner.fit(x, age[rest], y[rest], w[rest], who[rest])
                said.setdefault(learner.kind, np.full(len(y), np.nan))[piece] = learner.odds(ahead, age[piece])
                made[learner.kind] = learner
        chances = {kind: 1 / (1 + np.exp(-odds[judged])) for kind, odds in said.items()}
        put_right = {kind: calibrate(y[judged], p, w[judged], self.seed) for kind, p in chances.items()}
        parts = {kind: log_losses(y[judged], p) for kind, p in chances.items()}
        total = float(w[judged].sum())
        self.losses_ = {kind: float(w[judged] @ each) / total for kind, each in parts.items()}
        best = min((kind for kind in parts if kind != ByTenure.kind), key=self.losses_.__getitem__)
        # Both with their level put right, or a change of level between the times would count as knowing who.
        right = {kind: log_losses(y[judged], put_right[kind].apply(chances[kind])) for kind in (best, ByTenure.kind)}
        gain = right[ByTenure.kind] - right[best]
        error = float(np.sqrt(w[judged] ** 2 @ (gain - gain.mean()) ** 2)) / total
        mean = float(w[judged] @ gain) / total
        # The better of two learners, put right on the rows that judge it, is ahead by chance more often than one is.
        if mean < _SURELY * error:
            self.why_.append(
                f"{best} is not surely better than the base rate by tenure on {self.judged_on_} (log loss lower by "
                f"{mean:.5f}, {_SURELY} standard errors are {_SURELY * error:.5f}), so that stands"
            )
            best = ByTenure.kind
        self.chosen_, self.calibrator_ = best, put_right[best]
        judged_one = made[best]
        self._trees = judged_one.trees_ if isinstance(judged_one, Boosted) else 0
        if later is not None and time is not None:
            self._put_right_over_time(told, age, y, w, who, time, (later, chances[best]))
        # How chances are put right was learned from customers and time not seen; who leaves, from all there is.
        self.encoder_ = Encoder()
        x = self.encoder_.fit_transform(told, y, fold, w)
        self.model_ = self._learner().fit(x, age, y, w, who)

    def _learner(self) -> Learner:
        """A new learner of the chosen kind, for the encoder's columns."""
        every = {each.kind: each for each in [ByTenure(), *self._learners(self._direction(self.encoder_))]}
        return every[self.chosen_]

    def _put_right_over_time(
        self, told: Columns, age: Real, y: Real, w: Real, who: Whole, time: Real, later: tuple[NDArray[np.bool_], Real]
    ) -> None:
        """Chances put right on all months by models of other customers, then as later time says; see calibration_now.

        The last quarter of time alone says too little, and models of the first three quarters may be another time's.
        """
        pieces = 4 if len(y) < _MANY_ROWS else 2
        fold = np.random.default_rng(self.seed).integers(0, pieces, int(who.max()) + 1)[who]
        said = np.empty(len(y))
        for each in range(pieces):
            piece, rest = fold == each, fold != each
            if not 0 < y[rest].sum() < rest.sum() or not piece.any():
                return
            self.encoder_ = Encoder()
            x = self.encoder_.fit_transform(_rows(told, rest), y[rest], fold[rest], w[rest])
            learner = self._learner().fit(x, age[rest], y[rest], w[rest], who[rest])
            said[piece] = learner.odds(self.encoder_.transform(_rows(told, piece)), age[piece])
        chance = 1 / (1 + np.exp(-said))
        rows, ahead = later
        right = stretched(calibrate(y, chance, w, self.seed), y[rows], ahead, w[rows])
        self.calibrator_ = moved(right, level_now(time, y, right.apply(chance), w))

    def _later(self, time: Real, y: Real) -> NDArray[np.bool_] | None:
        """The rows of the last quarter of time, whole periods; None, and why, where that cannot judge."""
        moments, counts = np.unique(time, return_counts=True)
        if len(moments) < 2:
            self.why_.append("all rows are of one time, so folds of customers judge instead of later time")
            return None
        share = np.cumsum(counts[::-1])[::-1] / len(time)
        cut = moments[max(1, int(np.flatnonzero(share >= min(_HELD_OUT, share[1]))[-1]))]
        later = time >= cut
        for part in (later, ~later):
            if min(y[part].sum(), (1 - y[part]).sum()) < FEW / 2:
                self.why_.append(
                    "too few left (or stayed) before or after the cut in time to judge there, so folds of customers do"
                )
                return None
        return np.asarray(later)

    def _direction(self, encoder: Encoder) -> list[int]:
        return [
            self.monotone.get(origin, 0) if name == origin else 0
            for name, origin in zip(encoder.names_, encoder.origin_, strict=True)
        ]

    def _outcomes(self, outcome: ArrayLike) -> tuple[Real, Whole]:
        """Who left, and the number of the cause (-1 stayed)."""
        told = np.asarray(outcome).ravel()
        if told.dtype.kind in "biuf":
            if not np.isin(told, (0, 1)).all():
                raise BadInput(f"outcomes are causes ({', '.join(self.causes)}), '' for stayed, or true and false")
            unknown = self.causes.index("unknown") if "unknown" in self.causes else len(self.causes) - 1
            cause = np.where(told.astype(bool), unknown, -1)
        else:
            place = {"": -1, **{name: i for i, name in enumerate(self.causes)}}
            names = ["" if each is None or each != each else str(each) for each in told.tolist()]
            strange = sorted(set(names) - set(place))
            if strange:
                raise BadInput(f"these are no causes of leaving: {strange[:5]}; causes are {', '.join(self.causes)}")
            cause = np.array([place[each] for each in names], dtype=np.int64)
        if not len(cause):
            raise CannotFit("no customer was watched over a whole period; load more history or take shorter periods")
        return (cause >= 0).astype(np.float64), cause

    # -- what leavers leave by ----------------------------------------------------------------------------------------

    def _causes(self, told: Columns, age: Real, w: Real) -> DiscreteHazard:
        """Shares of the causes among leavers; by column where there are enough leavers of two causes to tell."""
        cause = self.outcomes_
        del self.outcomes_
        left = (cause >= 0) & (w > 0)
        counts = np.bincount(cause[left], weights=w[left], minlength=len(self.causes))
        self.shares_ = (counts + 1 / len(self.causes)) / (counts.sum() + 1)
        self.split_: Split | None = None
        seen = np.flatnonzero(np.bincount(cause[left], minlength=len(self.causes)) >= FEW)
        if len(seen) < 2 or not self.columns_ or self.chosen_ == ByTenure.kind:
            return self
        x = self._with_age(told, age)[left]
        half = np.random.default_rng(self.seed).random(len(x)) < 0.5
        of, weight = cause[left], w[left]
        gain = 0.0
        for rest in (half, ~half):
            told_shares = np.bincount(of[rest], weights=weight[rest], minlength=len(self.causes)) + 1 / len(self.causes)
            told_shares = told_shares / told_shares.sum()
            tried = Split(len(self.causes)).fit(x[rest], of[rest], weight[rest])
            own = tried.shares(x[~rest])[np.arange((~rest).sum()), of[~rest]]
            gain += float(weight[~rest] @ (np.log(own) - np.log(told_shares[of[~rest]])))
        if gain > 2.0:
            self.split_ = Split(len(self.causes)).fit(x, of, weight)
        return self

    def _with_age(self, told: Columns, age: Real) -> Real:
        return np.column_stack([self.encoder_.transform(told), np.log1p(age)])

    # -- what comes next ----------------------------------------------------------------------------------------------

    def _prepared(
        self, X: Mapping[str, ArrayLike] | ArrayLike, period: ArrayLike, names: Sequence[str] | None
    ) -> tuple[Columns, Real, Real]:
        if not hasattr(self, "model_"):
            raise BadInput("the model has learned nothing yet; call fit first")
        told = columns(X, names)
        age = np.asarray(period, dtype=np.float64).ravel()
        age = _numbers(age, len(age), "period")
        if told and len(next(iter(told.values()))) != len(age):
            raise BadInput(f"one period per row, got {len(next(iter(told.values())))} rows and {len(age)} periods")
        x = self.encoder_.transform(told) if self.encoder_.columns_ else np.empty((len(age), 0))
        return told, x, age

    def predict(
        self,
        X: Mapping[str, ArrayLike] | ArrayLike,
        period: ArrayLike,
        horizon: int = 1,
        names: Sequence[str] | None = None,
    ) -> Real:
        """(customers, causes) the chance to leave by each cause within the next `horizon` periods; rows sum to leaving.

        Over several periods tenure goes on and X stays as it is now. Beyond the longest tenure seen that one holds.
        """
        if horizon < 1 or horizon != int(horizon):
            raise BadInput(f"a horizon is a whole number of periods from 1 up, got {horizon!r}")
        _, x, age = self._prepared(X, period, names)
        found = np.zeros((len(age), len(self.causes)))
        here = np.ones(len(age))
        for ahead in range(int(horizon)):
            now = np.minimum(age + ahead, self.oldest_)
            odds = self.model_.odds(x, now)
            chance = 1 / (1 + np.exp(-odds))
            if self.calibrator_ is not None:
                chance = self.calibrator_.apply(chance)
            shares = self.shares_ if self.split_ is None else self.split_.shares(np.column_stack([x, np.log1p(now)]))
            found += (here * chance)[:, None] * shares
            here = here * (1 - chance)
        return found

    def predict_leaving(
        self,
        X: Mapping[str, ArrayLike] | ArrayLike,
        period: ArrayLike,
        horizon: int = 1,
        names: Sequence[str] | None = None,
    ) -> Real:
        """(customers,) the chance to leave within the horizon, by whatever."""
        return np.asarray(self.predict(X, period, horizon, names).sum(axis=1))

    def predict_survival(
        self,
        X: Mapping[str, ArrayLike] | ArrayLike,
        period: ArrayLike,
        horizons: Sequence[int],
        names: Sequence[str] | None = None,
    ) -> Real:
        """(customers, horizons) the chance to be still here after each number of periods."""
        return np.column_stack([1 - self.predict_leaving(X, period, each, names) for each in horizons])

    def contributions(
        self,
        X: Mapping[str, ArrayLike] | ArrayLike,
        period: ArrayLike,
        groups: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
    ) -> tuple[tuple[str, ...], Real]:
        """What moves each score: names, and (customers, names) parts of the log odds before calibration.

        One name per column of X, "tenure" and "level"; rows sum to the log odds. groups: column -> reason, to sum
        columns that say the same thing to a person. It says what moves the score, and not what would keep a customer.
        """
        _, x, age = self._prepared(X, period, names)
        parts = self.model_.parts(x, np.minimum(age, self.oldest_))
        origin = [*self.encoder_.origin_, "tenure", "level"] if self.encoder_.columns_ else ["tenure", "level"]
        reasons = [(groups or {}).get(each, each) for each in origin]
        order = list(dict.fromkeys(reasons))
        found = np.zeros((len(age), len(order)))
        for column, reason in enumerate(reasons):
            found[:, order.index(reason)] += parts[:, column]
        return tuple(order), found


class Split:
    """What leavers leave by, from their columns: multinomial logistic regression with a ridge of ten."""

    def __init__(self, causes: int, ridge: float = 10.0) -> None:
        self.causes, self.ridge = causes, ridge

    def fit(self, x: Real, cause: Whole, weight: Real) -> Split:
        """Learn from leavers; causes nobody left by keep a small share."""
        from scipy.optimize import minimize

        self.mean_ = x.mean(axis=0)
        spread = x.std(axis=0)
        self.scale_ = np.where(spread > 1e-12, spread, np.inf)
        design = self._design(x)
        start = np.zeros((design.shape[1], self.causes))
        counts = np.bincount(cause, weights=weight, minlength=self.causes) + 1 / self.causes
        start[-1] = np.log(counts / counts.sum())
        found = minimize(
            lambda flat: self.loss(flat, design, cause, weight), start.ravel(), jac=True, method="L-BFGS-B"
        )
        self.weights_ = found.x.reshape(start.shape)
        return self

    def loss(self, flat: Real, design: Real, cause: Whole, weight: Real) -> tuple[float, Real]:
        """The penalised negative log-likelihood and its gradient. A third of a leaver is added to each cause."""
        b = flat.reshape(design.shape[1], self.causes)
        shares = _softmax(design @ b)
        level = _softmax(b[-1:])
        extra = 1 / self.causes
        value = -float(weight @ np.log(np.maximum(shares[np.arange(len(cause)), cause], 1e-300)))
        value += 0.5 * self.ridge * float((b[:-1] ** 2).sum()) - extra * float(np.log(level).sum())
        residual = shares * weight[:, None]
        residual[np.arange(len(cause)), cause] -= weight
        gradient = design.T @ residual
        gradient[:-1] += self.ridge * b[:-1]
        gradient[-1] += extra * (self.causes * level[0] - 1)
        return value, gradient.ravel()

    def _design(self, x: Real) -> Real:
        return np.column_stack([np.clip((x - self.mean_) / self.scale_, -5, 5), np.ones(len(x))])

    def shares(self, x: Real) -> Real:
        """(leavers, causes) each cause's share; rows sum to 1."""
        return _softmax(self._design(x) @ self.weights_)


def _softmax(scores: Real) -> Real:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _rows(told: Columns, rows: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    return {name: column[rows] for name, column in told.items()}


def _varies(column: NDArray[Any]) -> bool:
    if column.dtype == object:
        return len(set(column.tolist())) > 1
    known = column[~np.isnan(column)]
    return bool(len(known)) and (len(known) < len(column) or float(np.ptp(known)) > 0)


def _numbers(values: ArrayLike, rows: int, name: str) -> Real:
    found = np.asarray(values, dtype=np.float64).ravel()
    if len(found) != rows:
        raise BadInput(f"one {name} per row, got {rows} rows and {len(found)}")
    if not np.isfinite(found).all():
        raise BadInput(f"{name} is unknown for {int((~np.isfinite(found)).sum())} rows; leave them out")
    return found
