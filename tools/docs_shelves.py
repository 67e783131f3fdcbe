"""The order of the shelves in the documentation's side bar; mkdocs itself would sort them by name.

A hook of mkdocs (see mkdocs.yml): pages keep their order within a shelf, with a shelf's index first.
"""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import Files
from mkdocs.utils import nest_paths

SHELVES = ("", "tutorial", "how-to", "explanation", "reference", "decisions")


def on_files(files: Files, config: Any) -> None:
    """Lists every page in the navigation, sorted by shelf; a folder that is no shelf comes last."""

    def place(page: str) -> tuple[int, str, bool, str]:
        folder, _, name = page.rpartition("/")
        shelf = folder.split("/")[0]
        return (SHELVES.index(shelf) if shelf in SHELVES else len(SHELVES), folder, name != "index.md", name)

    config["nav"] = nest_paths(sorted((file.src_uri for file in files.documentation_pages()), key=place))
