"""Is the circle of a cycle's names what the model adds with? Move it, and see which answer comes.

After Engels et al. 2024, "Not All Language Model Features Are Linear".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from core.analyses import circles
from core.analyses.clouds import components, unit
from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.analyses.states import stream_sites
from core.corpus.cyclic_tasks import CyclicTask, cyclic_task
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.models.words import in_text
from core.results.circle_patch import CirclePatch
from core.spec.errors import Error
from core.spec.interventions import Add
from core.spec.site import Site

K = 5
N_PAIRS, MOST_PAIRS = 96, 4_000
LEAST_RIGHT = 4  # prompts answered right, without which nothing can be turned round
N_DRAWS = 500
MOST_ORDERS = 1_000
CONDITIONS = ("clean", "whole state", "components", "circle", "random plane", "mean")


def circle_patch(
    loaded: Loaded,
    progress: Progress,
    *,
    task: Any = "weekdays",
    turns: Sequence[int] = (1,),
    n_pairs: int = N_PAIRS,
    k: int = K,
    seed: int = 0,
) -> CirclePatch:
    """Adding on a cycle: how well the model does it, and what parts of the name's state do.

    task     "weekdays", "months", "embedded: days" ..., or a table of names, steps and template
    turns    circles that are moved together: (1,) goes round once with the names, (1, 3) that
             and the one that goes round three times
    n_pairs  prompts with another name put in, at each depth
    """
    one = cyclic_task(task)
    turns, k = _checked(loaded, one, turns, n_pairs, k)
    asked = _read(loaded, progress, one)
    pairs = _pairs(asked, n_pairs, seed)
    made = []
    sites = _sites(loaded)
    for row, site in enumerate(sites[:-1]):  # behind the last block nothing else reads the name
        progress.step(0.3 + 0.7 * row / len(sites), f"patches at row {row}")
        made.append(_patched(loaded, progress, asked, site, row, pairs, (turns, k, seed)))
    found = {name: np.stack([part[name] for part in made]) for name in made[0]}
    return _result(asked, found, turns, k, seed, len(pairs))


def _checked(
    loaded: Loaded, one: CyclicTask, turns: Any, n_pairs: Any, k: Any
) -> tuple[tuple[int, ...], int]:
    if loaded.head is None or loaded.kind != "decoder":
        raise Error(f"{loaded.name} does not continue a text, so it cannot be asked to add")
    turns = (turns,) if isinstance(turns, int) else tuple(turns)
    p = len(one.names)
    if not turns or not all(isinstance(each, int) and 1 <= each <= p // 2 for each in turns):
        raise Error(f"turns= are whole numbers from 1 to {p // 2}, half of the names")
    if not isinstance(n_pairs, int) or not 8 <= n_pairs <= MOST_PAIRS:
        raise Error(f"n_pairs is a whole number from 8 to {MOST_PAIRS:,}, not {str(n_pairs)[:20]}")
    if not isinstance(k, int) or not 2 * len(turns) <= k <= p - 2:
        raise Error(
            f"k= is a whole number from {2 * len(turns)} to {p - 2} for {p} names and "
            f"{len(turns)} circles"
        )
    return tuple(dict.fromkeys(turns)), k


@dataclass(frozen=True)
class _Asked:
    """Every prompt of a task, [name, step] flattened, as the model answers it."""

    task: CyclicTask
    ids: list[list[int]]
    at: list[int]  # the last token of the name
    answers: list[int]  # first token of every name
    logits: np.ndarray  # [prompt, name]
    best: np.ndarray  # [prompt] best token of all
    name_state: np.ndarray  # [row, prompt, d] at the name
    last_state: np.ndarray  # [row, prompt, d] at the last token

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.task.names), len(self.task.steps)

    @property
    def truth(self) -> np.ndarray:
        """[prompt] number of the right name."""
        p, q = self.shape
        return np.array([self.task.answer(a, b) for a in range(p) for b in range(q)])

    @property
    def right(self) -> np.ndarray:
        """[prompt] is the best name the right one?"""
        found: np.ndarray = self.logits.argmax(axis=1) == self.truth
        return found


def _sites(loaded: Loaded) -> list[Site]:
    every = stream_sites(loaded)
    return [replace(every[0], component="resid_pre"), *every]


def _read(loaded: Loaded, progress: Progress, one: CyclicTask) -> _Asked:
    p, q = len(one.names), len(one.steps)
    texts = [(one.prompt(a, b), one.before(a, b)) for a in range(p) for b in range(q)]
    ids = [encode(loaded, text) for text, _ in texts]
    at = [_end(loaded, text, front, own) for (text, front), own in zip(texts, ids, strict=True)]
    answers = _answers(loaded, one)
    sites = _sites(loaded)
    logits, best = [], []
    named: list[np.ndarray] = []
    last: list[np.ndarray] = []
    for part in _parts(ids):
        progress.step(0.3 * part.start / len(ids), "prompts as they are")
        own = ids[part.start : part.stop]
        seen = run(loaded, rows(loaded, own), read=sites, logits="last", check=progress.check)
        assert seen.logits is not None
        final = seen.logits[:, -1].float().cpu()
        logits.append(final[:, answers].double().numpy())
        best.append(final.argmax(dim=1).numpy())
        row = torch.arange(len(own))
        ends = torch.tensor([len(each) - 1 for each in own])
        for kept, places in ((named, torch.tensor(at[part.start : part.stop])), (last, ends)):
            states = [seen.values[site].cpu()[row, places].double().numpy() for site in sites]
            kept.append(np.stack(states))
    return _Asked(
        one, ids, at, answers, np.concatenate(logits), np.concatenate(best),
        np.concatenate(named, axis=1), np.concatenate(last, axis=1),
    )  # fmt: skip


def _parts(ids: Sequence[Sequence[int]]) -> list[range]:
    size = max(1, TOKENS_AT_ONCE // max(map(len, ids)))
    return [range(start, min(len(ids), start + size)) for start in range(0, len(ids), size)]


def _end(loaded: Loaded, text: str, front: str, ids: list[int]) -> int:
    """The place of the last token of the name."""
    before = encode(loaded, front)
    if ids[: len(before)] != before:
        raise Error(f"the tokens of {text[:60]!r} do not show where its name ends; reword it")
    return len(before) - 1


def _answers(loaded: Loaded, one: CyclicTask) -> list[int]:
    ids = [in_text(loaded, name) for name in one.names]
    first = [each[0] if each else -1 for each in ids]
    if min(first) < 0 or len(set(first)) < len(first):
        raise Error(
            f"the {len(first)} names of {one.name} begin with {len(set(first))} different tokens "
            f"for {loaded.name}, so an answer cannot be told from the next token"
        )
    return first


def _pairs(asked: _Asked, n: int, seed: int) -> np.ndarray:
    """[pair, 2] prompts that are answered right, and another name for each, at random."""
    right = np.flatnonzero(asked.right)
    if len(right) < LEAST_RIGHT:
        raise Error(
            f"the model cannot do {asked.task.name}: {len(right)} of {len(asked.ids)} prompts are "
            "answered with the right name, so there is nothing to turn round"
        )
    p, q = asked.shape
    every = np.array([(prompt, a) for prompt in right for a in range(p) if a != prompt // q])
    rng = np.random.default_rng(seed)
    found: np.ndarray = every[np.sort(rng.permutation(len(every))[:n])]
    return found


def _patched(
    loaded: Loaded,
    progress: Progress,
    asked: _Asked,
    site: Site,
    row: int,
    pairs: np.ndarray,
    options: tuple[tuple[int, ...], int, int],
) -> dict[str, Any]:
    """What every condition does at one depth."""
    q = asked.shape[1]
    state = asked.name_state[row]
    put = replacements(state, pairs, q, *options)
    difference, answered = [], []
    truth, step = asked.truth[pairs[:, 0]], pairs[:, 0] % q
    new = np.array(
        [asked.task.answer(int(a), int(b)) for a, b in zip(pairs[:, 1], step, strict=True)]
    )
    for name in CONDITIONS:
        if name == "clean":
            logits = asked.logits[pairs[:, 0]]
        else:
            moved = put[name] - state[pairs[:, 0]]
            logits = _run(loaded, progress, asked, site, pairs[:, 0], moved)
        each = np.arange(len(pairs))
        difference.append(logits[each, truth] - logits[each, new])
        answered.append(logits.argmax(axis=1) == new)
    return _summed(np.array(difference), np.array(answered), options[2]) | _errors(
        asked, row, options
    )


def replacements(
    state: np.ndarray, pairs: np.ndarray, q: int, turns: tuple[int, ...], k: int, seed: int
) -> dict[str, np.ndarray]:
    """What stands in for the state of each pair, [pair, d], by condition.

    state  [prompt, d], prompt = name x q + step

    Everything but "whole state" is the mean state plus one part: the k components of the other
    prompt's state, the fitted circle at the new name's angle, or as far along a random plane.
    """
    p = len(state) // q
    means = state.reshape(p, q, -1).mean(axis=1)
    middle = means.mean(axis=0)
    targets = np.concatenate([circles.on_circle(np.arange(p) * each, p) for each in turns], axis=1)
    fit = circles.fitted(means, targets, k)
    axes = components(means - middle, k)
    prompt, name = pairs.T
    other = state[name * q + prompt % q]
    moved = targets[name] @ fit.writes
    rng = np.random.default_rng((seed, 5))
    random = unit(rng.normal(size=moved.shape)) * np.linalg.norm(moved, axis=1, keepdims=True)
    return {
        "whole state": other,
        "components": middle + (other - middle) @ axes.T @ axes,
        "circle": middle + moved,
        "random plane": middle + random,
        "mean": np.broadcast_to(middle, moved.shape),
    }


def _run(
    loaded: Loaded,
    progress: Progress,
    asked: _Asked,
    site: Site,
    prompts: np.ndarray,
    moved: np.ndarray,
) -> np.ndarray:
    """[pair, name] logits with the name's state moved."""
    ids = [asked.ids[prompt] for prompt in prompts]
    found = []
    for part in _parts(ids):
        change = [
            [Add(replace(site, position=asked.at[prompts[at]]), tuple(moved[at].tolist()))]
            for at in part
        ]
        batch = rows(loaded, ids[part.start : part.stop])
        seen = run(loaded, batch, change=change, logits="last", check=progress.check)
        assert seen.logits is not None
        found.append(seen.logits[:, -1, asked.answers].double().cpu().numpy())
    return np.concatenate(found)


