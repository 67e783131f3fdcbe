"""What can be typed after `tenure`? Every command: its words, its options, and whom it asks."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from tenure.faces.cli import places
from tenure.faces.cli.ending import BAD_INPUT, Ended, say
from tenure.faces.cli.outputs import Format, as_csv, as_json, flattened, put

app = typer.Typer(
    name="tenure",
    rich_markup_mode=None,  # importing what draws boxes would take longer than everything else `--help` does
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "-w", "--workspace", metavar="DIR", help="The workspace's folder [default: TENURE_WORKSPACE, else this one]."
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", metavar="table|csv|json", help="How to print: for people, spreadsheets or programs."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from tenure import __version__

        put(f"tenure {__version__}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    workspace: WorkspaceOption = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """What is our churn, why do they leave, who is next, what shall we do, did it work.

    Begin with `tenure demo`, or with `tenure init shop` and `tenure -w shop load subscriptions FILE`. Exit codes: 0
    done, 1 failed, 2 bad input or usage.
    """
    context.obj = workspace


def _shop(context: typer.Context, workspace: Path | None) -> Any:
    shop = places.workspace(workspace, context.obj)
    context.call_on_close(lambda: places.leave(shop))
    return shop


def _named(context: typer.Context, workspace: Path | None) -> str:
    """How the workspace was named, to be repeated in a command that is proposed."""
    import shlex

    chosen = workspace or context.obj
    return f" -w {shlex.quote(str(chosen))}" if chosen else ""


# ---------------------------------------------------------------------------------------------------------- begin


@app.command()
def init(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="The folder; made if it is not there.")] = None,
    timezone: Annotated[str, typer.Option(metavar="TZ", help="Where its days begin: an IANA zone.")] = "UTC",
    currency: Annotated[
        str | None, typer.Option(metavar="CUR", help="Reporting currency (ISO 4217); none: each currency by itself.")
    ] = None,
    company: Annotated[str, typer.Option(metavar="NAME", help="The company's name, for reports.")] = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Make a workspace. It is a folder with settings, in which facts will live."""
    import shlex

    from tenure import open
    from tenure.app import settings
    from tenure.errors import BadInput
    from tenure.kernel.money import exponent
    from tenure.kernel.time import zone

    place = folder or places.folder(workspace, context.obj)
    zone(timezone)
    if currency is not None:
        currency = currency.upper()
        exponent(currency)
    if not company.isprintable():
        raise BadInput("the company's name holds a line break or a control character; give it in one line")
    if place.exists() and not place.is_dir():
        raise BadInput(f"{place} is a file; name a folder")
    if (place / settings.FILE).exists():
        if timezone != "UTC" or currency or company:
            raise BadInput(f"{place} is a workspace already; change its settings in {place / settings.FILE}")
        open(place)
        put(f"{place} is a workspace already; nothing was changed.")
        return
    open(place, create=True, timezone=timezone, currency=currency, company=company)
    option = "" if place == Path() else f" -w {shlex.quote(str(place))}"
    put(
        f"Made the workspace {place}: settings in {place / settings.FILE}, facts will be in {place / 'lake'}.\n"
        f"Load what you have:  tenure load{option} subscriptions FILE   (or mrr, for a sheet of customers by month)"
    )


