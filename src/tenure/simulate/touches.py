"""What did the company do about it? Mails and calls to customers, who was held out, and whom each change touched."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.lives import CHANGE_IDS, Lives
from tenure.simulate.months import DAY, HOUR, NEVER, SECOND, Months
from tenure.simulate.sheets import Clerk, Names, joined, sheet, words
from tenure.simulate.standing import CUSTOMER
from tenure.simulate.world import Calendar

PLAYS = ("onboarding", "newsletter", "weekly-tips", "check-in", "card-failed", "win-back")
ONBOARDING, NEWSLETTER, WEEKLY, CHECK_IN, CARD_FAILED, WIN_BACK = range(6)
CHANNELS = ("email", "call")
OUTCOMES = ("opened", "clicked", "reached")
_OPENS = np.array([0.55, 0.28, 0.12, 0.0, 0.6, 0.3])
_COST = np.array([2, 1, 1, 900, 2, 2])
EXPERIMENTS = ("onboarding-checklist", "check-in")
ARMS = ("control", "treated")


def reached(
    lives: Lives, names: Names, clerk: Clerk, chance: Chance, months: Months, events: Calendar
) -> Iterator[tuple[str, pa.Table]]:
    """The tables `touches`, `exposures` and `change_exposures` of a chunk."""
    yield "touches", _touches(lives, names, clerk, chance, months, events)
    yield from _exposures(lives, names, clerk, chance)
    c = lives.change_exposures
    c = {name: column[c["announced"] < clerk.end - HOUR] for name, column in c.items()}
    number = lives.people.who[c["who"]]
    yield (
        "change_exposures",
        sheet(
            "change_exposures",
            len(number),
            change_id=words(CHANGE_IDS, c["change"]),
            customer_id=names.customer(c["who"]),
            announced_at=c["announced"],
            effective_at=c["effective"],
            recorded_at=clerk.recorded("change exposure", number, c["change"], c["announced"], late=0.0),
        ),
    )


def _mails(lives: Lives, chance: Chance, months: Months, events: Calendar) -> list[tuple[int, Numbers, Numbers]]:
    """(play, customers, when) of everything that was sent."""
    p = lives.people
    mail = chance.uniform("mail", p.who)
    sent = [(ONBOARDING, np.flatnonzero(~p.before), (p.signed_up + DAY)[~p.before])]
    first_failures = lives.payments
    failed = (first_failures["code"] >= 0) & (first_failures["attempt"] == 1)
    rows = first_failures["invoice"][failed]
    # One mail, also where two subscriptions are charged to one card.
    told, told_at = np.unique(np.stack([lives.invoices["who"][rows], first_failures["at"][failed]]), axis=1)
    sent.append((CARD_FAILED, told, told_at + 5 * SECOND))
    called = lives.check_ins["treated"]
    sent.append((CHECK_IN, lives.check_ins["who"][called], lives.check_ins["at"][called]))
    asked = lives.exits["actor"] == CUSTOMER
    sent.append((WIN_BACK, lives.exits["who"][asked], lives.exits["at"][asked] + 45 * DAY))
    begins, stops = lives.active_from[:, 1:], lives.active_to[:, 1:]
    newsletter = np.repeat((mail >= 0.25)[:, None], months.count + 1, axis=1)
    for play, gets, every in ((NEWSLETTER, newsletter, None), (WEEKLY, lives.gets_weekly, 7 * DAY)):
        if every is None:
            at = months.start(np.arange(months.count)) + DAY + 7 * HOUR
        else:
            at = np.arange(events.campaign, months.end_of_window, every)
        month = months.of(at)
        inside = np.zeros((len(p.who), len(at)), bool)
        for back in (1, 0):
            column = np.maximum(month - back, 0)
            from_, to = begins[:, column], stops[:, column]
            inside |= (from_ != NEVER) & (from_ <= at) & (at < to)
        who, which = np.nonzero(inside & gets[:, month + 1])
        sent.append((play, who, at[which]))
    return sent


def _touches(lives: Lives, names: Names, clerk: Clerk, chance: Chance, months: Months, events: Calendar) -> pa.Table:
    sent = _mails(lives, chance, months, events)
    play = np.concatenate([np.full(len(who), play) for play, who, _ in sent])
    who = np.concatenate([who for _, who, _ in sent])
    at = np.concatenate([at for _, _, at in sent])
    keep = (at >= clerk.start) & (at < clerk.end)
    play, who, at = play[keep], who[keep], at[keep]
    number = lives.people.who[who]
    which = at // SECOND * 8 + play
    u = chance.uniform("touch outcome", number, which)
    call = play == CHECK_IN
    outcome = np.where(
        call, np.where(u < 0.6, 2, -1), np.where(u < _OPENS[play] * 0.2, 1, np.where(u < _OPENS[play], 0, -1))
    )
    delay = np.where(call, 600, 300 + 90_000 * chance.uniform("touch delay", number, which) ** 3).astype(np.int64)
    outcome_at = np.where(outcome >= 0, at + delay * SECOND, NEVER)
    outcome = np.where(outcome_at < clerk.end, outcome, -1)
    outcome_at = np.where(outcome >= 0, outcome_at, NEVER)
    return sheet(
        "touches",
        len(who),
        touch_id=joined("to", names.number(who), at // SECOND, words(PLAYS, play)),
        customer_id=names.customer(who),
        play=words(PLAYS, play),
        channel=words(CHANNELS, call.astype(np.int64)),
        sent_at=at,
        arm=words(ARMS, np.where(call, 1, -1)),
        outcome=words(OUTCOMES, outcome),
        outcome_at=outcome_at,
        cost_minor=_COST[play],
        recorded_at=clerk.recorded("touch", number, which, at, late=0.0),
    )


def _exposures(lives: Lives, names: Names, clerk: Clerk, chance: Chance) -> Iterator[tuple[str, pa.Table]]:
    p = lives.people
    enrolled = np.flatnonzero((p.checklist > 0) & (p.signed_up + HOUR < clerk.end))
    # A customer's first check-in month decides when it was exposed; its arm never changes.
    who, first = np.unique(lives.check_ins["who"], return_index=True)
    at = lives.check_ins["at"][first]
    inside = at < clerk.end
    for experiment, rows, arm, exposed in (
        (0, enrolled, p.checklist[enrolled] - 1, p.signed_up[enrolled]),
        (1, who[inside], lives.check_ins["treated"][first][inside].astype(np.int64), at[inside]),
    ):
        yield (
            "exposures",
            sheet(
                "exposures",
                len(rows),
                experiment=EXPERIMENTS[experiment],
                customer_id=names.customer(rows),
                arm=words(ARMS, arm),
                exposed_at=exposed,
                recorded_at=clerk.recorded("exposure", p.who[rows], experiment, exposed, late=0.0),
            ),
        )
