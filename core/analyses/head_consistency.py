"""Concept consistency of heads: the tokens of their strongest channels against lists of words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, batches, log_probabilities
from core.analyses.task_answers import task_names
from core.corpus.packs import pack, words
from core.corpus.sequences import one_token
from core.engine.head_circuits import random_thin, singular
from core.engine.head_probe import head_weights
from core.engine.rows import rows
from core.engine.token_scores import piece_table, vocabulary
from core.home import ASSETS
from core.models.loaded import Loaded
from core.results.head_consistency import HeadConsistency
from core.spec.errors import Error
from core.spec.interventions import Intervention, Scale
from core.spec.site import Site

SIDES = {"write": "unembedding", "read": "embedding"}
N_CHANNELS, N_TOKENS = 5, 20
LEVEL = 1e-3
LEAST_WORDS = 4  # of a list that are tokens
N_DRAWS = 3  # random circuits for each head
N_RANDOM = 4
GROUP = 0.1  # of all heads
FACTORS = (0.5, 0.0)
N_CASES = 8


def head_consistency(
    loaded: Loaded,
    progress: Progress,
    *,
    lists: Sequence[Any] = (),
    side: str = "write",
    tasks: Sequence[str] | None = None,
    n_cases: int = N_CASES,
    seed: int = 0,
) -> HeadConsistency:
    """How many of a head's five strongest channels belong to one list of words, and pruning by it.

    A text-model form, without a judge, of the score of "Pruning the Paradox" (2025). `lists` are
    (name, words) pairs; without any the word sets that ship. `tasks` are packs, answered with the
    most consistent heads scaled to a half and to nothing, and with others; () for none.
    """
    if side not in SIDES:
        raise Error(f"side is {' or '.join(SIDES)}, not {side!r:.40}")
    if not isinstance(n_cases, int) or isinstance(n_cases, bool) or not 1 <= n_cases <= 1_000:
        raise Error(f"n_cases must be a whole number from 1 to 1,000, not {n_cases!r:.40}")
    stack = loaded.prompt_stack
    matrix = vocabulary(loaded, SIDES[side], stack).matrix
    read = _read(loaded, lists)
    sets = _Sets(matrix, read)
    scored: dict[str, list[np.ndarray]] = {}
    n_layers = len(loaded.stacks[stack].blocks)
    for layer in range(n_layers):
        progress.step(0.6 * layer / n_layers, f"channels of layer {layer}")
        for name, value in _layer(loaded, sets, layer, stack, side, seed, progress).items():
            scored.setdefault(name, []).append(value)
    found = {name: np.stack(parts) for name, parts in scored.items()}
    table_ids, table = piece_table(loaded, torch.from_numpy(found["token_ids"]))
    names = task_names(loaded, tasks)
    groups = _groups(found["score"], found["p"], seed)
    return HeadConsistency(
        request={},
        side=side,
        names=tuple(read.names),
        sizes=tuple(int(own.sum()) for own in read.members),
        n_vocabulary=len(read.ids),
        n_channels=found["p"].shape[-1],
        n_tokens=found["token_ids"].shape[-1],
        n_draws=N_DRAWS,
        level=LEVEL,
        tasks=tuple(names),
        n_cases=tuple(min(n_cases, len(pack(loaded, name).cases)) for name in names),
        group_size=len(groups[0]),
        n_random=N_RANDOM,
        **found,
        table_ids=table_ids,
        table=table,
        factors=np.array(FACTORS),
        lost=_lost(loaded, progress, names, n_cases, groups),
    )


@dataclass
class _Words:
    """The whole words of a vocabulary, and which of them are in each list, bool [list, word]."""

    ids: list[int]
    names: list[str]
    members: Tensor


def _read(loaded: Loaded, lists: Sequence[Any]) -> _Words:
    given = _checked(lists) if lists else _shipped()
    ids = words(loaded)
    place = {token: at for at, token in enumerate(ids)}
    names, members = [], []
    for name, own in given:
        inside = torch.zeros(len(ids), dtype=torch.bool)
        for word in own:
            for form in (word, word.lower(), word.capitalize()):
                token = one_token(loaded, form)
                if token in place:
                    inside[place[token]] = True
        if inside.sum() >= LEAST_WORDS:
            names.append(name)
            members.append(inside)
    if not names:
        raise Error(
            f"none of the {len(given)} lists has {LEAST_WORDS} words that are single tokens of "
            f"{loaded.name}; give lists of words it knows"
        )
    return _Words(ids, names, torch.stack(members))


def _checked(lists: Sequence[Any]) -> list[tuple[str, list[str]]]:
    try:
        found = [(str(name), [str(word) for word in own]) for name, own in lists]
    except (TypeError, ValueError):
        raise Error("lists are pairs of a name and its words") from None
    if any(isinstance(own, str) for _, own in lists):
        raise Error("lists are pairs of a name and a list of words")
    return found


def _shipped() -> list[tuple[str, list[str]]]:
    sets = json.loads((ASSETS / "claims" / "world.json").read_text(encoding="utf-8"))["sets"]
    return [(one["name"], one["members"]) for one in sets]


class _Sets:
    """Directions to the tokens they mean most, and how far these are of one list."""

    def __init__(self, matrix: Tensor, read: _Words) -> None:
        own = matrix[read.ids]
        self.rows, self.read = own - own.mean(0), read
        self.n = min(N_TOKENS, len(read.ids) // 4)

    def of(self, directions: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(p, list, token ids [.., token]) of the better sign of each direction [.., d_model]."""
        from scipy.stats import hypergeom  # slow to import

        scores = directions @ self.rows.T  # [.., word]
        both = torch.stack([scores, -scores], dim=-2)
        top = both.topk(self.n, dim=-1).indices  # [.., sign, token]
        members = self.read.members.to(top.device)
        inside = members[:, top].sum(-1).movedim(0, -1).cpu().numpy()  # [.., sign, list]
        sizes = members.sum(-1).cpu().numpy()
        p = hypergeom.sf(inside - 1, len(self.read.ids), sizes, self.n)
        sign, best = np.divmod(p.reshape(*p.shape[:-2], -1).argmin(-1), p.shape[-1])
        ids = torch.tensor(self.read.ids)[top.cpu()].numpy()
        chosen = np.take_along_axis(ids, sign[..., None, None], axis=-2)[..., 0, :]
        return p.min((-2, -1)), best, chosen

    def consistency(self, p: np.ndarray, best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(score, list or -1) [..] of channels [.., channel]."""
        sure = p < LEVEL / (2 * len(self.read.names))
        counts = np.stack([(sure & (best == n)).sum(-1) for n in range(len(self.read.names))], -1)
        score = counts.max(-1)
        return score, np.where(score > 0, counts.argmax(-1), -1)


def _layer(
    loaded: Loaded, sets: _Sets, layer: int, stack: str, side: str, seed: int, progress: Progress
) -> dict[str, np.ndarray]:
    heads = head_weights(loaded, layer, stack)
    own, drawn = [], []
    for head in range(heads.n_heads):
        progress.check()
        v, o = heads.ov(head)
        left, right = random_thin(v, o, N_DRAWS, seed + 1_000 * layer + head)
        own.append(_channels(v, o, side))
        drawn.append(torch.stack([_channels(a, b, side) for a, b in zip(left, right, strict=True)]))
    p, best, ids = sets.of(torch.stack(own))
    score, concept = sets.consistency(p, best)
    control = sets.consistency(*sets.of(torch.stack(drawn))[:2])[0].mean(-1)
    return {
        "score": score,
        "control": control,
        "concept": concept,
        "p": p,
        "best": best,
        "token_ids": ids,
    }


def _channels(v: Tensor, o: Tensor, side: str) -> Tensor:
    """The strongest channels of a circuit, [channel, d_model]: what they write, or read."""
    reads, _, writes = singular(v, o)
    return (writes if side == "write" else reads)[:N_CHANNELS]


def _groups(score: np.ndarray, p: np.ndarray, seed: int) -> list[list[tuple[int, int]]]:
    """Consistent heads, inconsistent ones, and random groups, all of one size."""
    n = max(1, round(GROUP * score.size))
    # Equal scores are told apart by how sure the channels are.
    rank = score + 1e-3 * -np.log10(np.maximum(p, 1e-300)).mean(-1)
    order = [divmod(int(place), score.shape[1]) for place in np.argsort(-rank, axis=None)]
    generator = np.random.default_rng(seed)
    draws = (generator.choice(len(order), n, replace=False) for _ in range(N_RANDOM))
    return [order[:n], order[-n:], *([order[place] for place in draw] for draw in draws)]


def _lost(
    loaded: Loaded,
    progress: Progress,
    names: Sequence[str],
    n_cases: int,
    groups: Sequence[Sequence[tuple[int, int]]],
) -> np.ndarray:
    """Nats of log p [group, factor, task] lost when a group's heads are scaled."""
    changes: list[list[Intervention]] = [[]]
    changes += [
        [Scale(Site(layer, "head", head), factor) for layer, head in group]
        for group in groups
        for factor in FACTORS
    ]
    found = []
    for number, name in enumerate(names):
        progress.step(0.6 + 0.4 * number / len(names), f"{name} with heads scaled")
        lost = []
        for case in pack(loaded, name).cases[:n_cases]:
            text, at = rows(loaded, [case.ids]), [len(case.ids) - 1]
            parts = batches(loaded, text, changes, logits=at, check=progress.check)
            log_p = torch.cat(
                [log_probabilities(each[:, -1])[:, case.answer].cpu() for each in parts]
            )
            lost.append((log_p[0] - log_p[1:]).numpy())
        found.append(np.mean(lost, axis=0).reshape(len(groups), len(FACTORS)))
    return np.stack(found, -1) if found else np.zeros((len(groups), len(FACTORS), 0))
