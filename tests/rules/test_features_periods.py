"""Are the rows to learn from what was known then, and their outcomes what came later? By hand, and by the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tenure
from tenure.errors import BadInput
from tenure.predict.features import features
from tenure.predict.features_catalogue import Feature, of_trait
from tenure.predict.features_periods import Periods, decisions, person_periods
from tenure.predict.features_refused import auc, refused
from tests.reference.builder import Company, Facts, Shop


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def leavers() -> Facts:
    """Amy asks, Bob's card fails, Dan asks on the third, Eve says so ahead of time, Cat stays; all billed monthly."""
    facts = Facts()
    for customer in ("amy", "bob", "cat", "dan", "eve"):
        facts.state("2025-10-01", customer=customer)
    asked = {"cancel_actor": "customer", "status": "canceled"}
    facts.state("2026-03-20", customer="amy", cancel_requested_at="2026-03-10", **asked)
    facts.state("2026-04-15", customer="bob", cancel_actor="dunning", status="canceled")
    facts.state("2026-03-25", customer="dan", cancel_requested_at="2026-03-03", **asked)
    facts.state(
        "2026-03-15",
        customer="eve",
        status="non_renewing",
        cancel_at="2026-04-20",
        cancel_requested_at="2026-03-15",
        cancel_actor="customer",
    )
    facts.state("2026-04-20", customer="eve", cancel_requested_at="2026-03-15", **asked)
    return facts


def periods_of(shop: Shop, since: date, until: date, **options: Any) -> Periods:
    workspace = shop.workspace
    return person_periods(workspace.facts(shop.known_on), workspace.definition(), since, until, **options)


def outcomes(found: Periods) -> dict[tuple[str, str], str]:
    rows = found.table.to_pylist()
    return {(f"{row['cut_off']:%m}", row["customer_id"]): row["outcome"] for row in rows}


def test_the_event_is_the_decision_which_is_the_request_or_an_interval_before_the_end(company: Company) -> None:
    shop = company(leavers())
    found = {
        row["customer_id"]: row for row in decisions(shop.workspace.facts(), shop.workspace.definition()).to_pylist()
    }
    day = {
        who: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["decided_us"]) for who, row in found.items()
    }
    # Nobody asked for Bob's end on 15 April: 30 days before it is 16 March.
    assert day == {"amy": at("2026-03-10"), "bob": at("2026-03-16"), "dan": at("2026-03-03"), "eve": at("2026-03-15")}
    assert {who: row["cause"] for who, row in found.items()} == {
        "amy": "voluntary",
        "bob": "involuntary",
        "dan": "voluntary",
        "eve": "voluntary",
    }
    assert [who for who, row in found.items() if not row["is_told"]] == ["bob"]


def test_a_yearly_contract_that_just_ends_was_given_up_a_month_before(company: Company) -> None:
    facts = Facts()
    facts.state("2025-03-01", interval="year", amount_minor=120_000)
    facts.state("2026-03-01", status="canceled", interval="year", amount_minor=120_000)
    shop = company(facts)
    (row,) = decisions(shop.workspace.facts(), shop.workspace.definition()).to_pylist()
    assert (row["lost_us"] - row["decided_us"]) / 86_400_000_000 == 31
    assert row["cause"] == "unknown"


def test_outcomes_lie_after_the_cut_off_and_within_the_horizon(company: Company) -> None:
    found = periods_of(company(leavers()), date(2026, 2, 1), date(2026, 5, 1), gap=0, horizon=31)
    assert outcomes(found) == {
        # From 1 February 31 days reach to the end of 3 March: Dan's request on the third falls in.
        ("02", "amy"): "",
        ("02", "bob"): "",
        ("02", "cat"): "",
        ("02", "dan"): "voluntary",
        ("02", "eve"): "",
        ("03", "amy"): "voluntary",
        ("03", "bob"): "involuntary",
        ("03", "cat"): "",
        ("03", "dan"): "voluntary",
        ("03", "eve"): "voluntary",
        # In April Bob is still here but has decided, Eve has said so, the others are gone.
        ("04", "cat"): "",
    }
    assert found.decided_before == {at("2026-02-01"): 0, at("2026-03-01"): 0, at("2026-04-01"): 1}
    assert found.leaving[at("2026-04-01")] == 1
    decided = {row["customer_id"]: row["decided_at"] for row in found.table.to_pylist() if row["month"] == 1}
    assert decided["bob"] == at("2026-03-16")
    assert decided["cat"] is None


