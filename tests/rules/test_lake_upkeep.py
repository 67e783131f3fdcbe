"""Compaction changes no row, vacuum takes nothing that somebody may need, and an erased person is gone."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tenure.errors import BadInput, Busy, Failed, UnknownName
from tenure.lake import upkeep
from tenure.lake.shape import shaped_like
from tenure.lake.store import Compaction, Lake
from tenure.lake.tables import TABLES
from tests.rules.lake_rows import NOON, customers, ids, numbered, read

HOUR = 3600


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def fill(lake: Lake, loads: int, rows: int = 10) -> None:
    for load in range(loads):
        lake.append_arrow("customers", numbered(load * rows, rows), load_id=f"load {load}", repeats_keys=False)


def folder(lake: Lake) -> Path:
    return lake.root / "customers"


def age(path: Path, hours: float) -> None:
    then = time.time() - hours * HOUR
    os.utime(path, (then, then))


def age_removals(lake: Lake, hours: float) -> None:
    """Rewrite the log as if its files had been removed so long ago; the files themselves are older still."""
    log = folder(lake) / "_delta_log"
    for summary in [*log.glob("*.checkpoint.parquet"), *log.glob("_last_checkpoint")]:
        summary.unlink()  # the commits it sums up are all there
    for commit in log.glob("*.json"):
        lines = [json.loads(line) for line in commit.read_text().splitlines()]
        for line in lines:
            if "remove" in line:
                line["remove"]["deletionTimestamp"] = int((time.time() - hours * HOUR) * 1000)
        commit.write_text("\n".join(json.dumps(line) for line in lines))
    for file in folder(lake).glob("*.parquet"):
        age(file, hours + 1)


# ------------------------------------------------------------------------------------------------------- compaction


def test_compaction_joins_small_files_and_changes_nothing_else(lake: Lake) -> None:
    fill(lake, 12)
    before = lake.snapshot("customers")
    assert lake.compact("customers") == Compaction("customers", files_before=12, files_after=1)
    after = lake.snapshot("customers")
    assert len(after.files) == 1
    assert read(after, "customer_id") == [(f"c{number}",) for number in range(120)], "rows stay in the order of loading"
    for told in ("rows", "all_null", "all_false", "minimum", "maximum", "no_repeated_keys"):
        assert getattr(after, told) == getattr(before, told), told
    assert after.maximum["recorded_at"] == NOON + timedelta(seconds=119), "to the microsecond"
    assert all(lake.has_load("customers", f"load {load}") for load in range(12))
    assert ids(before) == ids(after), "who still reads the older snapshot can do so"


def test_compaction_of_one_file_or_of_no_table_does_nothing(lake: Lake) -> None:
    assert lake.compact("customers") == Compaction("customers", 0, 0)
    fill(lake, 1)
    before = lake.snapshot("customers")
    assert lake.compact("customers") == Compaction("customers", 0, 0)
    assert lake.snapshot("customers") == before


def test_compaction_leaves_large_files_and_fills_several(lake: Lake) -> None:
    fill(lake, 1, rows=5000)
    (large,) = lake.snapshot("customers").files
    for load in range(8):
        lake.append_arrow("customers", numbered(10_000 + load, 1), load_id=f"small {load}", repeats_keys=False)
    small = max(Path(file).stat().st_size for file in lake.snapshot("customers").files if file != large)
    assert Path(large).stat().st_size > 4 * small
    done = lake.compact("customers", target_bytes=4 * small)
    assert (done.files_before, done.files_after) == (8, 2)
    assert large in lake.snapshot("customers").files
    assert lake.snapshot("customers").rows == 5008


def test_row_groups_are_large_enough_to_read_and_small_enough_to_share(lake: Lake) -> None:
    fill(lake, 3, rows=100_000)
    lake.compact("customers")
    (file,) = lake.snapshot("customers").files
    footer = pq.read_metadata(file)
    sizes = [footer.row_group(index).num_rows for index in range(footer.num_row_groups)]
    assert sizes == [upkeep.ROW_GROUP_ROWS, upkeep.ROW_GROUP_ROWS, 300_000 - 2 * upkeep.ROW_GROUP_ROWS]


def test_compactions_at_once_wait_for_each_other_and_double_nothing(lake: Lake) -> None:
    fill(lake, 8)
    start = threading.Barrier(4)
    done: list[Compaction] = []

    def attempt() -> None:
        start.wait()
        done.append(Lake(lake.root).compact("customers"))

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(part.files_before for part in done) == [0, 0, 0, 8]
    assert ids(lake.snapshot("customers")) == sorted(f"c{number}" for number in range(80))


def test_without_a_lock_the_second_compaction_is_refused_and_leaves_no_file(lake: Lake) -> None:
    """Where a file system keeps no locks: both have planned and written, the first commit wins."""
    fill(lake, 4)
    fact = TABLES["customers"]
    old = DeltaTable(str(folder(lake)))
    opened = iter([old, old, DeltaTable(str(folder(lake)))])

    def reopen() -> DeltaTable:
        """The plan is made and the first commit tried on what the table was before the rival's compaction."""
        table = next(opened, None) or DeltaTable(str(folder(lake)))
        if table is old and len(lake.snapshot("customers").files) == 4:
            lake.compact("customers")
        return table

    with pytest.raises(Busy, match="another process rewrote table 'customers' at the same time"):
        upkeep.compact(reopen, fact, folder(lake), upkeep.TARGET_BYTES)
    assert ids(lake.snapshot("customers")) == sorted(f"c{number}" for number in range(40))
    assert len(list(folder(lake).glob("*.parquet"))) == 5, "four loads, one compaction, no leftover"


