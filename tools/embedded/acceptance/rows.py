"""One line of the acceptance table: what was measured, what was found, what was asked."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass, field

COMPARE = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Row:
    """`must` and `aim` are goals like (">=", 0.97), one goal for all values or one per value."""

    number: int
    what: str
    values: dict[str, float | bool]
    must: dict[str, tuple[str, float]] = field(default_factory=dict)
    aim: dict[str, tuple[str, float]] = field(default_factory=dict)
    note: str = ""

    def missed(self, goals: dict[str, tuple[str, float]]) -> list[str]:
        """Goals that the values do not reach, as sentences."""
        found = []
        for name, (sign, goal) in goals.items():
            value = float(self.values[name])
            if not COMPARE[sign](round(value, 4), goal):
                found.append(f"{name} {value:.3f}, asked {sign} {goal:g}")
        return found

    @property
    def verdict(self) -> str:
        if self.missed(self.must):
            return "missed"
        return (
            "below aim"
            if self.missed(self.aim)
            else ("reached" if self.must or self.aim else "reported")
        )

    def line(self) -> str:
        """As one row of a Markdown table."""
        values = "; ".join(f"{name} {format_value(value)}" for name, value in self.values.items())
        goals = [f"must {name} {sign} {goal:g}" for name, (sign, goal) in self.must.items()]
        goals += [f"aim {name} {sign} {goal:g}" for name, (sign, goal) in self.aim.items()]
        asked = "; ".join(goals) or "report"
        remark = f"{self.verdict}{'. ' + self.note if self.note else ''}"
        return f"| {self.number} | {self.what} | {values} | {asked} | {remark} |"

    def plain(self) -> dict:
        return asdict(self) | {"verdict": self.verdict}


def format_value(value: float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def table(rows: list[Row]) -> str:
    head = "| # | measurement | value | asked | result |\n|---|---|---|---|---|\n"
    return head + "\n".join(row.line() for row in rows) + "\n"
