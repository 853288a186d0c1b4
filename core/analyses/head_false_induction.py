"""Heads that follow wrong examples: what the last token looks at, and the answer without them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, batches, log_probabilities
from core.corpus.demonstrations import MOST, Asked, demonstrations
from core.engine.last_rows import last_rows
from core.engine.loss import refuse_without_next_tokens
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.head_false_induction import HeadFalseInduction
from core.spec.errors import Error
from core.spec.interventions import Ablate, Intervention
from core.spec.site import Site

N_PROMPTS = 24
K = 5
N_RANDOM = 5
Heads = Sequence[tuple[int, int]]


def head_false_induction(
    loaded: Loaded,
    progress: Progress,
    *,
    source: str = "categories",
    n_prompts: int = N_PROMPTS,
    n_examples: int = MOST,
    k: int = K,
    seed: int = 0,
) -> HeadFalseInduction:
    """Prefix matching on wrong labels, and the accuracy that comes back without the best heads.

    After "Overthinking the Truth" (2023). Every class of the examples has the label of another
    one; a head that matches the question to examples of its class finds the wrong answer.

    source    "categories" (things and their kind) or "random" (words that stand for both)
    k         heads silenced at the last token, chosen on half of the prompts and tried on the
              other half; 0 for none

    Raises `Error` for models that do not continue a text, and as `core.corpus.demonstrations`.
    """
    refuse_without_next_tokens(loaded, "following examples")
    _whole_numbers(n_prompts=(n_prompts, 2, 500), n_examples=(n_examples, 4, 100), k=(k, 0, 100))
    asked = demonstrations(loaded, source, n_prompts, n_examples, seed)
    n = len(asked.asked)
    seen: list[dict[str, np.ndarray]] = []
    for number, one in enumerate(asked.asked):
        progress.step((0.4 if k else 1.0) * number / n, f"prompt {number + 1} of {n}")
        seen.append(_looked(loaded, progress, one))
    mean = {name: np.mean([each[name] for each in seen], axis=0) for name in seen[0]}
    half = max(1, n // 2)
    rank = np.mean([each["score"] for each in seen[:half]], axis=0)
    chosen = _best(rank, k)
    tested = asked.asked[half:] or asked.asked
    tried = _tried(loaded, progress, tested, chosen, rank.shape, seed) if len(chosen) else {}
    none = np.zeros(0)
    return HeadFalseInduction(
        request={},
        source=source,
        names=asked.names,
        n_examples=asked.n_examples,
        n_classes=asked.n_classes,
        n_prompts=n,
        n_chosen_on=half,
        n_tested=len(tested) if len(chosen) else 0,
        n_random=N_RANDOM if len(chosen) else 0,
        **mean,
        chosen=np.array(chosen, dtype="int64").reshape(-1, 2),
        accuracy_true=tried.get("accuracy_true", none),
        accuracy_false=tried.get("accuracy_false", none),
        margin_true=tried.get("margin_true", none),
        margin_false=tried.get("margin_false", none),
    )


def _whole_numbers(**given: tuple[Any, int, int]) -> None:
    for name, (value, least, most) in given.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= most:
            raise Error(f"{name} must be a whole number from {least} to {most}, not {value!r:.40}")


def _looked(loaded: Loaded, progress: Progress, one: Asked) -> dict[str, np.ndarray]:
    """score, control, mass [layer, head] of one question."""
    found: dict[str, list[Tensor]] = {"false": [], "shuffled": [], "mass": []}
    for kind in ("false", "shuffled"):
        said = torch.tensor(one.shown[kind])

        def take(_: int, weights: Tensor, kind: str = kind, said: Tensor = said) -> None:
            on = weights[:, -1, list(one.places)].cpu()  # [head, example]
            found[kind].append(matching(on, said == one.false, len(one.labels)))
            if kind == "false":
                found["mass"].append(on.sum(-1))

        last_rows(loaded, rows(loaded, [one.ids[kind]]), 1, take, progress.check)
    arrays = {name: torch.stack(parts).numpy() for name, parts in found.items()}
    return {"score": arrays["false"], "control": arrays["shuffled"], "mass": arrays["mass"]}


def matching(on: Tensor, same: Tensor, n_classes: int) -> Tensor:
    """Attention to labels that are the same, less the mean of that to each other label, [head].

    on [head, example] attention to each label, same [example] bool.
    """
    other = (~same).to(on)
    return on @ same.to(on) - on @ other / (n_classes - 1)


def _best(rank: np.ndarray, k: int) -> list[tuple[int, int]]:
    """(layer, head) of the k highest; fewer where not as many others are left to compare with."""
    order = np.argsort(-rank, axis=None, kind="stable")[: min(k, rank.size // 2)]
    return [(int(at) // rank.shape[1], int(at) % rank.shape[1]) for at in order]


def _tried(
    loaded: Loaded,
    progress: Progress,
    tested: Sequence[Asked],
    chosen: Heads,
    shape: tuple[int, ...],
    seed: int,
) -> dict[str, np.ndarray]:
    """Accuracies and margins [condition] of the questions, by the names of the result."""
    others = [place for place in np.ndindex(*shape) if place not in set(chosen)]
    random = np.random.default_rng(seed)
    groups: list[Heads] = [chosen]
    for _ in range(N_RANDOM):
        drawn = random.choice(len(others), len(chosen), replace=False)
        groups.append([(others[at][0], others[at][1]) for at in drawn])
    found: dict[str, list[np.ndarray]] = {}
    for number, one in enumerate(tested):
        progress.step(0.4 + 0.6 * number / len(tested), "without the heads, and without others")
        for kind in ("true", "false"):
            right, margin = _answers(loaded, progress, one, kind, groups)
            found.setdefault(f"accuracy_{kind}", []).append(right)
            found.setdefault(f"margin_{kind}", []).append(margin)
    return {name: np.mean(parts, axis=0) for name, parts in found.items()}


def _answers(
    loaded: Loaded, progress: Progress, one: Asked, kind: str, groups: Sequence[Heads]
) -> tuple[np.ndarray, np.ndarray]:
    """(right answer, margin) [condition] of one prompt, the answer being one of its labels."""
    ids = one.ids[kind]
    last = len(ids) - 1
    changes: list[list[Intervention]] = [[]]
    changes += [
        [Ablate(Site(layer, "head", head), where=str(last)) for layer, head in group]
        for group in groups
    ]
    parts = batches(loaded, rows(loaded, [ids]), changes, logits=[last], check=progress.check)
    log_p = torch.cat([log_probabilities(each[:, -1])[:, list(one.labels)].cpu() for each in parts])
    right = (log_p.argmax(-1) == one.true).float()
    return right.numpy(), (log_p[:, one.true] - log_p[:, one.false]).numpy()
