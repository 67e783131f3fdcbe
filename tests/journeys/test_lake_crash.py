"""Loaders are killed at any instant while others load, read and compact: nothing is torn, lost or doubled.

Eight loaders in four pairs load the same small files, each pair its own, and are killed with SIGKILL again and again.
Their successors try the last load once more, for they cannot know how it ended. Four processes compact and vacuum, and
are killed now and then as well. Two readers check at every look that each visible load is whole and that none they have
seen before is gone. Run as a script, this file is the process that the workers are forked from (imports cost a second).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KILLS = 200
KILLS_WHILE_SOMEBODY_WAITS = 20
KILLS_PER_SECOND = 5
LOADERS = 8  # two of each family
FAMILIES = 4
COMPACTORS = 4
READERS = 2
TABLE = "customers"
LONGEST_WAIT = 300  # seconds; whatever takes longer has stopped


# ---------------------------------------------------------------------------------------------------- what is loaded


def load_name(family: int, number: int) -> str:
    return f"family {family} file {number}"


def rows_in(load: str) -> int:
    """How many rows that load has: between 1 and 200, told by its name alone."""
    return random.Random(load).randint(1, 200)


def load(root: Path, name: str) -> bool:
    """Write the load's rows into one to three files, as the loader does, and commit them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tenure.lake.shape import shaped_like
    from tenure.lake.store import Lake
    from tenure.lake.tables import TABLES

    lake = Lake(root)
    count = rows_in(name)
    instant = datetime(2026, 1, 1, tzinfo=UTC)
    rows = shaped_like(
        TABLES[TABLE],
        pa.table(
            {
                "customer_id": [f"{name} row {index}" for index in range(count)],
                "recorded_at": [instant] * count,
                "loaded_at": [instant] * count,
                "version": [count] * count,
                "source": [name] * count,
            }
        ),
    )
    parts = random.Random(name).randint(1, min(3, count))
    bounds = [count * part // parts for part in range(parts + 1)]
    paths = [lake.stage(TABLE) for _ in range(parts)]
    for path, start, end in zip(paths, bounds, bounds[1:], strict=False):
        pq.write_table(rows.slice(start, end - start), path)
    return lake.commit(TABLE, paths, load_id=name, rows=count, repeats_keys=False)


# ---------------------------------------------------------------------------------------------------------- workers


def note(path: Path, text: str) -> None:
    """One line, written at once, so that a kill leaves it whole or leaves it out."""
    with path.open("ab", buffering=0) as log:
        log.write(f"{text}\n".encode())


def notes(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []


def load_forever(root: Path, log: Path, family: int) -> None:
    """Take up the family's files where this loader's log ends: at the load whose end is not noted."""
    number = sum(line[0] == "done" for line in notes(log))
    while not (root / "stop").exists():
        name = load_name(family, number)
        note(log, f"begin\t{name}")
        note(log, f"done\t{name}\t{load(root, name)}")
        number += 1


def compact_forever(root: Path, log: Path) -> None:
    """Compact and vacuum in turns, with pauses in which others may."""
    from tenure.lake.store import Lake

    lake = Lake(root)
    while not (root / "stop").exists():
        done = lake.compact(TABLE, target_bytes=100_000)
        note(log, f"compacted\t{done.files_before}\t{done.files_after}")
        if done.files_before and random.random() < 0.3:
            note(log, f"vacuumed\t{len(lake.vacuum(TABLE))}")
        time.sleep(random.uniform(0, 0.4))


def whole_loads(root: Path) -> set[str]:
    """The loads that the newest snapshot shows; AssertionError if one of them is torn or doubled."""
    import duckdb

    from tenure.lake.lost_files import retry_lost_file
    from tenure.lake.store import Lake

    def look() -> tuple[int, list[tuple[str, int, int]]]:
        snapshot = Lake(root).snapshot(TABLE)
        if not snapshot.files:
            return 0, []
        with duckdb.connect(config={"threads": 1}) as connection:
            found = connection.execute(
                "SELECT source, count(*), count(DISTINCT customer_id) "
                "FROM read_parquet(?, union_by_name = true) GROUP BY source",
                [list(snapshot.files)],
            ).fetchall()
        return snapshot.rows, found

    rows, loads = retry_lost_file(look)
    for name, count, distinct in loads:
        assert count == distinct == rows_in(name), f"{name}: {count} rows, {distinct} distinct, not {rows_in(name)}"
    assert rows == sum(count for _, count, _ in loads), f"the statistics say {rows} rows"
    return {name for name, _, _ in loads}


def read_forever(root: Path, log: Path) -> None:
    """Look again and again; what was once seen must stay."""
    seen: set[str] = set()
    while not (root / "stop").exists():
        found = whole_loads(root)
        assert seen <= found, f"gone: {sorted(seen - found)}"
        seen = found
        note(log, f"looked\t{len(seen)}")
        time.sleep(0.05)


def fork_workers(root: Path) -> None:
    """Read 'kind log argument' lines, fork a worker for each and answer with its process id; see the module."""
    import duckdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import tenure.lake.store  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        kind, log, argument = line.split()
        child = os.fork()
        if child == 0:
            try:
                if kind == "load":
                    load_forever(root, Path(log), int(argument))
                elif kind == "compact":
                    compact_forever(root, Path(log))
                else:
                    read_forever(root, Path(log))
            except BaseException as error:
                note(root / "failures", f"{kind}\t{type(error).__name__}: {error}")
            finally:
                os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    fork_workers(Path(sys.argv[1]))
    sys.exit()


# ------------------------------------------------------------------------------------------------------------- test


@dataclass
class Worker:
    kind: str
    log: Path
    argument: int
    pid: int = 0
    lines_at_start: int = 0

    def is_at_work(self) -> bool:
        """Whether it has begun something since it was started."""
        return len(notes(self.log)) > self.lines_at_start


class Crew:
    """The workers of one lake, started by forking one warm process."""

    def __init__(self, root: Path, source: Path) -> None:
        self.root = root
        root.mkdir()
        self.nursery = subprocess.Popen(
            [sys.executable, __file__, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(source)},
        )
        self.workers: list[Worker] = []

    def hire(self, kind: str, argument: int = 0) -> Worker:
        worker = Worker(kind, self.root / f"{kind}-{len(self.workers)}.log", argument)
        self.workers.append(worker)
        self.start(worker)
        return worker

    def start(self, worker: Worker) -> None:
        assert self.nursery.stdin and self.nursery.stdout
        worker.lines_at_start = len(notes(worker.log))
        self.nursery.stdin.write(f"{worker.kind} {worker.log} {worker.argument}\n")
        self.nursery.stdin.flush()
        worker.pid = int(self.nursery.stdout.readline())

    def kill(self, worker: Worker) -> None:
        os.kill(worker.pid, signal.SIGKILL)
        self.start(worker)

    def stop(self) -> None:
        """Let everybody finish what they are at."""
        (self.root / "stop").touch()
        until(lambda: not any(is_alive(worker.pid) for worker in self.workers), "the workers to stop")

    def dismiss(self) -> None:
        """Leave no process behind, whatever happened."""
        for worker in self.workers:
            if is_alive(worker.pid):
                os.kill(worker.pid, signal.SIGKILL)
        assert self.nursery.stdin and self.nursery.stdout
        self.nursery.stdin.close()
        self.nursery.wait(LONGEST_WAIT)
        self.nursery.stdout.close()

    def failures(self) -> list[list[str]]:
        return notes(self.root / "failures")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(claim: object, what: str) -> None:
    assert callable(claim)
    give_up_at = time.monotonic() + LONGEST_WAIT
    while not claim():
        assert time.monotonic() < give_up_at, f"waited {LONGEST_WAIT} seconds for {what}"
        time.sleep(0.02)


def test_loads_killed_at_any_instant_tear_lose_and_double_nothing(tmp_path: Path) -> None:
    from tests.conftest import ON_CI, ROOT

    kills = KILLS if ON_CI else KILLS_WHILE_SOMEBODY_WAITS
    chance = random.Random(20260101)
    root = tmp_path / "lake"
    crew = Crew(root, ROOT / "src")
    try:
        loaders = [crew.hire("load", number % FAMILIES) for number in range(LOADERS)]
        compactors = [crew.hire("compact") for _ in range(COMPACTORS)]
        readers = [crew.hire("read") for _ in range(READERS)]

        def finished() -> list[list[str]]:
            return [line for loader in loaders for line in notes(loader.log) if line[0] == "done"]

        for count in range(kills):
            # On a busy machine loads are slow: kill no faster than one load in two comes to its end.
            until(lambda count=count: len(finished()) >= count // 2 or crew.failures(), "loads to get through")
            time.sleep(chance.uniform(0, 2 / KILLS_PER_SECOND))
            victim = chance.choice(loaders)
            until(lambda victim=victim: victim.is_at_work() or crew.failures(), "a loader to begin")
            assert crew.failures() == []
            crew.kill(victim)
            if count % 10 == 9:
                crew.kill(chance.choice(compactors))
        crew.stop()
        assert crew.failures() == []

        begun = {line[1] for loader in loaders for line in notes(loader.log)}
        committed = Counter(line[1] for line in finished() if line[2] == "True")
        visible = whole_loads(root)
        assert {line[1] for line in finished()} <= visible <= begun
        assert max(committed.values()) == 1
        cut_short = sum(len(notes(loader.log)) for loader in loaders) - 2 * len(finished())
        assert cut_short > kills / 2, "most kills hit a load under way"
        assert all(len(notes(reader.log)) > kills / KILLS_PER_SECOND for reader in readers)
        assert sum(int(line[1]) for w in compactors for line in notes(w.log) if line[0] == "compacted") > 0

        # Everything begun, loaded once more: what was there changes nothing, what was not is there now.
        assert {name for name in begun if load(root, name)} == begun - visible
        assert whole_loads(root) == begun
    finally:
        crew.dismiss()
