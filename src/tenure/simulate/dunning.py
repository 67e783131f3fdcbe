"""Does the charge come through, and what becomes of it if not? Declines, retries, new cards, and the end after 21 days.

Card networks forbid retrying a stolen or expired card: there only a new card helps. The other declines are retried
after 3, 5, 7 and 14 days. Customers who pay by wire pay late, but they pay.
"""

from __future__ import annotations

import numpy as np

from tenure.simulate import hazards, people
from tenure.simulate.chance import Numbers
from tenure.simulate.months import DAY, HOUR, SECOND
from tenure.simulate.plans import SECOND as SECOND_ITEM
from tenure.simulate.standing import (
    CANCELED,
    CUSTOMER,
    DUNNING,
    IS_ACTIVE,
    PAID,
    PAST_DUE,
    UNCOLLECTIBLE,
    UNPAID,
    VOID,
    Standing,
)

DECLINES = (
    "insufficient_funds",
    "do_not_honor",
    "expired_card",
    "processing_error",
    "stolen_card",
    "card_velocity_exceeded",
)
INSUFFICIENT, DO_NOT_HONOR, EXPIRED, PROCESSING, STOLEN, VELOCITY = range(6)
_DECLINE_WEIGHT = np.array([0.50, 0.24, 0.0, 0.08, 0.06, 0.12])
_RECOVERY = np.array([0.70, 0.55, 0.58, 0.95, 0.50, 0.80])
_HARD = np.array([False, False, True, False, True, False])
_LOSS = float((_DECLINE_WEIGHT * (1 - _RECOVERY)).sum())
RETRY_DAYS = np.array([0, 3, 5, 7, 14])
DUNNING_DAYS = 21
# Of the customers whom dunning did not recover, those who cancel themselves meanwhile.
_CANCELS_WHILE_PAST_DUE = 0.10


class Dunning(Standing):
    """What happens to the charges of a step."""

    def charges(self, m: int, t0: Numbers, billed: Numbers, begun: Numbers) -> Numbers:
        """Charges of this anchor. Returns who is past due for the rest of the step."""
        busy = np.zeros(self.n, bool)
        self.may_fail[:], self.may_give_up[:] = 0, 0
        if m < 0:
            return busy
        w = np.flatnonzero(billed)
        self._truth_of_dunning(w, t0, m)
        if len(w) == 0:
            return busy
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
        repaired_at = (
            t0[failed]
            + HOUR
            + ((0.3 + 13 * self.u("new card at", failed, m) ** 1.7) * DAY).astype(np.int64) // SECOND * SECOND
        )
        back_at = np.where(hard, repaired_at, t0[failed] + HOUR + RETRY_DAYS[retry] * DAY)
        ends_at = t0[failed] + HOUR + DUNNING_DAYS * DAY
        by_customer = ~recovered & (self.u("cancels while past due", failed, m) < _CANCELS_WHILE_PAST_DUE)
        early = (
            t0[failed] + DAY + (self.u("cancels past due at", failed, m) * 19 * DAY).astype(np.int64) // SECOND * SECOND
        )
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
        cause = self.cause_of(v, m)
        at = ends_at[by_customer]
        self.emit(v, at, CANCELED, requested=at, cancel_at=at, actor=CUSTOMER, cause=cause)
        self.exits.add(len(v), who=v, at=at, cause=cause, actor=CUSTOMER)
        self.stops(v, m, at)
        self.leave(v, at, m, CUSTOMER, cause)
        done = ~recovered & ~by_customer
        self.only_for(failed[done], hazards.INVOLUNTARY)
        v, at = failed[done], ends_at[done]
        # Some companies leave it unpaid instead of cancelling: the outbound customers' contracts say so.
        unpaid = self.p.channel[v] == people.OUTBOUND
        self.emit(v[unpaid], at[unpaid], UNPAID)
        x = ~unpaid
        self.emit(v[x], at[x], CANCELED, requested=at[x], cancel_at=at[x], actor=DUNNING, cause=hazards.INVOLUNTARY)
        self.stops(v, m, at)
        self.leave(v, at, m, DUNNING, hazards.INVOLUNTARY)
        return busy

    def _failing(self, w: Numbers, m: int) -> tuple[Numbers, Numbers, Numbers]:
        """Whose card expires by now, and the chances that the charge fails for that and for any other reason."""
        p = self.p
        risky = (
            0.042 * np.array([0.9, 1.15, 2.4])[p.funding[w]] * np.array([1.2, 1, 0.8, 0.7, 1, 1, 1, 1])[p.country[w]]
        )
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
            early = self.early_due(w, t0, m)
            self.hi[w, m] += dunned * this * stays
            self.hv[w, m] += gives_up * early * stays
            if here:
                self.hi[w, m + 1] += dunned * ~this * counts
                self.hv[w, m + 1] += gives_up * (1 - early) * counts
                self.may_fail[w] = expired + (1 - expired) * risky
                self.may_give_up[w] = gives_up
                real = dunned * ~self.p.is_test[w]
                self.by_cause[hazards.INVOLUNTARY, m] += (real * this).sum()
                self.by_cause[hazards.INVOLUNTARY, m + 1] += (real * ~this).sum()

    def early_due(self, w: Numbers, t0: Numbers, m: int) -> Numbers:
        """Of the days on which a customer past due may cancel, the share in the step's first month."""
        return np.clip((self.months.start(m + 1) - t0[w] - DAY) / (19 * DAY), 0, 1)
