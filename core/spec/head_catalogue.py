"""Types of attention heads that papers describe, with the test that would show each: plain data."""

import json
from dataclasses import dataclass
from functools import lru_cache

from core.home import ASSETS

FILE = ASSETS / "heads" / "catalogue.json"
STAGES = ("recall", "identification", "reasoning", "expression")


@dataclass(frozen=True, slots=True)
class HeadType:
    """One type: what it means, the stage of the survey, the test, and which label tests it.

    `tested_by` is the label of `head_types` whose rule is this test, "" where none is run;
    `paper_checked` False: named in the survey, and which paper it comes from not checked.
    """

    type: str
    stage: str
    meaning: str
    test: str
    tested_by: str
    paper: str
    models: str
    paper_checked: bool


@lru_cache(maxsize=1)
def catalogue() -> tuple[HeadType, ...]:
    """Every type, stage by stage."""
    found = json.loads(FILE.read_text(encoding="utf-8"))["heads"]
    return tuple(HeadType(**entry) for entry in found)


@lru_cache(maxsize=1)
def stage_names() -> dict[str, str]:
    """Stage -> its name in the survey."""
    names: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))["stages"]
    return names


def stage_of(label: str) -> str:
    """The stage of a label of `head_types`, "" for one that no type of the catalogue tests."""
    return next((each.stage for each in catalogue() if each.tested_by == label), "")
