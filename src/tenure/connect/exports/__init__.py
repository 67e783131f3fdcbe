"""A vendor's export is a folder of files: which facts are in it? Mappings are data, shipped here or one's own.

load(lake, "stripe-export", Path("export"), now=...)   -> Loaded: one report for each file and table
mapping("stripe-export")                               -> Mapping: the files, the columns, the facts, the sources
"""

from __future__ import annotations

from tenure.connect.exports.loading import Loaded, load
from tenure.connect.exports.mapping import Mapping, mapping, names

__all__ = ["Loaded", "Mapping", "load", "mapping", "names"]
