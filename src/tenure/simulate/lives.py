"""How does each customer live, month by month? The one place where anything happens to a customer.

Every customer walks in steps of one month from billing anchor to billing anchor, in step with the calendar month in which
the anchor lies. What a step brings happens in this order, so that a customer's rows are always in order of time:

1. at the anchor: what was planned for it (a scheduled end, the end of a pause), then the renewal and its invoice;
2. a payment that fails fills the rest of the step: it is recovered, or dunning or the customer ends it within 21 days;
3. otherwise at most one decision: leave at the next renewal, leave now, pause, change plan, seats, add-ons, ...

All arrays have one element per customer of the chunk. The truth is written down where the chance is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tenure.simulate import hazards, people, plans
from tenure.simulate.chance import Chance, Numbers
from tenure.simulate.months import DAY, HOUR, MINUTE, NEVER, SECOND, Months
from tenure.simulate.people import People
from tenure.simulate.plans import ADD_ON, BASE, METERED, SECOND as SECOND_ITEM
from tenure.simulate.records import Records
from tenure.simulate.world import Calendar

if TYPE_CHECKING:
    from tenure.simulate.company import Company

# Where a customer stands between two steps.
NOT_YET, ACTIVE, FREE, PAUSED, LEAVING, GONE = range(6)

# What a state row says.
STATUSES = ("trialing", "active", "past_due", "unpaid", "paused", "non_renewing", "canceled", "incomplete", "incomplete_expired")
IN_TRIAL, IS_ACTIVE, PAST_DUE, UNPAID, IS_PAUSED, NON_RENEWING, CANCELED, INCOMPLETE, INCOMPLETE_EXPIRED = range(9)
_WORTH_MRR = np.array([False, True, True, False, False, True, False, False, False])

ACTORS = ("customer", "dunning", "business", "fraud", "dispute")
CUSTOMER, DUNNING, BUSINESS, FRAUD, DISPUTE = range(5)
NOBODY = -1

DECLINES = ("insufficient_funds", "do_not_honor", "expired_card", "processing_error", "stolen_card", "card_velocity_exceeded")
INSUFFICIENT, DO_NOT_HONOR, EXPIRED, PROCESSING, STOLEN, VELOCITY = range(6)
_DECLINE_WEIGHT = np.array([0.50, 0.24, 0.0, 0.08, 0.06, 0.12])
_RECOVERY = np.array([0.70, 0.55, 0.58, 0.95, 0.50, 0.80])
_HARD = np.array([False, False, True, False, True, False])
_LOSS = float((_DECLINE_WEIGHT * (1 - _RECOVERY)).sum())
RETRY_DAYS = np.array([0, 3, 5, 7, 14])
DUNNING_DAYS = 21
# Of the customers whom dunning did not recover, those who cancel themselves meanwhile.
_CANCELS_WHILE_PAST_DUE = 0.10

REASONS = ("subscription_create", "subscription_cycle", "subscription_update")
CREATED, CYCLE, UPDATE = range(3)
LINE_KINDS = ("recurring", "usage", "one_time", "credit")
RECURRING, USAGE, ONE_TIME, CREDIT = range(4)
INVOICE_STATUSES = ("open", "paid", "uncollectible", "void")
OPEN, PAID, UNCOLLECTIBLE, VOID = range(4)

# The decisions of a step, in the order of their edges.
(LEAVE, LEAVE_NOW, ENDED_BY_US, PAUSE, UPGRADE, DOWNGRADE, TO_FREE, MORE_SEATS, FEWER_SEATS, GO_YEARLY, ADD, DROP,
 SECOND_STARTS, SECOND_ENDS, RECONSIDER, SAVED) = range(16)  # fmt: skip

PAUSE_LEAVE = 0.18  # of those whose pause ends, leave instead


@dataclass(frozen=True)
class Lives:
    """What happened to a chunk of customers: the raw material of all tables. `who` is the index within the chunk."""

    people: People
    states: dict[str, Numbers]
    lines: dict[str, Numbers]
    invoices: dict[str, Numbers]
    payments: dict[str, Numbers]
    exits: dict[str, Numbers]
    tickets: dict[str, Numbers]
    change_exposures: dict[str, Numbers]
    check_ins: dict[str, Numbers]
    level: Numbers  # [customer, month + 1] engagement
    active_from: Numbers  # [customer, month + 1] NEVER where the product was not used
    active_to: Numbers
    contact_left: Numbers  # when the champion left
    subs: Numbers  # [customer, month + 1] number of the subscription in use
    alive: Numbers  # [customer, month] a customer at some time of that month
    hazard_voluntary: Numbers  # [customer, month]
    hazard_involuntary: Numbers
    left: Numbers  # [customer, month]
    left_actor: Numbers
    left_cause: Numbers
    hazard_by_cause: Numbers  # [cause, month], summed over the chunk
    micro_mrr: Numbers  # [currency, month + 1] change of MRR, the first column before the window
    classic: Numbers  # uses the feature that is removed


class Walk:
    """One chunk's walk through the months."""

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
        self._anchored(np.arange(n), start)
        self.period_start, self.period_end = np.full(n, NEVER), np.full(n, NEVER)
        self.term_end = np.full(n, -2)  # step at whose anchor the term ends
        self.ends_step = np.full(n, -2)  # leaving or resuming
        self.gone_step = np.full(n, -99)
        self.gone_actor = np.full(n, NOBODY)
        self.requested = np.full(n, NEVER)
        self.leave_actor = np.full(n, NOBODY)
        self.leave_cause = np.full(n, -1)
        self.pause_row = np.zeros(n, bool)
        self.engagement = np.zeros(n)
        self.walk = np.zeros(n)
        self.fade = np.zeros(n)
        self.is_fading = np.zeros(n, bool)
        self.pain = np.zeros(n)
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
        self.classic = chance.uniform("classic-sync", folk.who) < 0.3
        self.cluster_b = chance.uniform("cluster", folk.who) < 0.4
        # What is written down.
        whole = np.int64
        self.states = Records(
            who=whole, item=whole, sub=whole, at=whole, status=whole, plan=whole, interval=whole, quantity=whole,
            amount=whole, tax=whole, forever=whole, limited=whole, limited_ends=whole, commit=whole, period_start=whole,
            period_end=whole, term_ends=whole, auto_renews=bool, trial_ends=whole, collection_paused=bool, resumes=whole,
            cancel_at=whole, requested=whole, actor=whole, cause=whole,
        )  # fmt: skip
        # Lines and payments name their invoice by its row.
        self.invoices = Records(
            who=whole, sub=whole, step=whole, reason=whole, at=whole, due=whole, fate=whole, fate_at=whole
        )
        self.lines = Records(
            invoice=whole, item=whole, number=whole, kind=whole, plan=whole, quantity=float, amount=whole, discount=whole,
            tax=whole, service_start=whole, service_end=whole, proration=bool,
        )  # fmt: skip
        self.payments = Records(
            invoice=whole, is_dispute=bool, attempt=whole, at=whole, code=whole, card=whole, card_until=whole
        )
        self.invoice_of = np.full((2, n), -1)  # the latest invoice of the first and of the second subscription
        self._fates: list[tuple[Numbers, Numbers, Numbers]] = []
        self.exits = Records(who=whole, at=whole, cause=whole, actor=whole)
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
        self.left_actor, self.left_cause = np.full((n, m + 24), NOBODY), np.full((n, m + 24), -1)
        self.truth = np.zeros((len(plans.CURRENCIES), m + 1), np.int64)

    # --- small questions -------------------------------------------------------------------------------------------

    def u(self, purpose: str, w: Numbers, step: int) -> Numbers:
        """A uniform draw per customer of `w` for this step."""
        return self.chance.uniform(purpose, self.p.who[w], step)

    def _anchored(self, w: Numbers, at: Numbers) -> None:
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
            commit = np.where(self.p.committed[v], plans.commitment(self.p.currency[v]), 0) if item == METERED else nothing
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
        """Invoice the rest of the period after a dearer change: the new price charged, the old one credited."""
        new, seats, _ = self.price(BASE, w)
        rest, whole = (self.period_end[w] - at) // SECOND, (self.period_end[w] - self.period_start[w]) // SECOND
        charge, credit = (new * rest + whole // 2) // whole, (old * rest + whole // 2) // whole
        x = np.flatnonzero((charge > credit) & (self.u("prorates", w, step) < 0.8))
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
            len(w), invoice=self.invoice_of[int(second), w], attempt=1, at=at + np.where(self.p.by_card[w], HOUR, weeks),
            code=-1, card=np.where(self.p.by_card[w], self.card[w], 0), card_until=self.card_until[w],
        )  # fmt: skip

    def leave(self, w: Numbers, at: Numbers, step: int, actor: Any, cause: Any) -> None:
        """The customers `w` have left: from now on they hold nothing."""
        self.status[w] = GONE
        self.gone_step[w] = step
        self.gone_actor[w] = actor
        self.has[:, w] = False
        counts = self.ever[w]
        month = self.months.of(at)
        v, column = w[counts], month[counts]
        self.left[v, column] = True
        self.alive[v, column] = True
        self.left_actor[v, column] = np.broadcast_to(actor, w.shape)[counts]
        self.left_cause[v, column] = np.broadcast_to(cause, w.shape)[counts]

    # --- the walk --------------------------------------------------------------------------------------------------

    def before(self) -> None:
        """Trials, and first payments that never came through: what precedes the first step."""
        p = self.p
        trial = np.flatnonzero(p.begins == people.TRIAL)
        self.period_start[trial], self.period_end[trial] = p.signed_up[trial], p.start[trial]
        self.emit(trial, p.signed_up[trial], IN_TRIAL, (BASE, ADD_ON, METERED), trial_ends=p.start[trial])
        lost = np.flatnonzero((p.begins == people.TRIAL) & ~p.converts)
        early = self.chance.uniform("ends trial early", p.who[lost]) < 0.35
        at = p.signed_up[lost] + (self.chance.uniform("trial ends", p.who[lost]) * 0.9 * (p.start - p.signed_up)[lost]).astype(np.int64)
        at = np.where(early, np.maximum(at // SECOND * SECOND, p.signed_up[lost] + HOUR), p.start[lost])
        self.emit(
            lost, at, CANCELED, (BASE, ADD_ON, METERED), trial_ends=p.start[lost], cancel_at=at, requested=at, actor=CUSTOMER
        )
        step = self.months.of(p.start) - 1
        for v, until in ((lost, at), (np.flatnonzero(p.converts), p.start[p.converts])):
            # The two weeks of the trial lie within one step, that before the first paid one.
            inside = step[v] < self.months.count
            column = step[v][inside] + 1
            self.active_from[v[inside], column] = p.signed_up[v[inside]]
            self.active_to[v[inside], column] = until[inside]
            self.level[v[inside], column] = 0.6 * p.engagement[v[inside]]
        direct = np.flatnonzero((p.begins == people.DIRECT) & ~p.before & p.by_card & (self.chance.uniform("incomplete", p.who) < 0.04))
        # They never got through: one failed first charge, and no second try.
        self.start_step[direct] = np.iinfo(np.int64).max
        self.period_start[direct], self.period_end[direct] = p.start[direct], p.start[direct] + 30 * DAY
        self.emit(direct, p.start[direct], INCOMPLETE, (BASE,))
        self.emit(direct, p.start[direct] + 23 * HOUR, INCOMPLETE_EXPIRED, (BASE,))

    def walked(self) -> Lives:
        """The whole walk, and what it wrote down."""
        self.before()
        for step in range(-1, self.months.count):
            self.step(step)
        m = self.months.count
        invoices = self.invoices.done()
        for rows, fate, fate_at in self._fates:
            invoices["fate"][rows], invoices["fate_at"][rows] = fate, fate_at
        return Lives(
            people=self.p,
            states=self.states.done(),
            lines=self.lines.done(),
            invoices=invoices,
            payments=self.payments.done(),
            exits=self.exits.done(),
            tickets=self.tickets.done(),
            change_exposures=self.change_exposures.done(),
            check_ins=self.check_ins.done(),
            level=self.level,
            active_from=self.active_from,
            active_to=self.active_to,
            contact_left=self.contact_left,
            subs=self.subs,
            alive=self.alive[:, :m],
            hazard_voluntary=self.hv[:, :m],
            hazard_involuntary=self.hi[:, :m],
            left=self.left[:, :m],
            left_actor=self.left_actor[:, :m],
            left_cause=self.left_cause[:, :m],
            hazard_by_cause=self.by_cause[:, :m],
            micro_mrr=self.truth,
            classic=self.classic,
        )

    def step(self, m: int) -> None:
        """One month of every customer, from anchor to anchor."""
        if m >= 0:
            self._returns(m)
            self._free(m)
        begun = self._begins(m)
        everyone = np.arange(self.n)
        t0, t1 = self.anchor(m, everyone), self.anchor(m + 1, everyone)
        # Customers at the anchor, those included who end there.
        here = np.isin(self.status, (ACTIVE, FREE, PAUSED, LEAVING)) & self.ever
        if m >= 0:
            self.alive[here, m] = True
        self._planned(m, t0)
        billed = self._renewals(m, t0, begun)
        using = np.isin(self.status, (ACTIVE, FREE, LEAVING)) & (m >= 0)
        self.active_from[using, m + 1] = np.where(begun, self.start_at, t0)[using]
        self.active_to[using, m + 1] = t1[using]
        self.subs[:, m + 1] = self.sub
        self._moods(m, t0, t1, begun)
        self._told(m, t0, t1)
        busy = self._payments(m, t0, billed, begun)
        self._tickets(m, t0, t1)
        self._decisions(m, t0, t1, busy)

    def _returns(self, m: int) -> None:
        """Some who left come back, with a new subscription."""
        away = m - self.gone_step
        chance = np.where(
            self.gone_actor == DUNNING,
            np.where(away <= 4, 0.035, 0.0),
            np.where((self.gone_actor == CUSTOMER) & (away <= 14), 0.010, 0.0),
        )
        w = np.flatnonzero((self.status == GONE) & (away >= 2) & (chance > 0))
        w = w[self.u("returns", w, m) < chance[w]]
        if len(w) == 0:
            return
        at = self.months.start(m) + (self.u("returns at", w, m) * self.months.days(m) * (DAY // SECOND)).astype(np.int64) * SECOND
        self._anchored(w, at)
        self.start_at[w], self.start_step[w] = at, m
        self.subs_used[w] += 1
        self.sub[w] = self.subs_used[w]
        self.status[w] = NOT_YET
        self.has[BASE, w] = True
        self.interval[w] = plans.MONTH
        was_free = self.plan[w] == plans.FREE
        self.plan[w] = np.where(was_free, plans.STARTER, self.plan[w])
        self.price_list[w] = at >= self.events.price_effective
        won_back = self.u("won back", w, m) < 0.4
        self.forever[w] = 0
        self.limited[w] = np.where(won_back, 2500, 0)
        self.limited_ends[w] = np.where(won_back, self.anchor(m + 3, w), NEVER)
        self.walk[w], self.fade[w], self.is_fading[w], self.pain[w] = 0.3, 0.0, False, 0.0

    def _free(self, m: int) -> None:
        """Free customers take a paid plan now and then, or go."""
        w = np.flatnonzero((self.status == FREE) & (self.start_step < m))
        if len(w) == 0:
            return
        t0 = self.anchor(m, w)
        room = np.maximum(self.months.start(m + 1) - t0 - 3 * HOUR, 0)  # the same month as the step's
        at = (t0 + 2 * HOUR + (self.u("free at", w, m) * room).astype(np.int64)) // SECOND * SECOND
        u = self.u("free decides", w, m)
        upgrade = 0.016 * np.exp(0.4 * self.p.engagement[w])
        up, go = (u < upgrade) & (room > 0), (u > 1 - 0.02) & (room > 0)
        ever = self.ever[w] & (room > 0)
        np.add.at(self.hv, (w[ever], m), 0.02)
        self.by_cause[hazards.UNKNOWN, m] += 0.02 * (ever & ~self.p.is_test[w]).sum()
        v = w[up]
        self._anchored(v, at[up])
        self.start_at[v], self.start_step[v] = at[up], m
        self.status[v] = NOT_YET
        self.plan[v] = np.where(self.u("free to", v, m) < 0.75, plans.STARTER, plans.TEAM)
        self.interval[v] = plans.MONTH
        self.seats[v] = np.where(self.plan[v] == plans.TEAM, 3, 1)
        self.price_list[v] = at[up] >= self.events.price_effective
        v = w[go]
        self.alive[v[self.ever[v]], m] = True
        self.emit(v, at[go], CANCELED, requested=at[go], cancel_at=at[go], actor=CUSTOMER, cause=hazards.UNKNOWN)
        self.leave(v, at[go], m, CUSTOMER, hazards.UNKNOWN)

    def _begins(self, m: int) -> Numbers:
        """Who starts a plan in this step, from a trial, at once, or again."""
        begun = (self.status == NOT_YET) & (self.start_step == m)
        w = np.flatnonzero(begun)
        if len(w) == 0:
            return begun
        at, length = self.start_at[w], plans.MONTHS_OF[self.interval[w]]
        paid = self.plan[w] > plans.FREE
        # An older customer's term began at its last anniversary before the window.
        behind = np.where(self.p.before[w] & (m == -1), (m - self.months.of(at)) // length * length, 0)
        began_in = self.months.of(at) + behind
        self.term_end[w] = began_in + length
        self.period_start[w] = np.where(behind > 0, self.anchor(began_in, w), at)
        self.period_end[w] = self.anchor(self.term_end[w], w)
        fresh = self.limited_ends[w] == NEVER
        months = np.where(self.p.before[w], 0, self.p.discount_months[w])
        self.limited_ends[w] = np.where(
            fresh & (self.limited[w] > 0) & (months > 0), self.anchor(began_in + months, w), self.limited_ends[w]
        )
        self.status[w] = np.where(paid, ACTIVE, FREE)
        self.emit(w, at, IS_ACTIVE)
        self.first_paid[w] = np.where(paid & ~self.ever[w], at, self.first_paid[w])
        self.ever[w] |= paid
        now = w[paid & ~(self.p.before[w] & (m == -1))]
        self.bill(now, self.start_at[now], m, CREATED)
        self.pay(now, self.start_at[now], m)
        return begun

    def _planned(self, m: int, t0: Numbers) -> None:
        """What was planned for this anchor: scheduled ends and ends of pauses."""
        w = np.flatnonzero((self.status == LEAVING) & (self.ends_step == m))
        self.emit(
            w, t0[w], CANCELED, cancel_at=t0[w], requested=self.requested[w], actor=self.leave_actor[w], cause=self.leave_cause[w]
        )
        self.leave(w, t0[w], m, self.leave_actor[w], self.leave_cause[w])
        w = np.flatnonzero((self.status == PAUSED) & (self.ends_step == m))
        if len(w) == 0:
            return
        if m >= 0:
            np.add.at(self.hv, (w, m), PAUSE_LEAVE)
        self.by_cause[hazards.CAUSES.index("circumstance"), max(m, 0)] += PAUSE_LEAVE * (~self.p.is_test[w]).sum()
        leaves = self.u("after pause", w, m) < PAUSE_LEAVE
        v = w[leaves]
        cause = hazards.CAUSES.index("circumstance")
        self.emit(v, t0[v], CANCELED, requested=t0[v], cancel_at=t0[v], actor=CUSTOMER, cause=cause)
        self.exits.add(len(v), who=v, at=t0[v], cause=cause, actor=CUSTOMER)
        self.leave(v, t0[v], m, CUSTOMER, cause)
        v = w[~leaves]
        self.status[v] = ACTIVE
        self.term_end[v] = m  # billed from here on
        self.pause_row[v] = True

    def _renewals(self, m: int, t0: Numbers, begun: Numbers) -> Numbers:
        """Terms that end here go on: new period, new price where it rose, an invoice."""
        due = np.isin(self.status, (ACTIVE, LEAVING)) & (self.term_end == m) & ~begun
        w = np.flatnonzero(due & (self.status == ACTIVE))
        if m < 0 or len(w) == 0:
            return np.zeros(self.n, bool)
        resumed = self.pause_row[w]
        length = plans.MONTHS_OF[self.interval[w]]
        self.term_end[w] = m + length
        self.period_start[w], self.period_end[w] = t0[w], self.anchor(m + length, w)
        risen = (t0[w] >= self.events.price_effective) & (self.price_list[w] == 0)
        self.price_list[w] = np.where(risen, 1, self.price_list[w])
        # A row for every renewal would say nothing new of a monthly plan; longer terms show when they end next.
        tells = resumed | (length > 1) | (risen & (self.plan[w] == plans.TEAM))
        if self.company.renewal_rows:
            tells = np.ones(len(w), bool)
        self.emit(w[tells], t0[w[tells]], IS_ACTIVE)
        self.pause_row[w] = False
        self.bill(w, t0[w], m, CYCLE)
        return due & (self.status == ACTIVE)

    def _moods(self, m: int, t0: Numbers, t1: Numbers, begun: Numbers) -> None:
        """How much they use the product this month: own level, a wandering mood, habits that fade, champions who leave."""
        w = np.flatnonzero(np.isin(self.status, (ACTIVE, FREE, LEAVING, PAUSED)))
        if len(w) == 0:
            return
        who = self.p.who[w]
        self.walk[w] = 0.82 * self.walk[w] + 0.28 * self.chance.normal("mood", who, m)
        settled = ~begun[w]
        self.is_fading[w] |= settled & (self.u("fades", w, m) < 0.014)
        self.is_fading[w] &= ~(self.u("picks up", w, m) < 0.06)
        leaving = self.status[w] == LEAVING
        self.fade[w] = np.where(self.is_fading[w] | leaving, np.minimum(self.fade[w] + 0.5, 3.0), self.fade[w] * 0.8)
        champion = w[(self.contact_left[w] == NEVER) & settled & (self.u("champion leaves", w, m) < 0.006) & (m >= 0)]
        self.contact_left[champion] = t0[champion] + ((t1 - t0)[champion] * self.u("champion day", champion, m)).astype(np.int64) // SECOND * SECOND
        self.fade[champion] += 0.9
        self.engagement[w] = 0.55 * self.p.engagement[w] + self.walk[w] - self.fade[w]
        self.level[w, m + 1] = self.engagement[w]

    def _told(self, m: int, t0: Numbers, t1: Numbers) -> None:
        """Whom a change touches in this step, and from when on."""
        e = self.events
        here = np.isin(self.status, (ACTIVE, LEAVING, PAUSED)) & (self.start_at < t1) & (m >= 0)
        for change, announced, effective, step_of, whom in (
            (PRICE_CHANGE, e.price_announced, e.price_effective, self.price_step, (self.plan == plans.TEAM) & (self.price_list == 0)),
            (INCIDENT, e.incident_told, e.incident, self.incident_step, self.cluster_b),
            (REMOVAL, e.removal_announced, e.removal_effective, self.removal_step, self.classic),
        ):  # fmt: skip
            w = np.flatnonzero(here & whom & (t0 <= announced) & (announced < t1) & (self.start_at <= announced))
            step_of[w] = m
            when = np.full(len(w), effective)
            if change == PRICE_CHANGE:
                # The first renewal at or after the day the price list changes.
                length = plans.MONTHS_OF[self.interval[w]]
                renewal = np.where(self.term_end[w] > m, self.term_end[w], m + 1)
                for _ in range(3):
                    renewal = np.where(self.anchor(renewal, w) < effective, renewal + length, renewal)
                when = self.anchor(renewal, w)
            if change == INCIDENT:
                self.credit_due[w] = (self.plan[w] >= plans.TEAM) & (self.u("credited", w, m) < 0.5)
            self.change_exposures.add(len(w), who=w, change=change, announced=announced, effective=when)

    def _payments(self, m: int, t0: Numbers, billed: Numbers, begun: Numbers) -> Numbers:
        """Charges of this anchor. Returns who is past due for the rest of the step."""
        busy = np.zeros(self.n, bool)
        self.may_fail[:], self.may_give_up[:] = 0, 0
        w = np.flatnonzero(billed)
        if len(w) == 0:
            return busy
        self._truth_of_dunning(w, t0, m)
        p, who = self.p, self.p.who[w]
        expires, expired, risky = self._failing(w, m)
        code = np.where(
            self.chance.uniform("card expired", who, m) < expired,
            EXPIRED,
            np.where(self.u("charge fails", w, m) < risky, self.chance.pick("decline", _DECLINE_WEIGHT, who, m), -1),
        )
        # A card whose successor came by itself is charged without a word.
        renewed = w[expires & (code != EXPIRED)]
        self.card[renewed] += 1
        self.card_month[renewed] += 36
        self.card_until[renewed] = self.card_month[renewed]
        fine = w[code < 0]
        self.pay(fine, t0[fine], m)
        both = fine[self.has[SECOND_ITEM][fine]]
        self.pay(both, t0[both], m, second=True)
        failed, code = w[code >= 0], code[code >= 0]
        if len(failed) == 0:
            return busy
        busy[failed] = True
        hard = _HARD[code]
        recovered = self.u("recovers", failed, m) < _RECOVERY[code]
        retry = 1 + self.chance.pick("retry", [0.36, 0.26, 0.2, 0.18], p.who[failed], m)
        repaired_at = t0[failed] + HOUR + ((0.3 + 13 * self.u("new card at", failed, m) ** 1.7) * DAY).astype(np.int64) // SECOND * SECOND
        back_at = np.where(hard, repaired_at, t0[failed] + HOUR + RETRY_DAYS[retry] * DAY)
        ends_at = t0[failed] + HOUR + DUNNING_DAYS * DAY
        by_customer = ~recovered & (self.u("cancels while past due", failed, m) < _CANCELS_WHILE_PAST_DUE)
        early = t0[failed] + DAY + (self.u("cancels past due at", failed, m) * 19 * DAY).astype(np.int64) // SECOND * SECOND
        ends_at = np.where(by_customer, early, ends_at)
        tries = np.where(hard, 1, np.where(recovered, retry + 1, 5))
        fate = np.where(recovered, PAID, np.where(by_customer, VOID, UNCOLLECTIBLE))
        fate_at = np.where(recovered, back_at, ends_at)
        for second in (False, True):
            x = np.flatnonzero(self.has[SECOND_ITEM][failed]) if second else np.arange(len(failed))
            v = failed[x]
            invoice = self.invoice_of[int(second), v]
            for attempt in range(5):
                tried_at = t0[v] + HOUR + RETRY_DAYS[attempt] * DAY
                go = (attempt < tries[x]) & ((tried_at < ends_at[x]) | recovered[x])
                good = ~hard[x] & recovered[x] & (attempt == tries[x] - 1)
                self.payments.add(
                    int(go.sum()), invoice=invoice[go], attempt=attempt + 1, at=tried_at[go],
                    code=np.where(good, -1, code[x])[go], card=self.card[v][go], card_until=self.card_until[v][go],
                )  # fmt: skip
            go = hard[x] & recovered[x]
            self.payments.add(
                int(go.sum()), invoice=invoice[go], attempt=2, at=back_at[x][go], code=-1, card=self.card[v][go] + 1,
                card_until=m + 36,
            )  # fmt: skip
            self._fates.append((invoice, fate[x], fate_at[x]))
        repaired = failed[hard & recovered]
        self.card[repaired] += 1
        self.card_month[repaired] = m + 36
        self.card_until[repaired] = m + 36
        self.emit(failed, t0[failed] + HOUR, PAST_DUE)
        v = failed[recovered]
        self.emit(v, back_at[recovered], IS_ACTIVE)
        v = failed[by_customer]
        cause = self._cause_of(v, m)
        at = ends_at[by_customer]
        self.emit(v, at, CANCELED, requested=at, cancel_at=at, actor=CUSTOMER, cause=cause)
        self.exits.add(len(v), who=v, at=at, cause=cause, actor=CUSTOMER)
        self._stops(v, m, at)
        self.leave(v, at, m, CUSTOMER, cause)
        done = ~recovered & ~by_customer
        v, at = failed[done], ends_at[done]
        # Some companies leave it unpaid instead of cancelling: the outbound customers' contracts say so.
        unpaid = self.p.channel[v] == people.OUTBOUND
        self.emit(v[unpaid], at[unpaid], UNPAID)
        x = ~unpaid
        self.emit(v[x], at[x], CANCELED, requested=at[x], cancel_at=at[x], actor=DUNNING, cause=hazards.INVOLUNTARY)
        self._stops(v, m, at)
        self.leave(v, at, m, DUNNING, hazards.INVOLUNTARY)
        return busy

    def _failing(self, w: Numbers, m: int) -> tuple[Numbers, Numbers, Numbers]:
        """Whose card expires by now, and the chances that the charge fails for that and for any other reason."""
        p = self.p
        risky = 0.042 * np.array([0.9, 1.15, 2.4])[p.funding[w]] * np.array([1.2, 1, 0.8, 0.7, 1, 1, 1, 1])[p.country[w]]
        expires = p.by_card[w] & (self.card_month[w] <= m)
        return expires, np.where(expires, 0.45, 0.0), np.where(p.by_card[w], risky, 0.0)

    def _truth_of_dunning(self, billed: Numbers, t0: Numbers, m: int) -> None:
        """Write down how likely this step's charge is lost for good, in the month in which that would take effect.

        Where it would still be this month, the chance is written down for those too who left earlier in the month: what
        the truth says of a month must not depend on what happened in it.
        """
        gone = np.flatnonzero(self.left[:, m] & (self.term_end == m))
        for w, here in ((billed, True), (gone, False)):
            _, expired, risky = self._failing(w, m)
            lost = expired * (1 - _RECOVERY[EXPIRED]) + (1 - expired) * risky * _LOSS
            gives_up = lost * _CANCELS_WHILE_PAST_DUE
            dunned = lost - gives_up
            counts = self.ever[w].astype(float)
            stays = (1 - self.hv[w, m] - self.hi[w, m]) * counts
            this = self.months.of(t0[w] + HOUR + DUNNING_DAYS * DAY) == m
            early = self._early_due(w, t0, m)
            np.add.at(self.hi, (w, m), dunned * this * stays)
            np.add.at(self.hv, (w, m), gives_up * early * stays)
            if here:
                np.add.at(self.hi, (w, m + 1), dunned * ~this * counts)
                np.add.at(self.hv, (w, m + 1), gives_up * (1 - early) * counts)
                self.may_fail[w] = expired + (1 - expired) * risky
                self.may_give_up[w] = gives_up
                real = dunned * ~self.p.is_test[w]
                self.by_cause[hazards.INVOLUNTARY, m] += (real * this).sum()
                self.by_cause[hazards.INVOLUNTARY, m + 1] += (real * ~this).sum()

    def _early_due(self, w: Numbers, t0: Numbers, m: int) -> Numbers:
        """Of the days on which a customer past due may cancel, the share in the step's first month."""
        return np.clip((self.months.start(m + 1) - t0[w] - DAY) / (19 * DAY), 0, 1)

    def _stops(self, w: Numbers, m: int, at: Numbers) -> None:
        """The product is not used after this instant."""
        self.active_to[w, m + 1] = at

    def _situation(self, w: Numbers, m: int) -> hazards.Situation:
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
                np.where(self.interval[w] == plans.MONTH, m - self.price_step[w], np.where(self.price_list[w] == 0, 1, -1)),
            ),
            incident_age=np.where(self.incident_step[w] >= 0, m - self.incident_step[w], -1),
            removal_age=np.where(self.removal_step[w] >= 0, m - self.removal_step[w], -1),
            rival=rival,
        )

    def _cause_of(self, w: Numbers, m: int) -> Numbers:
        """Which cause it was, for customers who leave by choice: drawn by the causes' shares in the hazard."""
        if len(w) == 0:
            return np.empty(0, np.int64)
        rows = hazards.hazards(self.company.causes, self._situation(w, m))
        edges = np.cumsum(rows, axis=0)
        return (self.u("cause", w, m) * edges[-1] >= edges[:-1]).sum(axis=0)

    def _tickets(self, m: int, t0: Numbers, t1: Numbers) -> None:
        """They ask for help; a late answer hurts for a while."""
        self.pain *= 0.5
        if m < 0:
            return
        w = np.flatnonzero(np.isin(self.status, (ACTIVE, LEAVING, FREE)))
        who = self.p.who[w]
        rate = 0.10 * np.maximum(self.seats[w], 1) ** 0.35 * np.where(self.status[w] == FREE, 0.3, 1.0)
        fresh = (self.incident_step[w] == m).astype(float) + 0.4 * (self.removal_step[w] == m)
        rate = rate * (1 + 3.0 * fresh) + 0.03 * (self.engagement[w] < -0.8)
        for number in range(2):
            u = self.chance.uniform("ticket", who, 4 * m + number)
            ask = u < 1 - np.exp(-rate / (1 + number))
            v = w[ask]
            who_v = who[ask]
            at = self.within(f"ticket {number}", v, m, t0[v], t1[v])
            stops = self.active_to[v, m + 1]
            inside = (stops == NEVER) | (at < stops)
            v, who_v, at = v[inside], who_v[inside], at[inside]
            crowded = (at >= self.events.slow_from) & (at < self.events.slow_to)
            hours = np.exp(np.log(2.5) + 1.05 * self.chance.normal("reply", who_v, 4 * m + number)) * np.where(crowded, 3.5, 1.0)
            slow = hours > 20
            replied = at + (hours * 3600).astype(np.int64) * SECOND
            solve = np.exp(np.log(14) + 1.1 * self.chance.normal("solve", who_v, 4 * m + number)) * np.where(slow, 2.0, 1.0)
            never = self.chance.uniform("unsolved", who_v, 4 * m + number) < np.where(slow, 0.10, 0.02)
            resolved = np.where(never, NEVER, replied + (solve * 3600).astype(np.int64) * SECOND)
            cause = np.select(
                [self.incident_step[v] == m, self.removal_step[v] == m, self.price_step[v] == m],
                [hazards.CAUSES.index("quality"), hazards.CAUSES.index("change"), hazards.CAUSES.index("price")],
                -1,
            )
            self.tickets.add(
                len(v), who=v, at=at, number=2 * m + number, replied=replied, resolved=resolved, slow=slow, cause=cause
            )
            self.pain[v] += slow

    def _check_ins(self, m: int, t0: Numbers, t1: Numbers, free_to_decide: Numbers) -> None:
        """The check-in play calls half of those whose use fell; the other half is held out, so that we can tell."""
        if m < self.company.at(0.5):
            return
        low = free_to_decide & (self.engagement < -0.9) & (self.plan >= plans.TEAM) & (self.comfort_until < m - 6)
        w = np.flatnonzero(low)
        treated = self.chance.uniform("check-in arm", self.p.who[w]) < 0.5
        at = self.within("check-in", w, m, t0[w], t0[w] + 5 * DAY)
        self.check_ins.add(len(w), who=w, at=at, treated=treated)
        self.comfort_until[w] = np.where(treated, m + 2, m - 1)

    def _decisions(self, m: int, t0: Numbers, t1: Numbers, busy: Numbers) -> None:
        """At most one decision per customer and step."""
        # Whoever is past due decides nothing, but its chances are written down with everybody's: the truth must not know
        # how this step's charge went.
        w = np.flatnonzero((self.status == ACTIVE) | busy)
        if len(w) == 0:
            return
        if m >= 0:
            self._check_ins(m, t0, t1, (self.status == ACTIVE) & ~busy)
        rows = hazards.hazards(self.company.causes, self._situation(w, m)) * self.company.churn
        plan, interval, seats, e = self.plan[w], self.interval[w], self.seats[w], self.engagement[w]
        monthly = interval == plans.MONTH
        # Who has a longer term thinks of its end one to three months ahead; monthly customers one renewal ahead.
        lead = np.where(interval == plans.YEAR, 1 + self.chance.pick("lead", [0.5, 0.3, 0.2], self.p.who[w], self.term_end[w]), 1)
        decides = self.term_end[w] - lead == m
        if m == -1:
            decides |= self.term_end[w] - lead < m
        else:
            decides &= self.term_end[w] > m
        at_end = np.where(decides, -np.expm1(-rows.sum(axis=0) * np.where(monthly, 0.88, 1.0)), 0.0)
        now = np.where(monthly, -np.expm1(-rows.sum(axis=0) * 0.12), 0.0)
        quiet = ~decides | monthly  # no other news while a longer contract's end is being decided
        inside = (m >= 0) & quiet
        growing = np.exp(0.35 * e)
        two = self.has[SECOND_ITEM][w]
        simple = monthly & ~two & ~self.has[METERED][w]
        chances = np.stack(
            [
                at_end,
                now,
                np.full(len(w), 0.0006) * monthly * inside,
                0.0045 * monthly * inside,
                np.array([0, 0.009, 0.0035, 0])[plan] * growing * inside,
                np.array([0, 0, 0.0025, 0.003])[plan] * monthly * inside,
                0.0015 * (plan == plans.STARTER) * simple * inside,
                np.array([0, 0.022, 0.042, 0.055])[plan] * growing * inside,
                np.array([0, 0.008, 0.018, 0.022])[plan] / growing * (seats > np.array([0, 1, 3, 10])[plan]) * inside,
                0.005 * simple * inside,
                0.005 * (plan >= plans.TEAM) * ~self.has[ADD_ON][w] * inside,
                0.012 * self.has[ADD_ON][w] * inside,
                0.0025 * (plan >= plans.TEAM) * monthly * ~two * inside,
                0.020 * two * inside,
                0.003 * monthly * inside,
                0.002 * monthly * (self.limited_ends[w] == NEVER) * inside,
            ]
        )
        self._truth_of_leaving(w, m, t0, rows, at_end, now, chances[ENDED_BY_US], decides)
        edges = np.cumsum(chances, axis=0)
        choice = (self.u("decides", w, m) >= edges).sum(axis=0)
        choice[busy[w]] = -1
        at = self.within("decided at", w, m, t0[w], t1[w])
        # Who is gone at once is gone in the step's second month, so that a month's chances are all drawn before it.
        soonest = np.maximum(t0[w] + 2 * HOUR, self.months.start(m + 1))
        gone_at = soonest + ((t1[w] - soonest) * self.u("gone at", w, m)).astype(np.int64) // SECOND * SECOND
        at = np.where((choice == LEAVE_NOW) | (choice == ENDED_BY_US), gone_at, at)
        for decision, act in (
            (LEAVE, self._leave_at_end),
            (LEAVE_NOW, self._leave_now),
            (ENDED_BY_US, self._ended_by_us),
            (PAUSE, self._pause),
            (UPGRADE, self._change_plan),
            (DOWNGRADE, self._change_plan),
            (TO_FREE, self._to_free),
            (MORE_SEATS, self._change_seats),
            (FEWER_SEATS, self._change_seats),
            (GO_YEARLY, self._go_yearly),
            (ADD, self._add_on),
            (DROP, self._add_on),
            (SECOND_STARTS, self._second),
            (SECOND_ENDS, self._second),
            (RECONSIDER, self._reconsider),
            (SAVED, self._saved),
        ):
            picked = choice == decision
            if picked.any():
                act(w[picked], at[picked], m, decision)

    def _truth_of_leaving(
        self, w: Numbers, m: int, t0: Numbers, rows: Numbers, at_end: Numbers, now: Numbers, ended: Numbers,
        decides: Numbers,
    ) -> None:  # fmt: skip
        """Write down how likely leaving was, in the month in which it would take effect, and why."""
        month = self.term_end[w]
        fine = 1 - self.may_fail[w]
        at_end, now, ended, gives_up = at_end * fine, now * fine, ended * fine, self.may_give_up[w]
        np.add.at(self.hv, (w[decides], month[decides]), at_end[decides])
        self.hv[w, m + 1] += now
        self.hi[w, m + 1] += ended
        real = (~self.p.is_test[w]).astype(float)
        share = rows / rows.sum(axis=0) * real
        early = self._early_due(w, t0, m)
        for cause in range(len(rows)):
            np.add.at(self.by_cause[cause], month[decides], (share[cause] * at_end)[decides])
            self.by_cause[cause, m + 1] += (share[cause] * (now + gives_up * (1 - early))).sum()
            if m >= 0:
                self.by_cause[cause, m] += (share[cause] * gives_up * early).sum()
        self.by_cause[hazards.UNKNOWN, m + 1] += (real * ended).sum()

    def _leave_at_end(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        cause = self._cause_of(w, m)
        ends = self.term_end[w]
        cancel_at = self.anchor(ends, w)
        self.status[w], self.ends_step[w] = LEAVING, ends
        self.requested[w], self.leave_actor[w], self.leave_cause[w] = at, CUSTOMER, cause
        longer = self.interval[w] != plans.MONTH
        status = np.where(longer & (self.p.channel[w] != people.ADS), NON_RENEWING, IS_ACTIVE)
        self.emit(w, at, status, cancel_at=cancel_at, requested=at, actor=CUSTOMER, cause=cause, auto_renews=False)
        self.exits.add(len(w), who=w, at=at, cause=cause, actor=CUSTOMER)

    def _leave_now(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        cause = self._cause_of(w, m)
        self.emit(w, at, CANCELED, cancel_at=at, requested=at, actor=CUSTOMER, cause=cause)
        self.exits.add(len(w), who=w, at=at, cause=cause, actor=CUSTOMER)
        self._stops(w, m, at)
        self.leave(w, at, m, CUSTOMER, cause)

    def _ended_by_us(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        actor = np.array([BUSINESS, FRAUD, DISPUTE])[self.chance.pick("ended by", [2, 1, 1], self.p.who[w], m)]
        self.emit(w, at, CANCELED, cancel_at=at, requested=at, actor=actor, cause=hazards.UNKNOWN)
        self._stops(w, m, at)
        self.leave(w, at, m, actor, hazards.UNKNOWN)
        disputed = w[actor == DISPUTE]
        self.payments.add(
            len(disputed), invoice=self.invoice_of[0, disputed], is_dispute=True, attempt=1, at=at[actor == DISPUTE] - HOUR,
            code=-1, card=self.card[disputed], card_until=self.card_until[disputed],
        )  # fmt: skip

    def _pause(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        length = 1 + self.chance.pick("pause months", [0.45, 0.35, 0.2], self.p.who[w], m)
        self.status[w], self.ends_step[w] = PAUSED, m + 1 + length
        resumes = self.anchor(m + 1 + length, w)
        told = self.u("resume told", w, m) < 0.85
        collection = self.u("pause kind", w, m) < 0.4
        x = np.flatnonzero(~collection)
        self.emit(w[x], at[x], IS_PAUSED, resumes=np.where(told, resumes, NEVER)[x])
        self._stops(w[x], m, at[x])
        x = np.flatnonzero(collection)
        self.emit(w[x], at[x], IS_ACTIVE, collection_paused=True, resumes=np.where(told, resumes, NEVER)[x])
        # MRR stops at the start of the next period, which no row announces.
        for item in range(4):
            v = w[x][self.has[item][w[x]]]
            self.gauge(item, v, self.period_end[v], np.zeros(len(v), np.int64))

    def _change_plan(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        old, _, _ = self.price(BASE, w)
        old_plan = self.plan[w].copy()
        self.plan[w] += 1 if decision == UPGRADE else -1
        low = np.array([1, 1, 3, 10])[self.plan[w]]
        high = np.array([1, 8, 60, 400])[self.plan[w]]
        self.seats[w] = np.clip(self.seats[w], low, high)
        self.price_list[w] = at >= self.events.price_effective
        if decision == DOWNGRADE:
            # What only the larger plan sells goes with it.
            lost = (self.plan[w] < plans.TEAM) & self.has[METERED][w]
            v = w[lost]
            self.emit(v, at[lost], CANCELED, (METERED,), cancel_at=at[lost], requested=at[lost], actor=CUSTOMER)
            self.has[METERED, v] = False
        self.emit(w, at, IS_ACTIVE, (BASE,))
        self.prorate(w, at, m, old, old_plan)

    def _to_free(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        for item in (ADD_ON,):
            v = np.flatnonzero(self.has[item][w])
            self.emit(w[v], at[v], CANCELED, (item,), cancel_at=at[v], requested=at[v], actor=CUSTOMER)
            self.has[item, w[v]] = False
        self.plan[w], self.seats[w], self.status[w] = plans.FREE, 1, FREE
        self.forever[w], self.limited[w], self.limited_ends[w] = 0, 0, NEVER
        self.start_step[w] = m + 1  # may decide again from the step after the next on
        self.emit(w, at, IS_ACTIVE, (BASE,))

    def _change_seats(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        old, _, _ = self.price(BASE, w)
        step = 1 + np.floor(self.seats[w] * 0.22 * self.u("seats by", w, m)).astype(np.int64)
        low = np.array([1, 1, 3, 10])[self.plan[w]]
        self.seats[w] = np.maximum(self.seats[w] + (step if decision == MORE_SEATS else -step), low)
        self.emit(w, at, IS_ACTIVE, (BASE,))
        self.prorate(w, at, m, old, self.plan[w])

    def _go_yearly(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        """The new term begins at once, and with it a new billing anchor."""
        self._anchored(w, at)
        month = self.months.of(at)
        self.interval[w] = plans.YEAR
        self.limited[w], self.limited_ends[w] = 0, NEVER
        self.period_start[w], self.term_end[w] = at, month + 12
        self.period_end[w] = self.anchor(month + 12, w)
        self.emit(w, at, IS_ACTIVE, (BASE, ADD_ON))
        self.bill(w, at, m, UPDATE)
        self.pay(w, at, m)
        self.active_to[w, m + 1] = self.anchor(m + 1, w)

    def _add_on(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        if decision == ADD:
            self.has[ADD_ON, w] = True
            self.emit(w, at, IS_ACTIVE, (ADD_ON,))
        else:
            self.emit(w, at, CANCELED, (ADD_ON,), cancel_at=at, requested=at, actor=CUSTOMER)
            self.has[ADD_ON, w] = False

    def _second(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        if decision == SECOND_STARTS:
            self.subs_used[w] += 1
            self.sub2[w] = self.subs_used[w]
            self.seats2[w] = np.maximum(1, self.seats[w] // 4)
            self.has[SECOND_ITEM, w] = True
            self.emit(w, at, IS_ACTIVE, (SECOND_ITEM,))
        else:
            cause = self._cause_of(w, m)
            self.emit(w, at, CANCELED, (SECOND_ITEM,), cancel_at=at, requested=at, actor=CUSTOMER, cause=cause)
            self.has[SECOND_ITEM, w] = False

    def _reconsider(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        """They cancel, and take it back before the end."""
        ends = self.anchor(self.term_end[w], w)
        cause = self._cause_of(w, m)
        self.emit(w, at, IS_ACTIVE, cancel_at=ends, requested=at, actor=CUSTOMER, cause=cause, auto_renews=False)
        back = at + ((ends - at) * (0.2 + 0.6 * self.u("reconsiders", w, m))).astype(np.int64) // SECOND * SECOND
        self.emit(w, back, IS_ACTIVE)

    def _saved(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        """A discount for three months keeps them from leaving, or so the one who gave it says."""
        self.limited[w] = 3000
        self.limited_ends[w] = self.anchor(m + 4, w)
        self.emit(w, at, IS_ACTIVE, (BASE,))


PRICE_CHANGE, INCIDENT, REMOVAL = range(3)
CHANGE_IDS = ("chg_price", "chg_incident", "chg_removal")
