"""The made-up company's facts obey the tables' rules, and the same settings always give the same facts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tenure.connect.files.headers import snake
from tenure.errors import BadInput, Failed
from tenure.lake.tables import BITEMPORAL, TABLES
from tenure.simulate import Company, simulate, write
from tenure.simulate.company import FACTS, TRUTHS

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
SMALL = Company(customers=600)
# What the simulator tells of the bitemporal columns; the loader adds the rest.
TOLD = ("recorded_at", "version", "retracted", "source")

# Fingerprint of 60 customers over 12 months with seed 7. Whoever changes what the simulator makes changes this on
# purpose, and says so in the changelog: the demo's numbers change with it.
GOLDEN = "b3d62b132f9d3aaf07d5c81d69599fc57d0357374f7f9dc26ca955cac58c62e4"

Facts = dict[str, pa.Table]


def gathered(company: Company) -> Facts:
    """All pieces of each table, put together."""
    pieces: dict[str, list[pa.Table]] = defaultdict(list)
    for name, rows in simulate(company):
        pieces[name].append(rows)
    return {name: pa.concat_tables(tables) for name, tables in pieces.items()}


@pytest.fixture(scope="module")
def facts() -> Facts:
    return gathered(SMALL)


@pytest.fixture(scope="module")
def crowd() -> Facts:
    """Many customers without their usage: rare things happen here."""
    return gathered(Company(customers=5_000, usage="none"))


def sql(facts: Facts, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query over the facts, in a UTC session."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, table in facts.items():
            connection.register(name, table)
        return connection.execute(query).fetchall()


def latest(table: str) -> str:
    """A query for the version that counts of every key, taken-back ones left out."""
    key = ", ".join(TABLES[table].key)
    return f"""(select * exclude (place) from (
        select *, row_number() over (partition by {key} order by recorded_at desc, version desc nulls last) place
        from {table}) where place = 1 and not retracted)"""


# --- shape ------------------------------------------------------------------------------------------------------------


def test_every_promised_table_is_there_and_no_other(facts: Facts) -> None:
    assert set(facts) == {*FACTS, *TRUTHS}
    assert all(table.num_rows > 0 for table in facts.values())


@pytest.mark.parametrize("name", FACTS)
def test_columns_and_types_are_those_of_the_lake(facts: Facts, name: str) -> None:
    described = sql({name: facts[name]}, f"describe select * from {name}")
    bitemporal = [column for column in BITEMPORAL if column.name in TOLD]
    expected = [(column.name, column.sql_type) for column in (*TABLES[name].columns, *bitemporal)]
    assert [(row[0], row[1]) for row in described] == expected


@pytest.mark.parametrize("name", FACTS)
def test_required_columns_are_filled_and_listed_values_are_kept(facts: Facts, name: str) -> None:
    table = facts[name]
    for column in TABLES[name].columns:
        values = table[column.name]
        if column.required:
            assert values.null_count == 0, column.name
        if column.one_of:
            assert set(values.unique().to_pylist()) <= {*column.one_of, None}, column.name
        if column.type in ("money_minor", "int", "float") and not column.signed and values.null_count < len(values):
            assert pc.min(values).as_py() >= 0, column.name


@pytest.mark.parametrize("name", FACTS)
def test_a_key_comes_twice_only_as_a_later_version(facts: Facts, crowd: Facts, name: str) -> None:
    many = crowd if name in crowd else facts
    key = ", ".join(TABLES[name].key)
    assert sql(many, f"select {key} from {name} group by {key}, recorded_at, version having count(*) > 1") == []
    repeated = sql(many, f"select {key} from {name} group by {key} having count(*) > 1")
    assert bool(repeated) == (name in ("customers", "subscription_states", "invoices"))


@pytest.mark.parametrize("name", FACTS)
def test_nothing_is_known_before_the_books_begin_or_after_they_end(facts: Facts, name: str) -> None:
    recorded = pc.min_max(facts[name]["recorded_at"]).as_py()
    assert recorded["max"] < END
    assert recorded["min"] >= START or name == "rates"  # rates reach back to the oldest sign-ups
    for column in TABLES[name].columns:
        if column.tells == "happened":
            happened = pc.max(facts[name][column.name]).as_py()
            assert happened is None or happened < END, column.name


@pytest.mark.parametrize("name", FACTS)
def test_nothing_is_recorded_before_it_happens(facts: Facts, name: str) -> None:
    time = TABLES[name].business_time
    assert sql(facts, f"select count(*) from {name} where recorded_at < {time}") == [(0,)]


def test_everything_says_that_it_is_made_up(facts: Facts, tmp_path: Path) -> None:
    for name in FACTS:
        assert facts[name]["source"].unique().to_pylist() == ["simulator"]
    for customer in facts["customers"]["name"].unique().to_pylist():
        assert "Made-up" in customer or "สมมติ" in customer
    assert all(email.endswith("@made-up.example") for email in facts["customers"]["email"].to_pylist())
    files = write(Company(customers=5, months=2), tmp_path)
    # The lake keeps the name of the file that a row came from.
    assert all(path.name.startswith("made-up-") for paths in files.values() for path in paths)
    assert "Nobody in these files exists" in (tmp_path / "MADE-UP.md").read_text(encoding="utf-8")


# --- the same settings, the same company ------------------------------------------------------------------------------


def fingerprint(facts: Facts) -> str:
    """SHA-256 over all rows of all tables in their order."""
    digest = hashlib.sha256()
    for name in sorted(facts):
        for row in zip(*(column.to_pylist() for column in facts[name].columns), strict=True):
            digest.update("|".join(map(str, row)).encode())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_company_in_every_run_of_this_version() -> None:
    made = gathered(Company(customers=60, months=12))
    # The truth of the leavers came later than this number; its own numbers are held by the tests of the truth.
    assert fingerprint({name: rows for name, rows in made.items() if name != "truth_leavers"}) == GOLDEN


def test_another_seed_gives_another_company() -> None:
    made = gathered(Company(customers=60, months=12, seed=8))
    assert fingerprint({name: rows for name, rows in made.items() if name != "truth_leavers"}) != GOLDEN


@pytest.mark.parametrize(("customers", "chunk"), [(12, 1), (90, 37)])
def test_how_customers_are_split_into_chunks_changes_nothing(customers: int, chunk: int) -> None:
    whole = gathered(Company(customers=customers, months=12))
    split = gathered(Company(customers=customers, months=12, chunk=chunk))
    for name in whole:
        assert sorted(map(repr, whole[name].to_pylist())) == sorted(map(repr, split[name].to_pylist())), name


def test_the_stream_begins_before_the_company_is_whole() -> None:
    # Ten million customers: the first pieces must not wait for the last ones.
    stream = simulate(Company(customers=9_999_999, chunk=50))
    seen = [next(stream)[0] for _ in range(8)]
    assert "customers" in seen


def test_progress_is_told_after_every_chunk() -> None:
    told: list[tuple[int, int]] = []
    for _ in simulate(Company(customers=25, months=3, chunk=10), lambda done, total: told.append((done, total))):
        pass
    assert told == [(10, 25), (20, 25), (25, 25)]


@pytest.mark.parametrize(
    "settings",
    [{"customers": 1, "months": 1}, {"customers": 7, "months": 2, "until": date(2025, 1, 31)},
     {"customers": 40, "months": 72}, {"customers": 40, "until": date(2026, 6, 3), "usage": "day", "months": 4},
     {"customers": 40, "usage": "month"}, {"customers": 40, "late": 0.0, "mistakes": 0.0}],
)  # fmt: skip
def test_small_short_long_and_clean_companies_work_too(settings: dict[str, Any]) -> None:
    made = gathered(Company(**settings))
    assert set(made) >= {*FACTS, *TRUTHS} - {"usage"}
    if settings.get("mistakes") == 0.0:
        for name in ("customers", "subscription_states"):
            assert len(set(made[name][TABLES[name].key[0]].to_pylist())) > 0
            key = ", ".join(TABLES[name].key)
            assert sql(made, f"select {key} from {name} group by {key} having count(*) > 1") == []


@pytest.mark.parametrize(
    "settings",
    [{"customers": 0}, {"months": 0}, {"usage": "hour"}, {"late": 2.0}, {"mistakes": -1.0}, {"churn": -1.0},
     {"unevenness": 1.5}, {"confounding": -1.0}],
)  # fmt: skip
def test_impossible_settings_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(settings))):
        Company(**settings)


# --- files ------------------------------------------------------------------------------------------------------------


def parquet(path: Path) -> pa.Table:
    return pq.read_table(path)


def csv(path: Path) -> pa.Table:
    return pyarrow.csv.read_csv(path)


@pytest.mark.parametrize(("format", "read"), [("parquet", parquet), ("csv", csv)])
def test_files_hold_what_the_stream_holds(tmp_path: Path, format: str, read: Callable[[Path], pa.Table]) -> None:
    company = Company(customers=30, months=6)
    made, files = gathered(company), write(company, tmp_path, format)
    assert set(files) == {*FACTS, *TRUTHS}
    for name, paths in files.items():
        tables = [read(path) for path in paths]
        assert sum(table.num_rows for table in tables) == made[name].num_rows, name
        columns = [column for column in made[name].column_names if column != "source"]
        assert [snake(header) for header in tables[0].column_names] == columns
        assert (paths[0].parent == tmp_path / "truth") == name.startswith("truth_")
    states = files["subscription_states"][0]
    if format == "parquet":
        assert parquet(states).equals(made["subscription_states"].drop_columns(["source"]))
    else:
        first = made["subscription_states"]["effective_at"][0].as_py()
        lines = states.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith('"Subscription ID","Item ID","Effective at","Customer ID","Status"')
        assert lines[1].split(",")[2].strip('"') == first.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_same_company_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    company = Company(customers=30, months=6)
    first, second = write(company, tmp_path / "a"), write(company, tmp_path / "b")
    for name in first:
        assert [path.read_bytes() for path in first[name]] == [path.read_bytes() for path in second[name]], name


def test_an_unknown_format_and_an_impossible_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="xlsx"):
        write(Company(customers=1, months=1), tmp_path, "xlsx")
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(Failed, match="another folder"):
        write(Company(customers=1, months=1), tmp_path / "taken")


# --- the books add up -------------------------------------------------------------------------------------------------

FACTOR = {"month": Fraction(1), "quarter": Fraction(1, 3), "year": Fraction(1, 12)}


def worth(state: dict[str, Any], at: datetime) -> Fraction:
    """MRR of one item's state in force at an instant, in minor units, as docs/explanation/movements.md says."""
    if state["status"] in ("canceled", "unpaid", "incomplete", "incomplete_expired"):
        return Fraction(0)
    if state["cancel_at"] is not None and at >= state["cancel_at"]:
        return Fraction(0)
    if state["status"] == "trialing" and at < state["trial_ends_at"]:
        return Fraction(0)
    pauses_at = None
    if state["status"] == "paused":
        pauses_at = state["effective_at"]
    elif state["collection_paused"]:
        pauses_at = max(state["period_end"], state["effective_at"])
    if pauses_at is not None and at >= pauses_at and not (state["resumes_at"] and at >= state["resumes_at"]):
        return Fraction(0)
    if state["is_metered"]:
        base = state["minimum_commit_minor"] or 0
    else:
        base = state["amount_minor"] - (state["tax_minor"] if state["tax_inclusive"] else 0)
        base = max(0, base - state["discount_forever_minor"])
    return Fraction(round(Fraction(base) * FACTOR[state["interval"]] * 10**6), 10**6)  # half-even


