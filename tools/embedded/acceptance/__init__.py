"""The acceptance table: every measurement that a release of the embedded models has to show."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tools.embedded.acceptance import behaviour, circuits, features, geometry, probes, refusal
from tools.embedded.acceptance.rows import Row, table
from tools.embedded.reading import Reader

__all__ = ["Row", "behaviour_rows", "measure", "table"]


def size_row(folder: Path) -> Row:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return Row(34, "size of everything shipped, MB", {"MB": total}, {"MB": ("<=", 60)})


def behaviour_rows(reader: Reader) -> list[Row]:
    return [*behaviour.rows(reader), behaviour.greedy_row(reader)]


def measure(folder: Path) -> list[Row]:
    """The whole table for a model folder, in the order of its numbers; prints each part's time."""
    reader = Reader.open(folder)
    parts = {
        "behaviour": behaviour_rows,
        "circuits": circuits.rows,
        "geometry": geometry.rows,
        "probes": probes.rows,
        "refusal": lambda one: [refusal.row(one)],
    }
    if (folder / "sae").exists():
        parts["features"] = features.rows
    found: list[Row] = []
    for name, part in parts.items():
        began = time.monotonic()
        found += part(reader)
        print(json.dumps({"part": name, "seconds": round(time.monotonic() - began, 1)}), flush=True)
    return sorted([*found, size_row(folder.parent)], key=lambda row: row.number)
