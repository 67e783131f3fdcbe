"""Is everything as it should be? What `tenure doctor` looks at, and what it says of each thing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import TenureError
from tenure.faces.cli.layout import Column, cells, padded, table, wrapped
from tenure.faces.cli.places import leave
from tenure.lake.tables import TABLES

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.lake.store import Snapshot

KEYS = ("subject", "state", "says")
FINE, NOTE, PROBLEM = "fine", "note", "problem"
# Below so much free space a load of a large export may not end well.
LITTLE_SPACE = 1_000_000_000
# From so many files on, reading a table takes noticeably longer than it must.
MANY_FILES = 200


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: fine, worth a note, or a problem; and what there is to say, with what to do."""

    subject: str
    state: str
    says: str


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is of one table. since, until: of its business time; versions: whether some key occurs twice."""

    table: str
    rows: int
    since: str
    until: str
    last_load: str
    files: int
    versions: bool
    assumed: bool

    @property
    def says(self) -> str:
        """The same in words."""
        parts = [f"{self.rows:,} row{'s' if self.rows != 1 else ''}"]
        if self.since:
            parts.append(f"{TABLES[self.table].business_time} from {self.since} to {self.until}")
        if self.last_load:
            parts.append(f"last load {self.last_load} UTC")
        parts.append(f"{self.files:,} file{'s' if self.files != 1 else ''}")
        if self.versions:
            parts.append("some keys in several versions (corrections), the latest counts")
        if self.assumed:
            parts.append("when some rows were recorded is assumed")
        return "; ".join(parts)


@dataclass
class Examination:
    """Everything that was looked at: the tables that are whole, all else as checks, and the exit code that fits."""

    stocks: list[Stock] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    exit_code: int = 0


def examine(folder: Path) -> Examination:
    """Looks at the workspace in `folder` and at this machine."""
    from tenure.app.workspace import Workspace

    found = Examination()
    try:
        shop = Workspace(folder)
    except TenureError as error:
        found.checks.append(Check("workspace", PROBLEM, str(error)))
        found.exit_code = error.exit_code
    else:
        found.checks.append(_settings(shop))
        _facts(shop, found)
        if found.stocks and not any(check.state == PROBLEM for check in found.checks):
            found.checks += _covered(shop)
            found.checks += _models(shop)
        found.checks.append(_disk(shop.folder))
        leave(shop)
    found.checks += list(_machine())
    if found.exit_code == 0 and any(check.state == PROBLEM for check in found.checks):
        found.exit_code = 1
    return found


def _settings(shop: Workspace) -> Check:
    settings = shop.settings
    of = f"{settings.company}'s workspace" if settings.company else "a workspace"
    currency = f"reports in {settings.currency}" if settings.currency else "keeps each currency by itself"
    made_up = "; its company is made up" if settings.made_up else ""
    try:
        shop.definition()
    except TenureError as error:
        return Check("workspace", PROBLEM, str(error))
    return Check(
        "workspace",
        FINE,
        f"{of} in {shop.folder.resolve()}: days of {settings.timezone}, {currency}, profile {settings.profile}, "
        f"engine {settings.engine}{made_up}",
    )


def _is_whole(path: str) -> bool:
    """Whether a Parquet file ends as it should; the last thing written is its mark."""
    with Path(path).open("rb") as file:
        file.seek(0, 2)
        if file.tell() < 12:
            return False
        file.seek(-4, 2)
        return file.read(4) == b"PAR1"


def _facts(shop: Workspace, found: Examination) -> None:
    lake = shop.lake
    for name in (name for name in TABLES if name != "quarantine"):
        try:
            snapshot = lake.snapshot(name)
        except TenureError as error:
            found.checks.append(Check(name, PROBLEM, str(error)))
            continue
        if not snapshot.rows:
            continue
        lost = [path for path in snapshot.files if not Path(path).is_file()]
        if lost:
            says = (
                f"{len(lost)} of its {len(snapshot.files)} files are gone, such as {lost[0]}; restore them from a copy"
            )
            found.checks.append(Check(name, PROBLEM, says))
            continue
        cut = [path for path in snapshot.files if not _is_whole(path)]
        if cut:
            of = f"{len(cut)} of its {len(snapshot.files)} files"
            says = f"{of} are cut or overwritten, such as {cut[0]}; restore them from a copy"
            found.checks.append(Check(name, PROBLEM, says))
            continue
        found.stocks.append(_stock(name, snapshot))
        if len(snapshot.files) > MANY_FILES:
            says = f"{len(snapshot.files):,} files make reading slow; `tenure compact` joins them"
            found.checks.append(Check(name, NOTE, says))
    if not found.stocks and not any(check.subject in TABLES for check in found.checks):
        says = "nothing is loaded yet; begin with `tenure load subscriptions FILE`"
        found.checks.append(Check("facts", NOTE, says))
    held = _quarantined(shop)
    if found.stocks or held.state != FINE:
        found.checks.append(held)
    if any(stock.assumed for stock in found.stocks):
        says = "when some rows were recorded was not told but assumed; --known-on shows a reconstruction of the past"
        found.checks.append(Check("known-on", NOTE, says))


def _stock(name: str, snapshot: Snapshot) -> Stock:
    clock = TABLES[name].business_time
    loaded = snapshot.maximum.get("loaded_at")
    return Stock(
        name,
        snapshot.rows,
        _day(snapshot.minimum.get(clock)),
        _day(snapshot.maximum.get(clock)),
        f"{loaded:%Y-%m-%d %H:%M}" if isinstance(loaded, datetime) else "",
        len(snapshot.files),
        not snapshot.no_repeated_keys,
        "recorded_assumed" not in snapshot.all_false,
    )


def _day(value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else ""


def _quarantined(shop: Workspace) -> Check:
    from tenure.faces.cli.findings import counts

    try:
        found = counts(shop)
    except TenureError as error:
        return Check("quarantine", PROBLEM, str(error))
    if not found:
        return Check("quarantine", FINE, "empty: every row passed")
    total = sum(rows for _, _, rows in found)
    first = "; ".join(f"{rows:,} of {table}: {reason}" for table, reason, rows in found[:3])
    more = f"; and {len(found) - 3} more reasons" if len(found) > 3 else ""
    return Check(
        "quarantine",
        NOTE,
        f"{total:,} row{'s' if total != 1 else ''} held back ({first}{more}); `tenure quarantine` lists them",
    )


def _covered(shop: Workspace) -> Iterator[Check]:
    """What is missing among the facts: gaps, silent customers, months that may change, names that are nobody's."""
    from tenure.faces.cli.covering import sentences

    try:
        found, matches = shop.coverage(), shop.matches()
    except TenureError as error:
        yield Check("coverage", PROBLEM, str(error))
        return
    told = [(subject, says) for subject, says in sentences(found) if subject != "record time"]
    for subject, says in told:
        yield Check(subject, NOTE, says)
    left = [match for match in matches if match.unmatched]
    for match in left:
        rows = f"{match.unmatched:,} of {match.rows:,} rows"
        yield Check(match.table, NOTE, f"{rows} are of nobody we know; `tenure identities --unmatched` lists the names")
    if not told and not left:
        yield Check("coverage", FINE, "no gaps, no silent customers, every row has a customer, no month may change")


