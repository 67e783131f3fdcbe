"""What do the books say of the subscriptions? States as they were recorded: late, corrected and taken back ones too."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tenure.simulate import plans, voices
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.lives import Lives
from tenure.simulate.months import MINUTE, NEVER, SECOND
from tenure.simulate.sheets import Clerk, Names, joined, sheet, words
from tenure.simulate.standing import ACTORS, CANCELED, IS_ACTIVE, NON_RENEWING, STATUSES

PLAN_IDS = (*plans.PLANS, "reports", "api-calls", "lab")


def subscription_states(lives: Lives, names: Names, clerk: Clerk, chance: Chance, mistakes: float) -> pa.Table:
    """Rows of `subscription_states`, in the order in which they were recorded per customer."""
    s = {name: column[lives.states["at"] < clerk.end] for name, column in lives.states.items()}
    number = lives.people.who[s["who"]]
    which = s["at"] // SECOND * 8 + s["item"]
    # What happens to several items at once is written down at once.
    recorded = clerk.recorded("state", number, s["at"] // SECOND, s["at"])
    retracted = np.zeros(len(number), bool)
    lot = chance.uniform("mistake", number, which)
    # A wrong price, put right some days later: two rows with one key.
    plain = (s["amount"] > 0) & (s["item"] == plans.BASE) & np.isin(s["status"], (IS_ACTIVE, NON_RENEWING))
    fixed = clerk.later("put right", number, which, recorded, 2, 25)
    x = np.flatnonzero(plain & (lot < 0.004 * mistakes) & (fixed < clerk.end))
    wrong = {name: column[x] for name, column in s.items()}
    wrong["amount"], wrong["tax"] = wrong["amount"] * 11 // 10, wrong["tax"] * 11 // 10
    wrong_recorded = recorded[x].copy()
    recorded[x] = fixed[x]
    # Seats that nobody ordered, taken back: two rows with a key of their own, the later one retracted.
    taken = clerk.later("taken back", number, which, recorded, 1, 10)
    y = np.flatnonzero(plain & (lot > 1 - 0.002 * mistakes) & (taken < clerk.end) & (s["requested"] == NEVER))
    ghost = {name: column[y] for name, column in s.items()}
    ghost["at"] = ghost["at"] + 37 * MINUTE
    for name in ("quantity", "amount", "tax", "forever", "limited"):
        ghost[name] = ghost[name] * 2
    ghost_recorded = recorded[y] + 40 * MINUTE
    y_kept = ghost_recorded < taken[y]
    ghost = {name: column[y_kept] for name, column in ghost.items()}
    rows = {name: np.concatenate([s[name], wrong[name], ghost[name], ghost[name]]) for name in s}
    recorded = np.concatenate([recorded, wrong_recorded, ghost_recorded[y_kept], taken[y][y_kept]])
    retracted = np.concatenate(
        [retracted, np.zeros(len(x) + int(y_kept.sum()), bool), np.ones(int(y_kept.sum()), bool)]
    )
    order = np.lexsort((recorded, rows["at"], rows["item"], rows["who"]))
    rows = {name: column[order] for name, column in rows.items()}
    return _table(lives, names, chance, rows, recorded[order], retracted[order])


def _table(
    lives: Lives, names: Names, chance: Chance, s: dict[str, Numbers], recorded: Numbers, retracted: Numbers
) -> pa.Table:
    who, item = s["who"], s["item"]
    number = lives.people.who[who]
    subscription = names.subscription(who, s["sub"])
    metered = item == plans.METERED
    plan = np.where(item == plans.BASE, s["plan"], len(plans.PLANS) + item - 1)
    limited = s["limited"] > 0
    # What they say when they go is drawn once per customer and request, so that all its rows agree.
    asked = s["requested"] != NEVER
    request = np.where(asked, s["requested"] // SECOND, 0)
    said = voices.stated(chance, number, request, np.where(asked & (s["actor"] == 0), s["cause"], -1))
    # Some systems lose who did it.
    lost = asked & (chance.uniform("actor lost", number, request) < 0.06) & (s["status"] == CANCELED)
    actor = np.where(asked, np.where(lost, len(ACTORS), s["actor"]), -1)
    currency = lives.people.currency[who]
    return sheet(
        "subscription_states",
        len(who),
        subscription_id=subscription,
        item_id=joined(subscription, words(plans.ITEM_SUFFIX, item), between="."),
        effective_at=s["at"],
        customer_id=names.customer(who),
        status=words(STATUSES, s["status"]),
        product_id=words(plans.PRODUCTS, item),
        plan_id=words(PLAN_IDS, plan),
        interval=words(plans.INTERVALS, s["interval"]),
        interval_count=np.ones(len(who), np.int64),
        quantity=s["quantity"],
        amount_minor=s["amount"],
        tax_minor=s["tax"],
        tax_inclusive=plans.tax_inclusive(currency),
        discount_forever_minor=s["forever"],
        discount_limited_minor=s["limited"],
        discount_ends_at=np.where(limited, s["limited_ends"], NEVER),
        minimum_commit_minor=pa.array(s["commit"], mask=~metered | (s["commit"] == 0)),
        currency=words(plans.CURRENCIES, currency),
        is_metered=metered,
        period_start=s["period_start"],
        period_end=s["period_end"],
        term_ends_at=s["term_ends"],
        auto_renews=s["auto_renews"],
        trial_ends_at=s["trial_ends"],
        collection_paused=s["collection_paused"],
        resumes_at=s["resumes"],
        cancel_at=s["cancel_at"],
        cancel_requested_at=s["requested"],
        cancel_actor=words((*ACTORS, "unknown"), actor),
        cancel_reason=words(voices.REASONS, said.reason),
        cancel_comment=voices.exit_comment(chance, number, request, said.comment, lives.people.language[who]),
        recorded_at=recorded,
        retracted=retracted,
    )
