"""What would the list have been worth? What `tenure backtest` answers: history replayed, judged beside two baselines.

Money is in the reporting currency (or the only one): each customer's lifetime value at stake when he was looked at, and
a campaign of the usual costs, an offer of 5 % and a contact of 0.5 % of the mean value, accepted by 30 % of leavers on
average (Verbraken et al. 2013). Where customers pay in several currencies and none is set, a customer counts 200.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.app.fitting import MOST_ROWS, cut_offs_of, days_of, looked_at, over
from tenure.app.risks import contract_at_stake, in_one_currency
from tenure.errors import BadInput, CannotFit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tenure.app.workspace import Workspace
    from tenure.predict.baselines import Verdict
    from tenure.predict.judging import Judgement
    from tenure.predict.profit import Campaign
    from tenure.predict.replay import Replayed

    Real = NDArray[np.float64]

KEYS = (
    "horizon", "as_of", "gap", "said_by", "figure", "value", "low", "high", "reason", "currency", "looks", "leavers",
)  # fmt: skip
OFFER, CONTACT = 0.05, 0.005
Progress = Callable[..., None]


@dataclass(frozen=True, eq=False)
class Backtest:
    """The replay and what is said of it. judged: by who said it (model, base rate, recency only); campaign: its costs.

    currency: of the money, None where each customer counts the same.
    """

    horizon: str
    as_of: date
    replayed: Replayed
    judged: dict[str, Judgement]
    verdict: Verdict
    campaign: Campaign
    currency: str | None
    says: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row per figure and who said it; see KEYS. Money per customer of the base, in `currency`."""
        found = []
        first = next(iter(self.judged.values()))
        for figure in first:
            for name, judged in self.judged.items():
                told = judged[figure]
                of_money = figure == "empc" or figure.startswith("saved_")
                found.append(
                    {
                        "horizon": self.horizon,
                        "as_of": self.as_of,
                        "gap": self.replayed.gap,
                        "said_by": name,
                        "figure": figure,
                        **told._asdict(),
                        "currency": self.currency if of_money else None,
                        "looks": len(self.replayed.left),
                        "leavers": int(self.replayed.left.sum()),
                    }
                )
        return [{key: row[key] for key in KEYS} for row in found]

    def by_month(self) -> list[dict[str, Any]]:
        """Customers, leavers and expected leavers of each month judged."""
        return self.replayed.by_month()

    def chart(self, language: str = "en") -> Any:
        """Whom contacts would have reached, and what was said against what happened; see charts.risks."""
        from tenure.charts.risks import backtest

        groups = [each._asdict() for each in self.replayed.reliability()]
        return backtest(reached(self.replayed), groups, language)


def reached(replayed: Replayed, points: int = 50) -> list[dict[str, Any]]:
    """By who said it, the share of leavers among the first so many of the base: rows of said, contacted, reached."""
    w = np.ones(len(replayed.left)) if replayed.weight is None else replayed.weight
    total = float(w @ replayed.left)
    found: list[dict[str, Any]] = []
    for name, said in replayed.said.items():
        # Ties are reached in part: who has one score for all reaches as many as chance does.
        order = np.argsort(-said, kind="stable")
        _, group = np.unique(-said[order], return_inverse=True)
        base = np.append(0.0, np.cumsum(np.bincount(group, weights=w[order])))
        gone = np.append(0.0, np.cumsum(np.bincount(group, weights=w[order] * replayed.left[order])))
        at = np.linspace(0.0, 1.0, points + 1)
        share = np.interp(at * base[-1], base, gone) / total if total else at * 0.0
        found += [{"said": name, "contacted": float(x), "reached": float(y)} for x, y in zip(at, share, strict=True)]
    return found


