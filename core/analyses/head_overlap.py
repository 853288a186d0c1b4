"""Heads that tasks share: sets ranked by what ablation costs, chance counted layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, batches, log_probabilities
from core.analyses.shared_neurons import corrected_jaccard, overlaps
from core.corpus.packs import Case, beginning, next_token, pack, pack_names, plain_ids
from core.engine.loss import refuse_without_next_tokens
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.head_overlap import HeadOverlap
from core.spec.errors import Error
from core.spec.interventions import Ablate, Intervention
from core.spec.site import Site

N_CASES = 12
LEAST_CASES = 4
N_RANDOM = 8
SHARE = 0.1


@dataclass(frozen=True)
class Task:
    """Cases that find the heads, and others that are asked again without them."""

    name: str
    cases: tuple[Case, ...]
    held: tuple[Case, ...]
    n_fitting: int
    n_written: int


def head_overlap(
    loaded: Loaded,
    progress: Progress,
    *,
    tasks: Sequence[Any],
    n_cases: int = N_CASES,
    share: float = SHARE,
    to: str = "mean",
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> HeadOverlap:
    """The heads two or more tasks need, what their sets share, and what breaks without those.

    `tasks` are names of task packs, or (name, pairs of prompt and answer). Every head is ablated
    (`to`: "mean", "zero" or "resample") on `n_cases` prompts of each task, one at a time; the
    `share` of all heads with the largest positive mean effect on log p of the answer is the
    task's set. What sets cost together is measured on other cases.
    """
    refuse_without_next_tokens(loaded, "which heads tasks share")
    _refuse(n_cases, share, n_random)
    read = _tasks(loaded, tasks, n_cases)
    whole = 0.7 / len(read)
    each = [
        task_effects(loaded, progress, task, to, seed, whole * number, whole)
        for number, task in enumerate(read)
    ]
    effects, base, right = zip(*each, strict=True)
    sets = torch.stack([_best(effect.mean(0), share) for effect in effects])
    both, expected, p = overlaps(sets)
    jaccard, corrected = _likeness(effects, sets, share)
    silenced = _silenced([task.name for task in read], sets)
    lost = _lost(loaded, progress, read, list(silenced.values()), to, n_random, seed)
    return HeadOverlap(
        request={},
        names=tuple(task.name for task in read),
        n_cases=tuple(len(task.cases) for task in read),
        n_held=tuple(len(task.held) for task in read),
        n_fitting=tuple(task.n_fitting for task in read),
        n_written=tuple(task.n_written for task in read),
        share=float(share),
        to=to,
        n_random=n_random,
        silenced=tuple(silenced),
        base=np.array(base),
        right=np.array(right),
        effect=np.stack([effect.mean(0).numpy() for effect in effects]),
        error=np.stack([(effect.std(0) / len(effect) ** 0.5).numpy() for effect in effects]),
        chosen=sets.numpy(),
        overlap=both,
        expected=expected,
        p=p,
        jaccard=jaccard,
        corrected=corrected,
        silenced_size=np.array([int(one.sum()) for one in silenced.values()]),
        lost=lost,
    )


def _refuse(n_cases: Any, share: Any, n_random: Any) -> None:
    for name, value, least in (("n_cases", n_cases, LEAST_CASES), ("n_random", n_random, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 1_000:
            raise Error(f"{name} must be a whole number from {least} to 1,000, not {value!r:.40}")
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise Error(f"share is the part of all heads in a set, for example 0.1, not {share!r:.40}")


def _tasks(loaded: Loaded, tasks: Sequence[Any], n_cases: int) -> list[Task]:
    if isinstance(tasks, str) or len(tasks) < 2:
        raise Error(f"give two tasks or more: packs ({', '.join(pack_names())}) or own pairs")
    found = [task_cases(loaded, each, n_cases) for each in tasks]
    names = [task.name for task in found]
    if len(set(names)) < len(names):
        raise Error("two of the tasks have the same name; name every task once")
    return found


def task_cases(loaded: Loaded, given: Any, n_cases: int) -> Task:
    """The cases of a pack, or of (name, pairs of prompt and answer). Raises `Error`."""
    if isinstance(given, str):
        found = pack(loaded, given)
        name, cases, written = found.name, found.cases, found.n_written
    else:
        name, cases, written = _own(loaded, given)
    if len(cases) < LEAST_CASES:
        raise Error(
            f"{len(cases)} of the {written} cases of {name} fit {loaded.name}; at least "
            f"{LEAST_CASES} are needed, half of them to test on"
        )
    # Spread over the pack: its cases may be sorted by kind.
    n = min(n_cases, len(cases) // 2)
    chosen = [cases[round(i * (len(cases) - 1) / (2 * n - 1))] for i in range(2 * n)]
    return Task(name, tuple(chosen[::2]), tuple(chosen[1::2]), len(cases), written)


def _own(loaded: Loaded, given: Any) -> tuple[str, tuple[Case, ...], int]:
    """A task of the user's: (name, ((prompt, answer), ...))."""
    try:
        name, pairs = given
        written = [(str(prompt), str(answer)) for prompt, answer in pairs]
    except (TypeError, ValueError):
        raise Error(
            "a task is the name of a pack, or a name with pairs of prompt and answer"
        ) from None
    cases = []
    for prompt, answer in written:
        token = next_token(loaded, prompt, answer if answer[:1] == " " else f" {answer}")
        ids = (*beginning(loaded), *plain_ids(loaded, prompt))
        if token is not None and not (loaded.n_ctx and len(ids) > loaded.n_ctx):
            cases.append(Case(ids, token))
    return str(name)[:60], tuple(cases), len(written)


