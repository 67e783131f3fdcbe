"""The same table loads the same from every kind of file, whatever its columns are called and in which order."""

from __future__ import annotations

import gzip
import io
import json
import random
import time
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenure.connect.files.headers import month_of, snake
from tenure.connect.files.sources import records
from tests.rules.load_shop import Shop, at
from tests.rules.load_shop import shop as shop

HEAD = ("subscription_id", "customer_id", "plan_id", "amount", "currency", "interval", "started_at", "ended_at")
ROWS = (
    ("s1", "ล1", "โปร, ใหญ่", "10.50", "USD", "month", "2026-01-01", "2026-03-01"),
    ("s1", "ล1", 'a "b"\nc', "12", "USD", "month", "2026-03-01", ""),
    ("s2", "c2", "x", "100", "JPY", "year", "2026-01-01T10:00:00+07:00", ""),
)
STORED = 'subscription_id, customer_id, plan_id, amount_minor, currency, "interval", started_at, ended_at'
WANTED = [
    ("s1", "ล1", "โปร, ใหญ่", 1050, "USD", "month", at("2026-01-01"), at("2026-03-01")),
    ("s1", "ล1", 'a "b"\nc', 1200, "USD", "month", at("2026-03-01"), None),
    ("s2", "c2", "x", 100, "JPY", "year", at("2026-01-01 03:00"), None),
]


def delimited(delimiter: str = ",", end: str = "\n", head: tuple[str, ...] = HEAD) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in f'{delimiter}"\n\r') else text

    return end.join(delimiter.join(map(cell, row)) for row in (head, *ROWS)) + end


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def files() -> dict[str, bytes]:
    text = delimited()
    lines = [dict(zip(HEAD, row, strict=True)) for row in ROWS]
    typed = [{**line, "amount": float(str(line["amount"])), "ended_at": line["ended_at"] or None} for line in lines]
    jsonl = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in typed).encode()
    return {
        "plain.csv": text.encode(),
        "semicolon.csv": delimited(";").encode(),
        "pipe.txt": delimited("|").encode(),
        "tab.tsv": delimited("\t").encode(),
        "tab.csv": delimited("\t").encode(),
        "windows.csv": delimited(end="\r\n").encode(),
        "bom.csv": text.encode("utf-8-sig"),
        "utf16.csv": text.encode("utf-16"),
        "utf16be.csv": b"\xfe\xff" + text.encode("utf-16-be"),
        "no_last_end.csv": text.encode().rstrip(b"\n"),
        "blank_lines.csv": b"\n\n" + text.encode() + b"\n\n",
        "packed.csv.gz": gzip.compress(text.encode()),
        "packed.csv.zst": zstd(text.encode()),
        "no_suffix": text.encode(),
        "gzip_without_suffix": gzip.compress(text.encode()),
        "lines.jsonl": jsonl,
        "lines.ndjson": jsonl,
        "lines.jsonl.gz": gzip.compress(jsonl),
        "lines.json.zst": zstd(jsonl),
    }


@pytest.mark.parametrize("name", files())
def test_every_kind_of_file_loads_the_same(shop: Shop, name: str) -> None:
    report = shop.load("subscriptions", files()[name], name)
    assert report.quarantined == 0, report.reasons
    assert shop.rows("subscription_spans", STORED) == sorted(WANTED, key=lambda row: (row[0], row[1], row[2]))
    assert shop.load("subscriptions", shop.folder / name).loaded == 0


def test_the_same_rows_of_another_kind_of_file_are_known(shop: Shop) -> None:
    known = [shop.load("subscriptions", content, name).known for name, content in files().items()]
    assert known == [0] + [3] * (len(known) - 1)
    assert shop.count("subscription_spans") == 3


