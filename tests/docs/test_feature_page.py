"""Does the page on features say what the catalogue says?"""

from __future__ import annotations

from tenure.faces.feature_page import table, written
from tenure.predict.features_catalogue import FEATURES
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "explanation" / "features.md"


def test_the_page_holds_the_table_as_the_catalogue_makes_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run `python -m tenure.faces.feature_page docs/explanation/features.md`"


def test_every_feature_is_in_the_table_once() -> None:
    lines = table().splitlines()
    for feature in FEATURES:
        assert sum(line.startswith(f"| `{feature.name}` |") for line in lines) == 1
