"""The order of the shelves in the documentation's side bar; mkdocs itself would sort them by name.

A hook of mkdocs (see mkdocs.yml): pages keep their order within a shelf, with a shelf's index first.
"""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import File, Files

SHELVES = ("", "tutorial", "how-to", "explanation", "reference", "decisions")


def on_files(files: Files, config: Any) -> Files:
    """The site's files, sorted by shelf; a folder that is no shelf comes last."""

    def place(file: File) -> tuple[int, str, bool, str]:
        folder, _, name = file.src_uri.rpartition("/")
        shelf = folder.split("/")[0]
        return (SHELVES.index(shelf) if shelf in SHELVES else len(SHELVES), folder, name != "index.md", name)

    return Files(sorted(files, key=place))