def test_typed_parquet_columns_load_as_they_are_meant(shop: Shop) -> None:
    path = shop.folder / "typed.parquet"
    table = pa.table(
        {
            "subscription_id": pa.array(["a", "b"]).dictionary_encode(),
            "customer_id": pa.array([1, 2], pa.int32()),
            "amount": pa.array([29.85, 0.1]),
            "currency": ["USD", "USD"],
            "interval": ["month", "month"],
            "quantity": pa.array([3.0, None]),
            "started_at": pa.array([datetime(2026, 1, 1, 8), datetime(2026, 1, 2)], pa.timestamp("ns")),
            "ended_at": pa.array([datetime(2026, 2, 1, tzinfo=UTC), None], pa.timestamp("ms", "UTC")),
            "is_metered": [False, None],
        }
    )
    pq.write_table(table, path)
    report = shop.load("subscriptions", path, timezone="Asia/Bangkok")
    assert report.quarantined == 0
    found = shop.rows(
        "subscription_spans", "subscription_id, customer_id, amount_minor, quantity, started_at, ended_at, is_metered"
    )
    assert found == [
        ("a", "1", 2985, 3, at("2026-01-01 01:00"), at("2026-02-01"), False),
        ("b", "2", 10, None, at("2026-01-01 17:00"), None, None),
    ]
    money = pa.table(
        {"order_id": ["x"], "customer_id": ["c"], "ordered_at": [datetime(2026, 1, 1)], "currency": ["USD"]}
    )
    pq.write_table(money.append_column("amount", pa.array([Decimal("12.3400")])), path)
    assert shop.load("orders", path).loaded == 1
    assert shop.rows("orders", "amount_minor") == [(1234,)]


def test_json_numbers_keep_their_digits_and_lines_may_lack_keys(shop: Shop) -> None:
    report = shop.load(
        "orders",
        """
        {"order_id": "a", "customer_id": 7, "ordered_at": "2026-01-01", "amount": 90071992547.41, "currency": "USD"}
        {"currency": "USD", "order_id": "b", "ordered_at": "2026-01-01", "amount": 1.10, "customer_id": null}
        {"order_id": "c", "ordered_at": "2026-01-01", "amount": NaN, "currency": "USD"}
        {"order_id": "d"
        "text"
        {"order_id": "e", "ordered_at": "2026-01-01", "amount": 1, "currency": "USD", "tags": ["x", {"y": 1}]}
        """,
        "orders.jsonl",
    )
    assert shop.rows("orders", "order_id, customer_id, amount_minor") == [
        ("a", "7", 9007199254741),
        ("b", None, 110),
        ("e", None, 100),
    ]
    assert {line: reason for line, (_, reason) in shop.reasons(report).items()} == {
        3: "is not an amount; write it like 1234.56",
        4: "is not valid JSON",
        5: "is not a JSON object",
    }


def test_a_name_that_looks_like_a_pattern_names_one_file(shop: Shop) -> None:
    shop.file("customer_id\nother\n", "export 1.csv")
    assert shop.load("customers", "customer_id\na\n", "export ?.csv").rows == 1
    assert shop.load("customers", "customer_id\nb\n", "export [1]'s.csv").rows == 1
    assert shop.rows("customers", "customer_id, source") == [("a", "export ?.csv"), ("b", "export [1]'s.csv")]


def test_columns_may_come_in_any_order_and_spelling_and_be_mapped(shop: Shop) -> None:
    shop.load(
        "subscriptions",
        """
         Ends ,Customer ID,SubscriptionID,"Started-At",Währung,AMOUNT
        2026-02-01,c,s,2026-01-01,EUR,5
        """,
        mapping={"ends": "ended_at", "Währung": "currency"},
    )
    assert shop.rows("subscription_spans", "subscription_id, customer_id, currency, amount_minor, ended_at") == [
        ("s", "c", "EUR", 500, at("2026-02-01"))
    ]
    assert [snake(name) for name in ("CustomerID", "customerID", "Customer ID", "MRR (USD)", "InvoiceNo")] == [
        "customer_id",
        "customer_id",
        "customer_id",
        "mrr_usd",
        "invoice_no",
    ]


def test_a_mapped_column_goes_before_one_of_the_right_name(shop: Shop) -> None:
    report = shop.load("customers", "customer_id,crm\na,b\n", mapping={"crm": "customer_id"})
    assert shop.rows("customers", "customer_id") == [("b",)]
    assert shop.rows("traits", "customer_id, trait, value") == [("b", "customer_id", "a")]
    assert report.notes


