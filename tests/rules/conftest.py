"""What the tests of the rules share: a company whose story is told in the test, opened as a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reference.builder import Company, Facts, Shop, open_company
from tests.rules.test_definition_cases import fixture_a


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Answers a workspace that holds the facts, looked at long after the story unless told otherwise."""
    opened: list[Shop] = []

    def build(facts: Facts, **settings: Any) -> Shop:
        opened.append(open_company(tmp_path / f"shop-{len(opened)}", facts, **settings))
        return opened[-1]

    yield build
    for shop in opened:
        shop.close()


@pytest.fixture(scope="session")
def june(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Fixture A in a workspace."""
    shop = open_company(tmp_path_factory.mktemp("fixture-a") / "shop", fixture_a())
    yield shop
    shop.close()
