"""Is everything as it should be? What `tenure doctor` looks at, and what it says of each thing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.errors import TenureError
from tenure.faces.cli.layout import cells, padded, wrapped
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


def examine(folder: Path) -> tuple[list[Check], int]:
    """Everything there is to say of the workspace in `folder` and of this machine, and the exit code that fits."""
    from tenure.app.workspace import Workspace

    code = 0
    checks = []
    try:
        shop = Workspace(folder)
    except TenureError as error:
        checks.append(Check("workspace", PROBLEM, str(error)))
        code = error.exit_code
    else:
        checks += [_settings(shop), *_facts(shop)]
        checks.append(_disk(shop.folder))
    checks += list(_machine())
    if code == 0 and any(check.state == PROBLEM for check in checks):
        code = 1
    return checks, code


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


def _facts(shop: Workspace) -> Iterator[Check]:
    lake = shop.lake
    found = 0
    for name in (name for name in TABLES if name != "quarantine"):
        try:
            snapshot = lake.snapshot(name)
        except TenureError as error:
            yield Check(name, PROBLEM, str(error))
            found += 1
            continue
        if snapshot.version < 0 or not snapshot.rows:
            continue
        found += 1
        lost = [path for path in snapshot.files if not Path(path).is_file()]
        if lost:
            yield Check(
                name,
                PROBLEM,
                f"{len(lost)} of its {len(snapshot.files)} files are gone, such as {lost[0]}; restore them from a copy",
            )
            continue
        many = len(snapshot.files) > MANY_FILES
        hint = "; `tenure compact` joins them" if many else ""
        yield Check(name, NOTE if many else FINE, _table_says(name, snapshot) + hint)
    if not found:
        yield Check("facts", NOTE, "nothing is loaded yet; begin with `tenure load subscriptions FILE`")
        return
    yield _quarantined(shop)


def _table_says(name: str, snapshot: Snapshot) -> str:
    parts = [f"{snapshot.rows:,} row{'s' if snapshot.rows != 1 else ''}"]
    clock = TABLES[name].business_time
    first, last = _day(snapshot.minimum.get(clock)), _day(snapshot.maximum.get(clock))
    if first and last:
        parts.append(f"{clock} from {first} to {last}")
    loaded = snapshot.maximum.get("loaded_at")
    if isinstance(loaded, datetime):
        parts.append(f"last load {loaded:%Y-%m-%d %H:%M} UTC")
    files = len(snapshot.files)
    parts.append(f"{files:,} file{'s' if files != 1 else ''}")
    parts.append(
        "no key twice"
        if snapshot.no_repeated_keys
        else "some keys in several versions (corrections), the latest counts"
    )
    if "recorded_assumed" not in snapshot.all_false:
        parts.append("when some rows were recorded is assumed, so --known-on is a reconstruction")
    return "; ".join(parts)


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


def as_rows(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """The checks as data."""
    return [asdict(check) for check in checks]


def as_text(checks: Sequence[Check]) -> str:
    """The checks in words, problems marked."""
    marks = {FINE: "ok", NOTE: "note", PROBLEM: "PROBLEM"}
    room = max(cells(check.subject) for check in checks)
    lines = []
    for check in checks:
        first = f"{marks[check.state]:<7}  {padded(check.subject, room, right=False)}  "
        lines.append(wrapped(check.says, indent=" " * len(first), first=first) + "\n")
    problems = sum(check.state == PROBLEM for check in checks)
    told = "No problems." if not problems else f"{problems} problem{'s' if problems > 1 else ''}."
    return "".join(lines) + "\n" + told + "\n"