def test_true_mrr_is_what_the_facts_say_at_every_months_end(facts: Facts) -> None:
    rows = sql(facts, "select customer_id from customers where is_test")
    test_customers = {row[0] for row in rows}
    columns = facts["subscription_states"].column_names
    items: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in sql(facts, f"select * from {latest('subscription_states')} order by effective_at"):
        state = dict(zip(columns, row, strict=True))
        if state["customer_id"] not in test_customers:
            items[state["subscription_id"], state["item_id"]].append(state)
    for month, currency, mrr in sql(facts, "select month, currency, mrr_minor from truth_mrr"):
        after = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
        total = Fraction(0)
        for states in items.values():
            # A month's closing balance is everything dated before its end.
            in_force = [state for state in states if state["effective_at"] < after]
            if in_force and in_force[-1]["currency"] == currency:
                just_before = datetime.fromtimestamp(after.timestamp() - 1e-3, tz=UTC)
                total += worth(in_force[-1], just_before)
        assert total == Fraction(mrr), (month, currency)


def test_an_item_ends_once_and_begins_as_a_trial_or_a_plan(facts: Facts) -> None:
    statuses: dict[tuple[str, str], list[str]] = defaultdict(list)
    rows = sql(
        facts, f"select subscription_id, item_id, status from {latest('subscription_states')} order by effective_at"
    )
    for subscription, item, status in rows:
        statuses[subscription, item].append(status)
    after_the_end = {"canceled", "incomplete_expired", "unpaid"}
    follows = {
        "trialing": {"active", "canceled"},
        "active": {"active", "past_due", "paused", "non_renewing", "canceled"},
        "past_due": {"active", "canceled", "unpaid"},
        "paused": {"active", "canceled"},
        "non_renewing": {"canceled"},
        "incomplete": {"incomplete_expired"},
    }
    for (_, item), course in statuses.items():
        assert course[0] in ("trialing", "active", "incomplete")
        for before, after in pairwise(course):
            if before in after_the_end:  # only an add-on can be taken again
                assert item.endswith(".reports") and after == "active", (item, course)
            else:
                assert after in follows[before], (item, course)


