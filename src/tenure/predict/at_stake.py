"""What is lost if this customer leaves now, and until when can something still be done?

    worth = months_of_value(km, known, yearly)        by completed months of tenure: discounted months still to come
    value = margin x MRR x worth[tenure]              lifetime value at stake, contractual
    act_by(as_of, renewal_days, horizon_days, lead)   the last day on which acting is in time

Months to come are those of the survival curve of all customers, given that this one has come so far, 60 months ahead at
most; where the curve ends, the pace of its last year goes on. A month that lies k months ahead counts
1 / (1 + yearly)^(k / 12).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tenure.kernel.survival import KaplanMeier

    Real = NDArray[np.float64]

# Months ahead that count: five years, for who knows what a company sells then.
AHEAD = 60


def months_of_value(km: KaplanMeier, known: int, yearly: float, ahead: int = AHEAD) -> Real:
    """(known + 1,) discounted months that a customer of each completed tenure is still expected to pay, of `ahead`.

    known: up to which month the curve is; beyond it the pace of its last year goes on. Who has stayed longer than that
    counts as one who has come so far.
    """
    height = np.array([float(km.survival_at(month).value or 0.0) for month in range(known + 1)])
    stays = np.divide(height[1:], height[:-1], out=np.zeros(known), where=height[:-1] > 0)
    last = min(12, known)
    gone_on = (height[known] / height[known - last]) ** (1.0 / last) if last and height[known - last] > 0 else 1.0
    stays = np.append(stays, np.full(ahead, gone_on))
    discount = (1.0 + yearly) ** (-np.arange(ahead) / 12.0)
    found = np.empty(known + 1)
    for tenure in range(known + 1):
        there = np.append(1.0, np.cumprod(stays[tenure : tenure + ahead - 1]))
        found[tenure] = there @ discount
    return found


def value_of(mrr: ArrayLike, tenure_days: ArrayLike, months: Real, margin: float) -> Real:
    """(customers,) margin x MRR x the months to come at each one's tenure, in the unit of mrr; NaN where not known."""
    if not len(months):
        return np.full(len(np.asarray(mrr)), np.nan)
    age = np.asarray(tenure_days, dtype=np.float64) // (365.25 / 12)
    place = np.clip(np.nan_to_num(age), 0, len(months) - 1).astype(np.int64)
    return np.asarray(np.asarray(mrr, dtype=np.float64) * margin * months[place])


def act_by(as_of: date, renewal_days: float | None, horizon_days: int, lead_days: int) -> date:
    """The last day on which acting is in time: `lead_days` before the renewal, or before the horizon's end.

    The renewal counts where it falls within the horizon; a day that is past is today's.
    """
    ends = horizon_days
    if renewal_days is not None and 0 <= renewal_days <= horizon_days:
        ends = int(renewal_days)
    return as_of + timedelta(days=max(ends - lead_days, 0))