def test_a_file_without_a_header_is_mapped_by_position(shop: Shop) -> None:
    shop.load(
        "orders",
        "  00004 0001 19970101  2   29.33\n  00004 0001 19970118  2   29.73\n",
        mapping={"2": "customer_id", "3": "ordered_at", "4": "quantity", "5": "amount"},
        currency="USD",
    )
    assert shop.rows("orders", "customer_id, ordered_at, quantity, amount_minor") == [
        ("0001", at("1997-01-01"), 2.0, 2933),
        ("0001", at("1997-01-18"), 2.0, 2973),
    ]


def test_a_constant_stands_for_a_missing_column(shop: Shop) -> None:
    content = "subscription_id,customer_id,amount,started_at\ns,c,1,2026-01-01\n"
    shop.load("subscriptions", content, mapping={"=EUR": "currency", "=year": "interval"})
    assert shop.rows("subscription_spans", 'currency, "interval"') == [("EUR", "year")]


def test_unknown_columns_become_traits_dated_where_the_table_has_a_time(shop: Shop) -> None:
    report = shop.load(
        "customers", "customer_id,signed_up_at,Region,Seats,empty\na,2026-01-01,eu,3,\nb,2026-01-02,us,NaN,\n"
    )
    assert any("Region, Seats, empty" in note and "undated" in note for note in report.notes)
    assert shop.rows("traits", "customer_id, trait, effective_at, value, number, is_dated, recorded_at") == [
        ("a", "region", None, "eu", None, False, at("2026-01-01")),
        ("a", "seats", None, "3", 3.0, False, at("2026-01-01")),
        ("b", "region", None, "us", None, False, at("2026-01-02")),
        ("b", "seats", None, "NaN", None, False, at("2026-01-02")),
    ]
    report = shop.load(
        "tickets",
        """
        ticket_id,customer_id,opened_at,mood,team
        1,a,2026-02-01,bad,x
        2,a,2026-03-01,bad,y
        3,a,2026-04-01,good,y
        4,a,2026-04-01,awful,y
        """,
    )
    # Only changes are kept, and what contradicts itself is not.
    assert shop.rows("traits", "trait, effective_at, value", "is_dated") == [
        ("mood", at("2026-02-01"), "bad"),
        ("team", at("2026-02-01"), "x"),
        ("team", at("2026-03-01"), "y"),
    ]
    assert any("mood (1)" in note for note in report.notes)


def test_a_static_trait_holds_always(shop: Shop) -> None:
    shop.load("customers", "customer_id,Region\na,eu\n", static=["region"])
    assert shop.rows("traits", "trait, effective_at, is_dated") == [("region", None, True)]


def test_where_there_is_no_customer_unknown_columns_are_left_out_and_named(shop: Shop) -> None:
    report = shop.load("usage", "usage_id,subscription_id,happened_at,colour\nu,s,2026-01-01,red\n")
    assert any("colour" in note and "left out" in note for note in report.notes)
    assert shop.count("traits") == 0


def test_amounts_of_every_money_column_come_in_major_or_minor_units(shop: Shop) -> None:
    shop.load(
        "invoices",
        "invoice_id,customer_id,issued_at,subtotal,tax_minor,total,currency\ni,c,2026-01-01,10,70,-10.70,USD\n",
    )
    assert shop.rows("invoices", "subtotal_minor, tax_minor, total_minor") == [(1000, 70, -1070)]
    shop.load("touches", "touch_id,customer_id,sent_at,cost\nt,c,2026-01-01,1.5\n", currency="USD")
    assert shop.rows("touches", "cost_minor") == [(150,)]


def test_the_file_of_the_european_central_bank_gives_units_per_dollar(shop: Shop) -> None:
    text = "Date,USD,THB,CYP,\n2026-10-30,1.1172,37.683,N/A,\n2026-10-29,1.113,37.569,0.5,\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("eurofxref-hist.csv", text)
    later = datetime(2026, 11, 1, tzinfo=UTC)
    report = shop.load("rates", archive.getvalue(), "eurofxref-hist.zip", now=later)
    assert (report.rows, report.loaded) == (7, 7)
    assert shop.load("rates", text, "eurofxref-hist.csv", now=later).known == 7
    # 37.683 / 1.1172 = 33.7298603651987...; 1 / 1.1172 = 0.895094880057...
    assert shop.rows("rates", "currency, per_usd", "day = DATE '2026-10-30'") == [
        ("EUR", Decimal("0.895094880057")),
        ("THB", Decimal("33.729860365199")),
        ("USD", Decimal(1)),
    ]