@app.command()
def load(
    context: typer.Context,
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A table (customers, orders, ...) or a shape people have: subscriptions, mrr, movements, snapshot, "
            "cancellations, interviews. With --from: the folder of the export.",
        ),
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="CSV, TSV, Parquet, JSON lines; also gzip, zstd.")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="A vendor's export, all its files at once: stripe-export, recurly-export, chargebee-export, "
            "revenuecat-export, shopify-export, zendesk-export, or a mapping of your own (.toml).",
        ),
    ] = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", metavar="theirs=ours", help="A column's name in the file, and ours.")
    ] = None,
    static: Annotated[
        list[str] | None,
        typer.Option(metavar="TRAIT", help="A trait that never changes, so that models may use it undated."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Load nothing of a file in which any row fails.")] = False,
    timezone: Annotated[
        str | None, typer.Option(metavar="TZ", help="Zone of times without one [default: the workspace's].")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CUR", help="Currency of amounts without one [default: the workspace's].")
    ] = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Load files of facts. Each is loaded wholly or not at all.

    Rows that fail go to quarantine and the rest loads; the same file twice changes nothing. --map =USD=currency gives
    every row that value. A vendor's export is a folder: `tenure load --from stripe-export DIR`.
    """
    from tenure.errors import BadFile, BadInput
    from tenure.faces.cli import exports, loads, progress

    shop = _shop(context, workspace)
    if from_ is not None:
        if map_ or static:
            raise BadInput("--map and --static are for single files; a mapping says what an export's columns are")
        exports.load(
            shop,
            from_,
            [Path(table), *(files or ())],
            strict=strict,
            timezone=timezone,
            currency=currency.upper() if currency else None,
            format=format,
            made_of=_named(context, workspace),
        )
        return
    if not files:
        raise BadInput(f"name the files to load as '{table}': tenure load {table} FILE; or a folder with --from")
    mapping: dict[str, str] = {}
    for pair in map_ or ():
        theirs, equals, ours = pair.rpartition("=")
        if not equals or not theirs or not ours:
            raise BadInput(f"--map {pair}: write it as theirs=ours, such as --map Customer=customer_id")
        if mapping.setdefault(theirs, ours) != ours:
            raise BadInput(f"--map names '{theirs}' twice, as '{mapping[theirs]}' and as '{ours}'")
    reports: list[Any] = []
    failed = False
    for file in files:
        try:
            with progress.shown(f"loading {file.name}") as moved:
                reports += shop.load(
                    table,
                    file,
                    mapping=mapping,
                    static=tuple(static or ()),
                    strict=strict,
                    timezone=timezone,
                    currency=currency.upper() if currency else None,
                    progress=moved,
                )
        except BadFile as error:
            # The other files are no worse for this one.
            say(str(error))
            failed = True
    if format is Format.json:
        put(as_json(report.as_json() for report in reports))
    elif format is Format.csv:
        put(as_csv(loads.KEYS, (report.as_json() for report in reports)))
    elif reports:
        put(loads.as_table(reports, _named(context, workspace)))
    failed |= loads.held_back_before(reports, strict)
    # A file of which no row could be taken is bad input, whatever was written beside it.
    failed |= any(report.rows and report.quarantined == report.rows for report in reports)
    if failed:
        raise Ended(BAD_INPUT)


@app.command()
def rebuild(
    context: typer.Context,
    engine: Annotated[
        str | None, typer.Option(metavar="ENGINE", help="duckdb or spark [default: the workspace's].")
    ] = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Rebuild the history of subscriptions from invoice lines. Where billing keeps no history, its invoices do.

    Only subscriptions that no state or span tells of get states, marked `derived`. A second run changes nothing.
    """
    from tenure.faces.cli import loads, progress

    shop = _shop(context, workspace)
    with progress.shown("rebuilding"):
        found = shop.rebuild(engine=engine)
    if format is Format.json:
        put(as_json([found.as_json()]))
    elif format is Format.csv:
        put(as_csv(list(found.as_json()), [found.as_json()]))
    else:
        put(loads.rebuilt(found))


# -------------------------------------------------------------------------------------------------------- measure

CurrencyOption = Annotated[
    str | None,
    typer.Option(metavar="CUR", help="Reporting currency, or `each` [default: the workspace's, else each]."),
]
KnownOnOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="Only what was recorded by the end of it [default: now].")
]
EngineOption = Annotated[str | None, typer.Option(metavar="ENGINE", help="duckdb or spark [default: the workspace's].")]
GrainOption = Annotated[
    str, typer.Option("--grain", metavar="WHO", help="Who is one: each customer, or an account with its children.")
]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Metrics, as --list names them.")]


@app.command()
def metrics(
    context: typer.Context,
    names: Names = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First period: a day, month, quarter or year, whole.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last period, included whole [default: that of --from].")
    ] = None,
    period: Annotated[str, typer.Option(metavar="GRAIN", help="day, week, month, quarter or year.")] = "month",
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Split by a column, trait, tenure or size; repeatable.")
    ] = None,
    revenue: Annotated[str, typer.Option(metavar="LINE", help="Which revenue: committed, usage, total.")] = "committed",
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
    ] = None,
    currency: CurrencyOption = None,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: Annotated[
        str | None, typer.Option(metavar="ENGINE", help="duckdb or spark [default: the workspace's].")
    ] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements instead of the numbers.")] = False,
    customers: Annotated[bool, typer.Option("--customers", help="Print who is in the numbers instead.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Print which metrics there are.")] = False,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Measure any metric of the catalogue. Per period, split as you like, down to the customers in it."""
    from tenure.errors import BadInput, BadPeriod
    from tenure.measure.catalogue import CATALOGUE
    from tenure.measure.catalogue import metrics as find
    from tenure.measure.revenue_lines import of_line

    if list_:
        _list(find(names) if names else list(CATALOGUE.values()), format)
        return
    if not names:
        raise BadInput("name at least one metric, such as `tenure metrics mrr --from 2026-01`; --list shows them all")
    chosen = find(list(dict.fromkeys(names)))
    if since is None:
        what = next((metric.name for metric in chosen if metric.unit == "rate"), chosen[0].name)
        kind = "a rate" if any(metric.unit == "rate" for metric in chosen) else "a number"
        raise BadPeriod(
            f"{what} needs a period, for {kind} without one means nothing: add --from, such as --from 2026-01"
        )
    for metric in chosen:
        of_line(metric, revenue)
    if sql and customers:
        raise BadInput("--sql and --customers answer two questions; ask one of them")
    shop = _shop(context, workspace)
    from tenure.faces.cli import numbers, progress

    with progress.shown("measuring"):
        answer = shop.metrics(
            *(metric.name for metric in chosen),
            since=since,
            until=until,
            period=period,
            by=tuple(by or ()),
            currency=currency,
            profile=profile,
            known_on=known_on,
            engine=engine,
            grain=grain,
            revenue=revenue,
        )
        people = numbers.people(answer) if customers else []
    line = numbers.revenue_told(answer.rows())
    if sql:
        put(answer.sql())
    elif customers:
        remarks = [*answer.notes, *line, *_remarks(shop, known_on, answer.definition.name, grain)]
        if differing := numbers.not_followed(answer):
            remarks.append(differing)
        _people(people, period, tuple(by or ()), shop.settings.timezone, format, remarks)
    elif format is Format.json:
        put(as_json(answer.rows()))
    elif format is Format.csv:
        rows = answer.rows()
        keys = (*numbers.KEYS, *numbers.TARGET_COLUMNS) if any("target" in row for row in rows) else numbers.KEYS
        keys = (*keys, "grain") if any("grain" in row for row in rows) else keys
        put(as_csv(*flattened(keys, numbers.targets_apart(rows), tuple(by or ()))))
    else:
        remarks = [*answer.notes, *line, *_remarks(shop, known_on, answer.definition.name, grain)]
        rows = answer.rows()
        put(
            numbers.as_table(rows, period, tuple(by or ()), remarks)
            if rows
            else "There is nobody to count in these periods."
        )


def _remarks(shop: Any, known_on: str | None, profile: str | None = None, grain: str = "customer") -> list[str]:
    """What stands under every table: whose definition, what was known, and whether the company is made up."""
    found = []
    profile = profile or shop.settings.profile
    if profile != "tenure" or shop.settings.definition:
        changed = " with choices of the company's own" if shop.settings.definition else ""
        found.append(f"Counted by the profile {profile}{changed}.")
    if grain == "account":
        found.append("By account: a customer and all whose parent it is count as one.")
    if known_on is not None:
        found.append(f"As known on {known_on}.{_not_yet(shop, known_on)}")
    if shop.settings.made_up:
        found.append("This company is made up.")
    return found


def _not_yet(shop: Any, known_on: str) -> str:
    """A caution about a day that has not come."""
    from datetime import UTC, datetime

    from tenure.kernel.time import midnight, whole_days, zone

    begins = midnight(whole_days(known_on)[0], zone(shop.settings.timezone))
    return (
        " That has not come yet: what is planned until then counts as if it happens."
        if begins > datetime.now(UTC)
        else ""
    )


def _people(
    rows: list[dict[str, Any]], grain: str, by: tuple[str, ...], timezone: str, format: Format, remarks: list[str]
) -> None:
    from tenure.faces.cli import numbers
    from tenure.kernel.time import zone

    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(*flattened(numbers.PEOPLE_KEYS, rows, by)))
    else:
        put(numbers.people_table(rows, grain, zone(timezone), by, remarks))


def _list(chosen: list[Any], format: Format) -> None:
    keys = ("name", "title", "question", "unit", "grain", "formula", "better", "source")
    rows = [{key: getattr(metric, key) for key in keys} for metric in chosen]
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(keys, rows))
    else:
        from tenure.faces.cli.layout import wrapped

        room = max(len(metric.name) for metric in chosen)
        for metric in chosen:
            first = f"{metric.name:<{room}}  {metric.unit:<5}  "
            put(wrapped(metric.question, indent=" " * len(first), first=first))
            put(wrapped(f"= {metric.formula}", indent=" " * (len(first) + 2), first=" " * len(first)))


@app.command()
def cost(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day, month, quarter or year, whole.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last one, included whole [default: that of --from].")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Split by a column or trait; repeatable.")
    ] = None,
    currency: CurrencyOption = None,
    lag: Annotated[
        int | None,
        typer.Option(metavar="MONTHS", help="How much earlier spend won them [default: the workspace's, else 0]."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Definition profile [default: the workspace's].")
    ] = None,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    customers: Annotated[bool, typer.Option("--customers", help="Print who left instead.")] = False,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Say what churn cost. Lost revenue and value, replacing it, a point of churn, what is at risk, what was kept."""
    from tenure.errors import BadInput, BadPeriod

    if since is None:
        raise BadPeriod("what churn cost needs a period: add --from, such as --from 2026-01")
    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    shop = _shop(context, workspace)
    from tenure.faces.cli import costing, progress

    with progress.shown("measuring"):
        found = shop.cost(
            since=since,
            until=until,
            by=tuple(by or ()),
            currency=currency,
            lag_months=lag,
            profile=profile,
            known_on=known_on,
            engine=engine,
            grain=grain,
        )
        people = costing.people_rows(found) if customers else []
    if chart is not None:
        from tenure.charts.picture import save

        save(found.chart(language), chart)
    if customers and format is not Format.json:
        from tenure.kernel.time import zone

        put(
            as_csv(*flattened(costing.PEOPLE_KEYS, people, tuple(by or ())))
            if format is Format.csv
            else costing.people_table(people, tuple(by or ()), zone(shop.settings.timezone))
        )
    elif customers:
        put(as_json(people))
    elif format is Format.json:
        put(as_json([found.as_json()]))
    elif format is Format.csv:
        names = tuple(dict.fromkeys(name for row in found.rows() for name in row["segment"] or ()))
        put(as_csv(*flattened(costing.KEYS, found.rows(), names)))
    else:
        put(costing.as_table(found, _remarks(shop, known_on, found.definition.name, grain)))


