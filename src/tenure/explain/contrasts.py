"""Kinds of customers, side by side: who leaves more, with plan, tenure and month the same?

A contrast is an expression over a relation with one row per live customer and month's beginning (see months): 1 for the
customers it is about, 0 for those they are compared with, NULL for the rest; or, in order of a metric, a score from 0 to
`steps`. Rows are counted in the engine, by stratum; what comes back is bounded by plans x tenures x months. What stands
is an association, however well adjusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenure.explain.comparing import FEWEST, compared, trended
from tenure.explain.findings import Finding, in_family
from tenure.explain.months import STRATUM, Months
from tenure.kernel.stats import NO_ESTIMATE, Estimate
from tenure.lake.portable import Statement

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Contrast:
    """What is compared with what; group: SQL, see the module. en, th: of whom it is said that they leave more or less.

    value: SQL of what the group was made from, of which least and greatest are told; of_whom: which groups the finding's
    customers are, as SQL.
    """

    name: str
    cause: str | None
    en: str
    th: str
    group: str
    settles: str
    steps: int = 1
    value: str = "NULL"
    of_whom: str = "= 1"
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Counted:
    """Customer-months of one contrast and group: how many, how many left, least and greatest value."""

    people: int = 0
    gone: int = 0
    lowest: float | None = None
    highest: float | None = None

    def add(self, people: int, gone: int, lowest: float | None, highest: float | None) -> None:
        """More of the same group."""
        self.people, self.gone = self.people + people, self.gone + gone
        if lowest is not None and highest is not None:
            self.lowest = lowest if self.lowest is None else min(self.lowest, lowest)
            self.highest = highest if self.highest is None else max(self.highest, highest)


Groups = dict[int, Counted]
Stratum = tuple[Any, ...]


def contrasted(
    method: str, months: Months, st: Statement, rows: str, contrasts: Sequence[Contrast]
) -> tuple[tuple[Finding, ...], list[Groups], str]:
    """A finding for each contrast, corrected as one family; what was counted in each of its groups; the statement.

    rows: a kept step with the columns of `months.at_risk`. The estimate is the adjusted difference in the share of
    customers who leave a month (unit points): of the first group less the others, or from the least score to the greatest.
    """
    if not contrasts:
        return (), [], ""
    facts = months.facts
    grouped = "\nUNION ALL\n".join(
        f"SELECT {i} AS which, {STRATUM}, g, count(*) AS people, sum(gone) AS gone, min(v) AS lowest, max(v) AS highest FROM "
        f"(SELECT {STRATUM}, gone, CAST({one.group} AS BIGINT) AS g, CAST({one.value} AS DOUBLE) AS v FROM {rows}) AS c{i} "
        f"WHERE g IS NOT NULL GROUP BY {STRATUM}, g"
        for i, one in enumerate(contrasts)
    )
    named = "\nUNION ALL\n".join(
        f"SELECT {i} AS which, count(DISTINCT customer_id) AS customers FROM {rows} WHERE ({one.group}) {one.of_whom}"
        for i, one in enumerate(contrasts)
    )
    st.step("contrasts", grouped, says="by stratum: how many there were, and how many left")
    # How many customers rides along under a stratum of its own, so that the rows are made once.
    sql = st.render(
        "SELECT which, cut, plan, pays_yearly, tenure, g, people, gone, lowest, highest FROM contrasts\nUNION ALL\n"
        f"SELECT which, -1, '', 0, '', -1, customers, 0, NULL, NULL FROM (\n{named}\n) AS named ORDER BY 1, 2, 3, 4, 5, 6"
    )
    cells: list[list[tuple[Stratum, int, int, int]]] = [[] for _ in contrasts]
    groups: list[Groups] = [{} for _ in contrasts]
    customers = [0] * len(contrasts)
    for row in facts.engine.table(sql).to_pylist():
        which, g, people = int(row["which"]), int(row["g"]), int(row["people"])
        if g < 0:
            customers[which] = people
            continue
        gone = int(row["gone"])
        cells[which].append(((row["cut"], row["plan"], row["pays_yearly"], row["tenure"]), g, people, gone))
        groups[which].setdefault(g, Counted()).add(people, gone, row["lowest"], row["highest"])
    findings = (
        _finding(method, one, of_strata, of_groups, count, _lister(months, st, rows, one))
        for one, of_strata, of_groups, count in zip(contrasts, cells, groups, customers, strict=True)
    )
    return in_family(method, findings), groups, sql


def _finding(
    method: str,
    one: Contrast,
    cells: list[tuple[Stratum, int, int, int]],
    groups: Groups,
    customers: int,
    who: Callable[[], pa.Table],
) -> Finding:
    scores = sorted(groups)
    estimate, p = NO_ESTIMATE, None
    more: dict[str, Any] = {}
    if len(scores) == 2:
        sides: dict[Stratum, list[int]] = {}
        for stratum, g, people, gone in cells:
            side, place = sides.setdefault(stratum, [0, 0, 0, 0]), 0 if g == scores[1] else 2
            side[place], side[place + 1] = gone, people
        a, n1, b, n0 = ([side[i] for side in sides.values()] for i in range(4))
        found = compared(a, n1, b, n0)
        estimate, p = found.difference, found.p
        more = {"ratio": found.ratio.value, "ratio_low": found.ratio.low, "ratio_high": found.ratio.high}
    elif len(scores) > 2:
        numbers = {stratum: i for i, stratum in enumerate({stratum: None for stratum, *_ in cells})}
        trend = trended(
            [numbers[stratum] for stratum, *_ in cells],
            [g for _, g, _, _ in cells],
            [gone for *_, gone in cells],
            [people for _, _, people, _ in cells],
        )
        p = trend.p
        if trend.slope.value is not None:
            estimate = Estimate(*(None if end is None else end * one.steps for end in trend.slope))
    # The outer thirds of scores, or the two groups as they are.
    least = [groups[g] for g in scores if 3 * g <= one.steps - 1] or [groups[g] for g in scores[:1]]
    most = [groups[g] for g in scores if 3 * (one.steps - g) <= one.steps - 1] or [groups[g] for g in scores[1:][-1:]]
    for name, part in (("", most), ("_others", least)):
        people, gone = sum(one.people for one in part), sum(one.gone for one in part)
        more[f"churn{name}"] = gone / people if people else None
        more[f"customer_months{name}"], more[f"left{name}"] = people, gone
    reason = None
    if p is None:
        nobody = "no such customer" if not customers else "nobody to compare with in the same month, plan and tenure"
        reason = f"fewer than {FEWEST} of them left" if len(scores) > 2 else nobody
    return Finding(
        method, one.name, one.cause, one.en, one.th, estimate, "points", customers, p=p, settles=one.settles,
        reason=reason, who=who, more={**more, **one.more},
    )  # fmt: skip


def _lister(months: Months, st: Statement, rows: str, one: Contrast) -> Callable[[], pa.Table]:
    """Lists the customers that a contrast is about, as they stood when the last month began."""

    def who() -> pa.Table:
        months.lend()
        last = f"cut = {len(months.cuts) - 1} AND ({one.group}) {one.of_whom}"
        return months.facts.engine.table(
            st.render(f"SELECT DISTINCT customer_id FROM {rows} WHERE {last} ORDER BY customer_id")
        )

    return who
