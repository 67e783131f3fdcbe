"""What is wrong is held back with line, column, reason and raw text; the rest loads; nothing ends in a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenure.errors import BadFile, BadInput, UnknownName
from tests.rules.load_shop import Shop, at
from tests.rules.load_shop import shop as shop

SUBSCRIPTIONS = "subscription_id,customer_id,amount,currency,interval,started_at,ended_at"
CARD = "4111111111111111"


def test_a_misspelt_required_column_is_named_with_what_it_may_have_been(shop: Shop) -> None:
    with pytest.raises(BadFile, match=r"no column 'started_at'.*Did you mean 'start_at'.*--map 'start_at=started_at'"):
        shop.load("subscriptions", "subscription_id,customer_id,amount,currency,start_at\ns,c,1,USD,2026-01-01\n")
    with pytest.raises(BadFile, match=r"no column 'amount'.*Did you mean 'amuont'"):
        shop.load("subscriptions", "subscription_id,customer_id,amuont,currency,started_at\ns,c,1,USD,2026-01-01\n")
    with pytest.raises(BadFile, match=r"no column 'customer_id'.*It has: 'x', 'y'"):
        shop.load("customers", "x,y\n1,2\n")
    assert shop.lake.tables() == []


def test_a_misspelt_optional_column_is_asked_about_in_the_report(shop: Shop) -> None:
    report = shop.load(
        "subscriptions",
        "subscription_id,customer_id,amount,currency,interval,started_at,ended_att\ns,c,1,USD,month,2026-01-01,\n",
    )
    assert "column 'ended_att' is unknown; did you mean 'ended_at'?" in report.notes


def test_a_map_that_names_nothing_is_refused(shop: Shop) -> None:
    content = "id,name\na,b\n"
    with pytest.raises(BadFile, match=r"no column 'idd', named by --map.*Did you mean 'id'"):
        shop.load("customers", content, mapping={"idd": "customer_id"})
    with pytest.raises(UnknownName, match="Did you mean 'customer_id'"):
        shop.load("customers", content, mapping={"id": "custmer_id"})
    with pytest.raises(BadInput, match="twice"):
        shop.load("customers", content, mapping={"id": "customer_id", "name": "customer_id"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n \n\n", "is empty"),
        ("header.csv", b"customer_id,name\n", "has a header and no rows"),
        ("header.csv", b"customer_id,name\n\n\n", "has a header and no rows"),
        ("book.csv", b"PK\x03\x04rest", "zip archive or a spreadsheet"),
        ("x.parquet", b"customer_id\na\n", "not what its name says"),
        ("x.csv.gz", b"customer_id\na\n", "not what its name says"),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03+.\xcd", "cannot be unpacked"),
        ("cut.csv.zst", b"\x28\xb5\x2f\xfd\x04\x00", "cannot be unpacked|is empty"),
        ("cut.parquet", b"PAR1 and then nothing", "is not a whole Parquet file"),
        ("binary.csv", b"\x00\x01\x02\x03" * 50, "is not a text file"),
        ("list.json", b'[{"customer_id": "a"}]', "one JSON list"),
        ("no.jsonl", b"[1]\n2\n", "one JSON list|no line of"),
        ("no.jsonl", b"1\n2\n", "no line of"),
        ("quote.csv", b'customer_id,"name\na,b\n', "the first line of .* cannot be read|has no column"),
    ],
)
def test_a_file_that_is_no_table_is_refused_whole(shop: Shop, name: str, content: bytes, message: str) -> None:
    with pytest.raises(BadFile, match=message) as caught:
        shop.load("customers", content, name)
    assert caught.value.exit_code == 2
    assert shop.lake.tables() == []


def test_a_folder_and_a_missing_file_are_refused(shop: Shop) -> None:
    with pytest.raises(BadFile, match="is a folder"):
        shop.load("customers", shop.folder)
    with pytest.raises(BadFile, match="there is no file"):
        shop.load("customers", shop.folder / "nowhere.csv")


def test_a_parquet_file_of_another_schema_is_refused_or_held_back(shop: Shop) -> None:
    other = shop.folder / "other.parquet"
    pq.write_table(pa.table({"sensor": [1], "temperature": [2.5]}), other)
    with pytest.raises(BadFile, match="no column 'customer_id'"):
        shop.load("customers", other)
    pq.write_table(pa.table({"customer_id": pa.array([], pa.string())}), other)
    with pytest.raises(BadFile, match="no rows"):
        shop.load("customers", other)
    nested = shop.folder / "nested.parquet"
    pq.write_table(
        pa.table({"customer_id": ["a", "b"], "signed_up_at": [{"y": 2026}, None], "raw": [b"\x00\xff", None]}), nested
    )
    report = shop.load("customers", nested)
    assert shop.reasons(report) == {1: ("signed_up_at", "is not a time; write it like 2026-01-31 17:30")}


def test_ragged_rows_invalid_utf8_and_open_quotes_are_held_back_by_their_physical_line(shop: Shop) -> None:
    content = (
        b"customer_id,name\n"
        b"a,one\n"
        b"b\n"  # line 3: too few
        b"c,two,three\n"  # line 4: too many
        b'd,"two\nlines"\n'  # lines 5 and 6
        b"e,\xff\xfe\n"  # line 7: no UTF-8
        b'f,"x"y\n'  # line 8: text behind a quote
        b"\n"  # line 9: no row
        b"g,fine\n"
        b'h,"never closed\n'  # line 11
        b"i,after\n"
    )
    report = shop.load("customers", content)
    assert [row[0] for row in shop.rows("customers", "customer_id")] == ["a", "d", "g", "i"]
    assert (report.rows, report.loaded) == (9, 4)
    assert {line: reason for line, (_, reason) in shop.reasons(report).items()} == {
        3: "has 1 cells where the header has 2",
        4: "has 3 cells where the header has 2",
        7: "is not valid UTF-8",
        8: "has text behind a closing quote",
        11: "has a quote that never closes",
    }
    assert shop.rows("quarantine", "raw", "line = 4") == [("c,two,three",)]
    assert shop.rows("customers", "name", "customer_id = 'd'") == [("two\nlines",)]


def test_lines_are_told_in_full_below_cells_of_several_lines(shop: Shop) -> None:
    report = shop.load("customers", b'customer_id,signed_up_at,name\na,2026-01-01,"x\ny\nz"\nb,never,"p\nq"\n')
    assert shop.reasons(report) == {5: ("signed_up_at", "is not a time; write it like 2026-01-31 17:30")}
    assert shop.rows("quarantine", "raw") == [('b,never,"p\nq"',)]


def test_ten_megabytes_in_one_cell_are_held_back_and_the_rest_loads(shop: Shop) -> None:
    content = b"customer_id,name\na,one\nb," + b"x" * 10_000_000 + b"\nc,three\n"
    report = shop.load("customers", content)
    assert [row[0] for row in shop.rows("customers", "customer_id")] == ["a", "c"]
    assert shop.reasons(report)[3][1] == "is longer than 2,000,000 bytes"
    assert shop.rows("quarantine", "length(raw)") == [(10_000,)]
    quoted = b'customer_id,name\nq,one\nb,"' + b"x\n" * 1_100_000 + b'"\nr,three\n'
    report = shop.load("customers", quoted)  # the lines of that cell are no rows of two cells
    assert [row[0] for row in shop.rows("customers", "customer_id")] == ["a", "c", "q", "r"]
    line = json.dumps({"customer_id": "e", "name": "x" * 10_000_000})
    assert shop.load("customers", f'{{"customer_id": "d"}}\n{line}\n', "big.jsonl").quarantined == 1
    parquet = shop.folder / "big.parquet"
    pq.write_table(pa.table({"customer_id": ["f", "g"], "name": ["x" * 10_000_000, "y"]}), parquet)
    assert shop.load("customers", parquet).quarantined == 1


def test_an_end_before_the_start_is_held_back(shop: Shop) -> None:
    report = shop.load(
        "subscriptions",
        f"{SUBSCRIPTIONS}\na,c,1,USD,month,2026-02-01,2026-01-31\nb,c,1,USD,month,2026-02-01,2026-02-01\n",
    )
    assert shop.reasons(report) == {2: ("ended_at", "is before started_at")}


def test_overlapping_spans_of_one_item_are_both_held_back(shop: Shop) -> None:
    report = shop.load(
        "subscriptions",
        f"""
        {SUBSCRIPTIONS}
        a,c,1,USD,month,2026-01-01,2026-03-01
        a,c,2,USD,month,2026-02-28,
        b,c,1,USD,month,2026-01-01,2026-03-01
        b,c,2,USD,month,2026-03-01,
        z,c,1,USD,month,2026-01-01,
        z,c,1,USD,month,2026-03-01,2026-03-01
        """,
    )
    assert list(shop.reasons(report)) == [2, 3]
    assert {reason for _, reason in shop.reasons(report).values()} == {
        "overlaps another span of the same item in this file"
    }
    # A span of no length covers nothing.
    assert [row[0] for row in shop.rows("subscription_spans", "subscription_id")] == ["b", "b", "z", "z"]


def test_a_span_that_overlaps_a_loaded_one_is_held_back_and_a_corrected_pair_is_not(shop: Shop) -> None:
    shop.load("subscriptions", f"{SUBSCRIPTIONS}\na,c,1,USD,month,2026-01-01,\n")
    report = shop.load("subscriptions", f"{SUBSCRIPTIONS}\na,c,2,USD,month,2026-03-01,\nb,c,2,USD,month,2026-03-01,\n")
    assert shop.reasons(report) == {2: ("started_at", "overlaps a span of the same item that is loaded already")}
    report = shop.load(
        "subscriptions", f"{SUBSCRIPTIONS}\na,c,1,USD,month,2026-01-01,2026-03-01\na,c,2,USD,month,2026-03-01,\n"
    )
    assert (report.loaded, report.quarantined) == (2, 0)


def test_two_different_rows_of_one_key_clash_and_two_equal_ones_are_one(shop: Shop) -> None:
    report = shop.load("customers", "customer_id,name\na,x\na,y\nb,z\nb,z\na,x\n")
    assert (report.loaded, report.known, report.quarantined) == (1, 1, 3)
    assert list(shop.reasons(report)) == [2, 3, 6]
    assert shop.rows("customers", "customer_id, name") == [("b", "z")]


def test_unknown_words_are_held_back(shop: Shop) -> None:
    report = shop.load(
        "subscription_states",
        """
        subscription_id,customer_id,effective_at,status,amount,currency,interval,cancel_actor,is_metered,interval_count
        a,c,2026-01-01,sleeping,1,USD,month,,,1
        b,c,2026-01-01,active,1,USD,fortnight,,,1
        c,c,2026-01-01,active,1,USD,month,nobody,,1
        d,c,2026-01-01,active,1,USD,month,,perhaps,1
        e,c,2026-01-01,active,1,USD,month,,,0
        f,c,2026-01-01,active,1,USD,,,,1
        g,,2026-01-01,active,1,USD,month,,,1
        h,c,2026-01-01,,1,USD,month,,,1
        i,c,2026-01-01,active,1,USD,month,,,1
        """,
    )
    assert {line: column for line, (column, _) in shop.reasons(report).items()} == {
        2: "status",
        3: "interval",
        4: "cancel_actor",
        5: "is_metered",
        6: "interval_count",
        7: "interval",
        8: "customer_id",
        9: "status",
    }


def test_a_billed_state_needs_an_amount_and_others_do_not(shop: Shop) -> None:
    report = shop.load(
        "subscription_states",
        """
        subscription_id,customer_id,effective_at,status,amount,currency,interval,is_metered,minimum_commit,retracted
        a,c,2026-01-01,active,,USD,month,,,
        b,c,2026-01-01,trialing,,USD,month,,,
        c,c,2026-01-01,canceled,,,,,,
        d,c,2026-01-01,active,,USD,month,true,5,
        e,c,2026-01-01,active,,USD,month,,,true
        f,c,2026-01-01,active,0,USD,month,,,
        """,
    )
    assert list(shop.reasons(report)) == [2, 3]
    assert shop.rows("subscription_states", "subscription_id, minimum_commit_minor", "is_metered") == [("d", 500)]


def test_a_cancelled_span_needs_its_end(shop: Shop) -> None:
    report = shop.load(
        "subscriptions",
        """
        subscription_id,customer_id,amount,currency,interval,started_at,ended_at,status
        a,c,1,USD,month,2026-01-01,,canceled
        b,c,1,USD,month,2026-01-01,2026-02-01,canceled
        """,
    )
    assert shop.reasons(report) == {2: ("ended_at", "is missing, though it is canceled")}


def test_what_was_recorded_later_than_now_is_held_back(shop: Shop) -> None:
    report = shop.load(
        "customers", "customer_id,recorded_at\na,2026-07-01 12:00:01\nb,2026-07-01 12:00\nc,2026-06-30\n"
    )
    assert shop.reasons(report) == {2: ("recorded_at", "is later than now: nobody can have known it")}
    assert shop.rows("customers", "customer_id, recorded_at") == [
        ("b", at("2026-07-01 12:00")),
        ("c", at("2026-06-30")),
    ]


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("customer_id,name", f"a,{CARD}"),
        ("customer_id,name", "a,4111 1111 1111 1111"),
        ("customer_id,name", "a,3782-822463-10005"),
        ("customer_id,name", f"{CARD},x"),
        ("customer_id,remark", f"a,{CARD}"),
        ("customer_id,card", f"a,Visa {CARD} exp 12/27"),
        ("customer_id,Payment Method", f"a,card no. {CARD}."),
    ],
)
def test_a_card_number_is_never_stored_not_even_among_the_bad_rows(shop: Shop, head: str, row: str) -> None:
    report = shop.load("customers", f"{head}\n{row}\nb,fine\n")
    assert shop.reasons(report)[2][1].startswith("holds what looks like a payment card's number")
    kept = json.dumps(report.as_json()) + "".join(
        path.read_bytes().decode("latin-1") for path in (shop.folder / "lake").rglob("*") if path.is_file()
    )
    for digits in (CARD, "4111 1111 1111 1111", "378282246310005", "3782-822463-10005"):
        assert digits not in kept


def test_long_numbers_that_are_no_cards_are_welcome(shop: Shop) -> None:
    # A wrong check digit, a Unix time in milliseconds, an id that begins with 1, a UUID, a number in free text.
    report = shop.load(
        "customers",
        f"""
        customer_id,name,remark
        4111111111111112,a,1767254400000
        1234567890123452,b,00000000-0000-4000-8000-000000000000
        c,d,my {CARD} was declined
        """,
    )
    assert report.loaded == 3


def test_a_card_number_beside_another_mistake_is_masked_in_the_raw_text(shop: Shop) -> None:
    shop.load("customers", "customer_id,signed_up_at,remark\na,never,call 4111-1111-1111-1111 now\n")
    assert shop.rows("quarantine", "raw") == [("a,never,call ****1111 now",)]


def test_strict_loads_nothing_and_names_the_first_reasons(shop: Shop) -> None:
    content = "customer_id,signed_up_at,plan\na,2026-01-01,x\nb,soon,y\nc,later,z\n"
    with pytest.raises(BadFile, match=r"2 rows are wrong(.|\n)*line 3, signed_up_at: is not a time(.|\n)*and 1 more"):
        shop.load("customers", content, strict=True)
    assert all(shop.count(table) == 0 for table in ("customers", "traits", "quarantine"))
    assert shop.load("customers", content.replace("soon", "2026-01-02").replace("later", ""), strict=True).loaded == 3


def test_everything_wrong_at_once_is_still_counted_row_by_row(shop: Shop) -> None:
    rows = "\n".join(f"s{i},c,{'x' if i % 3 else '1'},USD,month,2026-01-01," for i in range(300))
    report = shop.load("subscriptions", f"{SUBSCRIPTIONS}\n{rows}\n")
    assert (report.rows, report.loaded, report.quarantined) == (300, 100, 200)
    assert report.as_json()["reasons"] == [
        {
            "reason": "is not an amount; write it like 1234.56",
            "column": "amount",
            "rows": 200,
            "first_line": 3,
            "example": "x",
        }
    ]


def test_a_file_nobody_may_read_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.file("customer_id\na\n")

    def refuse(self: Path, *args: object, **options: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadFile, match="cannot be read: Permission denied"):
        shop.load("customers", path)