@app.command()
def bridge(
    context: typer.Context,
    to_profile: Annotated[str, typer.Option(metavar="NAME", help="The other definition, choices behind its name.")],
    metric: Annotated[str, typer.Option(metavar="NAME", help="Which number.")],
    month: Annotated[str, typer.Option(metavar="DATE", help="Which period: a day, week, month, quarter or year.")],
    from_profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="One definition [default: the workspace's].")
    ] = None,
    currency: CurrencyOption = None,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    customers: Annotated[
        str | None, typer.Option(metavar="LINE", help="Print who is behind a line instead: its name, such as pause.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the waterfall into FILE.svg or FILE.png.")
    ] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Why do two definitions give two numbers? The difference, line by line, and who is behind each."""
    from tenure.errors import BadInput

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    shop = _shop(context, workspace)
    from tenure.faces.cli import bridging, progress

    with progress.shown("comparing definitions") as move:
        found = shop.bridge(
            metric,
            before=from_profile,
            after=to_profile,
            month=month,
            currency=currency,
            known_on=known_on,
            engine=engine,
            grain=grain,
            progress=move,
        )
        people = bridging.people_rows(found, customers) if customers else []
    if chart is not None:
        from tenure.charts.picture import save

        save(found.chart(language), chart)
    if customers:
        put(
            as_json(people)
            if format is Format.json
            else as_csv(bridging.PEOPLE_KEYS, people)
            if format is Format.csv
            else bridging.people_table(found, people)
        )
    elif format is Format.json:
        put(as_json([found.as_json()]))
    elif format is Format.csv:
        put(as_csv(bridging.KEYS, bridging.as_rows(found)))
    else:
        remarks = [remark for remark in _remarks(shop, known_on, grain=grain) if not remark.startswith("Counted by")]
        put(bridging.as_table(found, remarks))


@app.command()
def cohorts(
    context: typer.Context,
    measure: Annotated[str, typer.Option(metavar="WHAT", help="customers or revenue.")] = "customers",
    period: Annotated[
        str, typer.Option(metavar="GRAIN", help="Length of a cohort and of a step: day to year.")
    ] = "month",
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last period, included whole [default: the last known].")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A triangle per customer's column or trait; repeatable.")
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="subscriptions or orders [default: orders where there is nothing else]."),
    ] = None,
    currency: CurrencyOption = None,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    chart: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into FILE.svg or FILE.png.")] = None,
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="Of the chart: en or th.")] = "en",
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Compare generations of customers. Of those who came in a period, how much is there, period by period?

    Of orders: how many of those who first bought in a period buy again in later ones.
    """
    from tenure.errors import BadInput
    from tenure.faces.cli import progress, triangles

    if chart is not None and chart.suffix.lower() not in (".svg", ".png"):
        raise BadInput(f"{chart}: a chart is drawn as .svg or .png")
    shop = _shop(context, workspace)
    with progress.shown("measuring"):
        found = shop.cohorts(
            measure,
            period=period,
            until=until,
            by=tuple(by or ()),
            currency=currency,
            known_on=known_on,
            engine=engine,
            grain=grain,
            of=of,
        )
    if chart is not None and found:
        from tenure.charts.picture import save

        save(found[0].chart(language), chart)
    if format is Format.json:
        put(as_json(triangles.as_rows(found)))
    elif format is Format.csv:
        put(as_csv(*flattened(triangles.KEYS, triangles.as_rows(found), tuple(by or ()))))
    elif any(one.triangle.values for one in found):
        remarks = [*_survivors(shop, until, known_on, engine, found), *_remarks(shop, known_on, grain=grain)]
        put(triangles.as_table(found, period, remarks))
    else:
        put("There is nobody to count in this history.")


