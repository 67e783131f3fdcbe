"""Who was left alone, and tells who leaves when nobody does anything? The hold-out, and weights for the treated.

A list of who leaves next changes who leaves next: whom we call stays more often, and a model that learned from it would
take risky customers for safe ones. So:

    is_held_out(names)    a share of customers, drawn by lot and for good, whom nobody treats
    first_treated(facts)  when each customer was first treated: a touch with an arm other than held out or control, or
                          of a play that is named; what everybody gets (a newsletter has no arm) treats nobody
    left_alone(rows, ..)  rows of treated customers end with the first touch (weight 0), and rows like theirs count for
                          them: 1 / the chance to have been left alone so long

The chance is (share + (1 - share) x product over months of (1 - chance to be treated)): the hold-out keeps it from
being small, so that no weight exceeds 1 / share. Where the hold-out itself was treated it is no hold-out: then weights
are those of the estimated chances alone, at most LARGEST, and `says` tells so. Touches are never features. Source:
Robins & Finkelstein 2000 (Biometrics 56:779), inverse probability of censoring weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.kernel.lots import drawn
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US
from tenure.predict.features_periods import micros_of
from tenure.predict.hazards import DiscreteHazard

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

# Arms in which nothing is done.
ALONE = ("control", "held out", "held_out", "holdout", "hold-out", "none")
LARGEST = 10.0
PURPOSE = "never treated"
_MONTH_US = 30.4 * DAY_US


def is_held_out(customers: Iterable[str], share: float) -> NDArray[np.bool_]:
    """Who belongs to the share that is never treated; the same answer for ever, and more of the same where it grows."""
    return np.array(drawn(customers, PURPOSE), dtype=np.float64) < share


@dataclass(frozen=True)
class LeftAlone:
    """weight: of each row, 0 where treatment ended it (None: nobody was treated); treated: customers; says: notes."""

    weight: Real | None
    treated: int
    says: tuple[str, ...] = ()


def first_treated(facts: Facts, plays: Collection[str] = ()) -> pa.Table:
    """customer_id and first_us, the first treatment of each who was ever treated, as far as is known.

    plays: names of plays whose touches treat although they carry no arm.
    """
    import pyarrow as pa

    if not facts.has("touches"):
        return pa.table({"customer_id": pa.array([], pa.string()), "first_us": pa.array([], pa.int64())})
    st, d = facts.statement(), facts.engine.dialect
    columns = ("customer_id", "play", "arm", "sent_at")
    known = facts.counted(st, facts.latest(st, "touches", columns), columns, "counted_touches")
    alone = ", ".join(d.literal(arm) for arm in ALONE)
    named = ", ".join(d.literal(play) for play in sorted(plays))
    treats = f"(arm IS NOT NULL AND lower(arm) NOT IN ({alone}))"
    if named:
        treats = f"({treats} OR (play IN ({named}) AND coalesce(lower(arm) NOT IN ({alone}), TRUE)))"
    sql = (
        f"SELECT customer_id, min(sent_at) AS first_us FROM {known} "
        f"WHERE {treats} AND sent_at < {facts.horizon} GROUP BY customer_id ORDER BY 1"
    )
    return facts.engine.table(st.render(sql))


def left_alone(
    rows: pa.Table, X: Mapping[str, NDArray[Any]], touched: pa.Table, share: float, threads: int = 0
) -> LeftAlone:
    """The weights of rows to learn from. rows: as `person_periods` answers; X: their features, as a model takes them.

    touched: as `first_treated` answers; share: of the hold-out.
    """
    if not touched.num_rows or not rows.num_rows:
        return LeftAlone(None, 0)
    ids = np.array(rows.column("customer_id").to_pylist(), dtype=object)
    names, who = np.unique(ids.astype(str), return_inverse=True)
    known = dict(zip(touched.column("customer_id").to_pylist(), touched.column("first_us").to_pylist(), strict=True))
    never = np.iinfo(np.int64).max
    first = np.array([known.get(name, never) for name in names.tolist()], dtype=np.int64)[who]
    held = is_held_out(names.tolist(), share)[who]
    at, ends = (micros_of(rows, name) for name in ("cut_off", "ends_at"))
    decided = np.where(np.asarray(rows.column("decided_at").is_null()), never, micros_of(rows, "decided_at"))
    before = first < at
    ended = before | ((first < ends) & (first < decided))
    treated = len(np.unique(who[first < never]))
    if not ended.any():
        return LeftAlone(None, treated)
    says = []
    broken = len(np.unique(who[held & (first < never)]))
    kept_share = share
    if broken:
        kept_share = 0.0
        says.append(
            f"{broken} customers of the hold-out were treated, so it does not tell what happens to who is left alone; "
            f"weights rest on the estimated chances to be treated, and are at most {LARGEST:g}"
        )
    month = rows.column("month").to_numpy()
    could = ~before if broken else ~before & ~held
    chance = _chances_to_be_treated(X, rows, who, month, could, could & (first < at + _MONTH_US), threads)
    # Left alone in all months before, and through the row's own window.
    until = _product_before(1.0 - chance, who, month) * (1.0 - chance) ** np.maximum((ends - at) / _MONTH_US, 1.0)
    least = kept_share or 1.0 / LARGEST
    weight = 1.0 / np.maximum(kept_share + (1.0 - kept_share) * until, least)
    weight = np.where(ended, 0.0, weight)
    kept = int((~ended).sum())
    if not kept:
        says.append("every customer was treated: nobody was left alone to learn from")
        return LeftAlone(weight, treated, tuple(says))
    weight *= kept / weight.sum()
    says.append(
        f"{treated} customers were treated and count up to their first touch; {kept} of {len(ended)} rows remain"
    )
    return LeftAlone(np.asarray(weight), treated, tuple(says))


def _chances_to_be_treated(
    X: Mapping[str, NDArray[Any]],
    rows: pa.Table,
    who: NDArray[Any],
    month: NDArray[Any],
    could: NDArray[np.bool_],
    hit: NDArray[np.bool_],
    threads: int,
) -> Real:
    """Each row's chance to be first treated in the month after its cut-off, learned from those who could be."""
    if not hit.any():
        return np.zeros(len(hit))
    period = rows.column("period").to_numpy()
    model = DiscreteHazard(learner="logistic", causes=("treated",), threads=threads).fit(
        {name: column[could] for name, column in X.items()},
        period[could],
        np.where(hit, "treated", "")[could],
        time=month[could],
        customer=who[could],
    )
    return np.clip(model.predict_leaving(X, period), 0.0, 0.99)


def _product_before(factor: Real, who: NDArray[Any], month: NDArray[Any]) -> Real:
    """The product of a customer's factors over the months before each row's."""
    order = np.lexsort((month, who))
    logs = np.log(np.maximum(factor[order], 1e-12))
    summed = np.cumsum(logs) - logs
    starts = np.flatnonzero(np.append(True, who[order][1:] != who[order][:-1]))
    lengths = np.diff(np.append(starts, len(order)))
    found = np.empty(len(factor))
    found[order] = np.exp(summed - np.repeat(summed[starts], lengths))
    return found
