"""What does a customer decide in a step? To leave, to pause, to change the plan, the seats, the add-ons, or nothing.

One draw decides among all of them, so that their chances add up. Customers with a longer term think about leaving
only when its end comes near, one to three months ahead; monthly customers every month.
"""

from __future__ import annotations

import numpy as np

from tenure.simulate import hazards, people, plans
from tenure.simulate.chance import Numbers
from tenure.simulate.dunning import Dunning
from tenure.simulate.months import DAY, HOUR, NEVER, SECOND
from tenure.simulate.plans import ADD_ON, BASE, METERED
from tenure.simulate.plans import SECOND as SECOND_ITEM
from tenure.simulate.standing import (
    ACTIVE,
    BUSINESS,
    CANCELED,
    CUSTOMER,
    DISPUTE,
    FRAUD,
    FREE,
    IS_ACTIVE,
    IS_PAUSED,
    LEAVING,
    NON_RENEWING,
    PAUSED,
    UPDATE,
)

# The decisions of a step, in the order of their edges.
(LEAVE, LEAVE_NOW, ENDED_BY_US, PAUSE, UPGRADE, DOWNGRADE, TO_FREE, MORE_SEATS, FEWER_SEATS, GO_YEARLY, ADD, DROP,
 SECOND_STARTS, SECOND_ENDS, RECONSIDER, SAVED) = range(16)  # fmt: skip


class Decisions(Dunning):
    """What the customers decide of themselves."""

    def decisions(self, m: int, t0: Numbers, t1: Numbers, busy: Numbers) -> None:
        """At most one decision per customer and step."""
        # Whoever is past due decides nothing, but its chances are written down with everybody's: the truth must not
        # know how this step's charge went.
        w = np.flatnonzero((self.status == ACTIVE) | busy)
        if len(w) == 0:
            return
        if m >= 0:
            self.check_ins_of(m, t0, t1, (self.status == ACTIVE) & ~busy)
        rows = self.hazards_of(w, m) * self.company.churn
        plan, interval, seats, e = self.plan[w], self.interval[w], self.seats[w], self.engagement[w]
        monthly = interval == plans.MONTH
        # Who has a longer term thinks of its end one to three months ahead; monthly customers one renewal ahead.
        lead = np.where(
            interval == plans.YEAR, 1 + self.chance.pick("lead", [0.5, 0.3, 0.2], self.p.who[w], self.term_end[w]), 1
        )
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
        self.hv[w[decides], month[decides]] += at_end[decides]
        self.hv[w, m + 1] += now
        self.hi[w, m + 1] += ended
        real = (~self.p.is_test[w]).astype(float)
        share = rows / rows.sum(axis=0) * real
        if m >= 0:
            self.decided_by_cause[: len(rows), m] += (share * (at_end + now + gives_up)).sum(axis=1)
        early = self.early_due(w, t0, m)
        for cause in range(len(rows)):
            np.add.at(self.by_cause[cause], month[decides], (share[cause] * at_end)[decides])
            self.by_cause[cause, m + 1] += (share[cause] * (now + gives_up * (1 - early))).sum()
            if m >= 0:
                self.by_cause[cause, m] += (share[cause] * gives_up * early).sum()
        self.by_cause[hazards.UNKNOWN, m + 1] += (real * ended).sum()

    def check_ins_of(self, m: int, t0: Numbers, t1: Numbers, free_to_decide: Numbers) -> None:
        """The check-in play calls half of those whose use fell; the other half is held out, so that we can tell."""
        if m < self.company.at(0.5):
            return
        low = free_to_decide & (self.engagement < -0.9) & (self.plan >= plans.TEAM) & (self.comfort_until < m - 6)
        w = np.flatnonzero(low)
        treated = self.chance.uniform("check-in arm", self.p.who[w]) < 0.5
        at = self.within("check-in", w, m, t0[w], t0[w] + 5 * DAY)
        self.check_ins.add(len(w), who=w, at=at, treated=treated)
        self.comfort_until[w] = np.where(treated, m + 2, m - 1)

    def _leave_at_end(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        cause = self.cause_of(w, m)
        at = self.after_its_cause(w, at, m, cause)
        ends = self.term_end[w]
        cancel_at = self.anchor(ends, w)
        self.status[w], self.ends_step[w] = LEAVING, ends
        self.requested[w], self.leave_actor[w], self.leave_cause[w] = at, CUSTOMER, cause
        longer = self.interval[w] != plans.MONTH
        status = np.where(longer & (self.p.channel[w] != people.ADS), NON_RENEWING, IS_ACTIVE)
        self.emit(w, at, status, cancel_at=cancel_at, requested=at, actor=CUSTOMER, cause=cause, auto_renews=False)
        self.exits.add(len(w), who=w, at=at, cause=cause, actor=CUSTOMER)

    def _leave_now(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        cause = self.cause_of(w, m)
        self.emit(w, at, CANCELED, cancel_at=at, requested=at, actor=CUSTOMER, cause=cause)
        self.exits.add(len(w), who=w, at=at, cause=cause, actor=CUSTOMER)
        self.stops(w, m, at)
        self.leave(w, at, m, CUSTOMER, cause)

    def _ended_by_us(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        actor = np.array([BUSINESS, FRAUD, DISPUTE])[self.chance.pick("ended by", [2, 1, 1], self.p.who[w], m)]
        self.only_for(w, hazards.UNKNOWN)
        self.emit(w, at, CANCELED, cancel_at=at, requested=at, actor=actor, cause=hazards.UNKNOWN)
        self.stops(w, m, at)
        self.leave(w, at, m, actor, hazards.UNKNOWN)
        disputed = w[actor == DISPUTE]
        self.payments.add(
            len(disputed), invoice=self.invoice_of[0, disputed], is_dispute=True, attempt=1,
            at=at[actor == DISPUTE] - HOUR,
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
        self.stops(w[x], m, at[x])
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
        self.anchored_at(w, at)
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
            cause = self.cause_of(w, m)
            self.emit(w, at, CANCELED, (SECOND_ITEM,), cancel_at=at, requested=at, actor=CUSTOMER, cause=cause)
            self.has[SECOND_ITEM, w] = False

    def _reconsider(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        """They cancel, and take it back before the end."""
        ends = self.anchor(self.term_end[w], w)
        cause = self.cause_of(w, m)
        self.emit(w, at, IS_ACTIVE, cancel_at=ends, requested=at, actor=CUSTOMER, cause=cause, auto_renews=False)
        back = at + ((ends - at) * (0.2 + 0.6 * self.u("reconsiders", w, m))).astype(np.int64) // SECOND * SECOND
        self.emit(w, back, IS_ACTIVE)

    def _saved(self, w: Numbers, at: Numbers, m: int, decision: int) -> None:
        """A discount for three months keeps them from leaving, or so the one who gave it says."""
        self.limited[w] = 3000
        self.limited_ends[w] = self.anchor(m + 4, w)
        self.emit(w, at, IS_ACTIVE, (BASE,))
