"""Can the models in service still be believed? What `tenure doctor` says of their age, drift and calibration.

age           days from the last day a model knows of to the last day that facts tell of
drift         features whose distribution has moved away from training (population stability index above 0.25)
calibration   of stored scores whose window is over: by day of scoring, who was expected to leave and who did
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tenure.app.fitting import last_day
from tenure.app.model_files import ModelFiles, StoredModel

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.lake.facts import Facts

OLD_DAYS = 180
# A decision that nobody told shows at the end of what it ended, up to a month later.
LATE_DAYS = 31


@dataclass(frozen=True)
class Health:
    """What is to be said of one model; is_fine: nothing to do."""

    model: str
    is_fine: bool
    says: str


@dataclass(frozen=True)
class Scored:
    """Scores of one day whose window is over: customers, who was expected to leave and who did, with its interval."""

    day: date
    customers: int
    expected: float
    left: int
    low: float
    high: float

    @property
    def is_off(self) -> bool:
        """Whether the expected number lies outside what chance makes of those who left."""
        return not self.low <= self.expected <= self.high


def model_health(shop: Workspace) -> Iterator[Health]:
    """What there is to say of every model in service; nothing where none is."""
    files = ModelFiles(shop.folder)
    in_service = files.in_service()
    if not in_service:
        return
    day = last_day(shop.facts())
    facts = shop.facts(day.isoformat())
    told: Any = None
    for name, version in sorted(in_service.items()):
        stored = files.read(name, version)
        if told is None:
            told = _told(shop, facts, stored)
        yield _of(shop, facts, day, stored, told)


def _told(shop: Workspace, facts: Facts, stored: StoredModel) -> Any:
    from tenure.predict.features import features

    static = tuple(stored.facts["static"])
    return features(facts, facts.known_before, shop.definition(), static=static).table


def _of(shop: Workspace, facts: Facts, day: date, stored: StoredModel, table: Any) -> Health:
    from tenure.predict.drift import MOVED, drift

    age = (facts.known_before - stored.as_of).days
    says = [f"version {stored.version}, {max(age, 0)} days old as of {day}"]
    fine = True
    if age > OLD_DAYS:
        fine = False
        says.append("that is long; `tenure fit` makes a new one")
    every = drift(stored.facts["distribution"], table, stored.features)
    moved = {name: psi for name, psi in every.items() if psi > MOVED}
    if moved and table.num_rows:
        fine = False
        named = ", ".join(f"{name} {psi:.2f}" for name, psi in list(moved.items())[:5])
        more = f" and {len(moved) - 5} more" if len(moved) > 5 else ""
        says.append(f"customers differ from those it learned from in {named}{more} (stability index, above {MOVED})")
    months = calibration_by_day(shop, facts, stored)
    off = [month for month in months if month.is_off]
    if off:
        fine = False
        said = "; ".join(f"{month.day}: {month.expected:.0f} expected, {month.left} left" for month in off[-3:])
        says.append(f"its chances were off for scores of {said}")
    elif months:
        expected, left = sum(month.expected for month in months), sum(month.left for month in months)
        says.append(f"of stored scores that are over, {expected:.0f} were expected to leave and {left} did")
    if not moved:
        says.append("no feature has moved far")
    return Health(stored.name, fine, "; ".join(says))


def calibration_by_day(shop: Workspace, facts: Facts, stored: StoredModel) -> list[Scored]:
    """Stored scores of a model whose window is over, by the day they were made as of; none for the renewal horizon.

    Who had decided before that day, though nobody knew, counts in neither number.
    """
    from tenure.kernel.stats import poisson_exact
    from tenure.lake.portable import DAY_US, from_micros, micros
    from tenure.predict.features_periods import decisions

    if not isinstance(stored.horizon, int) or not facts.has("scores"):
        return []
    everything = shop.facts()
    lost = decisions(facts, shop.definition()).select(["customer_id", "lost_us", "decided_us"])
    lent = facts.engine.lend("decisions_of_customers", lost)
    d, st = facts.engine.dialect, facts.statement()
    over = micros(facts.known_before - timedelta(days=stored.horizon + LATE_DAYS))
    known = everything.latest(st, "scores", ("model", "customer_id", "as_of", "probability"))
    scores = st.step(
        "scores_over",
        f"SELECT customer_id, as_of, probability FROM {known} "
        f"WHERE model = {d.literal(stored.name)} AND as_of <= {over}",
    )
    ends = f"s.as_of + {stored.horizon * DAY_US}"
    each = st.step(
        "scores_and_decisions",
        "SELECT s.customer_id, s.as_of, s.probability, "
        f"max(CASE WHEN l.decided_us >= s.as_of AND l.decided_us < {ends} THEN 1 ELSE 0 END) AS goes, "
        "max(CASE WHEN l.decided_us < s.as_of AND l.lost_us >= s.as_of THEN 1 ELSE 0 END) AS had_decided "
        f"FROM {scores} AS s LEFT JOIN {lent} AS l ON l.customer_id = s.customer_id "
        "GROUP BY s.customer_id, s.as_of, s.probability",
    )
    sql = st.render(
        f"SELECT as_of, count(*) AS n, sum(probability) AS expected, sum(goes) AS gone FROM {each} "
        "WHERE had_decided = 0 GROUP BY as_of ORDER BY as_of"
    )
    found = []
    rows = facts.engine.table(sql).to_pylist()
    for row in rows:
        # All days together are wrong by chance once in twenty times.
        _, low, high = poisson_exact(int(row["gone"]), 1, 1.0 - 0.05 / len(rows))
        at = from_micros(int(row["as_of"])).astimezone(facts.timezone) - timedelta(microseconds=1)
        found.append(
            Scored(at.date(), int(row["n"]), float(row["expected"]), int(row["gone"]), low or 0.0, high or 0.0)
        )
    return found
