"""What has been written down so far? Rows in the making, column by column, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenure.simulate.chance import Numbers


class Records:
    """Rows of one kind: every `add` brings the same columns, arrays of one length or single values for all its rows."""

    def __init__(self, **types: type) -> None:
        self._types = types
        self._blocks: dict[str, list[Numbers]] = {name: [] for name in types}
        self.count = 0

    def add(self, count: int, **columns: Any) -> None:
        """Append `count` rows. A column that is not given is 0 (False) in all of them."""
        if count == 0:
            return
        if unknown := columns.keys() - self._types.keys():
            raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
        for name, kind in self._types.items():
            value = columns.get(name, 0)
            block: Numbers = np.empty(count, dtype=kind)
            block[...] = value
            self._blocks[name].append(block)
        self.count += count

    def done(self) -> dict[str, Numbers]:
        """The rows as one array per column, in the order they were added."""
        return {
            name: np.concatenate(blocks) if blocks else np.empty(0, dtype=self._types[name])
            for name, blocks in self._blocks.items()
        }
