"""What happened in each period? One statement that counts movements into a few exact sums.

Time is cut into *slices* (the finest pieces that the periods and the look-back windows share); everything is summed per
slice in the engine, and what needs one customer at two instants (retention) per *window* of slices. The statement's
answer is small: it grows with slices, segments and currencies, not with customers.

Columns of the answer: what, slice, day, currency, seg, kind, amount (DECIMAL), n, x1, x2; what is one of

    money    sum of amount per kind                        (by day where rates are needed)
    people   customers: kind = new / reactivated / churned_<actor> / customers (net change) / paying (net change);
             regrouped_customers, regrouped_paying at a slice's start, as money's kind `regrouped`
    lost     n = customers at a window's start who are none at its end (slice = the window)
    kept     of those paying at a window's start: kind 'loss' amount = sum of max(0, -net), kind 'net' amount = sum of net;
             x1 = sum of net squared, x2 = sum of opening x net (on 'net'), n = how many of them moved
    turnover n = churn events of those who were customers at a window's start (kind base_events), customers who came and
             were gone at its end (kind passers); only where a definition counts them
    spread   x1 = change of the sum of squared balances
    alone    of each subscription: kind 'loss' and 'net' as in `kept` (slice = the period asked for), kind 'spread' n = change
             of the number that pay, x1 = change of the sum of squared balances
    payers   n = change of the number who pay in a currency (kind `regrouped` at a slice's start)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenure.kernel.time import Period
from tenure.lake.facts import Facts
from tenure.lake.portable import Statement, day_number
from tenure.measure import states
from tenure.measure.definition import Definition
from tenure.measure.item_days import local_day
from tenure.measure.movements import Money, adds_up, events_kept, is_plain, movements
from tenure.measure.segments import SEPARATOR, Segment, members


@dataclass(frozen=True, slots=True)
class Window:
    """Two instants between which customers are compared: the slices from `first` up to and including `last`."""

    first: int
    last: int


def statement(
    facts: Facts,
    definition: Definition,
    slices: Sequence[Period],
    windows: Sequence[Window],
    *,
    segment: Segment | None = None,
    by_day: bool = False,
    currency: str | None = None,
    conversion: str | None = None,
    opening_rates: str | None = None,
    purchase: str | None = None,
    reporting: str | None = None,
    only_people: bool = False,
    turnover: bool = False,
    alone: Sequence[Period] = (),
) -> str:
    """The statement; see the module.

    conversion: a relation (day, currency, rate) in the engine, needed only where customers pay in several currencies;
    opening_rates: a relation (win, currency, rate) with the rates at the windows' starts. Both NULL-free, or both None
    where amounts stay in their own currencies. purchase: a relation (day, currency, rate) that prices are converted with
    once, into `reporting`. only_people: nothing but customers won and lost. alone: periods that follow each other, for
    which to tell what was kept of each subscription too; where that cannot be had from this look, there are no such rows.
    """
    st = facts.statement()
    found = states.shape(facts, definition, reporting)
    of_item = segment.column if segment is not None else None
    if of_item is not None:
        of_item = of_item.replace("{text}", facts.engine.dialect.text)
    each = bool(alone) and segment is None and opening_rates is None and adds_up(found, definition, of_item)
    money = Money(conversion, purchase, reporting)
    moved = movements(st, facts, definition, found, slices, segment=of_item, money=money, by_subscription=each)
    look = Look(st, facts, found, segment, moved, slices, currency, plain=is_plain(found, definition, of_item))
    if only_people:
        named = (
            f"SELECT 'people' AS what, CAST(0 AS BIGINT) AS slice, {look.none}, '' AS seg, '' AS kind, {look.zero} AS amount, "
            "CAST(0 AS BIGINT) AS n, 0e0 AS x1, 0e0 AS x2 WHERE FALSE"
        )
        return st.render("\nUNION ALL\n".join([named, *look.people()]))
    selects = [*look.money(by_day), *look.people()]
    selects += look.payers() if opening_rates is None and found.currencies else []
    selects += look.retention(windows, opening_rates)
    if turnover:
        selects += look.turnover(windows)
    if each:
        selects += look.subscriptions(alone)
    return st.render("\nUNION ALL\n".join(selects))


class Look:
    """The parts of one statement, sharing the steps that several of them read."""

    def __init__(
        self,
        st: Statement,
        facts: Facts,
        found: states.Shape,
        segment: Segment | None,
        moved: str,
        slices: Sequence[Period],
        currency: str | None,
        plain: bool = False,
    ) -> None:
        self.st, self.facts, self.found, self.moved, self.plain = st, facts, found, moved, plain
        self.d = facts.engine.dialect
        self.none = f"CAST(NULL AS BIGINT) AS day, CAST(NULL AS {self.d.text}) AS currency"
        self.zero = "CAST(0 AS DECIMAL(38,14))"
        self.of_item = segment is not None and segment.of_item
        self.of_customer = segment is not None and segment.of_customer
        self.moves = segment is not None and segment.moves
        self.real = "kind IS NOT NULL AND kind <> 'idle'"
        self.several_windows = False
        # Who is one customer: segments of customers are joined by name, all else is quicker by the short key.
        self.who = "customer_id" if segment is not None else states.keys(facts, None, False)[1].by
        self.currency = states.currency_of(facts, found)
        self.by_currency = "" if found.currency else "currency, "
        if self.of_customer:
            assert segment is not None
            members(st, facts, segment, slices, "movements", currency)

    def currency_in(self, relation: str) -> str:
        """The currency of a row of a relation, which has such a column only where there may be several."""
        return f"{relation}.currency" if self.by_currency else self.currency

    def full(self, item: str, member: str) -> str:
        """The whole segment's text from the item's and the customer's part."""
        parts = ([item] if self.of_item else []) + ([f"coalesce({member}, '')"] if self.of_customer else [])
        return f" || '{SEPARATOR}' || ".join(parts) if parts else "''"

    def placed(self) -> str:
        """The movements with their whole segment."""
        if not self.of_customer:
            return self.moved
        columns = "m.customer_id, m.ts, m.day, m.period, m.currency, m.kind, m.amount, m.customer0, m.customer1, m.paying0, m.paying1, m.closes, m.actor, m.first"
        return self.st.step(
            "placed",
            f"SELECT {columns}, {self.full('m.seg', 's.seg')} AS seg FROM {self.moved} AS m LEFT JOIN members AS s "
            "ON s.customer_id = m.customer_id AND m.period BETWEEN s.first_slice AND s.last_slice",
            keep=True,
            says="movements in the segment their customer has in that period",
        )

    def seg(self) -> str:
        return "seg" if self.of_item or self.of_customer else "''"

    def summed(self, by_day: bool) -> str:
        """Movements counted by all that money and people are counted by: one pass over them, a small answer.

        turn: 0, or what the group's last row says of its customer: 1 new, 2 reactivated, 3 + actor = left.
        """
        day = ", CASE WHEN period >= 0 THEN day END AS day" if by_day else ""
        turn = (
            "CASE WHEN closes = 0 OR customer0 = customer1 THEN 0 WHEN customer1 = 1 THEN 2 - first ELSE 3 + actor END"
        )
        keys = f"period{', day' if by_day else ''}, {self.by_currency}{'seg, ' if self.seg() == 'seg' else ''}kind"
        return self.st.step(
            "summed",
            f"SELECT {keys}, turn, pays, {self.d.total('amount')} AS amount, count(*) AS n FROM (SELECT period{day}, "
            f"{self.by_currency}{'seg, ' if self.seg() == 'seg' else ''}kind, {turn} AS turn, "
            f"CASE WHEN closes = 1 THEN paying1 - paying0 ELSE 0 END AS pays, amount FROM {self.placed()}) AS m "
            f"GROUP BY {keys}, turn, pays",
            keep=True,
            says="movements counted",
        )

    def money(self, by_day: bool) -> list[str]:
        day = "day" if by_day else "CAST(NULL AS BIGINT)"
        group = f"GROUP BY period, {'day, ' if by_day else ''}{self.by_currency}{'seg, ' if self.seg() == 'seg' else ''}kind"
        parts = [
            f"SELECT 'money' AS what, period AS slice, {day} AS day, {self.currency} AS currency, {self.seg()} AS seg, kind, "
            f"CAST(sum(amount) AS DECIMAL(38,14)) AS amount, CAST(sum(n) AS BIGINT) AS n, 0e0 AS x1, 0e0 AS x2 "
            f"FROM {self.summed(by_day)} WHERE {self.real} {group}"
        ]
        if self.moves:
            moved = self.regrouped()
            for side, sign in (("seg_before", "-"), ("seg_after", "")):
                parts.append(
                    f"SELECT 'money', slice, CAST(NULL AS BIGINT), currency, {side}, 'regrouped', "
                    f"CAST(sum({sign}balance) AS DECIMAL(38,14)), count(*), 0e0, 0e0 FROM {moved} "
                    f"GROUP BY slice, currency, {side}"
                )
        return parts

    def plain_slices(self) -> str:
        """Each customer's balance before and after each slice, where the customer's first and last event in it tell."""
        opening = "balance - amount"
        return self.st.step(
            "plain_slices",
            f"SELECT {self.who}, period, {opening} AS opening, balance AS after FROM {self.moved} WHERE opens AND ends\nUNION ALL\n"
            f"SELECT {self.who}, period, max(CASE WHEN opens THEN {opening} END) AS opening, max(CASE WHEN ends THEN balance END) AS after "
            f"FROM {self.moved} WHERE opens <> ends GROUP BY {self.who}, period",
            keep=self.several_windows,
            says="what each customer pays before and after each slice in which something happens",
        )

    def customer_slices(self) -> str:
        item = ", seg AS item_seg" if self.of_item else ", '' AS item_seg"
        group = ", seg" if self.of_item else ""
        return self.st.step(
            "customer_slices",
            f"SELECT {self.who}, {self.by_currency}period{item}, {self.d.total(f'CASE WHEN {self.real} THEN amount ELSE 0 END')} AS net, "
            "CAST(sum(closes * (customer1 - customer0)) AS INT) AS turned, min_by(paying0, ts) AS paying0, min(ts) AS since "
            f"FROM {self.moved} GROUP BY {self.who}, {self.by_currency}period{group}",
            says="each customer's change in each slice",
        )

    def balances(self) -> str:
        if self.plain:
            return self.st.step(
                "balances",
                f"SELECT {self.who}, period, '' AS item_seg, after - opening AS net, CASE WHEN after > 0 THEN 1 ELSE 0 END - "
                "CASE WHEN opening > 0 THEN 1 ELSE 0 END AS turned, CASE WHEN opening > 0 THEN 1 ELSE 0 END AS paying0, "
                f"period AS since, after FROM {self.plain_slices()}",
                keep=True,
                says="each customer's change in each slice, and the balance after it",
            )
        per = self.customer_slices()
        item = ", item_seg" if self.of_item else ""
        return self.st.step(
            "balances",
            f"SELECT *, CAST(sum(net) OVER (PARTITION BY {self.who}{', currency' if self.by_currency else ''}{item} ORDER BY period ROWS UNBOUNDED PRECEDING) "
            f"AS DECIMAL(38,0)) AS after FROM {per}",
            keep=True,
            says="and the balance after it",
        )

    def payers(self) -> list[str]:
        """How many pay in each currency: the base of ARPA where currencies are kept apart."""
        step = "CASE WHEN b.after > 0 THEN 1 ELSE 0 END - CASE WHEN b.after - b.net > 0 THEN 1 ELSE 0 END"
        join, seg = "", "b.item_seg"
        if self.of_customer:
            join = " LEFT JOIN members AS s ON s.customer_id = b.customer_id AND b.period BETWEEN s.first_slice AND s.last_slice"
            seg = self.full("b.item_seg", "s.seg")
        day = "CAST(NULL AS BIGINT)"
        parts = [
            f"SELECT 'payers', b.period, {day}, b.currency, {seg}, '', {self.zero}, CAST(sum({step}) AS BIGINT), 0e0, 0e0 "
            f"FROM {self.balances()} AS b{join} WHERE b.currency IS NOT NULL GROUP BY b.period, b.currency, {seg}"
        ]
        if self.moves:
            for side, sign in (("seg_before", "-"), ("seg_after", "")):
                parts.append(
                    f"SELECT 'payers', slice, {day}, currency, {side}, 'regrouped', {self.zero}, "
                    f"CAST(sum({sign}CASE WHEN balance > 0 THEN 1 ELSE 0 END) AS BIGINT), 0e0, 0e0 "
                    f"FROM {self.regrouped()} GROUP BY slice, currency, {side}"
                )
        return parts

    def regrouped(self) -> str:
        """What each customer who changes segment at a slice's start takes along, by currency and item."""
        if "regrouped" in self.st:
            return "regrouped"
        changes = self.st.step(
            "member_changes",
            "SELECT * FROM (SELECT customer_id, first_slice AS slice, seg AS seg_after, lag(seg) OVER (PARTITION BY customer_id "
            "ORDER BY first_slice) AS seg_before FROM members) AS c WHERE slice >= 0 AND seg_before <> seg_after",
            keep=True,
            says="who changes segment",
        )
        return self.st.step(
            "regrouped",
            f"SELECT c.customer_id, c.slice, {self.currency_in('b')} AS currency, {self.full('b.item_seg', 'c.seg_before')} AS seg_before, "
            f"{self.full('b.item_seg', 'c.seg_after')} AS seg_after, max_by(b.after, b.period) AS balance FROM {changes} AS c "
            f"JOIN {self.balances()} AS b ON b.customer_id = c.customer_id AND b.period < c.slice "
            f"GROUP BY c.customer_id, c.slice, {'b.currency, ' if self.by_currency else ''}b.item_seg, c.seg_before, c.seg_after",
            keep=True,
            says="and the MRR that goes along",
        )

    def people(self) -> list[str]:
        return self._people_of_items() if self.of_item else self._people_of_customers()

    def _people_of_customers(self) -> list[str]:
        actors = ", ".join(
            f"sum(CASE WHEN turn = {3 + code} THEN n ELSE 0 END) AS churned_{name}"
            for code, name in states.ACTOR_NAMES.items()
        )
        summed = "summed" if "summed" in self.st else self.summed(False)
        people = self.st.step(
            "people",
            f"SELECT period, {self.seg()} AS seg, sum(CASE WHEN turn = 1 THEN n ELSE 0 END) AS new, "
            f"sum(CASE WHEN turn = 2 THEN n ELSE 0 END) AS reactivated, {actors}, "
            "sum(CASE WHEN turn = 0 THEN 0 WHEN turn <= 2 THEN n ELSE -n END) AS customers, sum(pays * n) AS paying "
            f"FROM {summed} GROUP BY period{', seg' if self.seg() == 'seg' else ''}",
            keep=True,
            says="customers won and lost",
        )
        kinds = ["new", "reactivated", *(f"churned_{n}" for n in states.ACTOR_NAMES.values()), "customers", "paying"]
        parts = [self._people_row(f"'{kind}'", kind, people, f"{kind} <> 0") for kind in kinds]
        if self.moves:
            standing = self.st.step(
                "standing",
                "SELECT customer_id, period, sum(turned) OVER w AS is_customer, sum(net) OVER w AS pays FROM (SELECT customer_id, "
                f"period, sum(turned) AS turned, sum(net) AS net FROM {self.balances()} GROUP BY customer_id, period) AS t "
                "WINDOW w AS (PARTITION BY customer_id ORDER BY period ROWS UNBOUNDED PRECEDING)",
            )
            self.regrouped()
            moved = self.st.step(
                "members_regrouped",
                "SELECT c.customer_id, c.slice, c.seg_before, c.seg_after, max_by(s.is_customer, s.period) AS is_customer, "
                "CASE WHEN max_by(s.pays, s.period) > 0 THEN 1 ELSE 0 END AS pays FROM member_changes AS c "
                f"JOIN {standing} AS s ON s.customer_id = c.customer_id AND s.period < c.slice "
                "GROUP BY c.customer_id, c.slice, c.seg_before, c.seg_after",
                keep=True,
            )
            for column, kind in (("is_customer", "regrouped_customers"), ("pays", "regrouped_paying")):
                for side, sign in (("seg_before", "-"), ("seg_after", "")):
                    parts.append(
                        f"SELECT 'people', slice, {self.none}, {side}, '{kind}', {self.zero}, CAST(sum({sign}{column}) AS BIGINT), "
                        f"0e0, 0e0 FROM {moved} GROUP BY slice, {side}"
                    )
        return parts

    def _people_row(self, kind: str, n: str, source: str, where: str) -> str:
        return (
            f"SELECT 'people', period, {self.none}, seg, {kind}, {self.zero}, CAST({n} AS BIGINT), 0e0, 0e0 "
            f"FROM {source} WHERE {where}"
        )

    def _people_of_items(self) -> list[str]:
        """Counts by a segment of the item: who pays in it, and whose winning or losing moved money in it."""
        placed = self.placed()
        # Within a slice, first comes what customers who change their segment take along, then what happens.
        rows = (
            f"SELECT customer_id, seg, period, 1 AS phase, {self.d.total('amount')} AS net FROM {placed} WHERE {self.real} "
            "GROUP BY customer_id, seg, period"
        )
        if self.moves:
            for side, sign in (("seg_before", "-"), ("seg_after", "")):
                rows += (
                    f"\nUNION ALL SELECT customer_id, {side}, slice, 0, CAST(sum({sign}balance) AS DECIMAL(38,0)) "
                    f"FROM {self.regrouped()} GROUP BY customer_id, {side}, slice"
                )
        per = self.st.step("customers_in_segments", rows)
        running = self.st.step(
            "balances_in_segments",
            "SELECT *, CAST(sum(net) OVER (PARTITION BY customer_id, seg ORDER BY period, phase ROWS UNBOUNDED PRECEDING) "
            f"AS DECIMAL(38,0)) AS after FROM {per}",
            keep=True,
            says="what each customer pays in each segment",
        )
        step = "CASE WHEN after > 0 THEN 1 ELSE 0 END - CASE WHEN after - net > 0 THEN 1 ELSE 0 END"
        counted = self.st.step(
            "payers_in_segments",
            f"SELECT period, phase, seg, sum({step}) AS n FROM {running} GROUP BY period, phase, seg",
            keep=True,
        )
        parts = [
            self._people_row(f"'{kind}'", "n", counted, "phase = 1 AND n <> 0") for kind in ("customers", "paying")
        ]
        if self.moves:
            parts += [
                self._people_row(f"'{kind}'", "n", counted, "phase = 0 AND n <> 0")
                for kind in ("regrouped_customers", "regrouped_paying")
            ]
        actor = " ".join(f"WHEN {code} THEN 'churned_{name}'" for code, name in states.ACTOR_NAMES.items())
        who = self.st.step(
            "customer_groups",
            "SELECT customer_id, ts, max(customer0) AS customer0, max(customer1) AS customer1, max(actor) AS actor, "
            f"max(first) AS first FROM {self.moved} WHERE closes = 1 GROUP BY customer_id, ts",
        )
        named = (
            "CASE WHEN g.customer0 = 0 AND g.customer1 = 1 THEN CASE WHEN g.first = 1 THEN 'new' ELSE 'reactivated' END "
            f"WHEN g.customer0 = 1 AND g.customer1 = 0 THEN CASE g.actor {actor} END END"
        )
        touched = self.st.step(
            "segments_of_groups",
            f"SELECT DISTINCT m.customer_id, m.ts, m.period, m.seg, {named} AS kind FROM {placed} AS m "
            f"JOIN {who} AS g ON g.customer_id = m.customer_id AND g.ts = m.ts WHERE m.kind IS NOT NULL",
        )
        won = self.st.step(
            "events_in_segments",
            f"SELECT period, seg, kind AS what_happened, count(*) AS n FROM {touched} WHERE kind IS NOT NULL GROUP BY period, seg, kind",
        )
        parts.append(self._people_row("what_happened", "n", won, "n > 0"))
        return parts

    def _item_claims(self, windows: Sequence[Window], plain: bool) -> str:
        """Who paid anything in a segment at a window's start, in whatever currency: what has not moved counts too."""
        per = self.st.step(
            "segment_slices",
            f"SELECT customer_id, item_seg, period, sum(net) AS net FROM {self.balances()} GROUP BY customer_id, item_seg, period",
        )
        running = self.st.step(
            "segment_balances",
            "SELECT *, sum(net) OVER (PARTITION BY customer_id, item_seg ORDER BY period ROWS UNBOUNDED PRECEDING) - net "
            f"AS before FROM {per}",
        )
        paid = "CASE WHEN min_by(b.before, b.period) > 0 THEN 1 ELSE 0 END AS in_base"
        if plain:
            sql = f"SELECT period AS win, customer_id, item_seg, CASE WHEN before > 0 THEN 1 ELSE 0 END AS in_base FROM {running}"
        else:
            sql = (
                f"SELECT w.win, b.customer_id, b.item_seg, {paid} FROM {running} AS b JOIN windows AS w "
                "ON b.period BETWEEN w.first_slice AND w.last_slice GROUP BY w.win, b.customer_id, b.item_seg"
            )
        return self.st.step("base_claims", sql)

    def retention(self, windows: Sequence[Window], opening_rates: str | None) -> list[str]:
        st, d = self.st, self.d
        self.several_windows = len(windows) != len({window.first for window in windows}) or any(
            window.first != window.last for window in windows
        )
        # Without look-back a window is a slice; then neither a join nor another sum is needed.
        plain = all(window.first == window.last == i for i, window in enumerate(windows))
        if self.plain and not self.of_customer and opening_rates is None:
            return self._plain_retention(self.plain_slices() if plain else self._plain_windows(windows))
        balances = self.balances()
        who = ", ".join(f"b.{name}" for name in self.who.split(", "))
        own = "" if self.found.currency else "b.currency, "
        if plain:
            per_window = st.step(
                "slices_as_windows",
                f"SELECT period AS win, {self.who}, {self.by_currency}item_seg, net, turned, paying0, since, after - net AS opening "
                f"FROM {balances} WHERE period >= 0",
            )
        else:
            rows = [(str(i), str(w.first), str(w.last)) for i, w in enumerate(windows)]
            st.step("windows", d.values(rows, ("win", "first_slice", "last_slice")), says="from where to where we look")
            per_window = st.step(
                "customers_in_windows",
                f"SELECT w.win, {who}, {own}b.item_seg, CAST(sum(b.net) AS DECIMAL(38,0)) AS net, CAST(sum(b.turned) AS INT) AS turned, "
                "min_by(b.paying0, b.since) AS paying0, min(b.since) AS since, min_by(b.after - b.net, b.period) AS opening "
                f"FROM {balances} AS b JOIN windows AS w ON b.period BETWEEN w.first_slice AND w.last_slice "
                f"WHERE b.period >= 0 GROUP BY w.win, {who}, {own}b.item_seg",
            )
        if self.of_customer:
            starts = [(str(i), str(w.first)) for i, w in enumerate(windows)]
            st.step("window_starts", d.values(starts, ("win", "first_slice")))
            per_window = st.step(
                "windows_in_segments",
                f"SELECT b.*, {self.full('b.item_seg', 's.seg')} AS seg FROM {per_window} AS b JOIN window_starts AS w ON w.win = b.win "
                "LEFT JOIN members AS s ON s.customer_id = b.customer_id AND w.first_slice BETWEEN s.first_slice AND s.last_slice",
                keep=True,
            )
        else:
            per_window = st.step("windows_in_segments", f"SELECT *, item_seg AS seg FROM {per_window}", keep=True)
        several = self.found.currencies
        if opening_rates is None or not several:
            based = "opening > 0" if opening_rates is None or self.of_item else "paying0 = 1"
            base = st.step("base_rows", f"SELECT * FROM {per_window} WHERE {based}")
        else:
            # Whether somebody paid at the start is one claim for all currencies: what has not moved counts too.
            if self.of_item:
                claims = self._item_claims(windows, plain)
                same = "b.item_seg = p.item_seg"
            else:
                claims = st.step(
                    "base_claims",
                    f"SELECT win, {self.who}, min_by(paying0, since) AS in_base FROM {per_window} GROUP BY win, {self.who}",
                )
                same = "1 = 1"
            base = st.step(
                "base_rows",
                f"SELECT p.* FROM {per_window} AS p JOIN {claims} AS b ON b.win = p.win AND {self.same('b', 'p')} "
                f"AND {same} WHERE b.in_base = 1",
            )
        if opening_rates:
            value = "CAST(sum(CAST(b.net AS DECIMAL(18,0)) * CAST(r.rate AS DECIMAL(20,14))) AS DECIMAL(38,14))"
            units = st.step(
                "retained",
                f"SELECT b.win, b.seg, {who}, CAST(NULL AS {self.d.text}) AS currency, {value} AS net, "
                "sum(CAST(b.opening AS DOUBLE) * CAST(r.rate AS DOUBLE)) AS opening "
                f"FROM {base} AS b JOIN {opening_rates} AS r ON r.win = b.win AND r.currency = {self.currency_in('b')} "
                f"GROUP BY b.win, b.seg, {who}",
            )
        else:
            units = st.step(
                "retained",
                f"SELECT win, seg, {self.currency} AS currency, net, CAST(opening AS DOUBLE) AS opening FROM {base}",
            )
        sums = st.step(
            "retention",
            "SELECT win, seg, currency, CAST(sum(CASE WHEN net < 0 THEN -net ELSE 0 END) AS DECIMAL(38,14)) AS loss, "
            "CAST(sum(net) AS DECIMAL(38,14)) AS net, count(*) AS n, "
            "sum(CAST(net AS DOUBLE) * CAST(net AS DOUBLE)) AS net2, sum(opening * CAST(net AS DOUBLE)) AS crossed "
            f"FROM {units} GROUP BY win, seg, currency",
            keep=True,
            says="what those who paid at the start lost and gained",
        )
        day = "CAST(NULL AS BIGINT) AS day"
        parts = [
            f"SELECT 'kept' AS what, win AS slice, {day}, currency, seg, 'loss' AS kind, loss AS amount, n, 0e0 AS x1, 0e0 AS x2 FROM {sums}",
            f"SELECT 'kept', win, {day}, currency, seg, 'net', net, n, net2, crossed FROM {sums}",
        ]
        if self.of_item:
            gone = st.step(
                "turned_customers",
                f"SELECT win, customer_id FROM {per_window} GROUP BY win, customer_id HAVING sum(turned) = -1",
            )
            lost = (
                f"SELECT p.win, p.seg, count(DISTINCT p.customer_id) AS n FROM {per_window} AS p JOIN {gone} AS t "
                "ON t.win = p.win AND t.customer_id = p.customer_id WHERE p.opening > 0 GROUP BY p.win, p.seg"
            )
        elif several:
            lost = (
                f"SELECT win, seg, count(*) AS n FROM (SELECT win, seg, {self.who} FROM {per_window} "
                f"GROUP BY win, seg, {self.who} HAVING sum(turned) = -1) AS gone GROUP BY win, seg"
            )
        else:
            lost = f"SELECT win, seg, count(*) AS n FROM {per_window} WHERE turned = -1 GROUP BY win, seg"
        step = st.step("base_lost", lost, says="customers at the start who are none at the end")
        parts.append(f"SELECT 'lost', win, {self.none}, seg, '', {self.zero}, n, 0e0, 0e0 FROM {step}")
        if not self.moves:
            squares = (
                "sum(CAST(b.after AS DOUBLE) * CAST(b.after AS DOUBLE) "
                "- CAST(b.after - b.net AS DOUBLE) * CAST(b.after - b.net AS DOUBLE))"
            )
            if self.of_customer:
                source = f"{balances} AS b LEFT JOIN members AS s ON s.customer_id = b.customer_id"
                shown = self.full("b.item_seg", "s.seg")
            else:
                source, shown = f"{balances} AS b", "b.item_seg"
            known = "WHERE b.currency IS NOT NULL " if self.by_currency else ""
            parts.append(
                f"SELECT 'spread', b.period, {day}, {self.currency_in('b')}, {shown}, '', {self.zero}, 0, {squares}, 0e0 FROM {source} "
                f"{known}GROUP BY b.period, {own}{shown}"
            )
        return parts

    def subscriptions(self, asked: Sequence[Period]) -> list[str]:
        """What was kept of each subscription: no walk, for what it pays at an instant is the sum of what came before."""
        st = self.st
        key = states.subscription_key(self.facts).by
        first, last = day_number(asked[0].first), day_number(asked[-1].after)
        days = st.step(
            "subscription_days",
            f"SELECT {key}, {local_day(self.facts, 'ts')} AS day, m1 - m0 AS change FROM {events_kept(st)}",
        )
        if len(asked) == 1:
            opening = f"sum(CASE WHEN day < {first} THEN change ELSE 0 END)"
            both = st.step(
                "subscription_balances",
                f"SELECT CAST({opening} AS BIGINT) AS opening, CAST(sum(change) AS BIGINT) AS after "
                f"FROM {days} WHERE day < {last} GROUP BY {key}",
                keep=True,
                says="what each subscription pays before and after the period",
            )
            seen = st.step(
                "subscription_slices",
                f"SELECT -1 AS period, CAST(0 AS BIGINT) AS opening, opening AS after FROM {both} WHERE opening <> 0\nUNION ALL\n"
                f"SELECT 0, opening, after FROM {both} WHERE opening <> after",
            )
        else:
            rows = [(str(i), str(day_number(p.first)), str(day_number(p.after))) for i, p in enumerate(asked)]
            st.step("periods_alone", self.d.values(rows, ("period", "first_day", "after_day")))
            every = self.d.numbers("first_day", "after_day")
            calendar = st.step("calendar_alone", f"SELECT period, {every} AS day FROM periods_alone")
            changes = st.step(
                "subscription_changes",
                f"SELECT {key}, coalesce(c.period, -1) AS period, CAST(sum(e.change) AS BIGINT) AS change FROM {days} AS e "
                f"LEFT JOIN {calendar} AS c ON c.day = e.day WHERE e.day < {last} GROUP BY {key}, coalesce(c.period, -1)",
                says="each subscription's change in each period",
            )
            running = f"sum(change) OVER (PARTITION BY {key} ORDER BY period ROWS UNBOUNDED PRECEDING)"
            seen = st.step(
                "subscription_slices",
                f"SELECT period, after - change AS opening, after FROM (SELECT period, change, CAST({running} AS BIGINT) AS after "
                f"FROM {changes}) AS c",
                says="and what it pays before and after",
            )
        payers = ", sum(CASE WHEN after > 0 THEN 1 ELSE 0 END) - sum(CASE WHEN opening > 0 THEN 1 ELSE 0 END) AS payers"
        sums = st.step(
            "retention_alone", self._kept(seen, payers), keep=True, says="what was kept of each subscription"
        )
        none = f"CAST(NULL AS BIGINT), {self.currency}, ''"
        return [
            f"SELECT 'alone', win, {none}, 'loss', loss, CAST(n AS BIGINT), 0e0, 0e0 FROM {sums} WHERE win >= 0",
            f"SELECT 'alone', win, {none}, 'net', net, CAST(n AS BIGINT), net2, crossed FROM {sums} WHERE win >= 0",
            f"SELECT 'alone', win, {none}, 'spread', {self.zero}, CAST(payers AS BIGINT), squares, 0e0 FROM {sums}",
        ]

    def turnover(self, windows: Sequence[Window]) -> list[str]:
        """How often those who were customers at a window's start left, and who came and was gone at its end."""
        st, d = self.st, self.d
        rows = [(str(i), str(w.first), str(w.last)) for i, w in enumerate(windows)]
        who = ", ".join(f"m.{name}" for name in self.who.split(", "))
        marks = st.step("turnover_windows", d.values(rows, ("win", "first_slice", "last_slice")))
        per = st.step(
            "turns",
            f"SELECT w.win, w.first_slice, {who}, min_by(m.customer0, m.ts) AS was, "
            "max_by(m.customer1, m.ts) AS is_now, sum(m.customer0 * (1 - m.customer1)) AS left_times, "
            "max(CASE WHEN m.customer0 = 1 AND m.customer1 = 0 THEN m.ts END) AS last_left "
            f"FROM {self.moved} AS m JOIN {marks} AS w ON m.period BETWEEN w.first_slice AND w.last_slice "
            f"WHERE m.period >= 0 AND m.closes = 1 AND m.customer0 <> m.customer1 GROUP BY w.win, w.first_slice, {who} "
            "HAVING sum(m.customer0 * (1 - m.customer1)) > 0",
            keep=True,
            says="who left in each window, how often, and whether they were customers at its start and end",
        )
        join, seg = "", "''"
        if self.of_item:
            touched = st.step(
                "turns_in_segments",
                f"SELECT DISTINCT customer_id, ts, seg FROM {self.placed()} WHERE kind IS NOT NULL",
            )
            join, seg = f" JOIN {touched} AS s ON s.customer_id = t.customer_id AND s.ts = t.last_left", "s.seg"
        elif self.of_customer:
            join = (
                " LEFT JOIN members AS s ON s.customer_id = t.customer_id "
                "AND t.first_slice BETWEEN s.first_slice AND s.last_slice"
            )
            seg = self.full("''", "s.seg")
        counted = st.step(
            "turnover",
            f"SELECT t.win, {seg} AS seg, sum(t.was * t.left_times) AS base_events, "
            f"sum((1 - t.was) * (1 - t.is_now)) AS passers FROM {per} AS t{join} GROUP BY t.win, {seg}",
            keep=True,
        )
        return [
            f"SELECT 'turnover', win, {self.none}, seg, '{kind}', {self.zero}, CAST({kind} AS BIGINT), 0e0, 0e0 FROM {counted}"
            for kind in ("base_events", "passers")
        ]

    def same(self, one: str, other: str) -> str:
        """The claim that two relations speak of one customer."""
        return " AND ".join(f"{one}.{name} = {other}.{name}" for name in self.who.split(", "))

    def _plain_windows(self, windows: Sequence[Window]) -> str:
        """As plain_slices, of windows of several slices: what a customer pays before the first and after the last."""
        rows = [(str(i), str(w.first), str(w.last)) for i, w in enumerate(windows)]
        self.st.step(
            "windows", self.d.values(rows, ("win", "first_slice", "last_slice")), says="from where to where we look"
        )
        who = ", ".join(f"b.{name}" for name in self.who.split(", "))
        return self.st.step(
            "plain_windows",
            f"SELECT w.win AS period, {who}, min_by(b.opening, b.period) AS opening, max_by(b.after, b.period) AS after "
            f"FROM {self.plain_slices()} AS b JOIN windows AS w ON b.period BETWEEN w.first_slice AND w.last_slice "
            f"WHERE b.period >= 0 GROUP BY w.win, {who}",
            says="what each customer pays before and after each window in which something happens",
        )

    def _plain_retention(self, seen: str) -> list[str]:
        """Kept, lost and spread in one pass over `seen`, slices or windows: the balance tells all of a customer."""
        sums = self.st.step(
            "retention", self._kept(seen), keep=True, says="what those who paid at the start lost and gained"
        )
        none = f"CAST(NULL AS BIGINT) AS day, {self.currency} AS currency, '' AS seg"
        parts = [
            f"SELECT 'kept' AS what, win AS slice, {none}, 'loss' AS kind, loss AS amount, CAST(n AS BIGINT) AS n, 0e0 AS x1, 0e0 AS x2 "
            f"FROM {sums} WHERE win >= 0 AND n > 0",
            f"SELECT 'kept', win, {none}, 'net', net, CAST(n AS BIGINT), net2, crossed FROM {sums} WHERE win >= 0 AND n > 0",
            f"SELECT 'lost', win, {self.none}, '', '', {self.zero}, CAST(lost AS BIGINT), 0e0, 0e0 FROM {sums} WHERE win >= 0 AND lost > 0",
        ]
        if seen == "plain_slices":
            parts.append(f"SELECT 'spread', win, {none}, '', {self.zero}, 0, squares, 0e0 FROM {sums}")
        else:
            opening, after = "CAST(opening AS DOUBLE)", "CAST(after AS DOUBLE)"
            parts.append(
                f"SELECT 'spread', period, {none}, '', {self.zero}, 0, sum({after} * {after} - {opening} * {opening}), 0e0 "
                f"FROM {self.plain_slices()} GROUP BY period"
            )
        return parts

    def _kept(self, seen: str, also: str = "") -> str:
        """A select that sums up, by period, what those in `seen` paid before and after it."""
        net, opening, after = "(after - opening)", "CAST(opening AS DOUBLE)", "CAST(after AS DOUBLE)"
        change = f"CAST({net} AS DOUBLE)"
        return (
            "SELECT period AS win, "
            "CAST(sum(CASE WHEN after < opening THEN opening - after ELSE 0 END) AS DECIMAL(38,14)) AS loss, "
            f"CAST(sum(CASE WHEN opening > 0 THEN {net} ELSE 0 END) AS DECIMAL(38,14)) AS net, "
            "sum(CASE WHEN opening > 0 THEN 1 ELSE 0 END) AS n, "
            f"sum(CASE WHEN opening > 0 THEN {change} * {change} ELSE 0e0 END) AS net2, sum({opening} * {change}) AS crossed, "
            "sum(CASE WHEN opening > 0 AND after = 0 THEN 1 ELSE 0 END) AS lost, "
            f"sum({after} * {after} - {opening} * {opening}) AS squares{also} FROM {seen} GROUP BY period"
        )