def test_loads_go_on_while_a_table_is_compacted(lake: Lake) -> None:
    fill(lake, 2)
    loaded = threading.Event()

    def keep_loading() -> None:
        for load in range(10):
            lake.append_arrow("customers", numbered(100 + load, 1), load_id=f"later {load}", repeats_keys=False)
        loaded.set()

    loader = threading.Thread(target=keep_loading)
    loader.start()
    while not loaded.is_set():
        lake.compact("customers")
    loader.join()
    assert lake.snapshot("customers").rows == 30
    assert len(set(ids(lake.snapshot("customers")))) == 30


def test_bounds_stay_exact_when_another_program_compacts_the_table(lake: Lake) -> None:
    """delta-rs itself logs a largest instant cut to milliseconds, less than the truth."""
    fill(lake, 3)
    before = lake.snapshot("customers")
    DeltaTable(str(folder(lake))).optimize.compact()
    after = lake.snapshot("customers")
    assert len(after.files) == 1
    assert after.maximum == before.maximum
    assert after.minimum == before.minimum
    assert after.all_null == before.all_null


# ----------------------------------------------------------------------------------------------------------- vacuum


def test_vacuum_takes_files_replaced_more_than_a_day_ago_and_no_others(lake: Lake) -> None:
    fill(lake, 3)
    replaced = set(lake.snapshot("customers").files)
    lake.compact("customers")
    for file in folder(lake).glob("*.parquet"):
        age(file, 100)
    assert lake.vacuum("customers") == [], "old files, but replaced a moment ago: somebody may be reading them"
    age_removals(lake, 23)
    assert lake.vacuum("customers") == []
    age_removals(lake, 25)
    assert set(lake.vacuum("customers")) == {Path(file).name for file in replaced}
    assert not any(Path(file).exists() for file in replaced)
    assert ids(lake.snapshot("customers")) == sorted(f"c{number}" for number in range(30))
    assert lake.vacuum("customers") == []


def test_vacuum_takes_what_killed_loads_left_a_day_ago(lake: Lake) -> None:
    fill(lake, 1)
    old, young = lake.stage("customers"), lake.stage("customers")
    unfinished = folder(lake) / "_delta_log" / "00000000000000000009.json#1"
    for path in (old, young, unfinished):
        path.write_bytes(b"half a file")
    age(old, 25)
    age(unfinished, 25)
    assert lake.vacuum("customers") == [f"_delta_log/{unfinished.name}", old.name]
    assert young.exists() and not old.exists() and not unfinished.exists()
    assert lake.snapshot("customers").rows == 10


def test_a_vacuum_that_could_take_files_from_under_a_reader_is_refused(lake: Lake) -> None:
    fill(lake, 1)
    for hours in (0, 23, 721):
        with pytest.raises(BadInput, match=f"keeps files for 24 to 720 hours, not {hours}"):
            lake.vacuum("customers", retention_hours=hours)
    assert lake.vacuum("customers", retention_hours=720) == []
    assert lake.vacuum("orders") == []


def test_loads_are_remembered_when_the_log_s_old_entries_are_gone(lake: Lake) -> None:
    fill(lake, 3)
    lake.append_arrow("customers", numbered(0, 1), load_id="again")  # repeats a key
    log = folder(lake) / "_delta_log"
    for commit in log.glob("*.json"):
        age(commit, 31 * 24)
    lake.vacuum("customers")
    assert len(list(log.glob("*.json"))) <= 1, "entries older than thirty days are gone"
    assert all(lake.has_load("customers", f"load {load}") for load in range(3))
    assert not lake.append_arrow("customers", numbered(0, 10), load_id="load 0")
    assert not lake.snapshot("customers").no_repeated_keys
    assert lake.snapshot("customers").rows == 31