def _models(shop: Workspace) -> Iterator[Check]:
    """Whether the models in service can still be believed; nothing where none is."""
    if not (shop.folder / "models" / "in-service.json").exists():
        return
    from tenure.app.model_health import model_health

    try:
        for each in model_health(shop):
            yield Check(f"model {each.model}", FINE if each.is_fine else NOTE, each.says)
    except TenureError as error:
        yield Check("models", PROBLEM, str(error))


def _disk(folder: Path) -> Check:
    used = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                used += path.stat().st_size
        except OSError:
            continue
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return Check("disk", PROBLEM, f"{folder.resolve()} cannot be written to; give this user the right to it")
    state = NOTE if free < LITTLE_SPACE else FINE
    hint = "; that is little for a large load" if state == NOTE else ""
    return Check("disk", state, f"{_size(used)} used, {_size(free)} free{hint}")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> Iterator[Check]:
    from tenure import __version__

    yield Check("tenure", FINE, f"version {__version__} on Python {platform.python_version()}, {platform.system()}")
    duckdb, delta = _version("duckdb"), _version("deltalake")
    if duckdb and delta:
        yield Check("engine duckdb", FINE, f"DuckDB {duckdb}, Delta tables by delta-rs {delta}; reads local folders")
    else:
        missing = " and ".join(name for name, there in (("duckdb", duckdb), ("deltalake", delta)) if not there)
        yield Check("engine duckdb", PROBLEM, f"{missing} cannot be found; install Tenure again: pip install tenure")
    spark, java = _version("pyspark"), _java()
    if spark and java:
        yield Check("engine spark", FINE, f"PySpark {spark} with {java}")
    elif spark:
        yield Check("engine spark", NOTE, f"PySpark {spark} is there, Java is not: install Java 17 or set JAVA_HOME")
    else:
        with_java = f"; {java} is there" if java else ", and Java 17"
        yield Check(
            "engine spark",
            NOTE,
            f"not installed, and not needed on one machine: pip install 'tenure[spark]'{with_java}",
        )


def _java() -> str:
    """The Java that Spark would start, in words; '' without one that answers."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if not found:
        return ""
    try:
        done = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    told = re.search(r'version "([^"]+)"', done.stderr + done.stdout)
    return f"Java {told[1]}" if done.returncode == 0 and told else ""


def as_rows(found: Examination) -> list[dict[str, Any]]:
    """Everything as data: one row per table and per check."""
    stocks = [Check(stock.table, FINE, stock.says) for stock in found.stocks]
    return [asdict(check) for check in (*stocks, *found.checks)]


def as_text(found: Examination) -> str:
    """The tables in a table, the checks in words, problems marked."""
    text = ""
    if found.stocks:
        columns = [
            Column("table"), Column("rows", right=True), Column("from"), Column("to"), Column("last load (UTC)"),
            Column("files", right=True), Column("versions"),
        ]  # fmt: skip
        lines = [
            [stock.table, f"{stock.rows:,}", stock.since, stock.until, stock.last_load, f"{stock.files:,}",
             "corrected" if stock.versions else "one each"]
            for stock in found.stocks
        ]  # fmt: skip
        text = table(columns, lines) + "\n"
    marks = {FINE: "ok", NOTE: "note", PROBLEM: "PROBLEM"}
    room = max(cells(check.subject) for check in found.checks)
    for check in found.checks:
        first = f"{marks[check.state]:<7}  {padded(check.subject, room, right=False)}  "
        text += wrapped(check.says, indent=" " * len(first), first=first) + "\n"
    problems = sum(check.state == PROBLEM for check in found.checks)
    return text + ("\nNo problems.\n" if not problems else f"\n{problems} problem{'s' if problems > 1 else ''}.\n")