def test_ends_pauses_and_discounts_lie_where_they_can(facts: Facts) -> None:
    states = latest("subscription_states")
    wrong = [
        "cancel_at < cancel_requested_at",
        "cancel_requested_at > effective_at",
        "resumes_at <= effective_at",
        "period_end <= period_start",
        "status = 'paused' and resumes_at > effective_at + interval 6 month",
        "discount_forever_minor + discount_limited_minor > amount_minor",
        "(discount_limited_minor > 0) <> (discount_ends_at is not null)",
        "discount_ends_at <= effective_at",
        "cancel_requested_at is null and (cancel_actor is not null or cancel_reason is not null)",
        "is_metered and amount_minor <> 0",
        "plan_id = 'free' and amount_minor <> 0",
        "status = 'trialing' and trial_ends_at <> effective_at + interval 14 day",
        "interval = 'month' and term_ends_at is not null",
    ]
    for rule in wrong:
        assert sql(facts, f"select count(*) from {states} where {rule}") == [(0,)], rule


def test_yen_have_no_decimals_and_baht_contain_the_tax(facts: Facts) -> None:
    states = latest("subscription_states")
    rows = sql(
        facts,
        f"""select currency, min(amount_minor // quantity), max(amount_minor // quantity) from {states}
            where plan_id = 'starter' and interval = 'month' group by 1""",
    )
    # 1,700 yen, 390.00 baht, 11.00 euro and 12.00 dollars per seat.
    assert {row[0]: row[1:] for row in rows} == {
        "JPY": (1_700, 1_700), "THB": (39_000, 39_000), "EUR": (1_100, 1_100), "USD": (1_200, 1_200),
    }  # fmt: skip
    assert sql(facts, f"select distinct currency from {states} where tax_inclusive") == [("THB",)]
    # 7/107 of what is charged, rounded half up.
    assert sql(
        facts,
        f"""select count(*) from {states} where tax_inclusive and not is_metered
            and tax_minor <> ((amount_minor - discount_forever_minor) * 14 + 107) // 214""",
    ) == [(0,)]