def test_a_file_staged_long_ago_is_committed_only_while_no_vacuum_runs(lake: Lake) -> None:
    fill(lake, 1)
    path = lake.stage("customers")
    pq.write_table(shaped_like(TABLES["customers"], numbered(10, 1)), path)
    age(path, 13)
    order: list[str] = []

    def commit() -> None:
        lake.commit("customers", [path], load_id="slow", rows=1, repeats_keys=False)
        order.append("committed")

    with lake._upkeep():
        slow = threading.Thread(target=commit)
        slow.start()
        slow.join(0.3)
        order.append("upkeep done")
    slow.join()
    assert order == ["upkeep done", "committed"]

    late = lake.stage("customers")
    pq.write_table(shaped_like(TABLES["customers"], numbered(11, 1)), late)
    age(late, 25)
    lake.vacuum("customers")
    with pytest.raises(Failed, match=r"is gone: .* load the facts again"):
        lake.commit("customers", [late], load_id="too late", rows=1, repeats_keys=False)
    assert lake.snapshot("customers").rows == 11


# ---------------------------------------------------------------------------------------------------------- erasure

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_an_erased_customer_is_in_no_snapshot_and_soon_on_no_disk(lake: Lake) -> None:
    fill(lake, 3)
    lake.append_arrow("customers", customers(["c7"], name="Ann"), load_id="a correction")
    done = lake.erase("customers", "c7", now=NOW)
    assert (done.rows, done.files) == (2, 2)
    assert done.gone_from_disk == NOW + timedelta(hours=24)
    after = lake.snapshot("customers")
    assert ids(after) == sorted(f"c{number}" for number in range(30) if number != 7)
    assert "name" in after.all_null
    assert len(after.files) == 1
    assert not after.no_repeated_keys, "the mark is a lasting one"

    age_removals(lake, 25)
    lake.vacuum("customers")
    (left,) = folder(lake).glob("*.parquet")
    assert "c7" not in pq.read_table(left).column("customer_id").to_pylist()
    for load in range(3):
        assert lake.has_load("customers", f"load {load}"), "erasing a row does not let its load back in"


def test_an_erasure_is_noted_without_naming_the_person(lake: Lake) -> None:
    lake.append_arrow("customers", customers(["ann@example.com", "bob@example.com"]), load_id="a")
    lake.erase("customers", "ann@example.com", now=NOW)
    lake.erase("orders", "ann@example.com", now=NOW)  # a table that does not exist holds nobody
    noted = (lake.root / "erasures.jsonl").read_text()
    assert "ann" not in noted
    first, second = (json.loads(line) for line in noted.splitlines())
    assert (first["table"], first["rows"], first["files"]) == ("customers", 1, 1)
    assert first["erased_at"] == "2026-05-01T00:00:00+00:00"
    assert first["gone_from_disk"] == "2026-05-02T00:00:00+00:00"
    assert first["customer_sha256"] == second["customer_sha256"] == upkeep.digest("ann@example.com")
    assert (second["table"], second["rows"]) == ("orders", 0)


def test_the_last_customer_erased_leaves_an_empty_table(lake: Lake) -> None:
    lake.append_arrow("customers", customers(["o'hara \\ 'x' OR 1=1"]), load_id="a")
    lake.append_arrow("customers", customers(["o'hara"]), load_id="b")
    assert lake.erase("customers", "o'hara \\ 'x' OR 1=1", now=NOW).rows == 1
    assert ids(lake.snapshot("customers")) == ["o'hara"]
    assert lake.erase("customers", "o'hara", now=NOW).rows == 1
    assert lake.erase("customers", "o'hara", now=NOW).rows == 0
    snapshot = lake.snapshot("customers")
    assert (snapshot.rows, snapshot.files) == (0, ())
    assert "customer_id" in snapshot.all_null
    assert lake.append_arrow("customers", customers(["new"]), load_id="c")


def test_rows_of_nobody_stay_when_somebody_is_erased(lake: Lake) -> None:
    """An order may have no customer at all."""
    orders = customers(["a", "b"], customer_id=["a", None], order_id=["1", "2"], ordered_at=NOON, currency="EUR")
    lake.append_arrow("orders", orders, load_id="a")
    assert lake.erase("orders", "a", now=NOW).rows == 1
    assert read(lake.snapshot("orders"), "order_id", "customer_id") == [("2", None)]


def test_nobody_is_erased_by_id_from_a_table_without_customers(lake: Lake) -> None:
    with pytest.raises(UnknownName, match="table 'rates' has no column customer_id"):
        lake.erase("rates", "a", now=NOW)


def test_upkeep_waits_its_turn_and_says_who_is_at_work(lake: Lake) -> None:
    fill(lake, 2)
    with lake._upkeep():
        for ask in (
            lambda: lake.compact("customers", timeout=0.05),
            lambda: lake.vacuum("customers", timeout=0.05),
            lambda: lake.erase("customers", "c1", now=NOW, timeout=0.05),
        ):
            with pytest.raises(Busy, match="another process is compacting, vacuuming or erasing in this lake"):
                ask()
        assert lake.append_arrow("customers", numbered(50, 1), load_id="meanwhile")
    assert lake.compact("customers").files_before == 3
