"""Are today's customers like those the model learned from? The population stability index, feature by feature.

    told = distribution(table, features)        shares by tenths of training, by month, stored with the model
    drift(told, table, features)                by feature, PSI = sum over groups of (now - then) ln(now / then)

Then is the month of training that is most like today. All months together are like none of them: usage that is told
weekly is as many days old as the weekday has it, the same for everybody, and another next month; nobody has been
silent or a customer for longer than anything is told of, and that grows. A feature has moved when today's customers
are unlike those of every month (of the last twelve). Below 0.1 nothing to see, above 0.25 a feature has moved so far
that the model should be made anew; the usual rule of credit scoring (Siddiqi 2006). Unknown is a group of its own;
texts are grouped by their twenty commonest values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.predict.features_catalogue import Feature
from tenure.predict.features_training import matrix

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOVED = 0.25
_VALUES = 20
_LEAST = 1e-3
_MONTHS = 12


def distribution(table: pa.Table, features: Sequence[Feature]) -> dict[str, dict[str, Any]]:
    """By feature: the edges of tenths (or the commonest texts), and the share in each group, unknown last.

    table: rows to learn from; with their `month`, the shares of each of the last twelve are told too.
    """
    found: dict[str, dict[str, Any]] = {}
    month = np.asarray(table.column("month")) if "month" in table.column_names else np.zeros(table.num_rows)
    months = np.unique(month)[-_MONTHS:]
    for name, column in matrix(table, features).items():
        if column.dtype == object:
            values, counts = np.unique([each for each in column.tolist() if each is not None], return_counts=True)
            edges: list[Any] = values[np.argsort(-counts, kind="stable")][:_VALUES].tolist()
        else:
            known = column[np.isfinite(column)]
            edges = np.unique(np.quantile(known, np.arange(1, 10) / 10)).tolist() if len(known) else []
        found[name] = {
            "edges": edges,
            "shares": _shares(column, edges).tolist(),
            "by_month": [_shares(column[month == each], edges).round(5).tolist() for each in months],
        }
    return found


def drift(then: Mapping[str, Mapping[str, Any]], table: pa.Table, features: Sequence[Feature]) -> dict[str, float]:
    """By feature, how far its distribution has moved (PSI) from the month most like it, the furthest first."""
    found = {}
    for name, column in matrix(table, features).items():
        if name in then:
            now = _shares(column, then[name]["edges"])
            months = then[name].get("by_month") or [then[name]["shares"]]
            found[name] = min(_index(np.array(each, dtype=np.float64), now) for each in months)
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def _index(old: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """The population stability index; a group that is empty counts as one in a thousand."""
    old, now = np.maximum(old, _LEAST), np.maximum(now, _LEAST)
    old, now = old / old.sum(), now / now.sum()
    return float(((now - old) * np.log(now / old)).sum())


def _shares(column: NDArray[Any], edges: Sequence[Any]) -> NDArray[np.float64]:
    """The share of rows in each group; unknown is the last one."""
    size = len(edges) + 2
    if column.dtype == object:
        place = {value: i for i, value in enumerate(edges)}
        group = np.array([len(edges) + 1 if each is None else place.get(each, len(edges)) for each in column.tolist()])
    else:
        inner = np.array(edges, dtype=np.float64)
        group = np.where(np.isfinite(column), np.searchsorted(inner, column, side="left"), len(edges) + 1)
    counts = np.bincount(group.astype(np.int64), minlength=size) if len(column) else np.zeros(size)
    return np.asarray(counts / max(len(column), 1), dtype=np.float64)
