"""Ten million subscription states of a made-up company, written into a lake: what the benchmarks of metrics read.

    python benchmarks/facts_at_scale.py FOLDER [--rows 10000000] [--corrected 0.01]

36 months (2023 to 2025), one currency (USD), 78,000 customers for each million states, the same for the same seed.
A customer's subscription is one of five plans, by the seat, monthly, quarterly or yearly. Of ten states about six
change what the customer pays (seats, plan, interval, a second item that comes or goes, leaving, coming back) and four
do not (renewals, cards that failed and worked again). Who leaves may return, with the old subscription or a new one;
now and then two changes fall within one hour, or somebody leaves and is back on the same day. Half of those who leave
by themselves asked for it up to thirty days before. Rows are stored in the
order in which they were recorded, as loads bring them: customers lie scattered all over the file.

With `corrected`, that share of the states has a second version: the same key, recorded later, another quantity.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEED = 20_260_102
FIRST, AFTER = "2023-01", "2025-12"
MONTHS = 36
CUSTOMERS_PER_ROW = 0.078
# Of this many rows on average a customer has, a chunk of customers is drawn at once.
CHUNK = 65_000

START_US = 1_672_531_200_000_000  # 2023-01-01
DAYS = 1096  # up to 2026-01-01, exclusive
DAY_US = 86_400_000_000
LOADED_US = START_US + (DAYS + 45) * DAY_US
SEAT_PRICE = np.array([900, 1900, 2900, 4900, 9900])  # minor units a month
INTERVALS = np.array(["month", "quarter", "year"])
PRICE_OF_INTERVAL = np.array([100, 285, 1000])  # of a hundredth of the monthly price
PLANS = np.array(["solo", "team", "growth", "business", "enterprise"])
STATUSES = np.array(["active", "past_due", "canceled"])
ACTORS = np.array(["customer", "dunning", "unknown"])
# Mean days between two things that happen to a live customer; it makes 12.8 states per customer.
GAP_DAYS = 45.6
ALIVE = np.array([0.31, 0.09, 0.23, 0.17, 0.05, 0.03, 0.02, 0.03, 0.07])
RENEWAL, CARD, SEATS_UP, SEATS_DOWN, PLAN_UP, PLAN_DOWN, INTERVAL, ADD_ON, LEAVE = range(len(ALIVE))


def states(customers: range, seed: int = SEED) -> dict[str, np.ndarray]:
    """The states of some customers: one array per column, codes for the words, 10 to 14 states per customer."""
    rng = np.random.default_rng([seed, customers.start, len(customers)])
    n = len(customers)
    who = np.arange(customers.start, customers.stop)
    # A third is there from the start; the others join evenly over the three years.
    at = np.where(rng.random(n) < 0.33, rng.random(n) * 20, rng.random(n) * (DAYS - 20)) * DAY_US
    at = at.astype(np.int64) // 1_000_000 * 1_000_000
    level = rng.choice(5, n, p=[0.3, 0.3, 0.2, 0.15, 0.05])
    seats = 1 + np.minimum(rng.geometric(0.25, n), 200)
    interval = rng.choice(3, n, p=[0.7, 0.1, 0.2])
    extra = np.where(rng.random(n) < 0.1, rng.integers(1, 6, n), 0)  # seats of the second item
    subscription = np.zeros(n, np.int64)
    live, late = np.ones(n, bool), np.zeros(n, bool)
    actor = np.zeros(n, np.int64)
    parts: list[dict[str, np.ndarray]] = []

    def write(rows: np.ndarray, second: np.ndarray) -> None:
        """The main item's state of the customers in `rows`, and the second item's of those in `second`."""
        for index, item in ((rows, 0), (second, 1)):
            price = SEAT_PRICE[level[index]] if item == 0 else np.full(len(index), 500)
            quantity = seats[index] if item == 0 else np.maximum(extra[index], 1)
            parts.append(
                {
                    "customer": who[index],
                    "subscription": subscription[index],
                    "item": np.full(len(index), item),
                    "at": at[index],
                    "status": np.where(live[index] & ((item == 0) | (extra[index] > 0)), late[index] * 1, 2),
                    "plan": level[index] if item == 0 else np.full(len(index), 5),
                    "interval": interval[index],
                    "quantity": quantity,
                    "amount": price * quantity * PRICE_OF_INTERVAL[interval[index]] // 100,
                    "actor": actor[index],
                }
            )

    everyone = np.arange(n)
    write(everyone, everyone[extra > 0])
    active = everyone
    while len(active):
        gap = rng.exponential(GAP_DAYS, len(active)) * DAY_US
        burst = rng.random(len(active))
        gap = np.where(burst < 0.02, rng.random(len(active)) * 3_300_000_000, gap)  # within the hour
        away = ~live[active]
        # Half of those who left come back, a few on the same day.
        stays_away = away & (rng.random(len(active)) < 0.5)
        gap = np.where(away, np.where(burst < 0.03, gap / 500, 5 * DAY_US + gap * 2), gap)
        at[active] += gap.astype(np.int64) // 1_000_000 * 1_000_000 + 1_000_000
        active = active[~stays_away & (at[active] < DAYS * DAY_US)]
        if not len(active):
            break
        event = rng.choice(len(ALIVE), len(active), p=ALIVE)
        away = ~live[active]
        chance = rng.random(len(active))
        came = active[away]
        live[came], late[came] = True, False
        subscription[came] += chance[away] < 0.6
        seats[came] = np.maximum(1, seats[came] - (chance[away] < 0.3))
        extra[came] = 0
        here, event, chance = active[~away], event[~away], chance[~away]

        def those(kind: int, here: np.ndarray = here, event: np.ndarray = event) -> np.ndarray:
            return here[event == kind]

        late[those(RENEWAL)] = False
        late[those(CARD)] = ~late[those(CARD)]
        seats[those(SEATS_UP)] += rng.geometric(0.6, len(those(SEATS_UP)))
        seats[those(SEATS_DOWN)] = np.maximum(1, seats[those(SEATS_DOWN)] - 1)
        level[those(PLAN_UP)] = np.minimum(4, level[those(PLAN_UP)] + 1)
        level[those(PLAN_DOWN)] = np.maximum(0, level[those(PLAN_DOWN)] - 1)
        interval[those(INTERVAL)] = (interval[those(INTERVAL)] + 1) % 3
        gone = those(LEAVE)
        # The second item goes with its subscription; one that was removed before has nothing left to say.
        leaving_second = gone[extra[gone] > 0]
        live[gone] = False
        actor[gone] = np.where(late[gone], 1, np.where(chance[event == LEAVE] < 0.8, 0, 2))
        added = those(ADD_ON)
        removed = extra[added] > 0
        extra[added] = np.where(removed, 0, rng.integers(1, 6, len(added)))
        follows = those(INTERVAL)
        second = np.concatenate([leaving_second, added, follows[extra[follows] > 0]])
        write(np.sort(np.concatenate([here[event != ADD_ON], came])), second)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _words(words: np.ndarray, codes: np.ndarray) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(words)).cast(pa.string())


def _id(prefix: str, number: np.ndarray, digits: int) -> pa.Array:
    """Identifiers such as billing systems give them: a prefix and digits that look random, one to one with numbers."""
    mixed = (number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(0x5DEECE66D1CE4E5B)
    text = pc.utf8_lpad(pa.array(mixed, pa.uint64()).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), text, "")


def as_arrow(found: dict[str, np.ndarray], schema: pa.Schema, rng: np.random.Generator) -> pa.Table:
    """The states as rows of the table subscription_states, with every column it has."""
    n = len(found["at"])
    subscription = _id("sub_", found["customer"] * 64 + found["subscription"], 24)
    item = _id("si_", found["customer"] * 64 + found["subscription"], 24)
    canceled = found["status"] == 2
    instant = pa.timestamp("us", "UTC")
    at = START_US + found["at"]
    learned = at + rng.integers(1, 7200, n) * 1_000_000
    # Half of those who leave by themselves asked for it up to thirty days before.
    early = np.random.default_rng([SEED, n, 2]).integers(-30, 31, n) * DAY_US * (found["actor"] == 0)
    asked = at - np.maximum(early, 0)
    columns: dict[str, Any] = {
        "subscription_id": subscription,
        "item_id": pc.if_else(pa.array(found["item"] == 1), item, subscription),
        "effective_at": pa.array(at).cast(instant),
        "customer_id": _id("cus_", found["customer"], 20),
        "status": _words(STATUSES, found["status"]),
        "product_id": pc.if_else(pa.array(found["item"] == 1), "support", "app"),
        "plan_id": _words(np.append(PLANS, "support"), found["plan"]),
        "interval": _words(INTERVALS, found["interval"]),
        "interval_count": pa.array(np.ones(n, np.int64)),
        "quantity": pa.array(found["quantity"]),
        "amount_minor": pa.array(found["amount"]),
        "currency": _words(np.array(["USD"]), np.zeros(n, np.int32)),
        "cancel_requested_at": pa.array(asked, mask=~canceled).cast(instant),
        "cancel_actor": pc.if_else(pa.array(canceled), _words(ACTORS, found["actor"]), None),
        "recorded_at": pa.array(learned).cast(instant),
        "recorded_assumed": pa.array(np.zeros(n, bool)),
        "loaded_at": pa.array(np.full(n, LOADED_US)).cast(instant),
        "retracted": pa.array(np.zeros(n, bool)),
        "source": _words(np.array(["facts_at_scale"]), np.zeros(n, np.int32)),
        "row_hash": pa.array(rng.integers(-(2**63), 2**63, n)),
    }
    return pa.table([columns.get(field.name, pa.nulls(n, field.type)) for field in schema], schema=schema)


def write(root: str | Path, rows: int = 10_000_000, corrected: float = 0.0, seed: int = SEED) -> int:
    """A lake under `root` with about that many states; how many they are. Memory stays that of one chunk and a sort."""
    import duckdb

    from tenure.lake.shape import arrow_schema
    from tenure.lake.store import Lake
    from tenure.lake.tables import TABLES

    lake = Lake(root)
    schema = arrow_schema(TABLES["subscription_states"])
    staged = lake.stage("subscription_states")
    loose = Path(root) / "unsorted.parquet"
    customers = round(rows * CUSTOMERS_PER_ROW)
    written = 0
    with pq.ParquetWriter(loose, schema, compression="snappy") as out:
        for first in range(0, customers, CHUNK):
            chunk = range(first, min(first + CHUNK, customers))
            rng = np.random.default_rng([seed, first, 1])
            table = as_arrow(states(chunk, seed), schema, rng)
            out.write_table(table)
            written += len(table)
            if corrected:
                wrong = np.flatnonzero(rng.random(len(table)) < corrected)
                again = table.take(pa.array(wrong))
                later = pc.add(again["recorded_at"], pa.scalar(3 * DAY_US, pa.duration("us")))
                right = {
                    "quantity": pc.add(again["quantity"], 1),
                    "amount_minor": pc.add(again["amount_minor"], 500),
                    "recorded_at": later,
                    "row_hash": pa.array(rng.integers(-(2**63), 2**63, len(wrong))),
                }
                for name, values in right.items():
                    again = again.set_column(schema.get_field_index(name), schema.field(name), values)
                out.write_table(again)
                written += len(again)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET memory_limit = '2GB'")
        con.execute("SET temp_directory = ?", [str(Path(root) / "sorting")])
        con.execute(
            f"COPY (SELECT * FROM read_parquet('{loose}') ORDER BY recorded_at, subscription_id) TO '{staged}' "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    loose.unlink()
    shutil.rmtree(Path(root) / "sorting", ignore_errors=True)
    name = f"facts_at_scale {rows} {corrected} {seed}"
    lake.commit("subscription_states", [staged], load_id=name, rows=written, repeats_keys=corrected > 0)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description="States of a made-up company in a lake, for benchmarks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000, help="about so many states (10,000,000)")
    parser.add_argument("--corrected", type=float, default=0.0, help="share of states with a second version (0)")
    options = parser.parse_args()
    print(f"{write(options.folder, options.rows, options.corrected):,} states in {options.folder}")


if __name__ == "__main__":
    main()
