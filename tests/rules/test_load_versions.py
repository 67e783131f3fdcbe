"""What was said when, and what of it is new: the same file twice changes nothing, a correction is a new version."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tenure.connect.files import LoadReport, load
from tenure.kernel.ids import content_key
from tests.rules.load_shop import NOW, Shop, at
from tests.rules.load_shop import shop as shop

DAY = timedelta(days=1)


def test_the_same_file_twice_changes_nothing_and_says_so(shop: Shop) -> None:
    content = "customer_id,name,plan,signed_up_at\na,x,p,2026-01-01\nb,y,q,never\nc,z,q,\nc,y,q,\n"
    first = shop.load("customers", content, "same.csv")
    versions = {table: shop.lake.snapshot(table).version for table in shop.lake.tables()}
    again = shop.load("customers", content, "same.csv", now=NOW + DAY)
    assert (first.loaded, first.known, first.quarantined) == (1, 0, 3)
    assert (again.rows, again.loaded, again.known, again.quarantined) == (4, 0, 1, 3)
    assert {table: shop.lake.snapshot(table).version for table in shop.lake.tables()} == versions
    assert [reason.reason for reason in again.reasons] == [reason.reason for reason in first.reasons]


def test_the_business_time_stands_in_at_the_first_load_and_the_loads_instant_later(shop: Shop) -> None:
    shop.load("customers", "customer_id,name,signed_up_at\na,x,2026-01-01\nb,y,2027-01-01\nc,z,\n")
    columns = "customer_id, recorded_at, recorded_assumed, loaded_at"
    assert shop.rows("customers", columns) == [
        ("a", at("2026-01-01"), True, NOW),
        ("b", NOW, True, NOW),  # its business time is still to come
        ("c", NOW, False, NOW),  # it has none
    ]
    report = shop.load("customers", "customer_id,name,signed_up_at\na,x2,2026-01-01\nb,y,2027-01-01\n", now=NOW + DAY)
    assert (report.loaded, report.known) == (1, 1)
    assert shop.rows("customers", columns, "name = 'x2'") == [("a", NOW + DAY, False, NOW + DAY)]


def test_a_b_a_is_three_rows(shop: Shop) -> None:
    loaded = [
        shop.load("customers", f"customer_id,name\na,{name}\nz,{number}\n", now=NOW + number * DAY).loaded
        for number, name in enumerate("xyxx")
    ]
    assert loaded == [2, 2, 2, 1]
    assert [row[0] for row in shop.rows("customers", "name, recorded_at", "customer_id = 'a'")] == ["x", "x", "y"]
    assert not shop.lake.snapshot("customers").no_repeated_keys


def test_keys_that_never_repeat_leave_no_mark(shop: Shop) -> None:
    shop.load("customers", "customer_id,name\na,x\nb,x\nb,x\n")
    shop.load("customers", "customer_id,name\nc,x\na,x\n")
    assert shop.lake.snapshot("customers").no_repeated_keys
    shop.load("customers", "customer_id,name,recorded_at\nd,x,2026-01-01\nd,y,2026-01-02\n")
    assert not shop.lake.snapshot("customers").no_repeated_keys


def test_a_version_of_the_source_orders_what_was_recorded_at_once(shop: Shop) -> None:
    report = shop.load("customers", "customer_id,name,version\na,x,1\na,y,2\nb,x,1\nb,y,1\nb,z,2\n")
    assert (report.loaded, report.quarantined) == (3, 2)
    assert list(shop.reasons(report)) == [4, 5]
    again = shop.load("customers", "customer_id,name,version\na,x,1\na,y,2\na,z,3\n")
    assert (again.loaded, again.known) == (1, 2)


def test_rows_that_tell_when_they_were_recorded_are_known_only_if_they_are_the_same(shop: Shop) -> None:
    shop.load("customers", "customer_id,name,recorded_at\na,x,2026-01-02\n")
    report = shop.load(
        "customers",
        "customer_id,name,recorded_at\na,x,2026-01-02\na,x,2026-01-03\na,w,2026-01-01\nb,x,2026-01-01\n",
    )
    assert (report.loaded, report.known) == (3, 1)
    assert shop.rows("customers", "name, recorded_at, recorded_assumed", "customer_id = 'a'") == [
        ("w", at("2026-01-01"), False),
        ("x", at("2026-01-02"), False),
        ("x", at("2026-01-03"), False),
    ]


def test_a_retraction_is_a_row_of_its_own(shop: Shop) -> None:
    shop.load("customers", "customer_id,name\na,x\n")
    report = shop.load("customers", "customer_id,name,retracted\na,x,true\n", now=NOW + DAY)
    assert report.loaded == 1
    assert shop.rows("customers", "name, retracted, recorded_at") == [("x", False, NOW), ("x", True, NOW + DAY)]
    assert shop.load("customers", "customer_id,name,retracted\na,x,yes\nb,,no\n").known == 1


def test_a_generated_key_says_what_the_row_says_and_which_of_equal_rows_it_is(shop: Shop) -> None:
    content = "customer_id,ordered_at,amount,currency\nc,2026-01-01,5,USD\nc,2026-01-01,5,USD\nc,2026-01-02,5,USD\n"
    assert shop.load("orders", content).loaded == 3
    micros = int(at("2026-01-01").timestamp()) * 1_000_000
    parts = ["c", micros, "sale", None, None, 500, "USD"]
    wanted = {content_key(parts), content_key(parts, 2), content_key(["c", micros + 86_400_000_000, *parts[2:]])}
    assert {row[0] for row in shop.rows("orders", "order_id")} == wanted
    # Another file with the same purchases: two of the three are known, the third purchase of that day is new.
    more = "customer_id,ordered_at,amount,currency\n" + "c,2026-01-01,5,USD\n" * 3
    report = shop.load("orders", more)
    assert (report.loaded, report.known) == (1, 2)
    # The careful way makes the same keys.
    report = shop.load("orders", more + "c,never,5,USD\n")
    assert (report.loaded, report.known, report.quarantined) == (0, 3, 1)


def test_a_file_may_lack_some_of_the_keys(shop: Shop) -> None:
    report = shop.load(
        "orders",
        """
        order_id,customer_id,ordered_at,amount,currency
        o1,c,2026-01-01,5,USD
        ,c,2026-01-01,5,USD
        ,c,2026-01-01,5,USD
        """,
    )
    assert report.loaded == 3
    assert len({row[0] for row in shop.rows("orders", "order_id")}) == 3


def histories(seed: int) -> list[str]:
    """Rows of customers and their corrections, each with the time it was recorded."""
    choice = random.Random(seed)
    rows = []
    for customer in range(12):
        days = choice.sample(range(1, 28), choice.randint(1, 4))
        rows += [f"c{customer},{choice.choice('xyz')},2026-01-{day:02},{choice.choice('01')}" for day in days]
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_the_order_and_the_splitting_of_files_change_nothing_when_rows_tell_when_they_were_recorded(
    tmp_path: Path, seed: int
) -> None:
    rows = histories(seed)
    stored = []
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        shop = Shop(folder)
        shuffled = random.Random(f"{seed} {attempt}").sample(rows, len(rows))
        size = (len(rows), 5, 3)[attempt]
        for part in (shuffled[first : first + size] for first in range(0, len(rows), size)):
            shop.load("customers", "customer_id,name,recorded_at,retracted\n" + "\n".join(part) + "\n")
        stored.append(shop.rows("customers", "customer_id, name, recorded_at, retracted, row_hash"))
    assert stored[0] == stored[1] == stored[2]
    assert len(stored[0]) == len(set(rows))


def test_spans_that_tell_when_they_were_recorded_load_in_any_order(tmp_path: Path) -> None:
    head = "subscription_id,customer_id,amount,currency,interval,started_at,ended_at,recorded_at"
    rows = (
        "s,c,1,USD,month,2026-01-01,,2026-01-01",
        "s,c,1,USD,month,2026-01-01,2026-03-01,2026-03-01",
        "s,c,2,USD,month,2026-03-01,,2026-03-01",
    )
    stored = set()
    for order in itertools.permutations(rows):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        shop = Shop(folder)
        for row in order:
            assert shop.load("subscriptions", f"{head}\n{row}\n").loaded == 1
        stored.add(tuple(shop.rows("subscription_spans", "started_at, ended_at, recorded_at, amount_minor")))
    assert len(stored) == 1


def test_row_hash_is_what_the_documentation_says(shop: Shop) -> None:
    import hashlib

    shop.load("customers", "customer_id,name,country\nล1,สมชาย,TH\nb,,\n")
    # name, email, country; what follows is NULL and leaves no separators behind. The key is not part of it.
    for key, text in (("ล1", "สมชาย\x1f\x1fTH"), ("b", "")):
        wanted = int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "little") & (2**63 - 1)
        assert shop.rows("customers", "row_hash", f"customer_id = '{key}'") == [(wanted,)]


def test_rows_stored_without_a_hash_are_known_by_what_they_say(shop: Shop) -> None:
    rows = pa.table({"customer_id": ["a"], "name": ["x"], "recorded_at": [NOW - DAY], "loaded_at": [NOW - DAY]})
    shop.lake.append_arrow("customers", rows, load_id="by a connector")
    report = shop.load("customers", "customer_id,name\na,x\nb,y\n")
    assert (report.loaded, report.known) == (1, 1)


def test_every_stored_row_says_where_it_came_from(shop: Shop) -> None:
    shop.load("customers", "customer_id\na\n", "export.csv")
    assert shop.rows("customers", "source, loaded_at, retracted, version") == [("export.csv", NOW, False, None)]


def test_two_loaders_of_one_file_at_once_load_it_once(shop: Shop) -> None:
    rows = "\n".join(f"c{i},n{i},t{i}" for i in range(20_000))
    path = shop.file(f"customer_id,name,trait\n{rows}\nc1,other,t\n", "race.csv")
    code = (
        "import sys; from pathlib import Path; from datetime import datetime\n"
        "from tenure.connect.files import load; from tenure.lake.store import Lake\n"
        "report = load(Lake(sys.argv[1]), 'customers', Path(sys.argv[2]), now=datetime.fromisoformat(sys.argv[3]))\n"
        "print(report.rows, report.loaded, report.known, report.quarantined)\n"
    )
    command = [sys.executable, "-c", code, str(shop.lake.root), str(path), NOW.isoformat()]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=120)[0].strip() for process in running)
    assert said == ["20001 0 19999 2", "20001 19999 0 2"]
    assert (shop.count("customers"), shop.count("quarantine"), shop.count("traits")) == (19_999, 2, 19_999)


def test_loads_of_different_files_at_once_all_arrive(shop: Shop) -> None:
    paths = [shop.file(f"customer_id,name\n{name}1,x\n{name}2,y\nshared,z\n") for name in "abcd"]
    reports: list[LoadReport] = []
    threads = [
        threading.Thread(target=lambda path=path: reports.append(load(shop.lake, "customers", path, now=NOW)))
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sum(report.loaded for report in reports) == 9 and sum(report.known for report in reports) == 3
    assert shop.count("customers") == 9


def test_a_load_that_fails_in_the_middle_leaves_nothing_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.file("customer_id,plan\na,x\nb,y\n")

    def refuse(*args: object, **options: object) -> bool:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(type(shop.lake), "commit", refuse)
        with pytest.raises(OSError, match="the disk is full"):
            shop.load("customers", path)
    left = [file.name for file in shop.lake.root.rglob("*") if file.suffix == ".parquet" or ".load-" in file.name]
    assert left == []
    assert shop.load("customers", path).loaded == 2


def test_scratch_folders_of_killed_loads_are_swept_away(shop: Shop) -> None:
    import os

    old = shop.lake.root / ".load-killed"
    young = shop.lake.root / ".load-running"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "part").write_text("x")
    os.utime(old, (0, datetime(2020, 1, 1).timestamp()))
    shop.load("customers", "customer_id\na\n")
    assert not old.exists() and young.exists()


def test_progress_is_told_step_by_step(shop: Shop) -> None:
    steps: list[str] = []
    shop.load("customers", "customer_id\na\n", progress=steps.append)
    assert steps[0] == "looking at the file" and steps[-1] == "writing"


def test_stored_files_hold_row_groups_of_a_threads_share(shop: Shop) -> None:
    rows = "\n".join(f"c{i}" for i in range(130_000))
    shop.load("customers", f"customer_id\n{rows}\n")
    (file,) = shop.lake.snapshot("customers").files
    with duckdb.connect() as con:
        found = con.execute("SELECT DISTINCT row_group_num_rows FROM parquet_metadata(?)", [file]).fetchall()
    assert sorted(found) == [(7_120,), (122_880,)]
