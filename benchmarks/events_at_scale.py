"""Invoice lines, rows of usage and orders of a made-up company, written into a lake: what bench_catalogue.py reads.

    python benchmarks/events_at_scale.py lines|usage|orders FOLDER [--rows 10000000]

The years 2023 to 2025, one currency (USD), the same for the same version of DuckDB. Every row is a statement's row over
range(), so a hundred million rows of usage take minutes and little memory.

lines   of each subscription one recurring line a month from its first month to its last, dearer once on the way (every
        tenth with the two prorations of a change in mid-month), and of every second one a line of usage beside it
usage   in order of time; nine in ten rows name a person, customers are named as the product names them, which
        `identities` tells; one in fifty names nobody. With it the customers, and one or two states of each of them
orders  twelve a buyer on average, from one to over forty; one in fifty is a return
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

MONTHS = 36
DAYS = 1096
SEED = 20_260_102
_START = "TIMESTAMPTZ '2023-01-01 00:00:00+00'"
_LOADED = "TIMESTAMPTZ '2026-02-15 00:00:00+00'"
_RECORDED = f"FALSE AS recorded_assumed, {_LOADED} AS loaded_at, FALSE AS retracted, 'events_at_scale' AS source"
# Lines that a subscription has on average; customers behind so many rows of usage, of orders.
LINES_EACH, USES_EACH, ORDERS_EACH = 29.3, 2000, 12.3

_LINES = f"""
WITH s AS (
 SELECT c, hash(c) % 24 AS begins, least({MONTHS}, hash(c) % 24 + 6 + hash(c * 3) % 40) AS ends,
  1 + hash(c * 5) % 20 AS seats, 1 + hash(c * 7) % 5 AS level FROM range({{customers}}) AS t(c)
), m AS (
 SELECT c, begins, level, CAST(i AS BIGINT) AS i, {_START} + to_months(i::INTEGER) AS since,
  {_START} + to_months(i::INTEGER + 1) AS until,
  CAST(CASE WHEN i >= begins + 5 THEN seats + 1 ELSE seats END AS BIGINT) AS seats
 FROM s, LATERAL (SELECT unnest(range(CAST(begins AS BIGINT), CAST(ends AS BIGINT))) AS i)
), l AS (
 SELECT 'r' AS what, c, i, since, until, 'recurring' AS kind, seats AS quantity, 900 * level * seats AS amount,
  FALSE AS part FROM m
 UNION ALL SELECT 'u', c, i, since, until, 'usage', hash(c * 64 + i) % 900, 100 + hash(c * 64 + i) % 4000, FALSE FROM m
  WHERE c % 2 = 0
 UNION ALL SELECT 'd', c, i, since + INTERVAL 15 DAY, until, 'recurring', seats, -450 * level * seats, TRUE FROM m
  WHERE c % 10 = 0 AND i = begins + 4
 UNION ALL SELECT 'p', c, i, since + INTERVAL 15 DAY, until, 'recurring', seats + 1, 450 * level * (seats + 1), TRUE
  FROM m WHERE c % 10 = 0 AND i = begins + 4
)
SELECT what || '_' || c || '_' || i AS line_id, 'in_' || c || '_' || i AS invoice_id, 'cus_' || c AS customer_id,
 'sub_' || c AS subscription_id, CASE WHEN kind = 'usage' THEN 'use_' ELSE 'si_' END || c AS item_id,
 CASE WHEN kind = 'usage' THEN 'calls' ELSE 'seats' END AS plan_id, kind, CAST(quantity AS DOUBLE) AS quantity,
 CAST(amount AS BIGINT) AS amount_minor, 'USD' AS currency, since AS service_start, until AS service_end,
 part AS is_proration, CASE WHEN kind = 'usage' THEN until ELSE since END AS recorded_at,
 CAST(c * 1024 + i * 8 + ascii(what) % 8 AS BIGINT) AS row_hash, {_RECORDED}
FROM l
"""
_USAGE = f"""
SELECT 'u' || i AS usage_id,
 CASE WHEN hash(i) % 50 = 0 THEN NULL ELSE 'p_' || (hash(i * 3) % {{customers}}) END AS customer_id,
 CASE WHEN hash(i * 5) % 10 > 0 THEN 'm_' || (hash(i * 3) % {{customers}}) || '_' || (hash(i * 7) % 12) END
  AS contact_id,
 'feature_' || (hash(i * 11) % 8) AS feature, {_START} + to_microseconds(i * {{step}}) AS happened_at,
 CAST(1 + hash(i * 13) % 5 AS DOUBLE) AS quantity, {_START} + to_microseconds(i * {{step}} + 1000000) AS recorded_at,
 CAST(i AS BIGINT) AS row_hash, {_RECORDED}
FROM range(CAST({{first}} AS BIGINT), CAST({{after}} AS BIGINT)) AS t(i)
"""
_CUSTOMERS = f"""
SELECT 'cus_' || c AS customer_id, 'Customer ' || c AS name, {_START} AS signed_up_at, {_START} AS recorded_at,
 CAST(c AS BIGINT) AS row_hash, {_RECORDED} FROM range({{customers}}) AS t(c)