def test_an_invoice_is_the_sum_of_its_lines_and_what_is_paid_is_its_total(facts: Facts) -> None:
    invoices = latest("invoices")
    off = sql(
        facts,
        f"""select count(*) from {invoices} i join (
              select invoice_id, sum(amount_minor - discount_minor - if(tax_inclusive, tax_minor, 0)) net,
                     sum(tax_minor) tax from invoice_lines group by 1) l using (invoice_id)
            where l.net <> subtotal_minor or l.tax <> tax_minor or subtotal_minor + tax_minor <> total_minor""",
    )
    assert off == [(0,)]
    assert sql(facts, "select count(*) from invoice_lines anti join invoices using (invoice_id)") == [(0,)]
    assert sql(facts, f"select count(*) from {invoices} anti join invoice_lines using (invoice_id)") == [(0,)]
    paid = sql(
        facts,
        f"""select i.status, i.total_minor, coalesce(sum(p.amount_minor), 0) from {invoices} i
            left join payments p on p.invoice_id = i.invoice_id and p.kind = 'charge' and p.outcome = 'succeeded'
            group by i.invoice_id, i.status, i.total_minor""",
    )
    for status, total, received in paid:
        assert received == (total if status == "paid" else 0)
    assert {status for status, _, _ in paid} >= {"paid", "open", "uncollectible"}


