"""What would I see? A made-up company from its first fact to its report, in one folder, as often as you like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tenure.app import settings as settings_file
from tenure.app import workspace

# Told with every step: (what is being done, how much of it is done, of how much).
Progress = Callable[[str, int, int], None]
NAME = "Made-up Company"
# Most of its customers try for some weeks before they pay, so the month before paid for them.
EXTRA = "made_up = true\nspend_lag_months = 1\n"


def run(
    folder: str | Path = "demo",
    *,
    customers: int = 5_000,
    seed: int = 7,
    progress: Progress = lambda step, done, total: None,
) -> workspace.Workspace:
    """A workspace with a simulated company's facts in it.

    The facts are written as files (folder/facts) and loaded as anybody's export would be. A second run finds the same
    files and changes nothing. Everything says that the company is made up.
    """
    from tenure.lake.tables import TABLES
    from tenure.simulate.company import Company, write

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    settings_file.write(path, company=NAME, timezone="UTC", currency="USD", extra=EXTRA)
    shop = workspace.open(path)
    files = write(
        Company(customers=customers, seed=seed),
        path / "facts",
        progress=lambda done, total: progress("simulating a company", done, total),
    )
    wanted = {table: paths for table, paths in files.items() if table in TABLES}
    total = sum(len(paths) for paths in wanted.values())
    done = 0
    for table, paths in wanted.items():
        for file in paths:
            shop.load(table, file)
            done += 1
            progress("loading its exports", done, total)
    return shop
