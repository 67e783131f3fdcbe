"""How is a model trained, judged, stored and put into service? What `tenure fit` does.

For each horizon: a model is made from what was known at an earlier month and judged on the months after it, beside the
base rate and recency. If it beats both by more than chance, the model made from all of history goes into service; else
it is stored, nothing goes into service, and the reason is told.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tenure.app.model_files import ModelFiles, feature_data
from tenure.errors import BadInput, BadPeriod, CannotFit
from tenure.kernel.time import midnight, whole_days, zone

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.lake.facts import Facts
    from tenure.predict.baselines import Verdict
    from tenure.predict.features_periods import Horizon, Looks
    from tenure.predict.features_training import Trained
    from tenure.predict.replay import Replayed

HORIZONS: dict[str, int | str] = {"30d": 30, "90d": 90, "renewal": "renewal"}
# Older months say little of next month, and a model of many rows is made of a sample of customers.
MONTHS = 24
MOST_ROWS = 300_000
_LIBRARIES = ("numpy", "scipy", "lightgbm", "duckdb")
Progress = Callable[..., None]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What came of a horizon: the version, whether it is in service and why, and what it was made from.

    stays: the version that goes on being in service where this one does not go into it; figures: the model's rows of
    predict.judging beside the baselines' (empty where it could not be judged).
    """

    name: str
    horizon: str
    version: str
    in_service: bool
    reason: str
    stays: str | None
    trained: Trained
    replayed: Replayed | None
    figures: dict[str, list[dict[str, Any]]]
    as_of: date

    def as_json(self) -> dict[str, Any]:
        """The same as one row."""
        model = self.trained.model
        own = {row["figure"]: row["value"] for row in self.figures.get("model", [])}
        return {
            "model": self.name,
            "version": self.version,
            "horizon": self.horizon,
            "as_of": self.as_of,
            "in_service": self.in_service,
            "reason": self.reason,
            "chosen": model.chosen_,
            "since": self.trained.since,
            "until": self.trained.until,
            "rows": model.rows_,
            "customers": model.customers_,
            "leavers": model.leavers_,
            "features": len(self.trained.features),
            **{name: own.get(name) for name in ("auc", "log_loss", "top_decile_lift", "observed_to_expected")},
            "why": [*model.why_, *self.trained.left_alone.says],
            "refused": dict(self.trained.refused),
        }


def name_of(horizon: str) -> str:
    """What the model of a horizon is called, in files and in the table `scores`."""
    return f"leaving-{horizon}"


def days_of(horizon: str) -> int | str:
    """30d, 90d or renewal, as the models take it. BadInput for any other."""
    if horizon not in HORIZONS:
        raise BadInput(f"no horizon is called '{horizon}': it is {', '.join(HORIZONS)}")
    return HORIZONS[horizon]


def last_day(facts: Facts) -> date:
    """The last day that facts tell of: of subscriptions, bills, usage and tickets, up to what is known."""
    from tenure.lake.tables import TABLES
    from tenure.measure.cohorts import nothing_known

    found: list[datetime] = []
    for table in ("subscription_states", "subscription_spans", "invoices", "payments", "usage", "tickets"):
        told = facts.snapshot(table).maximum
        clocks = [TABLES[table].business_time] + (["ended_at"] if table == "subscription_spans" else [])
        known = [told[clock] for clock in clocks if isinstance(told.get(clock), datetime)]
        learned = told.get("recorded_at")
        if known:
            last = max(known)
            found.append(
                min(last, learned) if isinstance(learned, datetime) and table != "subscription_spans" else last
            )
    if not found:
        raise nothing_known(facts)
    return min(max(found), facts.known_before - timedelta(microseconds=1)).astimezone(facts.timezone).date()


def looked_at(shop: Workspace, as_of: str | None, engine: str | None = None) -> tuple[Facts, date]:
    """What was known at the end of a day (default: the last one that facts tell of), and that day."""
    if as_of is not None:
        after = whole_days(as_of)[1]
        if midnight(after, zone(shop.settings.timezone)) > shop.known_before() + timedelta(days=1):
            raise BadPeriod(f"{as_of} lies ahead: nobody knows yet what will be known then; ask for a day up to today")
        return shop.facts(as_of, engine), after - timedelta(days=1)
    day = last_day(shop.facts(None, engine))
    return shop.facts(day.isoformat(), engine), day


def cut_offs_of(facts: Facts, shop: Workspace, as_of: date, since: str | None) -> list[datetime]:
    """The months' beginnings to learn from: at most MONTHS, none before leavers are known at all."""
    from tenure.measure.cohorts import history, nothing_known
    from tenure.measure.lifetimes import exposure_start
    from tenure.predict.features_periods import month_starts

    span = history(facts)
    if span is None:
        raise nothing_known(facts)
    if since is not None:
        first = whole_days(since)[0]
    else:
        exposed, _ = exposure_start(facts, shop.definition(), as_of + timedelta(days=1))
        first = max(span[0], exposed or span[0])
        if first.day > 1:
            first = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    starts = month_starts(facts, first, as_of + timedelta(days=1))
    if not starts:
        raise BadInput(f"no month begins from {first} up to {as_of}; give an earlier --from, or load more history")
    return starts if since is not None else starts[-MONTHS:]


def over(cut_offs: Sequence[datetime], facts: Facts, horizon: Horizon, gap: int) -> list[datetime]:
    """The cut-offs whose window is over, a renewal's taken for a month's."""
    length = timedelta(days=gap + (horizon if isinstance(horizon, int) else 31))
    return [cut_off for cut_off in cut_offs if cut_off + length <= facts.known_before]