def test_who_decides_within_the_gap_is_beyond_reach_and_has_no_row(company: Company) -> None:
    found = periods_of(company(leavers()), date(2026, 2, 1), date(2026, 4, 1), gap=7, horizon=31)
    # From 8 February to 10 March: Dan's request is in, Amy's on the tenth too, Eve's is not.
    assert [who for (month, who), cause in outcomes(found).items() if month == "02" and cause] == ["amy", "dan"]
    assert ("03", "dan") not in outcomes(found)
    assert found.decided_before[at("2026-03-01")] == 1


def test_a_window_that_nobody_saw_to_its_end_is_kept_and_marked(company: Company) -> None:
    shop = company(leavers())
    shop.known_on = "2026-05-31"
    found = periods_of(shop, date(2026, 3, 1), date(2026, 6, 1), gap=0, horizon=31)
    # A decision like Bob's shows a month later: what began in April is known by 1 June, what began in May is not.
    whole = {f"{row['cut_off']:%m}": row["is_whole"] for row in found.table.to_pylist() if row["customer_id"] == "cat"}
    assert whole == {"03": True, "04": True, "05": False}


def test_a_window_is_not_whole_because_somebody_left_in_it(company: Company) -> None:
    shop = company(leavers())
    shop.known_on = "2026-04-15"
    rows = periods_of(shop, date(2026, 3, 1), date(2026, 4, 1), gap=0, horizon=31).table.to_pylist()
    assert {row["is_whole"] for row in rows} == {False}
    assert {row["outcome"] for row in rows} == {"", "voluntary", "involuntary"}


