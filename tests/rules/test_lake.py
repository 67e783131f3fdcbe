"""A load is there whole or not at all, once, and a snapshot says of its rows only what is certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tenure.errors import BadInput, Busy, Damaged, Failed, UnknownName
from tenure.lake.lost_files import retry_lost_file
from tenure.lake.store import Lake
from tenure.lake.tables import TABLES, all_columns
from tests.conftest import ROOT
from tests.rules.lake_rows import NOON, customers, ids, numbered, read

NAMES = {column.name for column in all_columns(TABLES["customers"])}
CLAIMS = {"is_test", "recorded_assumed", "retracted"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "my läke, 100 % ของเรา")  # a folder as people name them


def staged(lake: Lake, rows: pa.Table, table: str = "customers") -> Path:
    """The rows in a staged file, every column there."""
    from tenure.lake.shape import shaped_like

    path = lake.stage(table)
    pq.write_table(shaped_like(TABLES[table], rows), path)
    return path


# ----------------------------------------------------------------------------------------------------- whole, or not


def test_a_table_that_does_not_exist_yet_is_empty(lake: Lake) -> None:
    snapshot = lake.snapshot("customers")
    assert (snapshot.version, snapshot.files, snapshot.rows) == (-1, (), 0)
    assert snapshot.all_null == NAMES
    assert snapshot.all_false == CLAIMS
    assert snapshot.no_repeated_keys
    assert lake.tables() == []
    assert not lake.root.exists(), "looking leaves no trace"


def test_a_load_is_seen_whole_by_the_next_snapshot(lake: Lake) -> None:
    assert lake.append_arrow("customers", numbered(0, 10), load_id="a")
    snapshot = lake.snapshot("customers")
    assert snapshot.rows == 10
    assert ids(snapshot) == sorted(f"c{number}" for number in range(10))
    assert all(Path(file).is_absolute() for file in snapshot.files)
    assert lake.tables() == ["customers"]


def test_several_files_of_one_load_appear_in_one_version(lake: Lake) -> None:
    files = [staged(lake, numbered(start, 5)) for start in (0, 5, 10)]
    assert lake.commit("customers", files, load_id="a", rows=15, repeats_keys=False)
    assert lake.snapshot("customers").version == 1
    assert len(lake.snapshot("customers").files) == 3


def test_a_staged_file_is_invisible_until_it_is_committed(lake: Lake) -> None:
    lake.append_arrow("customers", numbered(0, 3), load_id="a")
    before = lake.snapshot("customers")
    path = staged(lake, numbered(3, 3))
    assert lake.snapshot("customers") == before
    lake.commit("customers", [path], load_id="b", rows=3, repeats_keys=False)
    assert lake.snapshot("customers").rows == 6


def test_an_older_snapshot_stays_as_it_was_while_others_load(lake: Lake) -> None:
    lake.append_arrow("customers", numbered(0, 3), load_id="a")
    before = lake.snapshot("customers")
    lake.append_arrow("customers", numbered(3, 3), load_id="b")
    assert ids(before) == ["c0", "c1", "c2"]


def test_a_load_killed_before_its_commit_leaves_nothing_visible(lake: Lake) -> None:
    lake.append_arrow("customers", numbered(0, 3), load_id="a")
    before = lake.snapshot("customers")
    script = (
        "import os, signal, sys\n"
        "import pyarrow.parquet as pq\n"
        "from tenure.lake.shape import shaped_like\n"
        "from tenure.lake.store import Lake\n"
        "from tenure.lake.tables import TABLES\n"
        "from tests.rules.lake_rows import numbered\n"
        "path = Lake(sys.argv[1]).stage('customers')\n"
        "with Lake(sys.argv[1]).writing('customers'):\n"
        "    pq.write_table(shaped_like(TABLES['customers'], numbered(3, 3)), path)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(lake.root)], env=child_environment(), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((lake.root / "customers").glob("*.parquet"))) == 2, "the killed load did write its file"
    assert lake.snapshot("customers") == before
    assert not lake.has_load("customers", "b")
    with lake.writing("customers", timeout=1):  # its lock died with it
        assert lake.append_arrow("customers", numbered(3, 3), load_id="b", repeats_keys=False)


# ------------------------------------------------------------------------------------------------------------- once


def test_the_same_load_twice_changes_nothing(lake: Lake) -> None:
    assert lake.append_arrow("customers", numbered(0, 10), load_id="a")
    before = lake.snapshot("customers")
    assert not lake.append_arrow("customers", numbered(0, 10), load_id="a")
    again = staged(lake, numbered(0, 10))
    assert not lake.commit("customers", [again], load_id="a", rows=10, repeats_keys=False)
    assert not again.exists()
    assert lake.snapshot("customers") == before
    assert lake.has_load("customers", "a")
    assert not lake.has_load("customers", "b")
    assert not lake.has_load("orders", "a")


def test_trying_a_load_again_with_its_own_files_keeps_them(lake: Lake) -> None:
    path = staged(lake, numbered(0, 10))
    assert lake.commit("customers", [path], load_id="a", rows=10, repeats_keys=False)
    assert not lake.commit("customers", [path], load_id="a", rows=10, repeats_keys=False)
    assert len(ids(lake.snapshot("customers"))) == 10


def test_a_file_cannot_belong_to_two_loads(lake: Lake) -> None:
    path = staged(lake, numbered(0, 10))
    lake.commit("customers", [path], load_id="a", rows=10, repeats_keys=False)
    with pytest.raises(BadInput, match="belongs to table 'customers' already"):
        lake.commit("customers", [path], load_id="b", rows=10, repeats_keys=False)
    assert lake.snapshot("customers").rows == 10


def test_a_load_of_which_no_row_was_new_is_remembered(lake: Lake) -> None:
    assert lake.commit("customers", [], load_id="a", rows=0, repeats_keys=False)
    assert not lake.commit("customers", [], load_id="a", rows=0, repeats_keys=False)
    assert lake.snapshot("customers").rows == 0


def test_a_load_needs_an_id(lake: Lake) -> None:
    with pytest.raises(BadInput, match="needs an id"):
        lake.append_arrow("customers", numbered(0, 1), load_id="")


def test_of_two_processes_that_load_one_file_at_once_one_wins(lake: Lake) -> None:
    """Both create the table, then race for eight loads; each load is there once."""
    script = (
        "import sys, time\n"
        "from tenure.lake.store import Lake\n"
        "from tests.rules.lake_rows import numbered\n"
        "import deltalake, pyarrow.compute, pyarrow.parquet\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for load in range(8):\n"
        "    won = Lake(sys.argv[1]).append_arrow('customers', numbered(load * 10, 10),"
        " load_id=str(load), repeats_keys=False)\n"
        "    print(won, flush=True)\n"
    )
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(lake.root)],
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for rival in rivals:
        assert rival.stdout and rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin
        rival.stdin.write("go\n")
        rival.stdin.flush()
    answers = [rival.communicate(timeout=120)[0].split() for rival in rivals]
    assert [sorted(pair) for pair in zip(*answers, strict=True)] == [["False", "True"]] * 8
    assert ids(lake.snapshot("customers")) == sorted(f"c{number}" for number in range(80))


def test_eight_threads_with_one_load_commit_it_once(lake: Lake) -> None:
    start = threading.Barrier(8)
    answers: list[bool] = []

    def attempt() -> None:
        start.wait()
        answers.append(Lake(lake.root).append_arrow("customers", numbered(0, 5), load_id="a", repeats_keys=False))

    run_together([attempt] * 8)
    assert sorted(answers) == [False] * 7 + [True]
    assert lake.snapshot("customers").rows == 5
    assert len(list((lake.root / "customers").glob("*.parquet"))) == 1, "the losers cleared their files away"


def test_eight_threads_with_loads_of_their_own_all_get_through(lake: Lake) -> None:
    start = threading.Barrier(8)

    def attempt(number: int) -> None:
        start.wait()
        assert Lake(lake.root).append_arrow(
            "customers", numbered(number * 5, 5), load_id=str(number), repeats_keys=number % 2 == 0
        )

    run_together([lambda number=number: attempt(number) for number in range(8)])
    assert ids(lake.snapshot("customers")) == sorted(f"c{number}" for number in range(40))


# ---------------------------------------------------------------------------------------------------- repeated keys


def test_the_mark_of_repeated_keys_is_set_with_the_rows_that_repeat_one_and_stays(lake: Lake) -> None:
    lake.append_arrow("customers", numbered(0, 5), load_id="a")
    lake.append_arrow("customers", numbered(5, 5), load_id="b")
    assert lake.snapshot("customers").no_repeated_keys
    lake.append_arrow("customers", numbered(9, 2), load_id="c")
    assert not lake.snapshot("customers").no_repeated_keys
    lake.append_arrow("customers", numbered(20, 2), load_id="d")
    assert not lake.snapshot("customers").no_repeated_keys
    lake.compact("customers")
    assert not lake.snapshot("customers").no_repeated_keys


def test_a_key_twice_in_one_load_repeats(lake: Lake) -> None:
    lake.append_arrow("customers", customers(["a", "b", "a"]), load_id="a")
    assert not lake.snapshot("customers").no_repeated_keys


def test_keys_of_several_columns_repeat_only_as_a_whole(lake: Lake) -> None:
    def trait(customer: str, name: str) -> pa.Table:
        return customers([customer], trait=name, effective_at=pa.nulls(1, pa.timestamp("us", "UTC")))

    lake.append_arrow("traits", trait("a", "size"), load_id="1")
    lake.append_arrow("traits", trait("a", "region"), load_id="2")
    lake.append_arrow("traits", trait("b", "size"), load_id="3")
    assert lake.snapshot("traits").no_repeated_keys
    lake.append_arrow("traits", trait("a", "size"), load_id="4")  # an undated trait has a key, too
    assert not lake.snapshot("traits").no_repeated_keys


# ------------------------------------------------------------------------------------------------------- statistics


def test_bounds_are_exact_to_the_microsecond(lake: Lake) -> None:
    lake.append_arrow("customers", numbered(0, 3), load_id="a")
    lake.append_arrow("customers", numbered(3, 3), load_id="b")
    snapshot = lake.snapshot("customers")
    assert snapshot.minimum["recorded_at"] == NOON
    assert snapshot.maximum["recorded_at"] == NOON + timedelta(seconds=5)
    assert (snapshot.minimum["customer_id"], snapshot.maximum["customer_id"]) == ("c0", "c5")
    assert snapshot.all_null == NAMES - set(numbered(0, 1).column_names) - {"recorded_assumed", "retracted"}
    assert snapshot.all_false == CLAIMS


def test_a_claim_is_all_false_until_one_row_makes_it(lake: Lake) -> None:
    lake.append_arrow("customers", numbered(0, 2, is_test=[False, None]), load_id="a")
    assert "is_test" in lake.snapshot("customers").all_false
    lake.append_arrow("customers", numbered(2, 2, is_test=[True, False]), load_id="b")
    assert "is_test" not in lake.snapshot("customers").all_false


def test_a_text_too_long_for_a_bound_takes_the_column_s_bounds_away(lake: Lake) -> None:
    lake.append_arrow("customers", customers(["b"], name="short"), load_id="a")
    assert lake.snapshot("customers").maximum["name"] == "short"
    lake.append_arrow("customers", customers(["c"], name="z" * 32), load_id="b")
    assert "name" not in lake.snapshot("customers").maximum
    assert "name" not in lake.snapshot("customers").minimum
    assert "name" not in lake.snapshot("customers").all_null


def test_statistics_survive_a_checkpoint(lake: Lake) -> None:
    for number in range(3):
        lake.append_arrow("customers", numbered(number, 1, is_test=False), load_id=str(number))
    before = lake.snapshot("customers")
    DeltaTable(str(lake.root / "customers")).create_checkpoint()
    assert lake.snapshot("customers") == before


_INSTANTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), timezones=st.just(UTC))
_ROW = st.fixed_dictionaries(
    {
        "name": st.none() | st.text(max_size=40),
        "signed_up_at": st.none() | _INSTANTS,
        "recorded_at": _INSTANTS,
        "version": st.none() | st.integers(-(2**63), 2**63 - 1),
        "is_test": st.none() | st.booleans(),
        "retracted": st.booleans(),
    }
)


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(loads=st.lists(st.lists(_ROW, min_size=1, max_size=4), min_size=1, max_size=4), compacts=st.booleans())
def test_a_snapshot_says_of_its_rows_what_a_look_at_every_row_says(
    tmp_path_factory: pytest.TempPathFactory, loads: list[list[dict[str, Any]]], compacts: bool
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    told = list(loads[0][0])
    for number, load in enumerate(loads):
        columns = {name: [row[name] for row in load] for name in told}
        instants = {
            name: pa.array(columns[name], pa.timestamp("us", "UTC")) for name in ("signed_up_at", "recorded_at")
        }
        lake.append_arrow("customers", customers(["x"] * len(load), **{**columns, **instants}), load_id=str(number))
    if compacts:
        lake.compact("customers")
    snapshot = lake.snapshot("customers")
    rows = [row for load in loads for row in load]
    assert snapshot.rows == len(rows)
    for name in told:
        values = [row[name] for row in rows if row[name] is not None]
        assert (name in snapshot.all_null) == (not values)
        if name in snapshot.minimum or name in snapshot.maximum:
            assert (snapshot.minimum[name], snapshot.maximum[name]) == (min(values), max(values))
        else:
            assert not values or max(len(value) for value in values if isinstance(value, str)) > 31
    for name in ("is_test", "retracted"):
        assert (name in snapshot.all_false) == (not any(row[name] for row in rows))


def test_a_snapshot_of_a_thousand_files_takes_milliseconds(lake: Lake) -> None:
    """Measured 6 ms for one file, 60 ms for a thousand; the bound catches reading a thousand footers (900 ms)."""
    one = staged(lake, numbered(0, 1))
    files = [lake.stage("customers") for _ in range(999)]
    for file in files:
        file.write_bytes(one.read_bytes())
    lake.commit("customers", [one, *files], load_id="a", rows=1000, repeats_keys=True)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        assert len(lake.snapshot("customers").files) == 1000
        took.append(time.perf_counter() - start)
    assert min(took) < 0.3


# ------------------------------------------------------------------------------------------------ what may be stored


def test_missing_columns_become_nulls_of_their_type_and_claims_false(lake: Lake) -> None:
    lake.append_arrow("customers", customers(["a"]), load_id="a")
    (file,) = lake.snapshot("customers").files
    assert pq.read_schema(file).names == [column.name for column in all_columns(TABLES["customers"])]
    row = pq.read_table(file).to_pylist()[0]
    assert (row["retracted"], row["recorded_assumed"], row["name"], row["version"]) == (False, False, None, None)


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"nmae": "x"}, "no column of table 'customers' called 'nmae'. Did you mean 'name'"),
        ({"name": 3}, "column 'name' of table 'customers' wants text, the rows hold int64"),
        ({"version": 1.5}, "column 'version' of table 'customers' wants whole number, the rows hold double"),
        ({"is_test": "yes"}, "column 'is_test' of table 'customers' wants true or false"),
        ({"signed_up_at": datetime(2026, 1, 1)}, "column 'signed_up_at' .* wants instant with a time zone"),
        ({"signed_up_at": "2026-01-01"}, "column 'signed_up_at' .* wants instant with a time zone"),
        ({"recorded_at": pa.nulls(1)}, "1 rows for table 'customers' lack 'recorded_at'"),
        ({"customer_id": pa.nulls(1)}, "1 rows for table 'customers' lack 'customer_id'"),
        ({"retracted": pa.nulls(1)}, "1 rows for table 'customers' lack 'retracted'"),
    ],
)
def test_rows_of_another_shape_are_refused_by_name(lake: Lake, columns: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        lake.append_arrow("customers", customers(["a"], **columns), load_id="a")
    assert lake.snapshot("customers").rows == 0
    assert not list(lake.root.rglob("*.parquet"))


def test_rows_without_a_required_column_are_refused(lake: Lake) -> None:
    with pytest.raises(BadInput, match="lack 'loaded_at', which is required"):
        lake.append_arrow("customers", customers(["a"]).drop_columns(["loaded_at"]), load_id="a")


def test_a_table_that_nobody_knows_is_refused(lake: Lake) -> None:
    for ask in (lake.snapshot, lake.stage, lake.compact, lake.vacuum):
        with pytest.raises(UnknownName, match="no table called 'custmers'"):
            ask("custmers")


def test_types_that_hold_the_same_values_are_taken(lake: Lake) -> None:
    rows = customers(
        ["a"],
        name=pa.array(["n"]).dictionary_encode(),
        email=pa.array(["e"], pa.large_string()),
        version=pa.array([7], pa.int8()),
        signed_up_at=pa.array([1_000_000], pa.timestamp("ms", "Asia/Bangkok")),
        country=pa.nulls(1),
    )
    lake.append_arrow("customers", rows, load_id="a")
    instant = datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)
    assert read(lake.snapshot("customers"), "name", "email", "version", "signed_up_at", "country") == [
        ("n", "e", 7, instant, None)
    ]
    with pytest.raises(BadInput, match="would lose data"):
        finer = pa.array([1], pa.timestamp("ns", "UTC"))
        lake.append_arrow("customers", customers(["b"], signed_up_at=finer), load_id="b")


def test_files_of_another_shape_are_not_committed(lake: Lake) -> None:
    def refuse(complaint: str, path: Path, rows: int = 1, error: type[Exception] = BadInput) -> None:
        with pytest.raises(error, match=complaint):
            lake.commit("customers", [path], load_id="a", rows=rows, repeats_keys=False)

    good = staged(lake, customers(["a"]))
    refuse("says 2 rows, its files hold 1", good, rows=2)
    whole = pq.read_table(good)

    lacking, extra, other, foreign = (lake.stage("customers") for _ in range(4))
    pq.write_table(whole.drop_columns(["recorded_at"]), lacking)
    refuse("lacks column 'recorded_at', which is required", lacking)
    pq.write_table(whole.append_column("shoe", pa.array([42])), extra)
    refuse("has an unknown column 'shoe'", extra)
    pq.write_table(whole.set_column(0, "customer_id", pa.array([1])), other)
    refuse("'customer_id' of table 'customers' wants string", other)
    foreign.write_text("customer_id\na\n")
    refuse("cannot be read as a Parquet file", foreign)
    refuse("is gone", lake.stage("customers"), error=Failed)
    refuse("not in the folder of table 'customers'", good.rename(lake.root / "elsewhere.parquet"))
    assert lake.snapshot("customers").rows == 0


# ----------------------------------------------------------------------------------------- the same for every reader

VALUES: dict[str, tuple[str, Any]] = {
    "text": ("'ก\U0001f600 \"quoted\"'", 'ก\U0001f600 "quoted"'),
    "int": ("-9223372036854775808", -(2**63)),
    "money_minor": ("9223372036854775807", 2**63 - 1),
    "float": ("0.1::DOUBLE", 0.1),
    "bool": ("TRUE", True),
    "instant": ("TIMESTAMPTZ '2026-03-29 02:30:00.123456+01:00'", datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)),
    "date": ("DATE '2024-02-29'", date(2024, 2, 29)),
    "rate": ("1.000000000001", Decimal("1.000000000001")),
}
TYPED = ("rates", "invoice_lines", "usage", "payments", "subscription_states", "quarantine")


def written_by_duckdb(lake: Lake, table: str, load: str) -> None:
    """One row of values and one of NULLs where NULL may be, as the loader writes them."""
    path = lake.stage(table)
    columns = all_columns(TABLES[table])

    def row(value: Any) -> str:
        return ", ".join(f'CAST({value(column)} AS {column.sql_type}) AS "{column.name}"' for column in columns)

    full = row(lambda column: VALUES[column.type][0])
    bare = row(lambda column: VALUES[column.type][0] if column.required else "NULL")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Bangkok'")  # a session's zone does not reach into the file
        connection.execute(f"COPY (SELECT {full} UNION ALL SELECT {bare}) TO '{path}' (FORMAT parquet)")
    assert lake.commit(table, [path], load_id=load, rows=2, repeats_keys=True)


def expected(table: str) -> list[dict[str, Any]]:
    columns = all_columns(TABLES[table])
    return [
        {column.name: VALUES[column.type][1] for column in columns},
        {column.name: VALUES[column.type][1] if column.required else None for column in columns},
    ]


def by_nulls(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: sum(value is None for value in row.values()))


@pytest.mark.parametrize("table", TYPED)
@pytest.mark.parametrize("compacted", [False, True])
def test_every_type_comes_back_as_it_went_in_from_duckdb_and_delta(lake: Lake, table: str, compacted: bool) -> None:
    written_by_duckdb(lake, table, "a")
    rows = expected(table)
    if compacted:
        written_by_duckdb(lake, table, "b")
        lake.compact(table)
        rows = by_nulls(rows + rows)
        assert len(lake.snapshot(table).files) == 1
    files = list(lake.snapshot(table).files)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.execute("SELECT * FROM read_parquet(?, union_by_name = true)", [files])
        assert by_nulls(relation.to_arrow_table().to_pylist()) == rows
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?, union_by_name = true)", [files])
        types = [(name, kind) for name, kind, *_ in described.fetchall()]
        assert types == [(column.name, column.sql_type) for column in all_columns(TABLES[table])]
    stored = DeltaTable(str(lake.root / table)).to_pyarrow_table()
    assert by_nulls(stored.to_pylist()) == rows
    snapshot = lake.snapshot(table)
    assert snapshot.all_null == set()
    for column in all_columns(TABLES[table]):
        if column.type not in ("float", "rate"):
            assert snapshot.minimum[column.name] == snapshot.maximum[column.name] == VALUES[column.type][1]


def test_spark_reads_the_same_files_alike(lake: Lake, spark: Any) -> None:
    for table in ("rates", "invoice_lines"):
        written_by_duckdb(lake, table, "a")
        written_by_duckdb(lake, table, "b")
        lake.compact(table)
        written_by_duckdb(lake, table, "c")
        frame = spark.read.parquet(*lake.snapshot(table).files)
        assert by_nulls(frame.toArrow().to_pylist()) == by_nulls(expected(table) * 3)


# ------------------------------------------------------------------------------------------------ growing by a column


def table_of_an_older_release(lake: Lake, rows: int) -> None:
    """A customers table from before there was an `owner`, with one load in it."""
    import json

    from deltalake.transaction import AddAction, CommitProperties, Transaction

    from tenure.lake.shape import arrow_schema, shaped_like

    folder = lake.root / "customers"
    old = pa.schema([field for field in arrow_schema(TABLES["customers"]) if field.name != "owner"])
    table = DeltaTable.create(str(folder), old)
    path = lake.stage("customers")
    pq.write_table(shaped_like(TABLES["customers"], numbered(0, rows)).select(old.names), path)
    nulls = {name: 0 if name in numbered(0, 1).column_names else rows for name in old.names}
    nulls.update(retracted=0, recorded_assumed=0)
    stats = json.dumps({"numRecords": rows, "nullCount": nulls, "minValues": {}, "maxValues": {}})
    table.create_write_transaction(
        [AddAction(path.name, path.stat().st_size, {}, int(path.stat().st_mtime * 1000), True, stats)],
        "append",
        old,
        commit_properties=CommitProperties(app_transactions=[Transaction("load:old", 1)]),
    )


def owners(lake: Lake) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT owner FROM read_parquet(?, union_by_name = true) ORDER BY recorded_at",
            [list(lake.snapshot("customers").files)],
        ).fetchall()


def test_a_table_grows_by_a_column_that_is_null_in_older_rows(lake: Lake) -> None:
    table_of_an_older_release(lake, 3)
    assert lake.has_load("customers", "old")
    assert "owner" in lake.snapshot("customers").all_null, "no file has it, so nobody may ask a file for it"
    lake.append_arrow("customers", numbered(3, 2, owner=["Ann", None]), load_id="new")
    snapshot = lake.snapshot("customers")
    assert "owner" not in snapshot.all_null
    assert snapshot.rows == 5
    assert (snapshot.minimum["owner"], snapshot.maximum["owner"]) == ("Ann", "Ann")
    assert owners(lake) == [(None,), (None,), (None,), ("Ann",), (None,)]
    lake.compact("customers")
    assert owners(lake) == [(None,), (None,), (None,), ("Ann",), (None,)]
    fields = [field.name for field in DeltaTable(str(lake.root / "customers")).schema().fields]
    assert sorted(fields) == sorted(NAMES)


def test_two_loads_that_grow_a_table_at_once_both_get_through(lake: Lake) -> None:
    table_of_an_older_release(lake, 3)
    start = threading.Barrier(4)

    def attempt(number: int) -> None:
        start.wait()
        rows = numbered(number * 10, 2, owner=f"owner {number}")
        assert Lake(lake.root).append_arrow("customers", rows, load_id=str(number), repeats_keys=False)

    run_together([lambda number=number: attempt(number) for number in range(1, 5)])
    assert lake.snapshot("customers").rows == 11
    assert {owner for (owner,) in owners(lake)} == {None, "owner 1", "owner 2", "owner 3", "owner 4"}


def test_a_column_stored_as_another_type_is_named(lake: Lake) -> None:
    DeltaTable.create(str(lake.root / "customers"), pa.schema([("customer_id", pa.int64())]))
    with pytest.raises(Damaged, match="column 'customer_id' of table 'customers' is stored as"):
        lake.append_arrow("customers", numbered(0, 1), load_id="a", repeats_keys=False)


# ---------------------------------------------------------------------------------------------------- broken and lost


def broken(lake: Lake, breakage: str) -> None:
    log = lake.root / "customers" / "_delta_log"
    commits = sorted(log.glob("*.json"))
    if breakage == "a commit of garbage":
        commits[-1].write_text("{nonsense")
    elif breakage == "a commit cut to nothing":
        commits[-1].write_text("")
    elif breakage == "a commit missing in the middle":
        commits[1].unlink()
    elif breakage == "a checkpoint without what it stands for":
        DeltaTable(str(lake.root / "customers")).create_checkpoint()
        for path in [*commits, *log.glob("*.checkpoint.parquet")]:
            path.unlink()
        (log / "00000000000000000007.json").write_text("{}")
    else:
        DeltaTable(str(lake.root / "customers")).create_checkpoint()
        for path in log.glob("*.checkpoint.parquet"):
            path.write_bytes(b"PAR1")
        for path in commits:
            path.unlink()


@pytest.mark.parametrize(
    "breakage",
    [
        "a commit of garbage",
        "a commit cut to nothing",
        "a commit missing in the middle",
        "a checkpoint without what it stands for",
        "a checkpoint of garbage",
    ],
)
def test_a_broken_log_is_named_and_never_read_as_empty(lake: Lake, breakage: str) -> None:
    for number in range(3):
        lake.append_arrow("customers", numbered(number, 1), load_id=str(number))
    broken(lake, breakage)
    for ask in (
        lambda: lake.snapshot("customers"),
        lambda: lake.has_load("customers", "0"),
        lambda: lake.append_arrow("customers", numbered(9, 1), load_id="9", repeats_keys=False),
        lambda: lake.compact("customers"),
    ):
        with pytest.raises(Damaged, match=r"the log of table 'customers' cannot be read: .*\. Restore"):
            ask()


def test_a_table_whose_creation_was_cut_short_does_not_exist_yet(lake: Lake) -> None:
    (lake.root / "customers" / "_delta_log").mkdir(parents=True)
    assert lake.snapshot("customers").version == -1
    assert lake.append_arrow("customers", numbered(0, 1), load_id="a")
    assert lake.snapshot("customers").rows == 1


@pytest.mark.parametrize("reader", ["duckdb", "pyarrow", "polars"])
def test_a_read_that_loses_a_file_looks_again_once(lake: Lake, reader: str) -> None:
    lake.append_arrow("customers", numbered(0, 2), load_id="a")
    lake.append_arrow("customers", numbered(2, 2), load_id="b")
    old = lake.snapshot("customers")
    lake.compact("customers")
    for file in old.files:
        Path(file).unlink()  # as a vacuum a day later does
    looks = iter([old, lake.snapshot("customers"), None])
    assert retry_lost_file(lambda: count_rows(reader, list(next(looks).files))) == 4

    gone = [old, old, None]
    with pytest.raises(Damaged, match="names a file that does not exist"):
        retry_lost_file(lambda: count_rows(reader, list(gone.pop(0).files)))
    assert gone == [None], "looked twice, not more often"


def count_rows(reader: str, files: list[str]) -> int:
    if reader == "duckdb":
        with duckdb.connect() as connection:
            (count,) = connection.execute("SELECT count(name IS NULL) FROM read_parquet(?)", [files]).fetchone() or (0,)
            return int(count)
    if reader == "polars":
        import polars

        return polars.scan_parquet(files).select("name").collect().height
    return sum(pq.read_table(file).num_rows for file in files)


def test_spark_says_in_its_own_words_that_a_file_is_lost(lake: Lake, spark: Any) -> None:
    lake.append_arrow("customers", numbered(0, 2), load_id="a")
    (file,) = lake.snapshot("customers").files
    frame = spark.read.parquet(file)
    Path(file).unlink()
    for attempt in (frame.toArrow, lambda: spark.read.parquet(file)):
        with pytest.raises(Damaged, match="names a file that does not exist"):
            retry_lost_file(attempt)


def test_an_error_that_is_no_lost_file_passes_at_once() -> None:
    calls: list[int] = []

    def attempt() -> None:
        calls.append(1)
        raise ValueError("no customers")

    with pytest.raises(ValueError, match="no customers"):
        retry_lost_file(attempt)
    assert calls == [1]


# ------------------------------------------------------------------------------------------------------------- locks


def test_writing_keeps_others_out_and_says_so(lake: Lake) -> None:
    with (
        lake.writing("customers"),
        lake.writing("orders"),
        pytest.raises(Busy, match="another process is loading into table 'customers'"),
        Lake(lake.root).writing("customers", timeout=0.1),
    ):
        pass
    with lake.writing("customers", timeout=0.1):
        pass


def test_a_lock_is_free_once_its_holder_was_killed(lake: Lake) -> None:
    script = (
        "import sys, time\n"
        "from tenure.lake.store import Lake\n"
        "with Lake(sys.argv[1]).writing('customers'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(lake.root)], env=child_environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        with pytest.raises(Busy), lake.writing("customers", timeout=0.1):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with lake.writing("customers", timeout=5):
        pass


def test_the_lake_is_imported_without_its_heavy_parts() -> None:
    script = "import sys, tenure.lake.store; print({'pyarrow', 'deltalake', 'duckdb', 'numpy'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", script], env=child_environment(), capture_output=True, check=True)
    assert shown.stdout == b"set()\n"


# ------------------------------------------------------------------------------------------------------- small print


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


def run_together(attempts: list[Any]) -> None:
    """Run each in a thread of its own; the first error of any is raised here."""
    errors: list[BaseException] = []

    def run(attempt: Any) -> None:
        try:
            attempt()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(attempt,)) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