def fit(
    shop: Workspace,
    *,
    horizons: Sequence[str] = tuple(HORIZONS),
    as_of: str | None = None,
    since: str | None = None,
    engine: str | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress = lambda *told: None,
) -> list[Fitted]:
    """A model for each horizon, stored and (if it beats the baselines) put into service; see the module.

    as_of: the last day it may know of (default: the last one that facts tell of); since: the first month to learn from
    (default: as far as leavers are known, at most MONTHS months).
    """
    from tenure.predict.features_periods import Looks

    for horizon in horizons:
        days_of(horizon)
    facts, day = looked_at(shop, as_of, engine)
    cut_offs = cut_offs_of(facts, shop, day, since)
    looks = Looks(facts, shop.definition(), tuple(shop.settings.static_columns), MOST_ROWS)
    looks.prepare(cut_offs)
    for done, cut_off in enumerate(cut_offs):
        progress("looking at what was known", done, len(cut_offs))
        looks.at(cut_off)
    found = []
    for horizon in horizons:
        progress(f"learning who leaves within {horizon}")
        found.append(_fit_one(shop, facts, looks, cut_offs, horizon, day, seed, threads))
    return found


def _fit_one(
    shop: Workspace,
    facts: Facts,
    looks: Looks,
    cut_offs: list[datetime],
    horizon: str,
    day: date,
    seed: int,
    threads: int,
) -> Fitted:
    from tenure.predict.features_training import train

    days = days_of(horizon)
    settings, definition = shop.settings, shop.definition()
    options: dict[str, Any] = {
        "horizon": days, "static": tuple(settings.static_columns), "hold_out": float(settings.hold_out),
        "plays": tuple(settings.treating_plays), "looks": looks, "seed": seed, "threads": threads,
    }  # fmt: skip
    first, after = _date(cut_offs[0], facts), _date(cut_offs[-1], facts) + timedelta(days=1)
    trained = train(facts, definition, first, after, **options)
    verdict, replayed = _judged(facts, definition, over(cut_offs, facts, days, 0), options)
    # What stands where no model is in service.
    simplest = train(facts, definition, first, after, **(options | {"learner": "tenure"})).model
    figures = {} if replayed is None else {name: told.rows() for name, told in replayed.judge(draws=200).items()}
    name, files = name_of(horizon), ModelFiles(shop.folder)
    content = _content(shop, facts, name, trained, simplest, replayed, verdict, figures)
    stored = files.write(name, content)
    stays = files.in_service().get(name)
    if verdict.in_service:
        files.put_into_service(name, stored)
        stays = None
    elif stays == stored:
        stays = None
    return Fitted(name, horizon, stored, verdict.in_service, verdict.reason, stays, trained, replayed, figures, day)


def _judged(
    facts: Facts, definition: Any, cut_offs: Sequence[datetime], options: dict[str, Any]
) -> tuple[Verdict, Replayed | None]:
    """Whether a model made at three quarters of history beats the baselines on the last quarter."""
    from tenure.predict.baselines import Verdict
    from tenure.predict.replay import replay

    if len(cut_offs) < 3:
        months = "one month" if len(cut_offs) == 1 else f"{len(cut_offs)} months"
        return Verdict(False, f"not put into service: {months} that are over leave nothing to judge it on", {}), None
    origin = cut_offs[max(1, min((3 * len(cut_offs)) // 4, len(cut_offs) - 1))]
    try:
        replayed = replay(facts, definition, list(cut_offs), [origin], **options)
    except CannotFit as error:
        return Verdict(False, f"not put into service: {error}", {}), None
    return replayed.verdict(), replayed


def _content(
    shop: Workspace,
    facts: Facts,
    name: str,
    trained: Trained,
    simplest: Any,
    replayed: Replayed | None,
    verdict: Verdict,
    figures: dict[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    from tenure import __version__
    from tenure.predict.drift import distribution
    from tenure.predict.stored_models import FORMAT, as_data

    whole = trained.rows.table.filter(trained.rows.table.column("is_whole"))
    months = [] if replayed is None else [{**row, "cut_off": row["cut_off"].isoformat()} for row in replayed.by_month()]
    return {
        "format": FORMAT,
        "name": name,
        "horizon": trained.horizon,
        "gap": trained.gap,
        "as_of": facts.known_before.isoformat(),
        "since": trained.since.isoformat(),
        "until": trained.until.isoformat(),
        "profile": shop.definition().name,
        "in_service": verdict.in_service,
        "reason": verdict.reason,
        "differences": {each: figure._asdict() for each, figure in verdict.difference.items()},
        "figures": figures,
        "judged": None
        if replayed is None
        else {"since": replayed.origins[0].cut_off.isoformat(), "rows": len(replayed.left), "by_month": months},
        "features": [feature_data(feature) for feature in trained.features],
        "refused": dict(trained.refused),
        "missing": dict(trained.missing),
        "static": list(trained.static),
        "hold_out": float(shop.settings.hold_out),
        "treated": trained.left_alone.treated,
        "says": list(trained.left_alone.says),
        "distribution": distribution(whole, trained.features),
        "libraries": {"tenure": __version__, "python": platform.python_version(), **_versions()},
        "model": as_data(trained.model),
        "simplest": as_data(simplest),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _LIBRARIES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _date(at: datetime, facts: Facts) -> date:
    return at.astimezone(facts.timezone).date()