def test_what_is_not_paid_at_once_is_open_first(facts: Facts) -> None:
    rows = sql(facts, "select list(status order by version) from invoices group by invoice_id having count(*) > 1")
    assert rows
    assert {course[0] for (course,) in rows} == {"open"}
    assert {course[1] for (course,) in rows} <= {"paid", "uncollectible", "void"}


def test_a_stolen_or_expired_card_is_never_tried_again(facts: Facts) -> None:
    rows = sql(
        facts,
        """select count(*) from payments hard join payments later using (invoice_id)
           where hard.decline_code in ('stolen_card', 'expired_card') and later.attempt_number > hard.attempt_number
             and later.method_id = hard.method_id""",
    )
    assert rows == [(0,)]
    tried_with_a_new_card = sql(
        facts,
        """select count(*) from payments hard join payments later using (invoice_id)
           where hard.decline_code = 'expired_card' and later.outcome = 'succeeded'""",
    )
    assert tried_with_a_new_card[0][0] > 0


def test_refunds_and_disputes_name_the_charge_they_take_back(facts: Facts) -> None:
    rows = sql(
        facts,
        """select back.amount_minor <= charge.amount_minor, charge.outcome from payments back
           left join payments charge on charge.payment_id = back.parent_payment_id where back.kind = 'refund'""",
    )
    assert rows and set(rows) == {(True, "succeeded")}


def test_mistakes_are_put_right_and_ghosts_are_taken_back() -> None:
    messy = gathered(Company(customers=400, mistakes=10.0, usage="none"))
    key = "subscription_id, item_id, effective_at"
    corrected = sql(messy, f"select list(amount_minor order by recorded_at) from subscription_states group by {key} "
                           "having count(*) > 1 and not bool_or(retracted)")  # fmt: skip
    assert corrected
    for (amounts,) in corrected:
        assert amounts[0] == amounts[1] * 11 // 10
    taken_back = sql(messy, f"select list(retracted order by recorded_at) from subscription_states group by {key} "
                            "having bool_or(retracted)")  # fmt: skip
    assert taken_back and {tuple(course) for (course,) in taken_back} == {(False, True)}


def test_some_rows_are_recorded_days_late(facts: Facts) -> None:
    share = sql(
        facts,
        f"""select avg(if(recorded_at > effective_at + interval 1 day, 1.0, 0)) from subscription_states
            where effective_at >= '{START}' and effective_at < '2026-05-01'""",
    )[0][0]
    assert 0.015 < share < 0.05


def test_states_for_every_renewal_say_nothing_new() -> None:
    # Some billing systems write them; MRR must not care.
    terse = gathered(Company(customers=60, months=12, usage="none", mistakes=0.0))
    wordy = gathered(Company(customers=60, months=12, usage="none", mistakes=0.0, renewal_rows=True))
    assert wordy["subscription_states"].num_rows > 1.5 * terse["subscription_states"].num_rows
    assert wordy["truth_mrr"].equals(terse["truth_mrr"])
    assert wordy["truth_hazards"].equals(terse["truth_hazards"])


