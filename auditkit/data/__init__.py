"""Test data: shipped, published or yours, by name or by path."""

from auditkit.data.catalog import Entry, cache_folder, entries, fetch, find, locate, root, verified
from auditkit.data.reading import load
from auditkit.data.types import (
    BBQItem,
    ContextAssociation,
    CoreferenceItem,
    Dataset,
    Direction,
    Occupation,
    Pair,
    WeatTest,
    WinogenderItem,
    WordSets,
)

__all__ = [
    "BBQItem",
    "ContextAssociation",
    "CoreferenceItem",
    "Dataset",
    "Direction",
    "Entry",
    "Occupation",
    "Pair",
    "WeatTest",
    "WinogenderItem",
    "WordSets",
    "cache_folder",
    "entries",
    "fetch",
    "find",
    "load",
    "locate",
    "root",
    "verified",
]
