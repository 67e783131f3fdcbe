"""Which trait knows the future? What tells leavers from stayers too well was written down after they had left.

A trait such as "reason for leaving", or a status that somebody sets when a customer goes, makes a model look splendid
and useless. Two signs, looked at in rows to learn from:

    alone it ranks who left above who stayed with an AUC over 0.9 (either way round; texts by their share of leavers
    among other customers with the same text, so that a text for each customer does not look as if it knew)
    it is filled for leavers only, and so many of them that it would not be chance
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tenure.predict.features_catalogue import Feature

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Real = NDArray[np.float64]

TOO_GOOD = 0.9
# With fewer leavers, or stayers, an AUC over the limit may be luck.
FEWEST = 10
LUCK = 0.001


def refused(rows: pa.Table, features: Sequence[Feature]) -> dict[str, str]:
    """Traits that must not be learned from, each with the reason. rows: as `person_periods` answers."""
    whole = rows.filter(rows.column("is_whole"))
    left = np.asarray([each != "" for each in whole.column("outcome").to_pylist()], dtype=bool)
    ids = np.asarray(whole.column("customer_id").to_pylist(), dtype=object)
    who = np.unique(ids.astype(str), return_inverse=True)[1]
    found: dict[str, str] = {}
    for feature in features:
        if feature.group != "trait" or not len(left):
            continue
        column = whole.column(feature.name)
        filled = ~np.asarray(column.is_null())
        why = _only_leavers(filled, left, who)
        if not why and min(left.sum(), (~left).sum()) >= FEWEST:
            if feature.is_text:
                score = _share_among_others(np.asarray([each or "" for each in column.to_pylist()]), left, who)
                best = auc(score, left)
            else:
                values = np.asarray(column.cast("double").fill_null(np.nan), dtype=np.float64)
                of_known = auc(values[filled], left[filled]) if filled.any() else 0.5
                best = max(of_known, 1 - of_known, auc(filled.astype(float), left), auc((~filled).astype(float), left))
            if best > TOO_GOOD:
                why = (
                    f"alone it tells leavers from stayers with an AUC of {best:.2f}: it was probably written down "
                    "after they had left; load it with the dates on which it was learned"
                )
        if why:
            found[feature.name] = f"refused: {why}"
    return found


def _only_leavers(filled: NDArray[np.bool_], left: NDArray[np.bool_], who: NDArray[np.int64]) -> str:
    count = int(who.max()) + 1 if len(who) else 0
    gone = np.bincount(who, weights=left, minlength=count) > 0
    has = np.bincount(who, weights=filled, minlength=count) > 0
    if has.all() or not has.any() or not gone[has].all() or gone.mean() ** has.sum() >= LUCK:
        return ""
    return (
        f"it is filled for {int(has.sum())} customers, all of whom left, and for nobody who stayed; "
        "load it for everybody, with dates"
    )


def _share_among_others(values: NDArray[np.str_], left: NDArray[np.bool_], who: NDArray[np.int64]) -> Real:
    """The share of leavers among rows of other customers with the same text, drawn towards the whole's by one row."""
    place = np.unique(values, return_inverse=True)[1].astype(np.int64)
    of_pair = np.unique(np.column_stack([place, who]), axis=0, return_inverse=True)[1].ravel()
    own_left, own = np.bincount(of_pair, weights=left), np.bincount(of_pair)
    every_left, every = np.bincount(place, weights=left), np.bincount(place)
    base = left.mean()
    return np.asarray((every_left[place] - own_left[of_pair] + base) / (every[place] - own[of_pair] + 1.0))


def auc(score: Real, left: NDArray[np.bool_]) -> float:
    """The chance that one who left has a higher score than one who stayed, ties half; 0.5 where only one kind is."""
    gone = int(left.sum())
    stayed = len(left) - gone
    if not gone or not stayed:
        return 0.5
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    return float((rank[place][left].sum() - gone * (gone + 1) / 2) / (gone * stayed))
