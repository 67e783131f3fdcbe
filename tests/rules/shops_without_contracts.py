"""Customers without contracts for the tests of purchase models: CDNOW day by day, and made-up ones."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

# The paper's split: 39 weeks from 1 January 1997, then 39 weeks more.
END_OF_CALIBRATION = np.datetime64("1997-09-30")
WEEK = 7.0


class Buyers(NamedTuple):
    """Frequency, recency and age in weeks, and the days with a purchase in the 39 weeks after."""

    frequency: Real
    recency: Real
    age: Real
    later: Real


def cdnow(sample: Path) -> Buyers:
    """The 2,357 customers of the published sample, counted in days with a purchase."""
    text = np.loadtxt(sample, usecols=(1, 2), dtype=np.int64)
    iso = [f"{day // 10000}-{day // 100 % 100:02}-{day % 100:02}" for day in text[:, 1].tolist()]
    days = np.array(iso, dtype="datetime64[D]")
    pairs = np.unique(np.stack([text[:, 0], days.astype(np.int64)]), axis=1)
    end = int(END_OF_CALIBRATION.astype("datetime64[D]").astype(np.int64))
    found = []
    for customer in np.unique(pairs[0]):
        bought = pairs[1, pairs[0] == customer]
        seen = bought[bought <= end]
        found.append((len(seen) - 1, seen[-1] - seen[0], end - seen[0], len(bought) - len(seen)))
    x, t_x, age, later = np.array(found, dtype=np.float64).T
    return Buyers(x, t_x / WEEK, age / WEEK, later)
