"""What is lost if this customer leaves now, and until when can something still be done?

    contract = under_contract(facts, definition, cut, yearly=0.1)      the curves and payments of `tenure value`
    of_each(contract, names, currencies, margin)     lifetime value at stake, the same number as there
    by_tenure(contract, mrr, tenure_days, margin)    of looks at the past: as those who have stayed as long are worth
    act_by(as_of, renewal_days, horizon_days, lead)  the last day on which acting is in time

At stake is what predict.contract_value says: margin on what a contract still brings within three years, by plan,
interval, term and months since joining, discounted. Purchases without a contract are not lost with it, and count in
`tenure value` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from tenure.lake.facts import Facts
from tenure.measure.definition import Definition
from tenure.predict.contract_value import ContractValue
from tenure.predict.customer_months import customer_months
from tenure.predict.staying_learned import fit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Real = NDArray[np.float64]

# Months ahead that count, as `tenure value` counts them.
AHEAD = 36
_MONTH_DAYS = 365.25 / 12


def under_contract(facts: Facts, definition: Definition, cut: date, yearly: float, ahead: int = AHEAD) -> ContractValue:
    """The value of everybody under contract as the day `cut` begins. Raises BadInput or CannotFit without a curve."""
    months = customer_months(facts, definition, cut=cut)
    return ContractValue(months, fit(months.past, months.months), ahead, (1.0 + yearly) ** (-1 / 12))


def of_each(contract: ContractValue, names: Sequence[str], currencies: Sequence[str | None], margin: float) -> Real:
    """(customers,) value at stake in minor units of each one's currency; NaN for who has no contract that pays."""
    if not len(contract.months.now):
        return np.full(len(names), np.nan)
    found = contract.people({each: 1.0 for each in currencies if each})
    told = zip(
        found.column("customer_id").to_pylist(), found.column("currency").to_pylist(),
        found.column("value").to_pylist(), strict=True,
    )  # fmt: skip
    known = {(name, currency): float(value) for name, currency, value in told}
    return margin * np.array(
        [known.get((name, currency or ""), np.nan) for name, currency in zip(names, currencies, strict=True)]
    )


def by_tenure(contract: ContractValue, mrr: ArrayLike, tenure_days: ArrayLike, margin: float) -> Real:
    """(rows,) margin x MRR x the months that today's customers of that tenure are worth, the nearest where none is."""
    paid, tenure = np.asarray(mrr, dtype=np.float64), np.asarray(tenure_days, dtype=np.float64)
    months, worth = contract.worth_by_tenure()
    if not len(months):
        return np.full(len(paid), np.nan)
    return np.asarray(margin * paid * np.interp(np.nan_to_num(tenure) // _MONTH_DAYS, months, worth))


def act_by(as_of: date, renewal_days: float | None, horizon_days: int, lead_days: int) -> date:
    """The last day on which acting is in time: `lead_days` before the renewal, or before the horizon's end.

    The renewal counts where it falls within the horizon; a day that is past is today's.
    """
    ends = horizon_days
    if renewal_days is not None and 0 <= renewal_days <= horizon_days:
        ends = int(renewal_days)
    return as_of + timedelta(days=max(ends - lead_days, 0))
