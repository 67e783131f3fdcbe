"""When did a customer's own rhythm break? Silence, falling use, fewer features, and a champion who left, as a month begins.

    step = rhythms(st, months)       the rows of `months.at_risk`, with a flag and a day for each sign

A sign is 1 (broke), 0 (did not) or NULL (too little is known of this customer to tell); `SIGN_day` is the day on which it
broke, as a number of days since 1970. Each customer is held to his own past and to nobody else's:

    silence   longer without use than any gap of the half year before, and longer than a customer who is active by chance
              at his pace would be once in a hundred times: with n gaps over T days, T (100^(1/n) - 1) days
    falling   one change of level splits the last twenty weeks' use better than chance does, and use fell by three tenths
    narrower  half as many features in four weeks as in the leanest of the three times four weeks before, or fewer
    champion  the contact whose role is champion left in the ninety days before, and no other champion is there

Only what happened before the month began counts. Whoever had paused in the weeks that are looked at is known to be away, and
his use tells nothing. Sources: the gap after n gaps of a Poisson process has a Lomax
distribution (Gelman et al. 2013, ch. 2.6); one change in the mean of a sequence, Hawkins 1977.
"""

from __future__ import annotations

import math

from tenure.explain.months import Months
from tenure.explain.pauses import away
from tenure.lake.facts import Facts
from tenure.lake.portable import DAY_US, Statement, day_number, micros
from tenure.measure.item_days import local_day

SIGNS = ("silence", "falling", "narrower", "champion")
PAST_DAYS = 182  # how far back a rhythm is learned
FEWEST_GAPS = 8
ONCE_IN = 100
WEEKS, FEWEST_WEEKS = 20, 12
_LEAST_AFTER, _LEAST_BEFORE = 3, 6
# Of twenty steady weeks, one in a hundred splits better than this; see the tests.
SPLITS = 3.5
FELL_TO = 0.7
STEADY = 0.1  # least deviation of a week's logarithm: counts that never differ still have one
BREADTH_DAYS = 28
CHAMPION_DAYS = 90
CHAMPION = "champion"


def rhythms(st: Statement, months: Months) -> tuple[str, dict[str, str]]:
    """The step `rhythms` of at_risk's rows with signs and days; and sign -> why it is not known of anybody."""
    facts = months.facts
    at_risk = months.at_risk(st)
    missing: dict[str, str] = {}
    joins: list[str] = []
    told = dict.fromkeys(SIGNS, ("CAST(NULL AS BIGINT)", "CAST(NULL AS BIGINT)"))
    more = "CAST(NULL AS DOUBLE) AS typical_gap_days, CAST(NULL AS BIGINT) AS last_day"
    d = facts.engine.dialect
    dated = st.step(
        "cut_days",
        d.values([(str(i), str(day_number(month.first))) for i, month in enumerate(months.cuts)], ("cut", "cut_day")),
    )
    if facts.has("usage"):
        used = _used_days(st, months)
        for step, alias in (
            (_silence(st, facts, used, dated), "q"),
            (_falling(st, facts, used, dated, at_risk), "f"),
            (_narrower(st, facts, used, dated), "b"),
        ):
            joins.append(f"LEFT JOIN {step} AS {alias} ON {alias}.customer_id = r.customer_id AND {alias}.cut = r.cut")
        told["silence"] = (
            "CASE WHEN q.waits_days IS NULL THEN NULL WHEN q.silent_days > q.waits_days THEN 1 ELSE 0 END",
            "q.last_day + q.waits_days + 1",
        )
        told["falling"] = ("f.fell", "f.fell_day")
        told["narrower"] = ("b.narrower", "b.narrower_day")
        more = "q.typical AS typical_gap_days, q.last_day"
        paused = away(st, facts, 7 * WEEKS)
        if paused is not None:
            joins.append(f"LEFT JOIN {paused} AS p ON p.customer_id = r.customer_id AND p.cut = r.cut")
            for name in SIGNS[:3]:
                told[name] = f"CASE WHEN p.cut IS NULL THEN {told[name][0]} END", told[name][1]
    else:
        missing = dict.fromkeys(SIGNS[:3], "nothing of usage is loaded (`tenure load usage FILE`)")
    if facts.has("contacts"):
        step = _champions(st, facts, at_risk)
        joins.append(f"LEFT JOIN {step} AS h ON h.customer_id = r.customer_id AND h.cut = r.cut")
        told["champion"] = ("h.left_lately", "h.left_day")
    else:
        missing["champion"] = "nobody said who the customers' champions are (`tenure load contacts FILE`)"
    columns = ", ".join(
        f"{flag} AS {name}, CASE WHEN {flag} = 1 THEN {day} END AS {name}_day" for name, (flag, day) in told.items()
    )
    signs = st.step("signs", f"SELECT r.*, {more}, {columns} FROM {at_risk} AS r " + " ".join(joins))
    least = ", ".join(f"coalesce({name}_day, 9999999)" for name in SIGNS)
    sure = " OR ".join(f"{name} = 1" for name in SIGNS)
    known = " OR ".join(f"{name} IS NOT NULL" for name in SIGNS)
    step = st.step(
        "rhythms",
        f"SELECT *, CASE WHEN {sure} THEN 1 WHEN {known} THEN 0 END AS any_sign, CASE WHEN {sure} THEN least({least}) END AS any_sign_day FROM {signs}",
        says="each customer's own rhythm, and the day on which it broke",
    )
    return step, missing


