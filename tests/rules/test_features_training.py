"""Can a model be made of a company's facts, and does it know who leaves in months that it has not seen?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

import tenure
from tenure.errors import CannotFit
from tenure.predict.features_periods import person_periods
from tenure.predict.features_refused import auc
from tenure.predict.features_training import Trained, matrix, train
from tests.reference.builder import Company, Facts

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tenure.Workspace]:
    from tenure.lake.tables import TABLES
    from tenure.simulate.company import Company as Made
    from tenure.simulate.company import simulate

    workspace = tenure.open(tmp_path_factory.mktemp("training") / "shop", create=True)
    told: dict[str, list[pa.Table]] = {}
    for name, rows in simulate(Made(customers=1_500)):
        if name in TABLES:
            told.setdefault(name, []).append(rows)
    loaded = pa.scalar(datetime(2026, 11, 1, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    for name, parts in told.items():
        table = pa.concat_tables(parts)
        table = table.append_column("loaded_at", pa.repeat(loaded, table.num_rows))
        assert workspace.lake.append_arrow(name, table, load_id=name)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def trained(simulated: tenure.Workspace) -> Trained:
    # What was known before 2026: nothing of the months that it is judged on.
    return train(
        simulated.facts("2025-12-31"),
        simulated.definition(),
        date(2024, 10, 1),
        date(2025, 12, 1),
        horizon=30,
        threads=1,
    )


def test_a_model_of_the_past_ranks_who_leaves_in_later_months(simulated: tenure.Workspace, trained: Trained) -> None:
    later = person_periods(
        simulated.facts("2026-06-30"), simulated.definition(), date(2026, 1, 1), date(2026, 5, 1), horizon=30
    ).table
    left = np.array([each != "" for each in later.column("outcome").to_pylist()])
    said = trained.model.predict_leaving(matrix(later, trained.features), later.column("period").to_numpy())
    assert left.sum() > 20
    assert auc(said, left) > 0.6
    # In total about as many as it says, with three standard deviations of room.
    assert abs(left.sum() - said.sum()) < 3 * np.sqrt(said.sum()) + 0.35 * said.sum()


def test_scores_are_chances_by_cause_that_add_up(simulated: tenure.Workspace, trained: Trained) -> None:
    scores, told = trained.score(simulated.facts("2025-12-31"), JANUARY, simulated.definition())
    assert scores.column("customer_id").to_pylist() == told.table.column("customer_id").to_pylist()
    total = np.asarray(scores.column("probability"))
    parts = sum(np.asarray(scores.column(cause)) for cause in ("voluntary", "involuntary", "unknown"))
    assert np.allclose(total, parts)
    assert 0 < total.min() < total.max() < 1


def test_the_same_facts_and_seed_make_the_same_model(simulated: tenure.Workspace) -> None:
    one, other = (
        train(simulated.facts("2025-12-31"), simulated.definition(), date(2025, 8, 1), date(2025, 12, 1), threads=1)
        for _ in range(2)
    )
    a, b = (each.score(simulated.facts("2025-12-31"), JANUARY, simulated.definition())[0] for each in (one, other))
    assert a.equals(b)


def test_a_company_too_small_to_learn_from_gets_the_base_rate_and_the_reason(company: Company) -> None:
    facts = Facts()
    for n in range(10):
        facts.state("2025-01-10", customer=f"c{n}", quantity=n + 1)
    asked = {"status": "canceled", "cancel_requested_at": "2025-08-20", "cancel_actor": "customer"}
    facts.state("2025-09-01", customer="c3", **asked)
    shop = company(facts)
    workspace = shop.workspace
    found = train(workspace.facts(), workspace.definition(), date(2025, 6, 1), date(2025, 12, 1))
    assert found.model.chosen_ == "base rate by tenure"
    assert any("only 1 left" in why for why in found.model.why_)
    scores, _ = found.score(workspace.facts(), JANUARY, workspace.definition())
    assert scores.num_rows == 9


def test_without_any_window_that_is_over_nothing_is_learned(company: Company) -> None:
    facts = Facts()
    facts.state("2025-12-10")
    shop = company(facts)
    shop.known_on = "2026-01-10"
    workspace = shop.workspace
    with pytest.raises(CannotFit, match="no window"):
        train(workspace.facts(shop.known_on), workspace.definition(), date(2026, 1, 1), date(2026, 2, 1))
