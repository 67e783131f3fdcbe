"""Files of facts: read, checked, made comparable, and put into the lake once.

load(lake, "subscriptions", Path("export.csv"), ...) -> LoadReport
safe_cell("=1+1")                                    -> "'=1+1": what we write never runs in a spreadsheet
"""

from __future__ import annotations

from tenure.connect.files.cells import safe_cell
from tenure.connect.files.loading import load
from tenure.connect.files.reports import LoadReport, Reason

__all__ = ["LoadReport", "Reason", "load", "safe_cell"]