"""
_IDENTITIES = f"""
SELECT 'product' AS system, 'p_' || c AS external_id, 'cus_' || c AS customer_id, {_START} AS recorded_at,
 CAST(c AS BIGINT) AS row_hash, {_RECORDED} FROM range({{customers}}) AS t(c)
"""
_STATES = f"""
WITH s AS (
 SELECT c, 0 AS turn, {_START} + to_days((hash(c) % 200)::INTEGER) AS ts, 'active' AS status FROM range({{customers}}) AS t(c)
 UNION ALL SELECT c, 1, {_START} + to_days((200 + hash(c * 3) % 1500)::INTEGER), 'canceled' FROM range({{customers}}) AS t(c)
)
SELECT 'sub_' || c AS subscription_id, 'sub_' || c AS item_id, ts AS effective_at, 'cus_' || c AS customer_id, status,
 'seats' AS plan_id, 'month' AS interval, CAST(1 AS BIGINT) AS interval_count,
 CAST(2 + hash(c * 5) % 20 AS BIGINT) AS quantity, CAST(900 * (2 + hash(c * 5) % 20) AS BIGINT) AS amount_minor,
 'USD' AS currency, ts AS recorded_at, CAST(c * 2 + turn AS BIGINT) AS row_hash, {_RECORDED}
FROM s WHERE ts < {_START} + INTERVAL {DAYS} DAY
"""
# A buyer comes back after a wait of her own: some weekly, some once a year; half of them stop on the way.
_ORDERS = f"""
WITH b AS (
 SELECT c, hash(c) % 700 AS first, 5 + hash(c * 3) % 120 AS wait, 2 + hash(c * 5) % 44 AS most FROM range({{customers}}) AS t(c)
), o AS (
 SELECT c, j, first + CAST(j * wait AS BIGINT) + hash(c * 64 + j) % wait AS day
 FROM b, LATERAL (SELECT unnest(range(CAST(most AS BIGINT))) AS j)
)
SELECT 'o_' || c || '_' || j AS order_id, 'cus_' || c AS customer_id,
 {_START} + to_days(day::INTEGER) + to_seconds((hash(c * 64 + j + 7) % 86400)::BIGINT) AS ordered_at,
 CASE WHEN hash(c * 64 + j + 3) % 50 = 0 THEN 'return' ELSE 'sale' END AS kind, CAST(1 AS DOUBLE) AS quantity,
 CAST(CASE WHEN hash(c * 64 + j + 3) % 50 = 0 THEN -1 ELSE 1 END * (500 + hash(c * 64 + j + 5) % 20000) AS BIGINT)
  AS amount_minor, 'USD' AS currency,
 {_START} + to_days(day::INTEGER) + to_seconds((hash(c * 64 + j + 7) % 86400)::BIGINT) AS recorded_at,
 CAST(c * 64 + j AS BIGINT) AS row_hash, {_RECORDED}
FROM o WHERE day < {DAYS}
"""
# Rows of usage that one file holds.
CHUNK = 25_000_000


def write(kind: str, root: str | Path, rows: int, each: int = USES_EACH) -> int:
    """A lake under `root` with about that many rows of the kind; how many they are. each: rows of usage a customer."""
    if kind == "usage":
        customers = max(100, rows // each)
        for table, sql in (("customers", _CUSTOMERS), ("identities", _IDENTITIES), ("subscription_states", _STATES)):
            _store(root, table, [sql.format(customers=customers)])
        step = DAYS * 86_400_000_000 // rows
        told = {"customers": customers, "step": step}
        chunks = [_USAGE.format(first=first, after=min(first + CHUNK, rows), **told) for first in range(0, rows, CHUNK)]
        return _store(root, "usage", chunks)
    if kind == "lines":
        return _store(root, "invoice_lines", [_LINES.format(customers=round(rows / LINES_EACH))])
    return _store(root, "orders", [_ORDERS.format(customers=round(rows / ORDERS_EACH))])


def _store(root: str | Path, table: str, statements: list[str]) -> int:
    """One file for each statement, committed together; how many rows they hold."""
    import duckdb

    from tenure.lake.store import Lake

    lake = Lake(root)
    files: list[Any] = []
    written = 0
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET memory_limit = '4GB'")
        for sql in statements:
            file = lake.stage(table)
            done = con.execute(f"COPY ({sql}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)").fetchone()
            assert done is not None
            files.append(file)
            written += int(done[0])
    lake.commit(table, files, load_id=f"events_at_scale {table} {written} {SEED}", rows=written, repeats_keys=False)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("lines", "usage", "orders"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000, help="about so many (10,000,000)")
    parser.add_argument("--each", type=int, default=USES_EACH, help=f"rows of usage a customer ({USES_EACH:,})")
    options = parser.parse_args()
    print(
        f"{write(options.kind, options.folder, options.rows, options.each):,} rows of {options.kind} in {options.folder}"
    )


if __name__ == "__main__":
    main()