def _answers(
    loaded: Loaded, progress: Progress, case: Case, changes: Sequence[Sequence[Intervention]]
) -> tuple[Tensor, bool]:
    """(log p of the answer under each list of changes [row], is it the first choice without)."""
    text = rows(loaded, [case.ids])
    at, right = [len(case.ids) - 1], False
    found: list[Tensor] = []
    for logits in batches(loaded, text, changes, logits=at, check=progress.check):
        if not found:
            right = int(logits[0, -1].argmax()) == case.answer
        found.append(log_probabilities(logits[:, -1])[:, case.answer].cpu())
    return torch.cat(found), right


def task_effects(
    loaded: Loaded,
    progress: Progress,
    task: Task,
    to: str,
    seed: int,
    done: float,
    whole: float,
) -> tuple[Tensor, float, float]:
    """(effects [case, layer, head], mean log p of the answer, share of cases right).

    The bar goes from `done` on by `whole`.
    """
    shape = (loaded.n_layers, loaded.n_heads)
    sites = [Site(layer, "head", head) for layer, head in np.ndindex(*shape)]
    base: list[float] = []
    found: list[Tensor] = []
    firsts: list[bool] = []
    for number, case in enumerate(task.cases):
        progress.step(done + whole * number / len(task.cases), f"heads on {task.name}")
        changes: list[list[Intervention]] = [[]]
        changes += [[Ablate(site, to, seed)] for site in sites]  # type: ignore[arg-type]
        log_p, first = _answers(loaded, progress, case, changes)
        base.append(float(log_p[0]))
        found.append((log_p[0] - log_p[1:]).view(shape))
        firsts.append(first)
    return torch.stack(found), float(np.mean(base)), float(np.mean(firsts))


def _best(effect: Tensor, share: float) -> Tensor:
    """The share of heads with the largest effect, those above 0; bool [layer, head]."""
    n = max(1, round(share * effect.numel()))
    least = effect.flatten().topk(n).values[-1]
    return (effect >= least) & (effect > 0)


def _likeness(
    effects: Sequence[Tensor], sets: Tensor, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """(Jaccard, corrected) [task, task]; the diagonal is that of two halves of the own cases."""
    n = len(sets)
    jaccard, corrected = np.ones((n, n)), np.ones((n, n))
    for a, b in np.ndindex(n, n):
        pair = sets[[a, b]]
        if a == b:
            halves = (effects[a][::2].mean(0), effects[a][1::2].mean(0))
            pair = torch.stack([_best(half, share) for half in halves])
        both, chance, _ = overlaps(pair)
        total, common = int(pair.sum()), int(both[0, 1].sum())
        jaccard[a, b] = common / max(total - common, 1)
        corrected[a, b] = corrected_jaccard(both[0, 1], chance[0, 1], total)
    return jaccard, corrected


def _silenced(names: Sequence[str], sets: Tensor) -> dict[str, Tensor]:
    """What all tasks share, and what each has for itself; only sets with a head in them."""
    counts = sets.sum(0)
    chosen = {"shared by all": sets.all(0)}
    chosen |= {f"only {name}": own & (counts == 1) for name, own in zip(names, sets, strict=True)}
    return {name: own for name, own in chosen.items() if own.any()}


def _lost(
    loaded: Loaded,
    progress: Progress,
    tasks: Sequence[Task],
    chosen: Sequence[Tensor],
    to: str,
    n_random: int,
    seed: int,
) -> np.ndarray:
    """Nats lost [silenced, task, 1 + random] on held-out cases, each set silent as a whole."""
    generator = torch.Generator().manual_seed(seed)
    sets = [
        one
        for own in chosen
        for one in (own, *(_random_like(own, generator) for _ in range(n_random)))
    ]
    changes: list[list[Intervention]] = [[]]
    changes += [
        [
            Ablate(Site(int(layer), "head", int(head)), to, seed)  # type: ignore[arg-type]
            for layer, head in torch.nonzero(one).tolist()
        ]
        for one in sets
    ]
    found = []
    for number, task in enumerate(tasks):
        progress.step(0.7 + 0.3 * number / len(tasks), f"{task.name} without sets of heads")
        log_p = torch.stack([_answers(loaded, progress, case, changes)[0] for case in task.held])
        found.append((log_p[:, :1] - log_p[:, 1:]).mean(0).view(len(chosen), 1 + n_random))
    return torch.stack(found, dim=1).numpy()


def _random_like(own: Tensor, generator: torch.Generator) -> Tensor:
    """As many heads in every layer, others as far as there are any."""
    order = torch.rand(own.shape, generator=generator) + own  # those of the set come last
    rank = order.argsort(1).argsort(1)
    return rank < own.sum(1, keepdim=True)
