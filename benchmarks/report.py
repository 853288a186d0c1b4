"""What a benchmark found: every raw sample, and the table made from them."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

RESULTS = Path(__file__).parent / "results"
SPREAD_LIMIT = 0.10


@dataclass(frozen=True)
class Row:
    """One candidate under one condition.

    Samples are milliseconds. `cpu_ms` is processor time over all threads, () where it does not
    apply; `wall_ms` is elapsed time, () where it was refused because the machine was busy.
    `against` names the row of the same group this one is compared with.
    """

    group: str
    name: str
    cpu_ms: tuple[float, ...] = ()
    wall_ms: tuple[float, ...] = ()
    against: str = ""
    bar: str = ""  # what was aimed at, in words


@dataclass(frozen=True)
class Report:
    """A benchmark's samples with everything needed to judge them."""

    benchmark: str
    machine: str
    versions: dict[str, str]
    conditions: dict[str, Any]
    rows: tuple[Row, ...]

    def save(self) -> Path:
        path = RESULTS / f"{self.benchmark}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path

    @classmethod
    def open(cls, path: Path) -> Self:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(_row(row) for row in plain.pop("rows"))
        return cls(**plain, rows=rows)


def _row(plain: dict[str, Any]) -> Row:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
    return Row(**values)


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of the samples do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


def spread(samples: Sequence[float]) -> float:
    """How far the median lies above the minimum, as a share of the minimum."""
    return statistics.median(samples) / min(samples) - 1


def table(report: Report) -> str:
    """The report as Markdown: times in ms, minimum / median, and p95 where it is asked for."""
    compared = any(row.against for row in report.rows)
    head = ["", "", "CPU min / median", "wall min / median / p95"]
    head += ["against"] * compared + ["bar"]
    lines = [_cells(head), _cells(["---"] * len(head))]
    lines += [_cells(_line(report, row, compared)) for row in report.rows]
    told = " · ".join(f"{key}: {value}" for key, value in report.conditions.items())
    packages = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    return "\n".join([*lines, "", f"{report.machine}. {packages}. {told}. Times in ms."])


def _line(report: Report, row: Row, compared: bool) -> list[str]:
    cells = [row.group, row.name, _times(row.cpu_ms, False), _times(row.wall_ms, True)]
    return cells + [_ratio(report, row)] * compared + [row.bar]


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _times(samples: Sequence[float], tail: bool) -> str:
    if not samples:
        return "–"
    shown = [min(samples), statistics.median(samples)] + [quantile(samples, 0.95)] * tail
    return " / ".join(f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in shown)


def _ratio(report: Report, row: Row) -> str:
    """Minimum processor time over that of the row it is compared with."""
    others = [each for each in report.rows if (each.group, each.name) == (row.group, row.against)]
    if not others or not row.cpu_ms:
        return ""
    return f"{min(row.cpu_ms) / min(others[0].cpu_ms):.3f} × {row.against}"
