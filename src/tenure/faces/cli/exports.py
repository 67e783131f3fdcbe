"""What became of a vendor's export? One line for each file and table, then what was not there and what was not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tenure.errors import BadFile, PartlyLoaded
from tenure.faces.cli import loads, progress
from tenure.faces.cli.ending import BAD_INPUT, Ended, say
from tenure.faces.cli.layout import width, wrapped
from tenure.faces.cli.outputs import Format, as_csv, as_json, put

if TYPE_CHECKING:
    from tenure.app.workspace import Workspace
    from tenure.connect.exports import Loaded
    from tenure.connect.files import LoadReport


def load(
    shop: Workspace,
    name: str,
    folders: Sequence[Path],
    *,
    strict: bool,
    timezone: str | None,
    currency: str | None,
    format: Format,
    made_of: str,
) -> None:
    """Loads the folders and prints the reports; ends with BAD_INPUT if anything of them was refused.

    `made_of` is how the workspace was named, to be repeated in the commands to try next.
    """
    found: list[Loaded] = []
    failed = False
    for folder in folders:
        try:
            with progress.shown(f"loading {folder}") as moved:
                found.append(
                    shop.load_export(name, folder, strict=strict, timezone=timezone, currency=currency, progress=moved)
                )
        except PartlyLoaded as error:
            found.append(error.loaded)
            say(str(error))
            failed = True
        except BadFile as error:
            # The other folders are no worse for this one.
            say(str(error))
            failed = True
    reports = [report for loaded in found for report in loaded.reports]
    if format is Format.json:
        put(as_json(report.as_json() for report in reports))
    elif format is Format.csv:
        put(as_csv(loads.KEYS, (report.as_json() for report in reports)))
    elif reports:
        put(loads.as_table(_named(reports, folders), made_of) + "".join(_beside(loaded) for loaded in found))
    failed |= loads.held_back_before(reports, strict)
    if failed:
        raise Ended(BAD_INPUT)


def _named(reports: Sequence[LoadReport], folders: Sequence[Path]) -> list[LoadReport]:
    """The reports by the files' names alone, where there is one folder: paths would leave no room for them."""
    if len(folders) > 1:
        return list(reports)
    return [replace(report, file=Path(report.file).name) for report in reports]


def _beside(loaded: Loaded) -> str:
    told = ""
    for names, what in ((loaded.absent, "Not in the folder"), (loaded.unused, "In the folder and not read")):
        if names:
            told += "\n" + wrapped(f"{what}: {', '.join(names)}.", min(width(), 100)) + "\n"
    return told