# --- believable -------------------------------------------------------------------------------------------------------


def test_the_company_shows_every_kind_of_life(crowd: Facts) -> None:
    facts = crowd
    states = latest("subscription_states")
    shown = [
        *(f"status = '{status}'" for status in (
            "trialing", "active", "past_due", "unpaid", "paused", "non_renewing", "canceled", "incomplete")),
        *(f"cancel_actor = '{actor}'" for actor in ("customer", "dunning", "business", "unknown")),
        *(f"interval = '{interval}'" for interval in ("month", "quarter", "year")),
        *(f"plan_id = '{plan}'" for plan in ("free", "starter", "team", "business", "reports", "api-calls", "lab")),
        "collection_paused", "discount_forever_minor > 0", "discount_limited_minor > 0", "minimum_commit_minor > 0",
        "status = 'active' and cancel_at is not null", "subscription_id like '%_2'",
    ]  # fmt: skip
    for kind in shown:
        assert sql(facts, f"select count(*) from {states} where {kind}")[0][0] > 0, kind
    assert sql(facts, "select count(*) from customers where merged_into is not null")[0][0] > 0
    assert sql(facts, "select count(distinct customer_id) from customers where is_test")[0][0] > 0
    assert sql(facts, "select count(*) from customers where merged_into >= customer_id") == [(0,)]


def test_between_two_and_three_trials_in_five_are_converted(crowd: Facts) -> None:
    converted, trials = sql(
        crowd,
        f"""select count(*) filter (where converts), count(*) from (
              select bool_or(status = 'active') converts from {latest("subscription_states")}
              where subscription_id like '%_1' and customer_id in (
                select customer_id from subscription_states where status = 'trialing' and trial_ends_at < '2026-06-01')
              group by customer_id)""",
    )[0]
    assert 0.40 < converted / trials < 0.60


def test_thai_customers_speak_thai(facts: Facts) -> None:
    comments = sql(
        facts,
        """select c.spoken, s.cancel_comment from subscription_states s
           join (select customer_id, arg_max(language, version) as spoken from customers group by 1) c
             using (customer_id)
           where s.cancel_comment is not null""",
    )
    assert comments
    for language, comment in comments:
        assert any("\u0e00" <= letter <= "\u0e7f" for letter in comment) == (language == "th")
    assert {row[0] for row in sql(facts, "select distinct language from answers")} == {"en", "th", None}


def test_what_is_used_belongs_to_a_subscription_that_was_there(facts: Facts) -> None:
    begun = f"select subscription_id, min(effective_at) begun from {latest('subscription_states')} group by 1"
    stray = sql(facts, f"select count(*) from usage left join ({begun}) using (subscription_id) "
                       "where begun is null or happened_at < begun")  # fmt: skip
    assert stray == [(0,)]
    after_the_removal = sql(
        facts,
        """select count(*) from usage where feature = 'classic-sync'
           and happened_at >= (select happened_at from changes where kind = 'removal')""",
    )
    assert after_the_removal == [(0,)]


def test_a_price_change_reaches_a_customer_at_its_next_renewal(facts: Facts) -> None:
    rows = sql(
        facts,
        f"""select x.effective_at, min(s.effective_at) from change_exposures x
            join {latest("subscription_states")} s using (customer_id)
            where x.change_id = 'chg_price' and s.plan_id = 'team' and s.interval = 'month' and s.currency = 'USD'
              and s.amount_minor // s.quantity = 2050 and s.effective_at >= x.announced_at
            group by x.customer_id, x.effective_at""",
    )
    # 18.00 dollars + 14 % = 20.52, a price tag of 20.50.
    assert len(rows) > 5
    on_time = [effective == risen for effective, risen in rows]
    assert sum(on_time) >= 0.8 * len(rows)  # the others changed seats or plan, or were paused