def _summed(difference: np.ndarray, answered: np.ndarray, seed: int) -> dict[str, Any]:
    n = difference.shape[1]
    draw = np.random.default_rng((seed, 6)).integers(n, size=(N_DRAWS, n))
    drawn = difference[:, draw].mean(axis=2)
    return {
        "difference": difference.mean(axis=1),
        "difference_low": np.quantile(drawn, 0.025, axis=1),
        "difference_high": np.quantile(drawn, 0.975, axis=1),
        "answered": answered.mean(axis=1),
    }


def _errors(asked: _Asked, row: int, options: tuple[tuple[int, ...], int, int]) -> dict[str, float]:
    """Held-out angular errors of the names and of the answers, with 5 % of other orders."""
    p, q = asked.shape
    names = asked.name_state[row].reshape(p, q, -1).mean(axis=1)
    last = asked.last_state[row]
    answers = np.full_like(names, np.nan)
    for number in np.unique(asked.truth):  # not every name need be an answer
        answers[number] = last[asked.truth == number].mean(axis=0)
    error, low = _held_out(names, options)
    answer_error, answer_low = _held_out(answers, options)
    return {
        "error": error,
        "error_low": low,
        "answer_error": answer_error,
        "answer_low": answer_low,
    }


def _held_out(means: np.ndarray, options: tuple[tuple[int, ...], int, int]) -> tuple[float, float]:
    """(error, 5 % of other orders) of class means [name, d]; NaN where some are missing."""
    (turns, k, seed), p = options, len(means)
    if not np.isfinite(means).all() or not np.ptp(means, axis=0).any():
        return float("nan"), float("nan")
    targets = circles.on_circle(np.arange(p) * turns[0], p)
    hat = circles.hats(means, k, intercept=False)
    order = circles.orders(p, seed, cyclic=True, most=MOST_ORDERS)[0]
    other = circles.permuted_errors(hat, targets, order, circles.angular_error)
    own = circles.angular_error(hat @ targets, targets)
    return float(own), float(np.quantile(other, 0.05))


def _result(
    asked: _Asked,
    found: dict[str, np.ndarray],
    turns: tuple[int, ...],
    k: int,
    seed: int,
    n_pairs: int,
) -> CirclePatch:
    one, right = asked.task, asked.right.reshape(asked.shape)
    tokens = np.array(asked.answers)[asked.truth]
    return CirclePatch(
        request={},
        task=one.name,
        about=one.about,
        template=one.template,
        example=one.prompt(0, 0),
        names=one.names,
        steps=tuple(text for text, _ in one.steps),
        conditions=CONDITIONS,
        turns=turns,
        k=k,
        seed=seed,
        n_prompts=len(asked.ids),
        n_right=int(right.sum()),
        n_pairs=n_pairs,
        accuracy=float((asked.best == tokens).mean()),
        accuracy_among=float(right.mean()),
        step_accuracy=right.mean(axis=0),
        right=right,
        **found,
    )
