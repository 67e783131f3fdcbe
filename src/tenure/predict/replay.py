"""What would the list have been worth last quarter? History replayed at rolling cut-offs, exactly as known then.

    replayed = replay(facts, definition, cut_offs, origins, gap=7, horizon=30)
    replayed.judge()["model"]["auc"]         each figure with its interval, beside the two baselines
    replayed.verdict()                       is the model put into service?
    replayed.by_month()                      who was expected to leave, and who did, cut-off by cut-off

At each origin a model is made from what was known at that instant: features, decisions, and only windows that were over
by then. It is judged at that cut-off and those up to the next origin, on decisions from the gap on, as known now. So
no model is judged on a time that it has seen, and what the model could not have known it has not learned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.errors import CannotFit
from tenure.lake.facts import Facts
from tenure.lake.portable import from_micros, micros
from tenure.measure.definition import Definition
from tenure.predict.baselines import BaseRate, RecencyOnly, Verdict, put_into_service
from tenure.predict.features import known_as_of
from tenure.predict.features_periods import Horizon, Looks, micros_of, person_periods
from tenure.predict.features_training import Trained, matrix, train
from tenure.predict.judging import Bin, Judgement, judge, reliability
from tenure.predict.left_alone import first_treated, left_alone
from tenure.predict.profit import Campaign

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

MODEL, BASE, RECENCY = "model", "base rate", "recency only"
RECENT = "silent_days"
BUDGETS = (0.01, 0.05, 0.1, 0.2)
# A model replayed from fewer months than this says more of the beginning than of the model.
SHORTEST = 3


@dataclass(frozen=True)
class Origin:
    """One model of the replay: when it was made, from how many rows and leavers, and which learner held."""

    cut_off: datetime
    rows: int
    leavers: int
    chosen: str
    why: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Replayed:
    """What was said at each cut-off, and what came of it; one row per customer and cut-off judged.

    said: by name, MODEL, BASE and RECENCY; mrr: minor units a month of `currency`; skipped: origins without a model,
    with the reason; says: notes on treated customers.
    """

    customer: NDArray[np.str_]
    cut_off: NDArray[np.int64]  # microseconds
    left: NDArray[np.bool_]
    said: Mapping[str, Real]
    weight: Real | None
    mrr: Real
    currency: NDArray[Any]
    tenure_days: Real
    origins: tuple[Origin, ...]
    skipped: Mapping[datetime, str]
    says: tuple[str, ...]
    gap: int
    horizon: Horizon

    def judge(
        self,
        value: Real | None = None,
        campaign: Campaign | None = None,
        budgets: Sequence[float] = BUDGETS,
        draws: int = 500,
        seed: int = 0,
    ) -> dict[str, Judgement]:
        """Every figure of the model and of the two baselines, the same customers drawn for each.

        value: each row's lifetime value, in the unit of the campaign's costs; see predict.judging.judge.
        """
        return {
            name: judge(
                self.left, said, value=value, weight=self.weight, customer=self.customer, campaign=campaign,
                budgets=budgets, draws=draws, seed=seed,
            )
            for name, said in self.said.items()
        }  # fmt: skip

    def verdict(self, draws: int = 2000, seed: int = 0) -> Verdict:
        """Whether the model beats both baselines; see predict.baselines.put_into_service."""
        if not self.left.any() or self.left.all():
            what = "nobody left" if not self.left.any() else "everybody left"
            return Verdict(False, f"not put into service: {what} in the months it was judged on, so nothing shows", {})
        rivals = {name: said for name, said in self.said.items() if name != MODEL}
        return put_into_service(
            self.left, self.said[MODEL], rivals, weight=self.weight, customer=self.customer, draws=draws, seed=seed
        )

    def reliability(self, name: str = MODEL, bins: int = 10) -> list[Bin]:
        """Ten groups by what was said, and what happened in each."""
        return reliability(self.left, self.said[name], self.weight, bins)

    def by_month(self) -> list[dict[str, Any]]:
        """Cut-off by cut-off: customers, leavers, and how many the model expected (all weighted)."""
        w = np.ones(len(self.left)) if self.weight is None else self.weight
        found = []
        for cut_off in np.unique(self.cut_off):
            here = self.cut_off == cut_off
            left, expected = float(w[here] @ self.left[here]), float(w[here] @ self.said[MODEL][here])
            found.append(
                {
                    "cut_off": from_micros(int(cut_off)),
                    "customers": int(here.sum()),
                    "left": left,
                    "expected": expected,
                }
            )
        return found


def replay(
    facts: Facts,
    definition: Definition,
    cut_offs: Sequence[datetime],
    origins: Sequence[datetime],
    *,
    gap: int = 0,
    horizon: Horizon = 30,
    static: Collection[str] = (),
    hold_out: float = 0.1,
    plays: Collection[str] = (),
    looks: Looks | None = None,
    seed: int = 0,
    threads: int = 0,
) -> Replayed:
    """Models made at the origins, each judged at the cut-offs from its own on up to the next; see the module.

    cut_offs: beginnings of months, rising; origins: some of them. Raises CannotFit where no origin has a model and a
    window after it that is over.
    """
    looks = looks or Looks(facts, definition, tuple(static))
    looks.prepare(cut_offs)
    later = _rows(facts, definition, cut_offs, gap, horizon, looks)
    stamps = micros_of(later, "cut_off")
    whole = np.asarray(later.column("is_whole"))
    touched = first_treated(facts, plays)
    parts: list[dict[str, Any]] = []
    made: list[Origin] = []
    skipped: dict[datetime, str] = {}
    says: list[str] = []
    for i, origin in enumerate(origins):
        after = origins[i + 1] if i + 1 < len(origins) else None
        here = whole & (stamps >= micros(origin)) & (stamps < micros(after) if after is not None else True)
        if not here.any():
            continue  # no window after it is over yet
        try:
            trained = train(
                known_as_of(facts, origin), definition, _day(cut_offs[0], facts), _day(origin, facts), gap=gap,
                horizon=horizon, static=static, hold_out=hold_out, plays=plays, looks=looks, seed=seed, threads=threads,
            )  # fmt: skip
        except CannotFit as error:
            skipped[origin] = str(error)
            continue
        model = trained.model
        made.append(Origin(origin, model.rows_, model.leavers_, model.chosen_, tuple(model.why_)))
        rows = later.filter(here)
        X = matrix(rows, trained.features)
        alone = left_alone(rows, X, touched, hold_out, threads)
        says += alone.says
        part = _said(trained, rows, X)
        part["weight"] = np.ones(rows.num_rows) if alone.weight is None else alone.weight
        part["is_weighted"] = alone.weight is not None
        parts.append(part)
    if not parts:
        raise CannotFit(
            "no model could be made at an earlier month and judged on a later one: "
            + ("; ".join(dict.fromkeys(skipped.values())) or "history is too short")
        )
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "is_weighted"}
    kept = every["weight"] > 0
    every = {name: column[kept] for name, column in every.items()}
    if not len(every["left"]):
        raise CannotFit("every customer who could be judged was treated; hold some out (hold_out in tenure.toml)")
    return Replayed(
        every["customer"],
        every["cut_off"],
        every["left"],
        {name: every[name] for name in (MODEL, BASE, RECENCY)},
        every["weight"] if any(part["is_weighted"] for part in parts) else None,
        every["mrr"],
        every["currency"],
        every["tenure_days"],
        tuple(made),
        skipped,
        tuple(_once(says)),
        gap,
        horizon,
    )


def origins_of(cut_offs: Sequence[datetime], step: int = 3, first: int = SHORTEST) -> list[datetime]:
    """Every `step`-th cut-off from the `first` on, so that the last ones are judged too."""
    return [cut_offs[i] for i in range(first, len(cut_offs), step)]


def _rows(
    facts: Facts, definition: Definition, cut_offs: Sequence[datetime], gap: int, horizon: Horizon, looks: Looks
) -> pa.Table:
    since, until = _day(cut_offs[0], facts), _day(cut_offs[-1], facts) + timedelta(days=1)
    return person_periods(facts, definition, since, until, gap=gap, horizon=horizon, looks=looks).table


def _said(trained: Trained, rows: pa.Table, X: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """What the model and the baselines, learned from the same rows, say of later ones."""
    learned = trained.rows.table.filter(trained.rows.table.column("is_whole"))
    left = np.array([each != "" for each in learned.column("outcome").to_pylist()], dtype=np.float64)
    weight = trained.left_alone.weight
    count = rows.num_rows
    return {
        "customer": np.array(rows.column("customer_id").to_pylist(), dtype=str),
        "cut_off": micros_of(rows, "cut_off"),
        "left": np.array([each != "" for each in rows.column("outcome").to_pylist()], dtype=bool),
        "mrr": _number(rows, "mrr"),
        "currency": np.array(
            rows.column("currency").to_pylist() if "currency" in rows.column_names else [None] * count, dtype=object
        ),
        "tenure_days": _number(rows, "tenure_days"),
        MODEL: trained.model.predict_leaving(X, rows.column("period").to_numpy()),
        BASE: BaseRate().fit(left, weight).predict(count),
        RECENCY: RecencyOnly().fit(_number(learned, RECENT), left, weight).predict(_number(rows, RECENT)),
    }


def _number(rows: pa.Table, name: str) -> Real:
    """A column as numbers; unknown for everybody where it is not told."""
    if name not in rows.column_names:
        return np.full(rows.num_rows, np.nan)
    return np.asarray(rows.column(name).cast("double").fill_null(np.nan), dtype=np.float64)


def _once(says: Sequence[str]) -> list[str]:
    """Notes that differ only in their numbers, of one origin and another, are told once: the last one."""
    return list({"".join(letter for letter in note if not letter.isdigit()): note for note in says}.values())


def _day(at: datetime, facts: Facts) -> date:
    return at.astimezone(facts.timezone).date()