def test_months_are_read_as_people_write_them() -> None:
    january = (
        "2026-01",
        "Jan 2026",
        "2026-01-01",
        "2026-01-31",
        "01/2026",
        "1/2026",
        "202601",
        "January 2026",
        "Jan-26",
    )
    for text in (*january, "2026/01", "20260101", "2026 Jan", "ม.ค. 2569", "มกราคม 2569", "ม.ค. 69", " jan 2026 "):
        month = month_of(text)
        assert month is not None and month.isoformat() == "2026-01-01", text
    for text in ("Janet", "13/2026", "2026-00", "2026", "May", "MRR", "12", "", "customer 2026", "2026-01-32"):
        assert month_of(text) is None, text


# ------------------------------------------------------------------------------------------------- the two readings


def test_the_careful_reading_agrees_with_the_engine_on_well_formed_text(tmp_path: Path) -> None:
    """Whatever the engine reads without complaint, the careful reading reads alike: 400 files written at random."""
    choice = random.Random(7).choice
    pieces = ["a", "é", "1", " ", "x y", '""', ",", "\n", "\r\n", "'", "ก", ""]
    for number in range(400):
        rows = [["".join(choice(pieces) for _ in range(choice((0, 1, 3)))) for _ in range(3)] for _ in range(4)]
        lines = []
        for row in rows:
            cells = [f'"{cell}"' if choice((True, False)) or any(c in cell for c in ',\n\r"') else cell for cell in row]
            lines.append(",".join(cells))
        path = tmp_path / f"{number}.csv"
        path.write_bytes(("a,b,c\n" + "\n".join(lines) + "\n").encode())
        mine = [record.cells for record in records(path, "none", ",", 3, 2)]
        with duckdb.connect() as con:
            theirs = con.execute(
                "SELECT * FROM read_csv(?, auto_detect=false, header=true, delim=',', quote='\"', escape='\"', "
                "columns={'a': 'VARCHAR', 'b': 'VARCHAR', 'c': 'VARCHAR'}, nullstr=['', 'NULL', '\\N'])",
                [str(path)],
            ).fetchall()
        kept = [list(row) for row in theirs if any(cell is not None for cell in row)]
        assert [row for row in mine if row and any(row)] == kept, path.read_bytes()


def test_a_long_cell_of_many_quotes_takes_time_in_proportion_to_its_length(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_bytes(b'a,b\n1,"' + b'""x\n' * 400_000 + b'"\n2,y\n')
    began = time.monotonic()
    found = list(records(path, "none", ",", 2, 2))
    assert len(found) == 2 and found[0].line == 2 and found[1].line == 400_003
    assert time.monotonic() - began < 20


def test_a_clean_and_a_dirty_file_store_the_same_good_rows(shop: Shop, tmp_path: Path) -> None:
    """One bad row sends a file the careful way; the other rows are stored to the last bit as on the fast way."""
    rows = "\n".join(f"s{i},c{i % 7},{i}.{i % 10}0,USD,month,2026-01-0{i % 9 + 1},, p{i} " for i in range(50))
    head = "subscription_id,customer_id,amount,currency,interval,started_at,ended_at,plan_id"
    shop.load("subscriptions", f"{head}\n{rows}\n")
    (tmp_path / "dirty").mkdir()
    dirty = Shop(tmp_path / "dirty")
    dirty.load("subscriptions", f"{head}\n{rows}\nbad,,,,,,,\n")
    columns = "* EXCLUDE (source)"
    assert shop.rows("subscription_spans", columns) == dirty.rows("subscription_spans", columns)
    assert shop.rows("subscription_spans", "plan_id", "subscription_id = 's3'") == [("p3",)]
