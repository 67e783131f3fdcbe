"""How do things stand with each customer, and how is it written down? The state that a walk through the months changes.

All arrays have one element per customer of the chunk; `w` is always an array of different customers' indices. A step
is one month of a customer, from billing anchor to billing anchor, named by the calendar month in which it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.simulate import hazards, people, plans
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.months import DAY, HOUR, NEVER, SECOND, Months
from tenure.simulate.people import People
from tenure.simulate.plans import ADD_ON, BASE, METERED
from tenure.simulate.plans import SECOND as SECOND_ITEM
from tenure.simulate.records import Records
from tenure.simulate.world import Calendar

if TYPE_CHECKING:
    from tenure.simulate.company import Company

# Where a customer stands between two steps.
NOT_YET, ACTIVE, FREE, PAUSED, LEAVING, GONE = range(6)

# What a state row says.
STATUSES = (
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "non_renewing",
    "canceled",
    "incomplete",
    "incomplete_expired",
)
IN_TRIAL, IS_ACTIVE, PAST_DUE, UNPAID, IS_PAUSED, NON_RENEWING, CANCELED, INCOMPLETE, INCOMPLETE_EXPIRED = range(9)
_WORTH_MRR = np.array([False, True, True, False, False, True, False, False, False])

ACTORS = ("customer", "dunning", "business", "fraud", "dispute")
CUSTOMER, DUNNING, BUSINESS, FRAUD, DISPUTE = range(5)
NOBODY = -1

REASONS = ("subscription_create", "subscription_cycle", "subscription_update")
CREATED, CYCLE, UPDATE = range(3)
LINE_KINDS = ("recurring", "usage", "one_time", "credit")
RECURRING, USAGE, ONE_TIME, CREDIT = range(4)
INVOICE_STATUSES = ("open", "paid", "uncollectible", "void")
OPEN, PAID, UNCOLLECTIBLE, VOID = range(4)


class Standing:
    """How one chunk of customers stands, and what was written down of it so far."""

    def __init__(self, company: Company, months: Months, chance: Chance, events: Calendar, folk: People) -> None:
        self.company, self.months, self.chance, self.events, self.p = company, months, chance, events, folk
        n = self.n = len(folk.who)
        self.end = months.end_of_window
        # How things stand.
        self.status = np.full(n, NOT_YET)
        self.plan, self.interval, self.seats = folk.plan.copy(), folk.interval.copy(), folk.seats.copy()
        self.seats2 = np.maximum(1, folk.seats // 4)
        self.price_list = (folk.start >= events.price_effective).astype(np.int64)
        self.forever = folk.discount_forever.copy()
        self.limited = folk.discount_limited.copy()
        self.limited_ends = np.full(n, NEVER)
        self.has = np.stack([np.ones(n, bool), folk.add_on, folk.metered, np.zeros(n, bool)])
        self.sub = np.ones(n, np.int64)
        self.sub2 = np.zeros(n, np.int64)
        self.subs_used = np.ones(n, np.int64)
        self.ever = np.zeros(n, bool)
        self.first_paid = np.full(n, NEVER)
        start = folk.start
        self.start_at = start.copy()
        self.start_step = np.maximum(months.of(start), -1)
        never = (folk.begins == people.TRIAL) & ~folk.converts
        self.start_step[never] = np.iinfo(np.int64).max
        self.anchored_at(np.arange(n), start)
        self.period_start, self.period_end = np.full(n, NEVER), np.full(n, NEVER)
        self.term_end = np.full(n, -2)  # step at whose anchor the term ends
        self.ends_step = np.full(n, -2)  # leaving or resuming
        self.gone_step = np.full(n, -99)
        self.gone_actor = np.full(n, NOBODY)
        self.requested = np.full(n, NEVER)
        self.leave_actor = np.full(n, NOBODY)
        self.leave_cause = np.full(n, -1)
        self.why = np.zeros(
            (len(hazards.CAUSES), n)
        )  # shares of the causes in the hazard of the latest decision to leave
        self.pause_row = np.zeros(n, bool)
        self.engagement = np.zeros(n)
        self.walk = np.zeros(n)
        self.fade = np.zeros(n)
        self.is_fading = np.zeros(n, bool)
        self.pain = np.zeros(n)
        self.pained_at = np.full(n, NEVER)  # when this step's latest ticket was opened that was answered late
        self.comfort_until = np.full(n, -99)
        self.price_step = np.full(n, -99)
        self.incident_step = np.full(n, -99)
        self.removal_step = np.full(n, -99)
        self.credit_due = np.zeros(n, bool)
        # Chances of this step's charge: that it fails, and that it fails and the customer cancels before dunning ends.
        self.may_fail, self.may_give_up = np.zeros(n), np.zeros(n)
        self.card = np.ones(n, np.int64)
        self.card_month = folk.card_month.copy()
        self.card_until = np.where(folk.by_card, self.card_month, -99)
        self.level_now = np.zeros((4, n), np.int64)  # MRR of each item in millionths of a minor unit
        self.contact_left = np.full(n, NEVER)
        mail = chance.uniform("mail", folk.who)
        self.neglected = (mail < 0.25) & (folk.owner < 0)
        self.weekly_mail = mail > 0.75
        # What nobody sees in the usage: some are unhappy for months on end.
        self.discontent = np.zeros(n)
        self.grudge = chance.normal("discontent", folk.who, -2) if company.confounding else np.zeros(n)
        self.unhappy = np.zeros((n, months.count + 1))
        self.gets_weekly = np.repeat(self.weekly_mail[:, None], months.count + 1, axis=1)
        self.classic = chance.uniform("classic-sync", folk.who) < 0.3
        self.cluster_b = chance.uniform("cluster", folk.who) < 0.4
        # What is written down.
        whole = np.int64
        self.states = Records(
            who=whole, item=whole, sub=whole, at=whole, status=whole, plan=whole, interval=whole, quantity=whole,
            amount=whole, tax=whole, forever=whole, limited=whole, limited_ends=whole, commit=whole, period_start=whole,
            period_end=whole, term_ends=whole, auto_renews=bool, trial_ends=whole, collection_paused=bool,
            resumes=whole, cancel_at=whole, requested=whole, actor=whole, cause=whole,
        )  # fmt: skip
        # Lines and payments name their invoice by its row.
        self.invoices = Records(
            who=whole, sub=whole, step=whole, reason=whole, at=whole, due=whole, fate=whole, fate_at=whole
        )
        self.lines = Records(
            invoice=whole, item=whole, number=whole, kind=whole, plan=whole, quantity=float, amount=whole,
            discount=whole, tax=whole, service_start=whole, service_end=whole, proration=bool,
        )  # fmt: skip
        self.payments = Records(
            invoice=whole, is_dispute=bool, attempt=whole, at=whole, code=whole, card=whole, card_until=whole
        )
        self.invoice_of = np.full((2, n), -1)  # the latest invoice of the first and of the second subscription
        self._fates: list[tuple[Numbers, Numbers, Numbers]] = []
        self.exits = Records(who=whole, at=whole, cause=whole, actor=whole)
        self.leavers = Records(who=whole, at=whole, decided=whole, actor=whole, cause=whole)
        self.shares: list[Numbers] = []  # of the leavers, [leaver, cause], in blocks
        self.tickets = Records(who=whole, at=whole, number=whole, replied=whole, resolved=whole, slow=bool, cause=whole)
        self.change_exposures = Records(who=whole, change=whole, announced=whole, effective=whole)
        self.check_ins = Records(who=whole, at=whole, treated=bool)
        m = months.count
        self.level = np.zeros((n, m + 1))
        self.active_from, self.active_to = np.full((n, m + 1), NEVER), np.full((n, m + 1), NEVER)
        self.subs = np.ones((n, m + 1), np.int64)
        # One month more than the window has: what is drawn in the last step may take effect after it.
        self.alive, self.left = np.zeros((n, m + 24), bool), np.zeros((n, m + 24), bool)
        self.hv, self.hi = np.zeros((n, m + 24)), np.zeros((n, m + 24))
        self.by_cause = np.zeros((len(hazards.CAUSES), m + 24))
        self.decided_by_cause = np.zeros((len(hazards.CAUSES), m + 1))  # expected decisions by the step they fall into
        self.left_actor, self.left_cause = np.full((n, m + 24), NOBODY), np.full((n, m + 24), -1)
        self.truth = np.zeros((len(plans.CURRENCIES), m + 1), np.int64)

    # --- small questions -------------------------------------------------------------------------------------------

    def u(self, purpose: str, w: Numbers, step: int) -> Numbers:
        """A uniform draw per customer of `w` for this step."""
        return self.chance.uniform(purpose, self.p.who[w], step)

    def anchored_at(self, w: Numbers, at: Numbers) -> None:
        """Bill the customers `w` on the day and time of `at` from now on."""
        if not hasattr(self, "day"):
            self.day, self.time = np.zeros(self.n, np.int64), np.zeros(self.n, np.int64)
        self.day[w] = (at - self.months.start(self.months.of(at))) // DAY + 1
        self.time[w] = at % DAY

    def anchor(self, step: Any, w: Numbers) -> Numbers:
        """When the period of a step begins."""
        return self.months.anchor(step, self.day[w], self.time[w])

    def within(self, purpose: str, w: Numbers, step: int, t0: Numbers, t1: Numbers) -> Numbers:
        """A working hour within the step, at least two hours from its ends."""
        day = (t0 + (self.u(purpose, w, step) * (t1 - t0)).astype(np.int64)) // DAY * DAY
        hour = (9 + 9 * self.u(purpose + " hour", w, step) - self.p.offset[w]) % 24
        at = day + (hour * 3600).astype(np.int64) * SECOND
        return np.clip(at, t0 + 2 * HOUR, t1 - 2 * HOUR)

    def price(self, item: int, w: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Amount per interval, quantity and interval of an item."""
        currency = self.p.currency[w]
        if item == BASE:
            unit = plans.list_price(self.plan[w], currency, self.price_list[w])
            return plans.per_interval(unit * self.seats[w], self.interval[w]), self.seats[w], self.interval[w]
        if item == ADD_ON:
            amount = plans.per_interval(plans.add_on_price(currency), self.interval[w])
            return amount, np.ones(len(w), np.int64), self.interval[w]
        month = np.full(len(w), plans.MONTH)
        if item == METERED:
            return np.zeros(len(w), np.int64), np.ones(len(w), np.int64), month
        return plans.second_price(currency) * self.seats2[w], self.seats2[w], month

    def situation(self, w: Numbers, m: int) -> hazards.Situation:
        t1 = self.anchor(m + 1, w)
        rival = (t1 > self.events.rival) & (t1 < self.events.rival_ends)
        rival &= np.isin(self.p.country[w], (0, 1)) & (self.plan[w] <= plans.TEAM)
        flooded = self.weekly_mail[w] & (t1 > self.events.campaign)
        return hazards.Situation(
            plan=self.plan[w],
            interval=self.interval[w],
            channel=self.p.channel[w],
            country=self.p.country[w],
            industry=self.p.industry[w],
            seats=self.seats[w],
            tenure=m - self.months.of(self.first_paid[w]),
            engagement=self.engagement[w],
            pain=self.pain[w],
            comforted=self.comfort_until[w] >= m,
            neglected=self.neglected[w],
            flooded=flooded,
            # A longer term feels the rise once, before the renewal that brings it.
            price_age=np.where(
                self.price_step[w] < 0,
                -1,
                np.where(
                    self.interval[w] == plans.MONTH, m - self.price_step[w], np.where(self.price_list[w] == 0, 1, -1)
                ),
            ),
            incident_age=np.where(self.incident_step[w] >= 0, m - self.incident_step[w], -1),
            removal_age=np.where(self.removal_step[w] >= 0, m - self.removal_step[w], -1),
            rival=rival,
            discontent=self.discontent[w],
        )

    def hazards_of(self, w: Numbers, m: int) -> Numbers:
        """The hazard of each cause, for the customers `w` at this step's decision."""
        return hazards.hazards(self.company.causes, self.situation(w, m), self.company.unevenness)

    def only_for(self, w: Numbers, cause: int) -> None:
        """Should the customers `w` leave now, it is for this cause and no other."""
        self.why[:, w] = 0
        self.why[cause, w] = 1

    def cause_of(self, w: Numbers, m: int) -> Numbers:
        """Which cause it was, for customers who leave by choice: drawn by the causes' shares in the hazard."""
        if len(w) == 0:
            return np.empty(0, np.int64)
        rows = self.hazards_of(w, m)
        self.why[:, w] = 0
        self.why[: len(rows), w] = rows / rows.sum(axis=0)
        edges = np.cumsum(rows, axis=0)
        return (self.u("cause", w, m) * edges[-1] >= edges[:-1]).sum(axis=0)

    def after_its_cause(self, w: Numbers, at: Numbers, m: int, cause: Numbers) -> Numbers:
        """When they decide, moved behind the event of this step for which they do, where the company has it so."""
        if not self.company.causes_first:
            return at
        e, of = self.events, hazards.CAUSES.index
        happened = np.full(len(w), NEVER)
        for name, when, touched in (
            ("price", e.price_announced, self.price_step[w] == m),
            ("quality", e.incident_told, self.incident_step[w] == m),
            ("change", e.removal_announced, self.removal_step[w] == m),
            ("competition", e.rival, True),
            ("support", self.pained_at[w], True),
        ):
            happened = np.where((cause == of(name)) & touched, when, happened)
        room = np.where(happened == NEVER, 0, self.anchor(m + 1, w) - 2 * HOUR - happened)
        later = happened + (room * self.u("decides after", w, m)).astype(np.int64) // SECOND * SECOND
        return np.where((happened != NEVER) & (happened > at) & (room > 0), later, at)

    # --- writing down ----------------------------------------------------------------------------------------------

    def emit(self, w: Numbers, at: Any, status: Any, items: tuple[int, ...] = (0, 1, 2, 3), **told: Any) -> None:
        """Write a state row for every item that the customers `w` hold, and follow the MRR it is worth."""
        at = np.broadcast_to(at, w.shape)
        status = np.broadcast_to(status, w.shape)
        columns = {name: np.broadcast_to(value, w.shape) for name, value in told.items()}
        for item in items:
            pick = np.flatnonzero(self.has[item][w])
            if len(pick) == 0:
                continue
            v, when, now = w[pick], at[pick], status[pick]
            amount, quantity, interval = self.price(item, v)
            inclusive = plans.tax_inclusive(self.p.currency[v])
            nothing = np.zeros(len(v), np.int64)
            forever = plans.share(amount, self.forever[v]) if item == BASE else nothing
            running = when < self.limited_ends[v]
            limited = np.where(running, plans.share(amount, self.limited[v]), 0) if item == BASE else nothing
            tax = plans.tax_of(amount - forever, self.p.tax[v], inclusive)
            commit = (
                np.where(self.p.committed[v], plans.commitment(self.p.currency[v]), 0) if item == METERED else nothing
            )
            longer = interval != plans.MONTH
            row: dict[str, Any] = {
                "plan": self.plan[v] if item == BASE else -1,
                "interval": interval,
                "quantity": quantity,
                "amount": amount,
                "tax": tax,
                "forever": forever,
                "limited": limited,
                "limited_ends": np.where(running & (item == BASE), self.limited_ends[v], NEVER),
                "commit": commit,
                "period_start": self.period_start[v],
                "period_end": self.period_end[v],
                "term_ends": np.where(longer, self.period_end[v], NEVER),
                "auto_renews": True,
                "trial_ends": NEVER,
                "resumes": NEVER,
                "cancel_at": NEVER,
                "requested": NEVER,
                "actor": NOBODY,
                "cause": -1,
            }
            row.update({name: value[pick] for name, value in columns.items()})
            sub = self.sub2[v] if item == SECOND_ITEM else self.sub[v]
            self.states.add(len(v), who=v, item=item, sub=sub, at=when, status=now, **row)
            net = commit if item == METERED else np.maximum(amount - np.where(inclusive, tax, 0) - forever, 0)
            self.gauge(item, v, when, np.where(_WORTH_MRR[now], plans.micro_mrr(net, interval), 0))

    def gauge(self, item: int, w: Numbers, at: Numbers, micro: Any) -> None:
        """From `at` on the item is worth so much MRR: the truth that a metric must find."""
        change = micro - self.level_now[item][w]
        self.level_now[item][w] = micro
        counts = (at < self.end) & ~self.p.is_test[w] & (change != 0)
        column = np.clip(self.months.of(at), -1, self.months.count - 1) + 1
        np.add.at(self.truth, (self.p.currency[w][counts], column[counts]), change[counts])

    def invoice(self, w: Numbers, at: Numbers, step: int, reason: int, second: bool = False) -> Numbers:
        """Issue one invoice each, paid by card at once or by wire some weeks later; returns their rows."""
        by_card = self.p.by_card[w]
        weeks = ((5 + 30 * self.u("pays by wire", w, step)) * DAY).astype(np.int64) // SECOND * SECOND
        rows = self.invoices.count + np.arange(len(w))
        self.invoices.add(
            len(w), who=w, sub=self.sub2[w] if second else self.sub[w], step=step, reason=reason, at=at,
            due=at + np.where(by_card, 0, 30 * DAY), fate=PAID, fate_at=at + np.where(by_card, HOUR, weeks),
        )  # fmt: skip
        self.invoice_of[int(second), w] = rows
        return rows

    def bill(self, w: Numbers, at: Numbers, step: int, reason: int) -> None:
        """Invoice a period of the items that the customers `w` hold, for each subscription apart."""
        first = self.invoice(w, at, step, reason)
        holds = self.has[SECOND_ITEM][w]
        second = np.full(len(w), -1)
        second[holds] = self.invoice(w[holds], at[holds], step, reason, second=True)
        for item in (BASE, ADD_ON, METERED, SECOND_ITEM):
            if item == METERED and reason == CREATED:
                continue  # billed in arrears
            pick = np.flatnonzero(self.has[item][w])
            if len(pick) == 0:
                continue
            v, when = w[pick], at[pick]
            invoice = second[pick] if item == SECOND_ITEM else first[pick]
            amount, quantity, _ = self.price(item, v)
            inclusive = plans.tax_inclusive(self.p.currency[v])
            kind, service_start, service_end = RECURRING, self.period_start[v], self.period_end[v]
            if item == METERED:
                # The month before, at least the commitment.
                habit = 0.6 * self.engagement[v] + 0.3 * self.chance.normal("calls", self.p.who[v], step)
                calls = np.floor(40 * self.seats[v] * np.exp(habit)).astype(np.int64)
                net = calls * plans.calls_price(self.p.currency[v])
                net = np.maximum(net, np.where(self.p.committed[v], plans.commitment(self.p.currency[v]), 0))
                amount = net + np.where(inclusive, plans.share(net, self.p.tax[v]), 0)
                quantity, kind = calls * 1_000, USAGE
                service_start, service_end = self.anchor(step - 1, v), when
            off = self.forever[v] + np.where(when < self.limited_ends[v], self.limited[v], 0)
            discount = plans.share(amount, np.minimum(off, 10_000)) if item == BASE else np.zeros(len(v), np.int64)
            self.lines.add(
                len(v), invoice=invoice, item=item, number=item, kind=kind, plan=self.plan[v] if item == BASE else -1,
                quantity=quantity, amount=amount, discount=discount,
                tax=plans.tax_of(amount - discount, self.p.tax[v], inclusive), service_start=service_start,
                service_end=service_end,
            )  # fmt: skip
            if item == BASE:
                self._extra_lines(v, invoice, reason, amount - discount)

    def _extra_lines(self, v: Numbers, invoice: Numbers, reason: int, charged: Numbers) -> None:
        """A set-up fee on some first invoices, and a credit of a tenth after the incident."""
        if reason == CREATED:
            pick = (self.plan[v] == plans.BUSINESS) & (self.u("set-up", v, 0) < 0.4)
            amount, kind, number = plans.commitment(self.p.currency[v]) * 5 // 2, ONE_TIME, 10
        else:
            pick = self.credit_due[v]
            amount, kind, number = -(charged // 10), CREDIT, 11
            self.credit_due[v] = False
        tax = np.sign(amount) * plans.tax_of(np.abs(amount), self.p.tax[v], plans.tax_inclusive(self.p.currency[v]))
        x = np.flatnonzero(pick & (amount != 0))
        self.lines.add(
            len(x), invoice=invoice[x], item=BASE, number=number, kind=kind, plan=-1, quantity=1, amount=amount[x],
            tax=tax[x], service_start=NEVER, service_end=NEVER,
        )  # fmt: skip

    def prorate(self, w: Numbers, at: Numbers, step: int, old: Numbers, old_plan: Numbers) -> None:
        """Invoice the rest of the period after a dearer change: the new price charged, the old one credited.

        Where the company prorates all, after any change.
        """
        new, seats, _ = self.price(BASE, w)
        rest, whole = (self.period_end[w] - at) // SECOND, (self.period_end[w] - self.period_start[w]) // SECOND
        charge, credit = (new * rest + whole // 2) // whole, (old * rest + whole // 2) // whole
        dearer = (charge > credit) & (self.u("prorates", w, step) < 0.8)
        x = np.flatnonzero(charge != credit if self.company.prorates_all else dearer)
        v = w[x]
        invoice = self.invoice(v, at[x], step, UPDATE)
        inclusive = plans.tax_inclusive(self.p.currency[v])
        for number, (sign, gross, plan) in enumerate([(1, charge[x], self.plan[v]), (-1, credit[x], old_plan[x])]):
            discount = plans.share(gross, self.forever[v])
            tax = plans.tax_of(gross - discount, self.p.tax[v], inclusive)
            self.lines.add(
                len(v), invoice=invoice, item=BASE, number=number, kind=RECURRING if sign > 0 else CREDIT, plan=plan,
                quantity=seats[x], amount=sign * gross, discount=sign * discount, tax=sign * tax, service_start=at[x],
                service_end=self.period_end[v], proration=True,
            )  # fmt: skip
        self.pay(v, at[x], step)

    def pay(self, w: Numbers, at: Numbers, step: int, second: bool = False) -> None:
        """The latest invoice is paid at the first try."""
        weeks = ((5 + 30 * self.u("pays by wire", w, step)) * DAY).astype(np.int64) // SECOND * SECOND
        self.payments.add(
            len(w), invoice=self.invoice_of[int(second), w], attempt=1,
            at=at + np.where(self.p.by_card[w], HOUR, weeks),
            code=-1, card=np.where(self.p.by_card[w], self.card[w], 0), card_until=self.card_until[w],
        )  # fmt: skip

    def stops(self, w: Numbers, m: int, at: Numbers) -> None:
        """The product is not used after this instant."""
        self.active_to[w, m + 1] = at

    def leave(self, w: Numbers, at: Numbers, step: int, actor: Any, cause: Any) -> None:
        """The customers `w` have left: from now on they hold nothing."""
        self.status[w] = GONE
        self.gone_step[w] = step
        self.gone_actor[w] = actor
        self.has[:, w] = False
        counts = self.ever[w]
        decided = np.where(self.requested[w] == NEVER, at, self.requested[w])
        self.leavers.add(
            int(counts.sum()), who=w[counts], at=at[counts], decided=decided[counts],
            actor=np.broadcast_to(actor, w.shape)[counts], cause=np.broadcast_to(cause, w.shape)[counts],
        )  # fmt: skip
        self.shares.append(self.why[:, w[counts]].T)
        self.requested[w] = NEVER
        month = self.months.of(at)
        v, column = w[counts], month[counts]
        self.left[v, column] = True
        self.alive[v, column] = True
        self.left_actor[v, column] = np.broadcast_to(actor, w.shape)[counts]
        self.left_cause[v, column] = np.broadcast_to(cause, w.shape)[counts]
