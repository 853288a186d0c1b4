"""Tasks of adding on a circle: so many days from a day is which day. Plain tables and their texts.

"weekdays" and "months" are written for this project (CC0) in the form of the prompts of Engels et
al. 2024, "Not All Language Model Features Are Linear"; the others are in the words of the text the
embedded models learned from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.corpus.world.words import DAYS, HOURS, MONTHS, NUMBERS
from core.spec.errors import Error

NAME, STEP = "{name}", "{step}"
MOST_NAMES, MOST_STEPS = 60, 60


@dataclass(frozen=True)
class CyclicTask:
    """Prompts that ask for a place on a cycle so many steps away.

    names     the places in order, beginning again behind the last
    steps     (text, steps), backward below zero
    template  a text with {name} and {step}
    """

    name: str
    names: tuple[str, ...]
    steps: tuple[tuple[str, int], ...]
    template: str
    about: str = ""

    def __post_init__(self) -> None:
        if self.template.count(NAME) != 1 or self.template.count(STEP) != 1:
            raise Error(f"a template holds {NAME} and {STEP} once each: {self.template[:60]!r}")
        if not 4 <= len(set(self.names)) == len(self.names) <= MOST_NAMES:
            raise Error(f"a cycle has 4 to {MOST_NAMES} different names, not {len(self.names)}")
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise Error(f"a task has 1 to {MOST_STEPS} steps, not {len(self.steps)}")

    def prompt(self, name: int, step: int) -> str:
        """The text for a place and a step, by number."""
        text = self.template.replace(STEP, self.steps[step][0])
        return text.replace(NAME, self.names[name])

    def before(self, name: int, step: int) -> str:
        """The prompt up to the end of the name."""
        front, _, _ = self.template.partition(NAME)
        return front.replace(STEP, self.steps[step][0]) + self.names[name]

    def answer(self, name: int, step: int) -> int:
        """The number of the place that is right."""
        return (name + self.steps[step][1]) % len(self.names)


def _count(number: int, unit: str) -> str:
    return f"{NUMBERS[number].capitalize()} {unit}{'s' if number > 1 else ''}"


def _from(unit: str, n: int) -> tuple[tuple[str, int], ...]:
    return tuple((_count(step, unit), step) for step in range(1, n + 1))


def _both_ways(unit: str, n: int, after: str, before: str) -> tuple[tuple[str, int], ...]:
    ways = ((after, 1), (before, -1))
    return tuple(
        (f"{_count(step, unit)} {word}", sign * step) for word, sign in ways for step in range(2, n)
    )


_TASKS = (
    CyclicTask(
        "weekdays", DAYS, _from("day", 7),
        f"Let's do some days of the week math. {STEP} from {NAME} is",
        "One to seven days from every weekday.",
    ),
    CyclicTask(
        "months", MONTHS, _from("month", 12),
        f"Let's do some calendar math. {STEP} from {NAME} is",
        "One to twelve months from every month.",
    ),
    CyclicTask(
        "embedded: days", DAYS, _both_ways("day", 7, "after", "before"), f"{STEP} {NAME} is",
        "Two to six days after or before every day, in the words of the embedded models.",
    ),
    CyclicTask(
        "embedded: months", MONTHS, _both_ways("month", 12, "after", "before"), f"{STEP} {NAME} is",
        "Two to eleven months after or before every month, in the words of the embedded models.",
    ),
    CyclicTask(
        "embedded: hours", HOURS, _both_ways("hour", 12, "later it will be", "earlier it was"),
        f"It is {NAME} o'clock. {STEP}",
        "Two to eleven hours later or earlier, in the words of the embedded models.",
    ),
)  # fmt: skip
TASKS: Mapping[str, CyclicTask] = {task.name: task for task in _TASKS}


def cyclic_task(given: Any) -> CyclicTask:
    """A task by name, or from a table of its fields. Raises `Error`."""
    if isinstance(given, CyclicTask):
        return given
    if isinstance(given, str):
        if given not in TASKS:
            raise Error(f"no task of a cycle {given[:40]!r}; there are {', '.join(TASKS)}")
        return TASKS[given]
    try:
        table = dict(given)
        steps = tuple((str(text), int(number)) for text, number in table.pop("steps"))
        names = tuple(map(str, table.pop("names")))
        return CyclicTask(steps=steps, names=names, **{"name": "own task", **table})
    except (TypeError, ValueError, KeyError) as fault:
        if isinstance(fault, Error):
            raise
        raise Error(
            "a task of a cycle is a name, or a table of names, steps as (text, number) and a "
            f"template, not {str(given)[:60]!r}"
        ) from None