def backtest(
    shop: Workspace,
    *,
    horizon: str = "30d",
    as_of: str | None = None,
    since: str | None = None,
    gap: int | None = None,
    step: int = 3,
    offer_cost: float | None = None,
    contact_cost: float | None = None,
    engine: str | None = None,
    draws: int = 500,
    seed: int = 0,
    threads: int = 0,
    progress: Progress = lambda *told: None,
) -> Backtest:
    """History replayed: a model every `step` months, judged on those after it, decisions from `gap` days on.

    gap: lead time (default: lead_days of the settings). offer_cost, contact_cost: major units of the reporting
    currency (default: the settings', else shares of what a customer is worth); contacts_a_month of the settings is a
    budget of its own. Raises CannotFit where history is too short to hold back any of it.
    """
    from tenure.predict.at_stake import by_tenure
    from tenure.predict.features_periods import Looks
    from tenure.predict.profit import Campaign
    from tenure.predict.replay import BUDGETS, SHORTEST, origins_of, replay

    days = days_of(horizon)
    lead = shop.settings.lead_days if gap is None else gap
    facts, day = looked_at(shop, as_of, engine)
    cut_offs = over(cut_offs_of(facts, shop, day, since), facts, days, lead)
    # The first model needs windows that were over when it was made.
    length = lead + (days if isinstance(days, int) else 31)
    first = SHORTEST + length // 31
    origins = origins_of(cut_offs, step, first)
    if not origins:
        raise CannotFit(
            f"{len(cut_offs)} month{'' if len(cut_offs) == 1 else 's'} can be looked back on, and a replay needs more "
            f"than {first}: some to learn from and some to judge on; load more history"
        )
    definition = shop.definition()
    looks = Looks(facts, definition, tuple(shop.settings.static_columns), MOST_ROWS)
    looks.prepare(cut_offs)
    for done, cut_off in enumerate(cut_offs):
        progress("looking at what was known", done, len(cut_offs))
        looks.at(cut_off)
    progress("replaying history")
    replayed = replay(
        facts, definition, cut_offs, origins, gap=lead, horizon=days, static=tuple(shop.settings.static_columns),
        hold_out=float(shop.settings.hold_out), plays=tuple(shop.settings.treating_plays), looks=looks, seed=seed,
        threads=threads,
    )  # fmt: skip
    said = list(replayed.says)
    contract, doubt = contract_at_stake(shop, facts, day)
    stake = np.full(len(replayed.mrr), np.nan)
    if contract is not None:
        stake = by_tenure(contract, replayed.mrr, replayed.tenure_days, float(shop.assumptions.margin))
    worth, currency = in_one_currency(shop, facts, day, stake, replayed.currency.tolist())
    if doubt:
        said.append(doubt)
    worths: Real | None = None
    if currency is not None and np.isfinite(worth).any():
        # Who pays nothing today is worth nothing of what is known.
        worths = np.nan_to_num(worth, nan=float(np.nanmean(worth)))
        mean = float(worths.mean())
        settings = shop.settings
        offer_cost = settings.offer_cost if offer_cost is None else offer_cost
        contact_cost = settings.contact_cost if contact_cost is None else contact_cost
        offer = OFFER * mean if offer_cost is None else offer_cost
        touch = CONTACT * mean if contact_cost is None else contact_cost
        if mean <= offer:
            raise BadInput(
                f"an offer of {offer:,.2f} costs more than the mean customer is worth ({mean:,.2f} {currency})"
            )
        campaign = Campaign(value=mean, offer_cost=offer, contact_cost=touch)
        said.append(
            f"Money: {currency} per customer of the base. A customer is worth {mean:,.0f} on average, an offer costs "
            f"{offer:,.2f} and a contact {touch:,.2f}; {campaign.acceptance:.0%} of leavers are taken to accept, which "
            "only an experiment can show."
        )
    else:
        currency, campaign = None, Campaign()
        said.append("Money: each customer counts 200, for what they pay is not known in one currency.")
    budgets = list(BUDGETS)
    if (most := shop.settings.contacts_a_month) is not None:
        share = min(most * len(np.unique(replayed.cut_off)) / len(replayed.left), 1.0)
        budgets = sorted({*budgets, round(share, 4)})
        said.append(f"{most:,} contacts a month (contacts_a_month) are {share:.1%} of the base.")
    judged = replayed.judge(value=worths, campaign=campaign, budgets=budgets, draws=draws, seed=seed)
    return Backtest(horizon, day, replayed, judged, replayed.verdict(seed=seed), campaign, currency, tuple(said))