def _used_days(st: Statement, months: Months) -> str:
    """Use by customer, day and feature, as far back as any of the months needs it."""
    facts = months.facts
    columns = ("customer_id", "happened_at", "feature", "quantity")
    known = facts.counted(st, facts.latest(st, "usage", columns, step="known_use"), columns, "counted_use")
    begins = micros(months.cuts[0].start) - 2 * PAST_DAYS * DAY_US
    return st.step(
        "used_days",
        "SELECT customer_id, day, feature, sum(q) AS q FROM (SELECT customer_id, "
        f"{local_day(facts, 'happened_at')} AS day, coalesce(feature, '') AS feature, coalesce(quantity, 1) AS q FROM {known} "
        f"WHERE customer_id IS NOT NULL AND happened_at >= {begins} AND happened_at < {micros(months.cuts[-1].start)}) AS dated "
        "WHERE q > 0 GROUP BY customer_id, day, feature",
        keep=True,
        says="what each customer used, by day",
    )


def _silence(st: Statement, facts: Facts, used: str, dated: str) -> str:
    """A step (customer_id, cut, last_day, silent_days, typical, waits_days): the gap that is open as a month begins."""
    days = st.step("active_days", f"SELECT DISTINCT customer_id, day FROM {used}")
    gaps = st.step(
        "gaps",
        "SELECT customer_id, day, day - lag(day) OVER one AS gap, lead(day) OVER one AS next_day "
        f"FROM {days} WINDOW one AS (PARTITION BY customer_id ORDER BY day)",
    )
    past = f"(PARTITION BY customer_id ORDER BY day RANGE BETWEEN {PAST_DAYS} PRECEDING AND CURRENT ROW)"
    paced = st.step(
        "paces",
        f"SELECT customer_id, day, next_day, count(gap) OVER past AS n, sum(gap) OVER past AS whole, max(gap) OVER past AS longest "
        f"FROM {gaps} WINDOW past AS {past}",
    )
    chance = f"ceil(round(whole * (exp({math.log(ONCE_IN)!r} / n) - 1), 6))"
    waits = f"CASE WHEN n >= {FEWEST_GAPS} THEN greatest(longest, CAST({chance} AS BIGINT)) END"
    return st.step(
        "open_gaps",
        f"SELECT p.customer_id, c.cut, p.day AS last_day, c.cut_day - p.day AS silent_days, {waits} AS waits_days, "
        f"CASE WHEN n >= {FEWEST_GAPS} THEN CAST(whole AS DOUBLE) / n END AS typical FROM {paced} AS p JOIN {dated} AS c "
        "ON c.cut_day > p.day AND c.cut_day <= coalesce(p.next_day, 9999999)",
        says="how long each customer is silent as a month begins, and how long his own rhythm makes likely",
    )