def _survivors(shop: Any, until: str | None, known_on: str | None, engine: str | None, found: Any) -> list[str]:
    """A caution where the first cohorts look loyal only because nobody who left before some day was kept."""
    from datetime import timedelta

    from tenure.faces.cli.curves import survivors_only
    from tenure.kernel.time import whole_days
    from tenure.measure.cohorts import history
    from tenure.measure.lifetimes import exposure_start
    from tenure.measure.orders import nobody_new_since

    facts = shop.facts(known_on, engine)
    span = None if found[0].of == "orders" else history(facts)
    if span is None:
        silent_since = nobody_new_since(facts, whole_days(until)[1] if until else None)
        return [] if silent_since is None else [f"Nobody new is seen after {silent_since}."]
    after = whole_days(until)[1] if until else span[1] + timedelta(days=1)
    since, snapshot = exposure_start(facts, shop.definition(), after)
    if since is None:
        return []
    if snapshot:
        return ["All who left did so at one time: this is a snapshot, and says little of earlier generations."]
    return [f"{survivors_only(since)} Older cohorts look more loyal than they were."]


@app.command()
def survival(
    context: typer.Context,
    unit: Annotated[str, typer.Option(metavar="UNIT", help="Tenure in whole units: month or day.")] = "month",
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="As seen at its end [default: the last day known].")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A curve per customer's column or trait; repeatable.")
    ] = None,
    from_birth: Annotated[
        bool, typer.Option("--from-birth", help="Count everybody from the first day, even where leavers are missing.")
    ] = False,
    grain: GrainOption = "customer",
    known_on: KnownOnOption = None,
    engine: EngineOption = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """Ask how long customers stay. The share still there at each tenure; those still here are counted too."""
    from tenure.faces.cli import curves, progress

    shop = _shop(context, workspace)
    with progress.shown("measuring"):
        found = shop.lives(
            unit=unit,
            until=until,
            by=tuple(by or ()),
            from_birth=from_birth,
            known_on=known_on,
            engine=engine,
            grain=grain,
        )
    if format is Format.json:
        put(as_json(curves.as_rows(found)))
    elif format is Format.csv:
        put(as_csv(*flattened(curves.KEYS, curves.as_rows(found), tuple(by or ()))))
    elif any(len(one.counts.time) for one in found):
        put(curves.as_table(found, _remarks(shop, known_on, grain=grain)))
    else:
        put("There is nobody to watch in this history.")


