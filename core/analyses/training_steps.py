"""At which step of training a checkpoint was written, from what lies beside its weights."""

import json
import re
from pathlib import Path

MOST_BYTES = 50_000_000


def step_of(folder: Path, name: str) -> float:
    """The step, NaN where nothing says it.

    training.json ("step"), the transformers trainer's trainer_state.json ("global_step"), the
    last point of history.json ("curve"), else the number at the end of the name.
    """
    for file, read in (
        ("training.json", lambda plain: plain["step"]),
        ("trainer_state.json", lambda plain: plain["global_step"]),
        ("history.json", lambda plain: plain["curve"][-1]["step"]),
    ):
        try:
            path = folder / file
            if path.stat().st_size <= MOST_BYTES:
                step = float(read(json.loads(path.read_text(encoding="utf-8"))))
                if 0 <= step < float("inf"):
                    return step
        except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
            continue
    number = re.search(r"(\d{1,12})$", name)
    return float(number.group(1)) if number else float("nan")