def _falling(st: Statement, facts: Facts, used: str, dated: str, at_risk: str) -> str:
    """A step (customer_id, cut, fell, fell_day): the best split of the last weeks' use into before and after."""
    d = facts.engine.dialect
    begun = st.step("first_use", f"SELECT customer_id, min(day) AS first_day FROM {used} GROUP BY customer_id")
    back = d.div("c.cut_day - 1 - u.day", "7")
    weekly = st.step(
        "weeks_before",
        f"SELECT u.customer_id, c.cut, {back} AS back, sum(u.q) AS q FROM {used} AS u JOIN {dated} AS c ON u.day < c.cut_day "
        f"AND u.day >= c.cut_day - {7 * WEEKS} GROUP BY u.customer_id, c.cut, {back}",
    )
    weeks = f"least({WEEKS}, {d.div('c.cut_day - b.first_day', '7')})"
    grid = st.step(
        "weeks_of",
        f"SELECT customer_id, cut, cut_day, n, {d.numbers('0', 'n')} AS back FROM (SELECT r.customer_id, r.cut, c.cut_day, {weeks} AS n "
        f"FROM {at_risk} AS r JOIN {dated} AS c ON c.cut = r.cut JOIN {begun} AS b ON b.customer_id = r.customer_id AND b.first_day < c.cut_day) AS e "
        f"WHERE n >= {FEWEST_WEEKS}",
    )
    level = st.step(
        "weekly_levels",
        f"SELECT g.customer_id, g.cut, g.cut_day, g.n, g.back, round(ln(1 + CAST(coalesce(w.q, 0) AS DOUBLE)), 6) AS y FROM {grid} AS g "
        f"LEFT JOIN {weekly} AS w ON w.customer_id = g.customer_id AND w.cut = g.cut AND w.back = g.back",
    )
    whole = "PARTITION BY customer_id, cut"
    sums = st.step(
        "level_sums",
        "SELECT customer_id, cut, cut_day, n, back + 1 AS k, sum(y) OVER upto AS s, sum(y) OVER every AS whole, sum(y * y) OVER every AS squares "
        f"FROM {level} WINDOW every AS ({whole}), upto AS ({whole} ORDER BY back ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
    )
    drop = "((whole - s) / (n - k) - s / k)"
    share = "(CAST(k AS DOUBLE) * (n - k) / n)"
    rest = f"greatest((squares - whole * whole / n - {share} * {drop} * {drop}) / (n - 2), {STEADY * STEADY})"
    split = st.step(
        "splits",
        f"SELECT customer_id, cut, cut_day, k, {drop} AS fall, round({drop} * sqrt({share} / {rest}), 6) AS t FROM {sums} "
        f"WHERE k >= {_LEAST_AFTER} AND n - k >= {_LEAST_BEFORE}",
    )
    best = st.step(
        "best_splits",
        "SELECT customer_id, cut, cut_day, k, fall, t, row_number() OVER (PARTITION BY customer_id, cut ORDER BY t DESC, k) AS place "
        f"FROM {split}",
    )
    return st.step(
        "falls",
        f"SELECT customer_id, cut, CASE WHEN t >= {SPLITS} AND fall >= {-math.log(FELL_TO)!r} THEN 1 ELSE 0 END AS fell, "
        f"cut_day - 7 * k AS fell_day FROM {best} WHERE place = 1",
        says="where the last weeks' use changed its level most",
    )


def _narrower(st: Statement, facts: Facts, used: str, dated: str) -> str:
    """A step (customer_id, cut, narrower, narrower_day): features of the last four weeks beside those before."""
    d = facts.engine.dialect
    span = d.div("c.cut_day - 1 - u.day", str(BREADTH_DAYS))
    wide = st.step(
        "features_before",
        f"SELECT u.customer_id, c.cut, max(c.cut_day) AS cut_day, {span} AS span, count(DISTINCT u.feature) AS n FROM {used} AS u JOIN {dated} AS c "
        f"ON u.day < c.cut_day AND u.day >= c.cut_day - {4 * BREADTH_DAYS} GROUP BY u.customer_id, c.cut, {span}",
    )
    return st.step(
        "breadths",
        f"SELECT customer_id, cut, CASE WHEN count(*) < 4 OR min(CASE WHEN span > 0 THEN n END) < 2 THEN NULL "
        "WHEN 2 * max(CASE WHEN span = 0 THEN n END) <= min(CASE WHEN span > 0 THEN n END) THEN 1 ELSE 0 END AS narrower, "
        f"max(cut_day) - {BREADTH_DAYS} AS narrower_day FROM {wide} GROUP BY customer_id, cut",
        says="how many features each customer uses, beside how many he used",
    )


def _champions(st: Statement, facts: Facts, at_risk: str) -> str:
    """A step (customer_id, cut, left_lately, left_day): whose champion is there, or left in the days before."""
    columns = ("customer_id", "role", "joined_at", "left_at")
    known = facts.counted(st, facts.latest(st, "contacts", columns), columns, "counted_contacts")
    gone = "h.left_at < r.at_us"
    here = st.step(
        "champions",
        f"SELECT r.customer_id, r.cut, max(CASE WHEN {gone} THEN 0 ELSE 1 END) AS stands, max(CASE WHEN {gone} THEN h.left_at END) AS left_us, "
        f"max(r.at_us) AS at_us FROM {at_risk} AS r JOIN {known} AS h ON h.customer_id = r.customer_id AND lower(h.role) = '{CHAMPION}' "
        "AND coalesce(h.joined_at < r.at_us, TRUE) GROUP BY r.customer_id, r.cut",
    )
    return st.step(
        "champions_left",
        f"SELECT customer_id, cut, CASE WHEN stands = 1 THEN 0 WHEN left_us >= at_us - {CHAMPION_DAYS * DAY_US} THEN 1 END AS left_lately, "
        f"{local_day(facts, 'left_us')} AS left_day FROM {here}",
        says="whose champion left in the days before",
    )