# --------------------------------------------------------------------------------------------------------- report


@app.command()
def report(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write the report as one page that opens offline.")
    ] = None,
    charts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also draw every chart of it, as PNG and as SVG, into a folder.")
    ] = None,
    language: Annotated[str, typer.Option(metavar="LANG", help="en or th.")] = "en",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="MONTH", help="The month it is about [default: the last whole one]."),
    ] = None,
    known_on: KnownOnOption = None,
    currency: CurrencyOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Tell the whole story. What churn is, why it moved, who left, who is leaving; in the terminal and as a page."""
    from tenure.errors import BadInput
    from tenure.faces.cli import progress
    from tenure.faces.report.sentences import report_language

    report_language(language)  # a language nobody speaks is refused before anything is measured
    if out is not None and out.is_dir():
        raise BadInput(f"{out} is a folder; name the file to write, such as {out / 'report.html'}")
    if charts is not None and charts.exists() and not charts.is_dir():
        raise BadInput(f"{charts} is a file; name a folder for the charts")
    shop = _shop(context, workspace)
    with progress.shown("measuring") as moved:
        told = shop.story(month=as_of, known_on=known_on, currency=currency, progress=moved)
        if out is not None:
            moved("drawing the page")
            _write_page(told, out, language)
        drawn = []
        if charts is not None:
            from tenure.faces.report import draw

            moved("drawing the charts")
            drawn = draw(told, charts, language=language)
    _print_story(told, language)
    if out is not None:
        put(f"\nThe page: {out}")
    if charts is not None:
        put(f"\nThe charts: {len(drawn)} files in {charts}")


def _write_page(told: Any, out: Path, language: str) -> None:
    from tenure.faces.report.html import render

    _write_whole(render(told, language), out)


def _write_whole(page: str, out: Path) -> None:
    """Writes a page whole or not at all: who has the old one open keeps it until the new one is there."""
    import os

    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        beside.write_text(page, encoding="utf-8")
        beside.replace(out)
    except OSError as error:
        # Nobody knows the file beside; what could not be written is the page.
        raise type(error)(error.errno, f"the page cannot be written: {error.strerror}", str(out)) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _print_story(told: Any, language: str) -> None:
    from tenure.faces.cli.layout import console
    from tenure.faces.report.terminal import print_report

    print_report(told, console(), language)


@app.command()
def demo(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where to make it [default: demo].")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """See it work on a made-up company. Simulates, loads, measures and reports; can be run again."""
    import shlex

    from tenure.app.demo import run
    from tenure.app.report import story
    from tenure.faces.cli import progress

    place = folder or workspace or context.obj or Path("demo")
    page = place / "report.html"
    with progress.shown("making up a company") as moved:
        shop = run(place, progress=moved)
        context.call_on_close(lambda: places.leave(shop))
        told = story(shop, progress=moved)
        moved("drawing the page")
        _write_page(told, page, "en")
    _print_story(told, "en")
    option = f"-w {shlex.quote(str(place))}"
    month, year = f"{told.about.period.start:%Y-%m}", f"{told.about.period.start:%Y}"
    put(
        f"\nThe page: {page}\n"
        "Try next:\n"
        f"  tenure {option} metrics customer_churn_rate --from {year}-01 --to {month} --by plan_id\n"
        f"  tenure {option} metrics mrr_churn --from {month} --customers\n"
        f"  tenure {option} cohorts --period quarter\n"
        f"  tenure {option} survival --by channel\n"
        f"  tenure {option} why --from {year}-01 --to {month} --customers\n"
        f"  tenure {option} forecast\n"
        f"  tenure {option} report --language th --out report-th.html"
    )


# --------------------------------------------------------------------------------------------------------- upkeep


@app.command()
def doctor(context: typer.Context, format: FormatOption = Format.table, workspace: WorkspaceOption = None) -> None:
    """Look whether all is as it should be. Settings, facts, quarantine, engines, disk."""
    from tenure.faces.cli import health

    found = health.examine(places.folder(workspace, context.obj))
    if format is Format.json:
        put(as_json(health.as_rows(found)))
    elif format is Format.csv:
        put(as_csv(health.KEYS, health.as_rows(found)))
    else:
        put(health.as_text(found))
    if found.exit_code:
        raise Ended(found.exit_code)


@app.command()
def quarantine(
    context: typer.Context,
    file: Annotated[str | None, typer.Option(metavar="NAME", help="Only rows of files of this name.")] = None,
    table: Annotated[str | None, typer.Option(metavar="TABLE", help="Only rows meant for this table.")] = None,
    format: FormatOption = Format.table,
    workspace: WorkspaceOption = None,
) -> None:
    """List the rows that could not be loaded. File, line, column, reason and what stood there."""
    from tenure.faces.cli import findings

    rows = findings.held_back(_shop(context, workspace), file, table)
    if format is Format.json:
        put(as_json(rows))
    elif format is Format.csv:
        put(as_csv(findings.KEYS, rows))
    else:
        put(findings.as_text(rows, 50, chosen=bool(file or table)))


Tables = Annotated[list[str] | None, typer.Argument(metavar="TABLE", help="Only these [default: every table].")]


@app.command()
def compact(context: typer.Context, tables: Tables = None, workspace: WorkspaceOption = None) -> None:
    """Join small files into larger ones. Reading stays quick; loads and reads go on meanwhile."""
    from tenure.faces.cli import progress

    lake = _shop(context, workspace).lake
    done = 0
    for name in tables or lake.tables():
        with progress.shown(f"compacting {name}"):
            found = lake.compact(name)
        if found.files_before:
            put(f"{name}: {found.files_before} files became {found.files_after}")
            done += 1
    if not done:
        put("There was nothing to join.")


@app.command()
def vacuum(
    context: typer.Context,
    tables: Tables = None,
    retention_hours: Annotated[
        int, typer.Option(metavar="HOURS", help="Keep files that were in use this recently; at least 24.")
    ] = 24,
    workspace: WorkspaceOption = None,
) -> None:
    """Delete files that nothing needs any more. Those that compaction replaced, and what killed loads left."""
    from tenure.faces.cli import progress

    lake = _shop(context, workspace).lake
    done = 0
    for name in tables or lake.tables():
        with progress.shown(f"vacuuming {name}"):
            gone = lake.vacuum(name, retention_hours=retention_hours)
        if gone:
            put(f"{name}: {len(gone)} file{'s' if len(gone) > 1 else ''} deleted")
            done += 1
    if not done:
        put("There was nothing to delete.")


# Their commands are of this app; they need the options above.
from tenure.faces.cli import (  # noqa: E402
    asking,  # noqa: F401
    benchmarking,  # noqa: F401
    buying,  # noqa: F401
    closing,  # noqa: F401
    covering,  # noqa: F401
    experimenting,  # noqa: F401
    forecasting,  # noqa: F401
    investing,  # noqa: F401
    journeys,  # noqa: F401
    paying,  # noqa: F401
    predicting,  # noqa: F401
    renewing,  # noqa: F401
    stating,  # noqa: F401
    valuing,  # noqa: F401
    watching,  # noqa: F401
    who,  # noqa: F401
    why,  # noqa: F401
)
