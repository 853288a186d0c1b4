"""Tables of texts that people paste or save: rows by column, and which column is meant.

Standard library only.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.spec.errors import Error
from core.spec.labelled import short

MAX_CELL = 10_000_000  # characters
_LISTED = 12


def csv_rows(content: str) -> list[Mapping[str, Any]]:
    """Rows of a CSV by the names in its first line; comma, semicolon or tab, whichever is most.

    Raises `Error` for a line with more or fewer cells than the first.
    """
    head = content.lstrip("\ufeff").split("\n", 1)[0]
    mark = max(",;\t", key=head.count)
    csv.field_size_limit(MAX_CELL)
    try:
        found = list(csv.DictReader(io.StringIO(content.lstrip("\ufeff")), delimiter=mark))
    except csv.Error as fault:
        raise Error(f"not a CSV table: {fault}") from None
    for number, row in enumerate(found, start=2):
        if None in row or any(value is None for value in row.values()):
            wanted = len([key for key in row if key is not None])
            raise Error(
                f"line {number} of the table has not {wanted} cells like its first line; put "
                'texts that hold the separator between quotes (")'
            )
    return list(found)


def json_rows(content: str) -> list[Mapping[str, Any]]:
    """Rows of JSON lines: one object a line, empty lines left out."""
    found: list[Mapping[str, Any]] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise Error(f"line {number} is not JSON; every line is one object") from None
        if not isinstance(row, dict):
            raise Error(f"line {number} is no JSON object with keys and values")
        found.append(row)
    return found


def column(
    columns: Sequence[str], asked: str, usual: Iterable[str], what: str, of: str, option: str
) -> str:
    """The column that is asked for, or the first usual one. Raises `Error` naming those there are.

    what    "column" or "key"; of: what it holds, in words; option: the argument that names it
    """
    there = ", ".join(short(str(one)) for one in columns[:_LISTED])
    if asked:
        if asked not in columns:
            raise Error(f"no {what} {short(asked)} for the {of}; there are {there}")
        return asked
    if found := usual_column(columns, usual):
        return found
    raise Error(f"no {what} for the {of}: there are {there}; say which with {option}=")


def usual_column(columns: Sequence[str], usual: Iterable[str]) -> str:
    """The first usual name among the columns, in any case; "" for none."""
    lower = {str(one).strip().lower(): one for one in reversed(columns)}
    return next((lower[one] for one in usual if one in lower), "")
