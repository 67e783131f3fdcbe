"""What was true? The hazards, who left and why, and MRR, as the simulator decided them: beside the facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from tenure.simulate import hazards, people, plans
from tenure.simulate.chance import Numbers
from tenure.simulate.lives import Lives
from tenure.simulate.months import Months
from tenure.simulate.sheets import Names, instants, schema, words
from tenure.simulate.standing import ACTORS


def truth_hazards(lives: Lives, names: Names, months: Months) -> pa.Table:
    """One row per customer and month in which it was a customer; test customers are left out.

    hazard_voluntary and hazard_involuntary are the chances, as drawn, that leaving by choice or for other reasons
    takes effect in that month; left, actor and cause say what came of it.
    """
    who, month = np.nonzero(lives.alive & ~lives.people.is_test[:, None])
    left = lives.left[who, month]
    first_days = [months.first_day(m) for m in range(months.count)]
    return pa.Table.from_arrays(
        [
            names.customer(who),
            pa.array(first_days, pa.date32()).take(pa.array(month)),
            # Twelve digits: the last bits of an exponential differ between processors.
            pa.array(lives.hazard_voluntary[who, month].round(12)),
            pa.array(lives.hazard_involuntary[who, month].round(12)),
            pa.array(left),
            words(ACTORS, np.where(left, lives.left_actor[who, month], -1)),
            words(hazards.CAUSES, np.where(left, lives.left_cause[who, month], -1)),
        ],
        schema=schema("truth_hazards"),
    )


def truth_leavers(lives: Lives, names: Names, months: Months) -> pa.Table:
    """One row per customer lost within the window, in the order of the loss within each chunk; test customers left out.

    decided_at: when it was decided; actor, cause: as drawn; share_CAUSE: its share in the hazard of that
    decision; the shares sum to one. Who comes back and is lost again has two rows.
    """
    rows = lives.leavers
    inside = (rows["at"] < months.end_of_window) & (rows["at"] >= months.start_of_window)
    inside &= ~lives.people.is_test[rows["who"]]
    who = rows["who"][inside]
    shares = lives.leaver_shares[inside].round(12)
    return pa.Table.from_arrays(
        [
            names.customer(who),
            instants(rows["at"][inside]),
            instants(rows["decided"][inside]),
            words(ACTORS, rows["actor"][inside]),
            words(hazards.CAUSES, rows["cause"][inside]),
            *(pa.array(shares[:, number]) for number in range(len(hazards.CAUSES))),
        ],
        schema=schema("truth_leavers"),
    )


@dataclass
class Totals:
    """Sums over all chunks: what is true of the company as a whole."""

    months: Months
    micro_mrr: Numbers  # [currency, month + 1] change of MRR, the first column before the window
    expected: Numbers  # [cause, month]
    left: Numbers  # [cause, month]
    sign_ups: Numbers  # [channel, month]

    @classmethod
    def of(cls, months: Months) -> Totals:
        """Nothing yet."""
        causes = (len(hazards.CAUSES), months.count)
        return cls(
            months,
            np.zeros((len(plans.CURRENCIES), months.count + 1), np.int64),
            np.zeros(causes),
            np.zeros(causes, np.int64),
            np.zeros((len(people.CHANNELS), months.count), np.int64),
        )

    def add(self, lives: Lives) -> None:
        """Count a chunk in."""
        self.micro_mrr += lives.micro_mrr
        self.expected += lives.hazard_by_cause
        who, month = np.nonzero(lives.left & ~lives.people.is_test[:, None])
        np.add.at(self.left, (lives.left_cause[who, month], month), 1)
        month = self.months.of(lives.people.signed_up)
        inside = month >= 0
        np.add.at(self.sign_ups, (lives.people.channel[inside], month[inside]), 1)

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """The tables `truth_mrr` and `truth_causes`.

        mrr_minor is MRR at each month's end (the last day of the window for the last month) in minor units of the
        currency, under the default definition profile, test customers left out.
        """
        closing = np.cumsum(self.micro_mrr, axis=1)
        yield (
            "truth_mrr",
            pa.Table.from_pylist(
                [
                    {
                        "month": self.months.first_day(month),
                        "currency": currency,
                        "mrr_minor": Decimal(int(closing[row, month + 1])).scaleb(-6),
                    }
                    for month in range(self.months.count)
                    for row, currency in enumerate(plans.CURRENCIES)
                ],
                schema=schema("truth_mrr"),
            ),
        )
        yield (
            "truth_causes",
            pa.Table.from_pylist(
                [
                    {
                        "month": self.months.first_day(month),
                        "cause": cause,
                        "expected_leavers": round(float(self.expected[row, month]), 6),
                        "left": int(self.left[row, month]),
                    }
                    for month in range(self.months.count)
                    for row, cause in enumerate(hazards.CAUSES)
                ],
                schema=schema("truth_causes"),
            ),
        )
