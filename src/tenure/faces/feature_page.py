"""What does each feature mean? The table of docs/explanation/features.md, made from the catalogue itself.

python -m tenure.faces.feature_page docs/explanation/features.md    writes the table between its two marks
"""

from __future__ import annotations

import sys
from pathlib import Path

from tenure.predict.features_catalogue import FEATURES, GROUPS

BEGINS = "<!-- Made by tenure.faces.feature_page; change the catalogue, not this table. -->"
ENDS = "<!-- The table ends here. -->"
_MAY_ONLY = {1: "raise", -1: "lower", 0: ""}


def table() -> str:
    """Every feature by group: name, unit, definition, the facts it needs, what more of it may do, its sentence."""
    lines = []
    for group, (said, _) in GROUPS.items():
        mine = [feature for feature in FEATURES if feature.group == group]
        if not mine:
            continue
        lines += [f"### {said[0].upper()}{said[1:]}", ""]
        lines += [
            "| feature | unit | what it is | needs | more of it may only | in words |",
            "|---|---|---|---|---|---|",
        ]
        for each in mine:
            needs = ", ".join(f"`{need}`" for need in each.needs)
            shown = dict.fromkeys((each.name, *(name for _, name in each.also)), "…")
            words = each.sentence("en", shown)
            lines.append(
                f"| `{each.name}` | {each.unit} | {each.definition} | {needs} | {_MAY_ONLY[each.direction]} | {words} |"
            )
        lines.append("")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with the table as it is now."""
    before, rest = page.split(BEGINS, 1)
    after = rest.split(ENDS, 1)[1]
    return f"{before}{BEGINS}\n\n{table()}\n{ENDS}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
