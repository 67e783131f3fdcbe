"""Where is everything? A folder with settings, the lake and the ledger, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tenure.app import settings as settings_file
from tenure.errors import BadInput, BadPeriod
from tenure.kernel.money import exponent
from tenure.kernel.time import midnight, whole_days, zone

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from tenure.app.backtesting import Backtest
    from tenure.app.closing import Closed, MonthRestated
    from tenure.app.fitting import Fitted
    from tenure.app.investors import Investors
    from tenure.app.rebuilding import Rebuilt
    from tenure.app.risks import Risks
    from tenure.app.settings import Settings
    from tenure.app.story import Story
    from tenure.connect.exports import Loaded
    from tenure.lake.engines import Engine
    from tenure.lake.facts import Facts
    from tenure.lake.store import Lake
    from tenure.measure.answers import Answer
    from tenure.measure.benchmarks import Benchmarks
    from tenure.measure.bridge import Bridge
    from tenure.measure.cohorts import CohortTable
    from tenure.measure.costs import Cost
    from tenure.measure.coverage import Coverage
    from tenure.measure.definition import Definition
    from tenure.measure.lifetimes import Lives
    from tenure.measure.matching import Matched
    from tenure.measure.orders import OrderHistory
    from tenure.measure.purchase_gaps import Gaps
    from tenure.measure.reconciling import Reconciled
    from tenure.measure.renewal_answer import Renewals
    from tenure.measure.rfm import Rfm
    from tenure.measure.watching import Watched
    from tenure.measure.whole_book import WholeBook
    from tenure.measure.worth import Assumptions
    from tenure.predict.forecast import Forecast
    from tenure.predict.forecast_replay import ForecastReplay
    from tenure.predict.value import Value

T = TypeVar("T")


def open(folder: str | Path = ".", *, create: bool = False, **options: Any) -> Workspace:
    """The workspace in a folder.

    With `create`, makes one where there is none; `timezone`, `currency` and `company` then go into its tenure.toml.
    Raises NoWorkspace for a folder that is none.
    """
    path = Path(folder)
    if create and not (path / settings_file.FILE).exists():
        path.mkdir(parents=True, exist_ok=True)
        settings_file.write(path, **options)
    elif options and not create:
        raise BadInput(f"{', '.join(options)}: settings are written only when a workspace is created; edit tenure.toml")
    return Workspace(path)


class Workspace:
    """A company's facts and settings in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: Settings = settings_file.read(folder)
        self._engines: dict[str, Engine] = {}

    def __repr__(self) -> str:
        return f"Workspace({str(self.folder)!r})"

    def close(self) -> None:
        """Lets go of engines and their scratch folders; the workspace opens them anew when asked again."""
        while self._engines:
            self._engines.popitem()[1].close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def lake(self) -> Lake:
        """The facts, as Delta tables."""
        from tenure.lake.store import Lake

        return Lake(self.folder / "lake")

    def engine(self, name: str | None = None) -> Engine:
        """The engine of that name (default: the settings'), opened once."""
        from tenure.lake.engines import open_engine

        name = name or self.settings.engine
        if name not in self._engines:
            self._engines[name] = open_engine(name, memory_limit=self.settings.memory_limit)
        return self._engines[name]

    def definition(self, profile: str | None = None) -> Definition:
        """The definition of that name (default: the company's), with the company's own choices where it is its profile.

        Choices may follow the name: `stripe, past_due_days=14`.
        """
        from tenure.measure.definition import named

        return named(profile or self.settings.profile, self.settings.definition, self.settings.profile)

    @property
    def assumptions(self) -> Assumptions:
        """What no fact tells and the settings do: margin, discount rate, lag of spend, grace days, months ahead."""
        from tenure.measure.worth import Assumptions

        chosen = self.settings
        return Assumptions.of(
            chosen.margin, chosen.discount_rate, chosen.spend_lag_months, chosen.grace_days, chosen.committed_months
        )

    def inactivity_days(self, window: str | int | None = None) -> int | None:
        """Days without a purchase after which a buyer has lapsed: as given (`90d`, `13w`) or set; else None."""
        from tenure.measure.purchase_gaps import window_days

        chosen = self.settings.inactivity_window if window is None else window
        return None if chosen is None else window_days(chosen)

    def known_before(self, known_on: str | datetime | None = None) -> datetime:
        """The exclusive end of what is known: of a day, month or year the whole of it; by default now."""
        if known_on is None:
            return datetime.now(UTC) + timedelta(microseconds=1)
        if isinstance(known_on, datetime):
            if known_on.tzinfo is None:
                raise BadPeriod(f"{known_on} has no time zone; give an aware datetime or text such as '2026-06-30'")
            return known_on.astimezone(UTC) + timedelta(microseconds=1)
        return midnight(whole_days(known_on)[1], zone(self.settings.timezone))

    def facts(
        self, known_on: str | datetime | None = None, engine: str | None = None, grain: str = "customer"
    ) -> Facts:
        """One consistent look at everything that was known then.

        grain: who is one: each `customer`, or an `account`, a parent with all its children (customers.parent_id).
        """
        from tenure.errors import UnknownName
        from tenure.lake.facts import GRAINS, Facts

        if grain not in GRAINS:
            raise UnknownName.of("grain", grain, GRAINS)
        before = self.known_before(known_on)
        return Facts(self.lake, self.engine(engine), before, zone(self.settings.timezone), grain=grain)

    def _again(self, attempt: Callable[[], T]) -> T:
        """The answer; asked once more on a fresh look at the lake if a file of the first look has been vacuumed."""
        from tenure.lake.lost_files import retry_lost_file

        return retry_lost_file(attempt)

    def load(
        self,
        table: str,
        *files: str | Path,
        mapping: dict[str, str] | None = None,
        static: Sequence[str] = (),
        strict: bool = False,
        timezone: str | None = None,
        currency: str | None = None,
        progress: Any = None,
    ) -> list[Any]:
        """Loads files into a table or from a shape people have; see connect.files and `tenure load --help`.

        Each file is loaded wholly or not at all; loading it again changes nothing. Rows that fail are in quarantine.
        """
        from tenure.connect.files import load

        return [
            load(
                self.lake,
                table,
                Path(file),
                mapping=mapping or {},
                static=static,
                strict=strict,
                timezone=timezone or self.settings.timezone,
                currency=currency or self.settings.currency,
                now=datetime.now(UTC),
                progress=progress,
            )
            for file in files
        ]

    def load_export(
        self,
        name: str | Path,
        folder: str | Path,
        *,
        strict: bool = False,
        timezone: str | None = None,
        currency: str | None = None,
        progress: Any = None,
    ) -> Loaded:
        """Loads every file of a vendor's export: `name` is a mapping that ships with the package, or a path (.toml).

        The answer has one report for each file and table, the files that are absent and those not used. Loading the
        folder again changes nothing. Raises PartlyLoaded if, with `strict`, some files were refused.
        """
        from tenure.connect import exports
        from tenure.errors import PartlyLoaded

        loaded = exports.load(
            self.lake,
            name,
            Path(folder),
            strict=strict,
            timezone=timezone or self.settings.timezone,
            currency=currency or self.settings.currency,
            now=datetime.now(UTC),
            progress=progress,
        )
        if loaded.refused:
            raise PartlyLoaded("\n".join(loaded.refused), loaded)
        return loaded

    def rebuild(self, *, engine: str | None = None) -> Rebuilt:
        """Writes the states that invoice lines tell of, where no state or span does; see app.rebuilding.rebuild."""
        from tenure.app.rebuilding import rebuild

        return self._again(lambda: rebuild(self, engine))

    def metrics(
        self,
        *names: str,
        since: str,
        until: str | None = None,
        period: str = "month",
        by: str | Sequence[str] = (),
        currency: str | None = None,
        profile: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        intervals: bool = True,
        revenue: str = "committed",
        window: str | int | None = None,
        grain: str = "customer",
    ) -> Answer:
        """Metrics per period, from the whole of `since` to the whole of `until` (default: since), see the catalogue.

        by: column or trait, or several. currency: the reporting currency (default: the settings'; None and several
        currencies: each by itself; "each": each by itself even so). revenue: committed, usage or total; see
        measure.revenue_lines. window: days without a purchase after which a buyer has lapsed (default: the settings',
        else chosen from the gaps). grain: who is one customer; see `facts`.
        """
        from tenure.app import closing
        from tenure.app.coverage import is_reconstructed
        from tenure.measure.answers import Question, ask
        from tenure.measure.catalogue import metrics

        first = whole_days(since)[0]
        after = whole_days(until or since)[1]
        by = (by,) if isinstance(by, str) else tuple(by)
        reporting = currency or self.settings.currency
        if reporting is not None:
            reporting = None if reporting.lower() == "each" else reporting.upper()
        question = Question(
            tuple(names), first, after, period, by, reporting, intervals, assumed=self.assumptions, revenue=revenue,
            inactivity=self.inactivity_days(window),
        )  # fmt: skip
        instead = "`tenure cohorts` shows who buys again, `tenure report` tells of revenue, buyers and repeat purchases"
        hides = "mrr_correction" in names and "mrr_opening" not in names

        def attempt() -> Answer:
            facts = self.facts(known_on, engine, grain)
            # A name that is none is said first.
            recurring = [metric.name for metric in metrics(names) if metric.line != "orders"]
            self._recurring(facts, f"{recurring[0]} is a number of subscriptions" if recurring else "", instead)
            # A correction is told by the opening, which is looked at even where it is not asked for.
            asked = replace(question, names=("mrr_opening", *names)) if hides else question
            answer = ask(facts, self.definition(profile), asked)
            if revenue == "committed":  # books are closed with committed revenue
                answer = closing.reconciled(self, answer)
            if hides:
                answer.cells = [cell for cell in answer.cells if cell.metric.name != "mrr_opening"]
                answer.question = question
            if known_on is not None and is_reconstructed(facts, loaded_later=False):
                answer.notes.append("Reconstructed: when some rows were recorded is assumed.")
            answer.targets, answer.target_currency = self.settings.targets, self.settings.currency
            return answer

        return self._again(attempt)

    def bridge(
        self,
        metric: str,
        *,
        before: str | None = None,
        after: str,
        month: str,
        currency: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
        progress: Any = None,
    ) -> Bridge:
        """Why two definitions give two numbers for one period (a day, month, quarter or year); see measure.bridge.

        before, after: profiles, with choices of one's own behind the name (default of before: the company's).
        grain: who is one customer; see `facts`.
        """
        from tenure.measure.bridge import bridge

        first, until = whole_days(month)
        months = 12 * (until.year - first.year) + until.month - first.month
        length = {1: "month", 3: "quarter", 12: "year"}.get(months) or ("week" if (until - first).days == 7 else "day")
        reporting = currency or self.settings.currency
        if reporting is not None:
            reporting = None if reporting.lower() == "each" else reporting.upper()
        one, other = self.definition(before), self.definition(after)
        return self._again(
            lambda: bridge(
                self.facts(known_on, engine, grain),
                one,
                other,
                metric,
                first=first,
                until=until,
                grain=length,
                currency=reporting,
                progress=progress,
            )
        )

    def cost(
        self,
        *,
        since: str,
        until: str | None = None,
        by: str | Sequence[str] = (),
        currency: str | None = None,
        lag_months: int | None = None,
        profile: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
    ) -> Cost:
        """What churn cost from the whole of `since` to the whole of `until`; see measure.costs.

        lag_months: how long before customers come the money was spent that won them (default: the settings').
        grain: who is one customer; see `facts`.
        """
        from tenure.measure.costs import cost_of_churn

        first, after = whole_days(since)[0], whole_days(until or since)[1]
        if first >= after:
            raise BadPeriod(f"the period ends ({after}) before it begins ({first})")
        names = (by,) if isinstance(by, str) else tuple(by)
        reporting = currency or self.settings.currency
        reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
        if reporting is not None:
            exponent(reporting)
        assumed = self.assumptions
        if lag_months is not None:
            if not 0 <= lag_months <= 24:
                raise BadInput(f"a lag of {lag_months} months: give whole months from 0 to 24")
            assumed = replace(assumed, lag_months=lag_months)
        instead = "`tenure report` tells of buyers and repeat purchases"

        def attempt() -> Cost:
            facts = self.facts(known_on, engine, grain)
            self._recurring(facts, "what churn costs is asked of subscriptions", instead)
            chosen: dict[str, Any] = {"first": first, "after": after, "by": names, "currency": reporting}
            found = cost_of_churn(facts, self.definition(profile), assumed=assumed, **chosen)
            if "margin" not in self.settings.told:
                share = f"{100 * self.settings.margin:.0f} %"
                found.notes.append(f"The margin of {share} is the default: set your own as margin in tenure.toml.")
            return found

        return self._again(attempt)

    def renewals(
        self,
        *,
        since: str,
        until: str | None = None,
        period: str = "month",
        by: str | Sequence[str] = (),
        currency: str | None = None,
        interval: str | None = None,
        annual: bool = False,
        grace: int | None = None,
        profile: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
    ) -> Renewals:
        """What came due from the whole of `since` to the whole of `until`, per period, and what became of it.

        interval: only terms of a week, month, quarter or year; annual: of a year. grace: days after its day within
        which a renewal may still come (default: the settings'). grain: who is one customer; see `facts`. See
        measure.renewals.
        """
        from tenure.measure.renewal_answer import renewals

        if annual and interval not in (None, "year"):
            raise BadInput(f"annual and interval {interval} ask for two lengths; give one of them")
        reporting = currency or self.settings.currency
        reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
        if reporting is not None:
            exponent(reporting)
        asked: dict[str, Any] = {
            "first": whole_days(since)[0],
            "after": whole_days(until or since)[1],
            "grain": period,
            "by": (by,) if isinstance(by, str) else tuple(by),
            "currency": reporting,
            "grace": self.settings.grace_days if grace is None else grace,
            "length": "year" if annual else interval,
        }

        def attempt() -> Renewals:
            facts = self.facts(known_on, engine, grain)
            self._recurring(facts, "what comes due are subscriptions", "`tenure report` tells of repeat purchases")
            found = renewals(facts, self.definition(profile), **asked)
            _ = found.figures  # asked here, where it is asked again if a file has gone
            return found

        return self._again(attempt)

    def benchmarks(
        self,
        *metrics: str,
        month: str | None = None,
        currency: str | None = None,
        profile: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
    ) -> Benchmarks:
        """Published figures beside one's own of a month (default: the last whole one) and the twelve it ends.

        metrics: only figures of these; see measure.benchmarks, which also says what is never compared.
        """
        from tenure.app.report import reported_month
        from tenure.measure.benchmarks import benchmarks
        from tenure.measure.cohorts import history, nothing_known

        reporting = currency or self.settings.currency
        reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
        if reporting is not None:
            exponent(reporting)
        what = "published churn figures are of subscriptions"

        def attempt() -> Benchmarks:
            facts = self.facts(known_on, engine)
            self._recurring(facts, what, "`tenure cohorts` shows who buys again")
            if history(facts) is None:
                raise nothing_known(facts)
            first, after = reported_month(facts, month)
            asked: dict[str, Any] = {"first": first, "after": after, "metrics": metrics, "currency": reporting}
            return benchmarks(facts, self.definition(profile), **asked)

        return self._again(attempt)

    def watch(
        self,
        *names: str,
        period: str = "month",
        until: str | None = None,
        by: str | Sequence[str] = (),
        currency: str | None = None,
        false_alarms: float = 0.05,
        profile: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
    ) -> Watched:
        """What left its usual range in the latest day, week or month that is over; see measure.watching.

        names: metrics (default: the core ones). until: the period to judge, whole (default: the latest that is over).
        false_alarms: the chance that anything is listed if nothing changed, over all that is watched together.
        """
        from tenure.measure.watching import watch, watchable

        after = None if until is None else whole_days(until)[1]
        reporting = currency or self.settings.currency
        reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
        if reporting is not None:
            exponent(reporting)
        watchable(names)
        chosen: dict[str, Any] = {
            "grain": period,
            "until": after,
            "by": (by,) if isinstance(by, str) else tuple(by),
            "currency": reporting,
            "false_alarms": false_alarms,
        }

        def attempt() -> Watched:
            facts = self.facts(known_on, engine)
            self._recurring(facts, "what is watched are numbers of subscriptions", "`tenure report` tells of buyers")
            return watch(facts, self.definition(profile), names, **chosen)

        return self._again(attempt)

    def movements(
        self,
        *,
        since: str,
        until: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        profile: str | None = None,
        grain: str = "customer",
    ) -> pa.Table:
        """Every movement of MRR in a stretch of time, one row each, with its cause; see measure.openings."""
        from tenure.measure.openings import movement_rows

        first, after = whole_days(since)[0], whole_days(until or since)[1]
        return self._again(
            lambda: movement_rows(self.facts(known_on, engine, grain), self.definition(profile), first, after)
        )

    def cohorts(
        self,
        measure: str = "customers",
        *,
        period: str = "month",
        until: str | None = None,
        by: str | Sequence[str] = (),
        currency: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
        of: str | None = None,
    ) -> list[CohortTable]:
        """How much of each generation of customers is still there; see measure.cohorts.cohorts.

        measure: customers or revenue; until: the last period (default: the last day of history), whole. of:
        subscriptions, or orders (default where there are no subscriptions): who of each generation buys again; see
        measure.orders.order_cohorts. grain: who is one customer; see `facts`.
        """
        from tenure.measure.cohorts import cohorts
        from tenure.measure.orders import has_orders, order_cohorts
        from tenure.measure.states import tables

        if of not in (None, "subscriptions", "orders"):
            raise BadInput(f"cohorts are of subscriptions or of orders, not of '{of}'")
        names = (by,) if isinstance(by, str) else tuple(by)
        reporting = currency or self.settings.currency
        reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
        if reporting is not None:
            exponent(reporting)  # no such currency is said even where none is needed

        def attempt() -> list[CohortTable]:
            facts = self.facts(known_on, engine, grain)
            asked: dict[str, Any] = {"measure": measure, "grain": period, "by": names, "currency": reporting}
            if of == "orders" or (of is None and not tables(facts) and has_orders(facts)):
                return order_cohorts(facts, until=None if until is None else whole_days(until)[1], **asked)
            return cohorts(facts, self.definition(), until=self._until(facts, until), **asked)

        return self._again(attempt)

    def lives(
        self,
        *,
        unit: str = "month",
        until: str | None = None,
        by: str | Sequence[str] = (),
        from_birth: bool = False,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
    ) -> list[Lives]:
        """How long customers stay, as counts for kernel.survival; see measure.lifetimes.lives.

        Where the data knows only survivors before some day, exposure starts on it; `from_birth` counts everybody from
        the first day all the same (a snapshot's arithmetic). grain: who is one customer; see `facts`.
        """
        from tenure.measure import lifetimes

        definition, names = self.definition(), (by,) if isinstance(by, str) else tuple(by)
        what = "how long customers stay cannot be told of orders, for nobody says when a customer has left"
        instead = "`tenure cohorts` shows how many of each generation buy again, period by period"

        def attempt() -> list[Lives]:
            facts = self.facts(known_on, engine, grain)
            self._recurring(facts, what, instead)
            after = self._until(facts, until)
            since, snapshot = (None, False) if from_birth else lifetimes.exposure_start(facts, definition, after)
            return lifetimes.lives(facts, definition, until=after, unit=unit, by=names, since=since, snapshot=snapshot)

        return self._again(attempt)

    def close_month(
        self,
        month: str,
        *,
        profile: str | None = None,
        currency: str | None = None,
        known_on: str | datetime | None = None,
        again: bool = False,
    ) -> tuple[Closed, bool]:
        """Freezes a month's figures; answers the closed month, and whether it was closed just now. See app.closing."""
        from tenure.app import closing

        options: dict[str, Any] = {"profile": profile, "currency": currency, "known_on": known_on, "again": again}
        return self._again(lambda: closing.close(self, month, **options))

    def closed_months(self) -> list[Closed]:
        """The closed months, oldest first; Damaged where a file is not what was written."""
        from tenure.app import closing

        return closing.closed_months(self.folder)

    def corrections(
        self, month: str, *, known_on: str | datetime | None = None, engine: str | None = None
    ) -> list[dict[str, Any]]:
        """The customers with whom a month opens otherwise than the closed month before ended; see app.closing."""
        from tenure.app import closing

        return self._again(lambda: closing.corrections(self, month, known_on=known_on, engine=engine))

    def restatements(self, *, since: str, until: str | None = None, **options: Any) -> list[MonthRestated]:
        """What has changed in published figures, and because of which rows; see app.closing.restatements."""
        from tenure.app import closing

        return self._again(lambda: closing.restatements(self, since=since, until=until, **options))

    def reconcile(
        self,
        file: str | Path,
        *,
        currency: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        progress: Any = None,
    ) -> Reconciled:
        """The definition that comes closest to another tool's figures; see app.theirs and measure.reconciling."""
        from tenure.app.theirs import read_theirs
        from tenure.measure.currencies import currencies
        from tenure.measure.reconciling import reconcile

        reporting = currency or self.settings.currency
        reporting = None if reporting is None or reporting.lower() == "each" else reporting.upper()
        if reporting is not None:
            exponent(reporting)
        theirs = read_theirs(Path(file), reporting)

        def attempt() -> Reconciled:
            facts = self.facts(known_on, engine)
            self._recurring(facts, "what a vendor shows is compared with subscriptions", "`tenure cohorts`")
            known = currencies(facts)
            for row in theirs:
                if row.metric.of_money and row.currency is None and reporting is None and len(known) > 1:
                    raise BadInput(
                        f"{file}, line {row.line}: {row.metric.name} is money, and there is {', '.join(known)}: "
                        "add a column currency, or --currency"
                    )
            return reconcile(facts, self.definition, theirs, currency=reporting, progress=progress)

        return self._again(attempt)

    def _until(self, facts: Facts, until: str | None) -> date:
        from tenure.measure.cohorts import history, nothing_known

        if until is not None:
            return whole_days(until)[1]
        span = history(facts)
        if span is None:
            raise nothing_known(facts)
        return span[1] + timedelta(days=1)

    def _recurring(self, facts: Facts, what: str, instead: str) -> None:
        """BadInput with what works instead, where a question about subscriptions meets a shop that has only orders."""
        from tenure.measure.orders import has_orders
        from tenure.measure.states import tables

        if what and not tables(facts) and has_orders(facts):
            raise BadInput(
                f"{what}, and this workspace has orders alone: {instead}. Contracts, if there are any, are loaded with "
                "`tenure load subscriptions FILE`"
            )

    def orders(
        self, *, period: str = "month", known_on: str | datetime | None = None, engine: str | None = None
    ) -> list[OrderHistory]:
        """What customers without a contract bought, per currency; see measure.orders.order_history."""
        from tenure.measure.orders import order_history

        return self._again(lambda: order_history(self.facts(known_on, engine), grain=period))

    def matches(self, *tables: str, known_on: str | datetime | None = None, engine: str | None = None) -> list[Matched]:
        """How many rows of these tables (default: all) could be laid to a customer; see measure.matching.matches."""
        from tenure.measure.matching import matches

        return self._again(lambda: matches(self.facts(known_on, engine), tables))

    def unmatched(
        self,
        *tables: str,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """The names in these tables (default: all) that are nobody's; see measure.matching.unmatched."""
        from tenure.measure.matching import unmatched

        return self._again(lambda: unmatched(self.facts(known_on, engine), tables, limit))

    def purchase_gaps(
        self,
        *,
        by: str | Sequence[str] = (),
        window: str | int | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
    ) -> list[Gaps]:
        """How long customers wait between purchases, and the inactivity window; see measure.purchase_gaps."""
        from tenure.measure.purchase_gaps import purchase_gaps

        names, days = (by,) if isinstance(by, str) else tuple(by), self.inactivity_days(window)
        return self._again(lambda: purchase_gaps(self.facts(known_on, engine, grain), by=names, window=days))

    def activity(self, *, since: str, until: str | None = None, **options: Any) -> Answer:
        """Who buys, has stopped and came back, per period: the metrics of measure.buyers; options as in `metrics`."""
        from tenure.measure.buyers import NAMES

        return self.metrics(*NAMES, since=since, until=until, **options)

    def rfm(
        self,
        *,
        since: str | None = None,
        until: str | None = None,
        by: str | Sequence[str] = (),
        currency: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
    ) -> list[Rfm]:
        """Buyers scored by recency, frequency and monetary value, per currency; see measure.rfm.

        since, until: what was bought from the whole of one to the whole of the other (default: all of history).
        """
        from tenure.measure.rfm import rfm

        reporting = self._reporting(currency)
        names = (by,) if isinstance(by, str) else tuple(by)
        first = None if since is None else whole_days(since)[0]
        after = None if until is None else whole_days(until)[1]
        return self._again(
            lambda: rfm(self.facts(known_on, engine, grain), first=first, after=after, by=names, currency=reporting)
        )

    def book(
        self,
        *,
        since: str,
        until: str | None = None,
        by: str | Sequence[str] = (),
        currency: str | None = None,
        window: str | int | None = None,
        profile: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        grain: str = "customer",
    ) -> WholeBook:
        """Customers with and without a contract from the whole of `since` to the whole of `until`, each counted once.

        See measure.whole_book.
        """
        from tenure.measure.whole_book import whole_book

        first, after = whole_days(since)[0], whole_days(until or since)[1]
        if first >= after:
            raise BadPeriod(f"the period ends ({after}) before it begins ({first})")
        asked: dict[str, Any] = {"first": first, "after": after, "by": (by,) if isinstance(by, str) else tuple(by)}
        asked |= {"currency": self._reporting(currency), "window": self.inactivity_days(window)}
        return self._again(lambda: whole_book(self.facts(known_on, engine, grain), self.definition(profile), **asked))

    def _reporting(self, currency: str | None) -> str | None:
        """The currency asked for, or the settings'; None for each by itself."""
        chosen = currency or self.settings.currency
        if chosen is None or chosen.lower() == "each":
            return None
        exponent(chosen.upper())
        return chosen.upper()

    def why(
        self,
        method: str,
        *,
        since: str,
        until: str | None = None,
        currency: str | None = None,
        profile: str | None = None,
        known_on: str | datetime | None = None,
        engine: str | None = None,
        **options: Any,
    ) -> Any:
        """Why customers leave, by one way of asking, from the whole of `since` to the whole of `until`.

        method: as `tenure why` names them; options are those of its function in tenure.explain (such as lead).
        """
        from tenure.app import explaining

        asked = explaining.asked(
            self, since, until, currency=currency, profile=profile, known_on=known_on, engine=engine
        )
        return explaining.why(self, method, asked, **options)

    def coverage(self, *, known_on: str | datetime | None = None, engine: str | None = None) -> Coverage:
        """Which facts there are, since when, with what gaps; see measure.coverage."""
        from tenure.measure.coverage import coverage

        return self._again(lambda: coverage(self.facts(known_on, engine), self.definition()))

    def value(self, **options: Any) -> Value:
        """What customers will still bring in; options as in app.valuing.value (as_of, months, by, currency, ...)."""
        from tenure.app.valuing import value

        return value(self, **options)

    def forecast(self, **options: Any) -> Forecast:
        """What lies ahead; options as in app.forecasting.forecast (as_of, months, what_if, new, elasticity, ...)."""
        from tenure.app.forecasting import forecast

        return forecast(self, **options)

    def forecast_replay(self, **options: Any) -> ForecastReplay:
        """How far the forecast can be trusted; options as in app.forecasting.forecast_replay (as_of, step, ...)."""
        from tenure.app.forecasting import forecast_replay

        return forecast_replay(self, **options)

    def fit(self, **options: Any) -> list[Fitted]:
        """Learns who leaves next, judges and stores it; options as in app.fitting.fit (horizons, as_of, since, ...)."""
        from tenure.app.fitting import fit

        return self._again(lambda: fit(self, **options))

    def risk(self, **options: Any) -> Risks:
        """Who leaves next, and what is at stake; options as in app.risks.risks (horizon, as_of, order, save, ...)."""
        from tenure.app.risks import risks

        return self._again(lambda: risks(self, **options))

    def backtest(self, **options: Any) -> Backtest:
        """What the list would have been worth; options as in app.backtesting.backtest (horizon, gap, step, ...)."""
        from tenure.app.backtesting import backtest

        return self._again(lambda: backtest(self, **options))

    def story(self, **options: Any) -> Story:
        """Everything the report says, as plain data; options as in app.report.story (month, known_on, ...)."""
        from tenure.app.report import story

        return self._again(lambda: story(self, **options))

    def investors(self, **options: Any) -> Investors:
        """What an investor asks about a month; options as in app.investors.investors (month, known_on, ...)."""
        from tenure.app.investors import investors

        return self._again(lambda: investors(self, **options))
