"""Writes the labelled sets in assets/labelled that are generated: python -m tools.labelled

The others there (see its README) stay as they are, and so do their lines of the index.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

from core.corpus.world.labelled import planted, templated
from core.labelled import FOLDER, INDEX
from core.spec.labelled import LabelledSet


def table(one: LabelledSet) -> str:
    """The set as CSV: text, label, and group and word where it has them."""
    columns: dict[str, Any] = {"text": one.texts, "label": one.labels}
    columns |= {"group": one.groups} if one.groups else {}
    columns |= {"word": one.words} if one.words else {}
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return made.getvalue()


def entry(one: LabelledSet) -> dict[str, Any]:
    """The set's line in the index."""
    return {
        "name": one.name,
        "file": f"{one.name.lower().replace(' ', '_')}.csv",
        "n": len(one.texts),
        "classes": list(one.classes),
        "position": one.position,
        "topic": one.topic,
        "level": one.level,
        "model": one.model,
        "about": one.about,
        "source": one.source,
        "licence": one.licence,
    }


def write(folder: Path) -> None:
    made = (*planted(), *templated())
    rows = [entry(one) for one in made]
    names = {row["name"] for row in rows}
    path = folder / INDEX
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    rows += [row for row in kept if row["name"] not in names]
    for one, row in zip(made, rows, strict=False):
        (folder / row["file"]).write_text(table(one), encoding="utf-8")
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)
