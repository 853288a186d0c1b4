"""Tasks of the packs answered while something stands in for the model's attention."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np

from core.analyses.runs import Progress, log_probabilities
from core.corpus.packs import Case, pack, pack_names
from core.engine import attention
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.errors import Error

# The answer of a task stands in its prompt, or only the weights know it.
IN_CONTEXT = {
    "repeated_tokens": True,
    "needle_in_text": True,
    "facts_against_context": True,
    "facts": False,
    "successions": False,
}
# What stands in for attention on a text of so many tokens; None: nothing.
StandInFor = Callable[[int], attention.StandIn | None]


def task_names(loaded: Loaded, tasks: Sequence[str] | None) -> list[str]:
    """The tasks asked for; without a wish those that fit the model, none for an encoder."""
    if tasks is not None:
        strange = [name for name in tasks if name not in pack_names()]
        if strange or isinstance(tasks, str):
            wrong = str(strange[0] if strange else tasks)[:40]
            raise Error(
                f"no task {wrong!r} in a list of tasks; there are {', '.join(pack_names())}"
            )
        for name in tasks:
            pack(loaded, name)
        return list(tasks)
    found = []
    for name in IN_CONTEXT:
        try:
            pack(loaded, name)
        except Error:
            continue
        found.append(name)
    return found


def task_answers(
    loaded: Loaded,
    progress: Progress,
    names: Sequence[str],
    n_cases: int,
    stand_in: StandInFor = lambda _: None,
) -> tuple[np.ndarray, np.ndarray]:
    """(mean log p of the answer [task], share of first choices [task]) of the first cases."""
    found = []
    for name in names:
        cases = pack(loaded, name).cases[:n_cases]
        found.append(np.mean([_answer(loaded, progress, c, stand_in) for c in cases], axis=0))
    both = np.array(found, dtype=float).reshape(len(names), 2)
    return both[:, 0], both[:, 1]


def _answer(
    loaded: Loaded, progress: Progress, case: Case, stand_in: StandInFor
) -> tuple[float, bool]:
    own = stand_in(len(case.ids))
    with attention.standing_in(own) if own else nullcontext():
        logits = run(loaded, rows(loaded, [case.ids]), logits="last", check=progress.check).logits
    assert logits is not None
    log_p = log_probabilities(logits[0, -1])
    return float(log_p[case.answer]), int(log_p.argmax()) == case.answer
