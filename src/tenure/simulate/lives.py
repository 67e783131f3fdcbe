"""How does each customer live, month by month? The one place where anything happens to a customer.

Every customer walks in steps of one month from billing anchor to billing anchor, in step with the calendar month in
which the anchor lies. What a step brings happens in this order, so that a customer's rows are always in order of
time:

1. at the anchor: what was planned for it (a scheduled end, the end of a pause), then the renewal and its invoice;
2. a payment that fails fills the rest of the step: it is recovered, or dunning or the customer ends it within 21 days;
3. otherwise at most one decision: leave at the next renewal, leave now, pause, change plan, seats, add-ons, ...

All arrays have one element per customer of the chunk. The truth is written down where the chance is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenure.simulate import hazards, people, plans
from tenure.simulate.chance import Numbers
from tenure.simulate.decisions import Decisions
from tenure.simulate.months import DAY, HOUR, NEVER, SECOND
from tenure.simulate.people import People
from tenure.simulate.plans import ADD_ON, BASE, METERED
from tenure.simulate.standing import (
    ACTIVE,
    CANCELED,
    CREATED,
    CUSTOMER,
    CYCLE,
    DUNNING,
    FREE,
    GONE,
    IN_TRIAL,
    INCOMPLETE,
    INCOMPLETE_EXPIRED,
    IS_ACTIVE,
    LEAVING,
    NOT_YET,
    PAUSED,
)

# Why a trial is not converted, by cause in the order of hazards.CAUSES; no part of the truth about customers.
_WHY_NO_TRIAL = (3, 0, 2, 0.3, 0.5, 3, 1.5, 0, 1, 3)
PAUSE_LEAVE = 0.18  # of those whose pause ends, leave instead
PRICE_CHANGE, INCIDENT, REMOVAL = range(3)
CHANGE_IDS = ("chg_price", "chg_incident", "chg_removal")


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
    decided_by_cause: Numbers  # [cause, month] expected decisions to leave, by the step in which they fall
    micro_mrr: Numbers  # [currency, month + 1] change of MRR, the first column before the window
    classic: Numbers  # uses the feature that is removed
    leavers: dict[str, Numbers]
    leaver_shares: Numbers  # [leaver, cause] shares in the hazard when it decided
    discontent: Numbers  # [customer, month + 1] the unhappiness that no usage shows
    gets_weekly: Numbers  # [customer, month + 1] is sent the weekly mail


class Walk(Decisions):
    """One chunk's walk through the months."""

    def before(self) -> None:
        """Trials, and first payments that never came through: what precedes the first step."""
        p = self.p
        trial = np.flatnonzero(p.begins == people.TRIAL)
        self.period_start[trial], self.period_end[trial] = p.signed_up[trial], p.start[trial]
        self.emit(trial, p.signed_up[trial], IN_TRIAL, (BASE, ADD_ON, METERED), trial_ends=p.start[trial])
        lost = np.flatnonzero((p.begins == people.TRIAL) & ~p.converts)
        early = self.chance.uniform("ends trial early", p.who[lost]) < 0.35
        at = p.signed_up[lost] + (
            self.chance.uniform("trial ends", p.who[lost]) * 0.9 * (p.start - p.signed_up)[lost]
        ).astype(np.int64)
        at = np.where(early, np.maximum(at // SECOND * SECOND, p.signed_up[lost] + HOUR), p.start[lost])
        why = self.chance.pick("why no trial", _WHY_NO_TRIAL, p.who[lost])
        self.emit(
            lost, at, CANCELED, (BASE, ADD_ON, METERED), trial_ends=p.start[lost], cancel_at=at, requested=at,
            actor=CUSTOMER, cause=why,
        )  # fmt: skip
        step = self.months.of(p.start) - 1
        for v, until in ((lost, at), (np.flatnonzero(p.converts), p.start[p.converts])):
            # The two weeks of the trial lie within one step, that before the first paid one.
            inside = step[v] < self.months.count
            column = step[v][inside] + 1
            self.active_from[v[inside], column] = p.signed_up[v[inside]]
            self.active_to[v[inside], column] = until[inside]
            self.level[v[inside], column] = 0.6 * p.engagement[v[inside]]
        direct = np.flatnonzero(
            (p.begins == people.DIRECT) & ~p.before & p.by_card & (self.chance.uniform("incomplete", p.who) < 0.04)
        )
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
            decided_by_cause=self.decided_by_cause[:, :m],
            micro_mrr=self.truth,
            classic=self.classic,
            leavers=self.leavers.done(),
            leaver_shares=np.concatenate([np.empty((0, len(hazards.CAUSES))), *self.shares]),
            discontent=self.unhappy,
            gets_weekly=self.gets_weekly,
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
        busy = self.charges(m, t0, billed, begun)
        self._tickets(m, t0, t1)
        self.decisions(m, t0, t1, busy)

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
        at = (
            self.months.start(m)
            + (self.u("returns at", w, m) * self.months.days(m) * (DAY // SECOND)).astype(np.int64) * SECOND
        )
        self.anchored_at(w, at)
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
        self.hv[w[ever], m] += 0.02
        self.by_cause[hazards.UNKNOWN, m] += 0.02 * (ever & ~self.p.is_test[w]).sum()
        v = w[up]
        self.anchored_at(v, at[up])
        self.start_at[v], self.start_step[v] = at[up], m
        self.status[v] = NOT_YET
        self.plan[v] = np.where(self.u("free to", v, m) < 0.75, plans.STARTER, plans.TEAM)
        self.interval[v] = plans.MONTH
        self.seats[v] = np.where(self.plan[v] == plans.TEAM, 3, 1)
        self.price_list[v] = at[up] >= self.events.price_effective
        v = w[go]
        self.only_for(v, hazards.UNKNOWN)
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
            w,
            t0[w],
            CANCELED,
            cancel_at=t0[w],
            requested=self.requested[w],
            actor=self.leave_actor[w],
            cause=self.leave_cause[w],
        )
        self.leave(w, t0[w], m, self.leave_actor[w], self.leave_cause[w])
        w = np.flatnonzero((self.status == PAUSED) & (self.ends_step == m))
        if len(w) == 0:
            return
        if m >= 0:
            self.hv[w, m] += PAUSE_LEAVE
        self.by_cause[hazards.CAUSES.index("circumstance"), max(m, 0)] += PAUSE_LEAVE * (~self.p.is_test[w]).sum()
        leaves = self.u("after pause", w, m) < PAUSE_LEAVE
        v = w[leaves]
        cause = hazards.CAUSES.index("circumstance")
        self.only_for(v, cause)
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
        """How much they use the product: an own level, a wandering mood, habits that fade, champions who leave."""
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
        self.contact_left[champion] = (
            t0[champion]
            + ((t1 - t0)[champion] * self.u("champion day", champion, m)).astype(np.int64) // SECOND * SECOND
        )
        self.fade[champion] += 0.9
        self.engagement[w] = 0.55 * self.p.engagement[w] + self.walk[w] - self.fade[w]
        self.level[w, m + 1] = self.engagement[w]
        if self.company.confounding:
            self._discontent(w, m)

    def _discontent(self, w: Numbers, m: int) -> None:
        """Unhappiness comes and stays some months; who is unhappy is sent the weekly mail, to win him back."""
        self.grudge[w] = 0.85 * self.grudge[w] + 0.53 * self.chance.normal("discontent", self.p.who[w], m)
        self.discontent[w] = self.company.confounding * np.maximum(self.grudge[w] - 0.3, 0)
        self.unhappy[w, m + 1] = self.grudge[w]
        # Somebody reads between the lines, not always rightly.
        seems = self.grudge[w] - 0.5 * self.engagement[w] + 0.7 * self.chance.normal("seems unhappy", self.p.who[w], m)
        self.gets_weekly[w, m + 1] = seems > 0.8
        self.weekly_mail[w] = self.gets_weekly[w, m + 1]

    def _told(self, m: int, t0: Numbers, t1: Numbers) -> None:
        """Whom a change touches in this step, and from when on."""
        e = self.events
        here = np.isin(self.status, (ACTIVE, LEAVING, PAUSED)) & (self.start_at < t1) & (m >= 0)
        dearer = (self.plan == plans.TEAM) & (self.price_list == 0)
        for change, announced, effective, step_of, whom in (
            (PRICE_CHANGE, e.price_announced, e.price_effective, self.price_step, dearer),
            (INCIDENT, e.incident_told, e.incident, self.incident_step, self.cluster_b),
            (REMOVAL, e.removal_announced, e.removal_effective, self.removal_step, self.classic),
        ):  # fmt: skip
            # Once each: whoever moves its billing day could meet the day twice.
            new = here & whom & (step_of < 0)
            w = np.flatnonzero(new & (t0 <= announced) & (announced < t1) & (self.start_at <= announced))
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

    def _tickets(self, m: int, t0: Numbers, t1: Numbers) -> None:
        """They ask for help; a late answer hurts for a while."""
        self.pain *= 0.5
        self.pained_at[:] = NEVER
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
            hours = np.exp(np.log(2.5) + 1.05 * self.chance.normal("reply", who_v, 4 * m + number)) * np.where(
                crowded, 3.5, 1.0
            )
            slow = hours > 20
            replied = at + (hours * 3600).astype(np.int64) * SECOND
            solve = np.exp(np.log(14) + 1.1 * self.chance.normal("solve", who_v, 4 * m + number)) * np.where(
                slow, 2.0, 1.0
            )
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
            self.pained_at[v[slow]] = np.maximum(self.pained_at[v[slow]], at[slow])