def test_rows_are_the_features_of_each_cut_off_as_known_then(company: Company) -> None:
    facts = leavers()
    facts.ticket("t", "2026-01-20", customer="cat", recorded_at="2026-02-10")
    facts.ticket("s", "2026-01-02", customer="amy", recorded_at="2026-01-02")
    shop = company(facts)
    workspace = shop.workspace
    found = periods_of(shop, date(2026, 1, 1), date(2026, 4, 1))
    rows = found.table.to_pylist()
    for month, cut_off in enumerate((at("2026-01-01"), at("2026-02-01"), at("2026-03-01"))):
        then = features(workspace.facts(), cut_off, workspace.definition()).table.to_pylist()
        mine = [row for row in rows if row["month"] == month]
        assert [{name: row[name] for name in then[0]} for row in mine] == then
    tickets = {row["month"]: row["tickets_90d"] for row in rows if row["customer_id"] == "cat"}
    assert tickets == {0: None, 1: 0, 2: 1}
    assert [row["period"] for row in rows if row["customer_id"] == "cat"] == [92 // 30, 123 // 30, 151 // 30]


def test_who_was_merged_since_is_lost_with_whom_he_was_merged_into(company: Company) -> None:
    facts = Facts()
    facts.customer("old", recorded_at="2025-01-01")
    facts.customer("old", merged_into="new", recorded_at="2026-02-20")
    facts.customer("new", recorded_at="2026-02-20")
    facts.state("2025-10-01", customer="old")
    facts.state("2026-03-20", customer="old", status="canceled", cancel_actor="customer")
    found = periods_of(company(facts), date(2026, 2, 1), date(2026, 3, 1))
    assert outcomes(found) == {("02", "old"): "voluntary"}


def test_months_without_anybody_are_told_and_stretches_without_a_month_are_refused(company: Company) -> None:
    shop = company(leavers())
    found = periods_of(shop, date(2025, 9, 1), date(2025, 12, 1))
    assert found.empty == (at("2025-09-01"), at("2025-10-01"))
    assert set(found.table.column("month").to_pylist()) == {2}
    with pytest.raises(BadInput, match="no month begins"):
        periods_of(shop, date(2026, 2, 2), date(2026, 2, 28))
    with pytest.raises(BadInput, match="no customer was live"):
        periods_of(shop, date(2025, 1, 1), date(2025, 3, 1))
    with pytest.raises(BadInput, match="horizon"):
        periods_of(shop, date(2026, 1, 1), date(2026, 2, 1), horizon=0)


def test_a_trait_that_was_a_number_until_somebody_wrote_a_word_is_text(company: Company) -> None:
    facts = leavers()
    facts.trait("size", "10", "2025-12-01", customer="cat", number=10.0)
    facts.trait("size", "large", "2026-01-15", customer="cat")
    found = periods_of(company(facts), date(2026, 1, 1), date(2026, 3, 1))
    sizes = [row["trait:size"] for row in found.table.to_pylist() if row["customer_id"] == "cat"]
    assert sizes == ["10", "large"]
    assert next(feature for feature in found.features if feature.name == "trait:size").is_text


# --- traits that know the future ---


def rows_with(name: str, values: list[Any], left: list[bool]) -> tuple[pa.Table, list[Feature]]:
    feature = of_trait(name, isinstance(next(each for each in values if each is not None), str))
    columns = {
        "customer_id": [f"c{i}" for i in range(len(left))],
        "outcome": ["voluntary" if each else "" for each in left],
        "is_whole": [True] * len(left),
        feature.name: values,
    }
    return pa.table(columns), [feature]


def test_a_trait_that_alone_tells_leavers_is_refused_with_the_reason() -> None:
    left = [i % 4 == 0 for i in range(200)]
    rows, traits = rows_with("status", ["closed" if each else "open" for each in left], left)
    assert "AUC of 1.00" in refused(rows, traits)["trait:status"]
    rows, traits = rows_with("balance", [-1.0 if each else float(i) for i, each in enumerate(left)], left)
    assert "AUC of 1.00" in refused(rows, traits)["trait:balance"]


def test_a_trait_that_is_filled_only_for_leavers_is_refused_with_the_reason() -> None:
    left = [i % 4 == 0 for i in range(200)]
    # Of 50 leavers 12 gave a reason: alone its AUC is .62.
    rows, traits = rows_with("reason", ["dear" if each and i < 48 else None for i, each in enumerate(left)], left)
    assert "12 customers, all of whom left" in refused(rows, traits)["trait:reason"]


def test_an_honest_trait_is_kept_even_where_every_customer_has_a_text_of_his_own() -> None:
    rng = np.random.default_rng(3)
    left = (rng.random(400) < 0.25).tolist()
    for name, values in {
        "code": [f"code-{i}" for i in range(400)],
        "region": rng.choice(["north", "south"], 400).tolist(),
        "size": (rng.normal(0, 1, 400) + np.array(left)).tolist(),
        "rare": ["x" if i in (0, 1) else None for i in range(400)],
    }.items():
        rows, traits = rows_with(name, values, left)
        assert refused(rows, traits) == {}


def test_a_refused_trait_is_no_feature_and_the_reason_is_told(company: Company) -> None:
    facts = leavers()
    facts.trait("why", "dear", "2025-12-01", customer="amy")
    shop = company(facts)
    workspace = shop.workspace
    found = features(
        workspace.facts(), at("2026-02-01"), workspace.definition(), refused={"trait:why": "refused: it knows"}
    )
    assert "trait:why" not in found.table.column_names
    assert found.missing["trait:why"] == "refused: it knows"


def test_the_auc_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(5)
    score, left = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.3
    pairs = [(a > b) + 0.5 * (a == b) for a in score[left] for b in score[~left]]
    assert auc(score, left) == pytest.approx(np.mean(pairs), abs=1e-12)


# --- the simulator's company ---


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tenure.Workspace]:
    from tenure.lake.tables import TABLES
    from tenure.simulate.company import Company as Made
    from tenure.simulate.company import simulate

    workspace = tenure.open(tmp_path_factory.mktemp("simulated") / "shop", create=True)
    told: dict[str, list[pa.Table]] = {}
    for name, rows in simulate(Made(customers=600)):
        if name in TABLES:
            told.setdefault(name, []).append(rows)
    loaded = pa.scalar(datetime(2026, 11, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    for name, parts in told.items():
        table = pa.concat_tables(parts)
        assert workspace.lake.append_arrow(
            name, table.append_column("loaded_at", pa.repeat(loaded, table.num_rows)), load_id=name
        )
    yield workspace
    workspace.close()


def test_everybody_who_is_a_customer_is_scored_or_already_leaving(simulated: tenure.Workspace) -> None:
    found = features(simulated.facts("2026-03-31"), at("2026-03-01"), simulated.definition())
    (row,) = simulated.metrics("customers", since="2026-02", known_on="2026-02-28").rows()
    assert found.table.num_rows + found.leaving.num_rows == row["value"]
    assert found.leaving.num_rows > 0


def test_features_of_the_simulated_company_have_values_that_make_sense(simulated: tenure.Workspace) -> None:
    table = features(simulated.facts("2026-03-31"), at("2026-03-01"), simulated.definition()).table
    told = {name: [each for each in table.column(name).to_pylist() if each is not None] for name in table.column_names}
    between = {
        "tenure_days": (0, 4000), "mrr": (0, 1e9), "interval_days": (7, 366), "renewal_days": (0, 366),
        "discount_share": (0, 1), "seats": (1, 10_000), "card_expires_days": (-400, 3000), "active_days_28d": (0, 28),
        "use_trend": (-1, 1), "usual_gap_days": (1, 180), "silent_days": (0, 180), "nps": (0, 10), "csat": (1, 5),
        "ticket_csat": (1, 5), "mrr_change_90d": (-1, 20), "past_due": (0, 1), "paused": (0, 1), "breadth_28d": (0, 50),
        "change_days": (0, 4000), "price_change_in_days": (0, 400), "oldest_open_days": (0, 4000), "seat_use": (0, 50),
    }  # fmt: skip
    for name, (low, high) in between.items():
        assert told[name], name
        assert low <= min(told[name]) <= max(told[name]) <= high, (name, min(told[name]), max(told[name]))
    assert np.mean(told["active_days_28d"]) > 1
    assert set(told["plan"]) > {"team"}


def test_what_precedes_leaving_in_the_simulated_company_is_seen_in_the_features(simulated: tenure.Workspace) -> None:
    found = person_periods(
        simulated.facts("2026-06-30"), simulated.definition(), date(2025, 7, 1), date(2026, 4, 1), horizon=30
    )
    rows = found.table.to_pylist()
    left = np.array([row["outcome"] == "voluntary" for row in rows])
    assert left.sum() > 20
    # The company was made so that who uses little leaves by choice, when the contract is decided on; and whose card
    # fails, or expires, is lost to a failed payment.
    assert auc(-value_of(rows, "use_28d"), left) > 0.55
    assert auc(-value_of(rows, "renewal_days"), left) > 0.55
    dunned = np.array([row["outcome"] == "involuntary" for row in rows])
    assert auc(value_of(rows, "failures_in_a_row"), dunned) > 0.6
    assert refused(found.table, found.features) == {}


def value_of(rows: list[dict[str, Any]], name: str) -> Any:
    return np.array([row[name] for row in rows], dtype=float)
