"""Contexts of a text sorted by the word that follows, and what contrasts measure on them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from core.analyses.clouds import unit
from core.analyses.contrast import auc
from core.analyses.runs import Progress
from core.analyses.word_contrasts import TOKENS_AT_ONCE, Contrast, Place, leave_one_out
from core.corpus.chunks import Contexts
from core.engine.forward import run
from core.engine.readout import normed
from core.engine.rows import rows as new_rows
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.spec.errors import Error
from core.spec.site import Site

MOST = 200  # contexts of one side of a contrast
LEAST = 5
N_RANDOM = 40  # random directions that say what an AUC is by chance


@dataclass
class Found:
    """States behind the final norm, and the group and side each belongs to."""

    names: list[str] = field(default_factory=list)
    sides: list[tuple[str, str]] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)  # [context, d] of each group
    side: list[np.ndarray] = field(default_factory=list)
    word: list[np.ndarray] = field(default_factory=list)  # word number that follows, -1 for none


def last_site(loaded: Loaded) -> Site:
    """The output of the last block that predicts."""
    return Site(loaded.n_layers - 1, "resid_post")


def states_of(loaded: Loaded, texts: Sequence[Sequence[int]], progress: Progress) -> torch.Tensor:
    """[text, d_model] float32 states of the last tokens, in front of the final norm."""
    found = []
    for ids in texts:
        batch = new_rows(loaded, [list(ids)])
        site = last_site(loaded)
        with loaded.busy():
            seen = run(loaded, batch, read=[site], logits="none", check=progress.check)
        found.append(seen.values[site][0, -1].float().cpu())
    return torch.stack(found)


def behind_norm(loaded: Loaded, states: torch.Tensor) -> np.ndarray:
    """[n, d_model] float64 of the states behind the final norm."""
    parameter = next(loaded.module.parameters())
    with loaded.busy():
        made = normed(loaded, states.to(parameter))
    found: np.ndarray = made.double().cpu().numpy()
    return found


def followed_by(
    loaded: Loaded,
    progress: Progress,
    windows: Contexts,
    contrasts: Sequence[Contrast],
    place: Place,
    ids: Sequence[int],
    rng: np.random.Generator,
) -> Found:
    """Contexts whose next token is a half of a pair; ids [word] are the tokens of the words."""
    word_of = np.full(loaded.d_vocab, -1)
    word_of[list(ids)] = np.arange(len(ids))
    wanted = np.zeros(len(place.words), dtype=bool)
    for one in contrasts:
        wanted[[*one.first, *one.second]] = True
    held: dict[Any, Any] = loaded.memo.setdefault("pushed_contexts", {})
    key = (windows.fingerprint, tuple(ids), wanted.tobytes())
    if key not in held:
        held.clear()  # one text at a time: what moves from question to question is the push
        held[key] = _read(loaded, progress, windows, word_of, wanted)
    states, words = held[key]
    found = Found()
    for one in contrasts:
        side = np.full(len(place.words), -1)
        side[list(one.first)], side[list(one.second)] = 0, 1
        side[sorted(set(one.first) & set(one.second))] = -1  # a word on both sides tells nothing
        own = side[words]
        keep = np.concatenate([_some(np.flatnonzero(own == which), rng) for which in (0, 1)])
        found.names.append(one.name)
        halves = (place.words[one.first[0]], place.words[one.second[0]])
        found.sides.append((f"before {halves[0]}, …", f"before {halves[1]}, …"))
        found.state.append(states[keep])
        found.side.append(own[keep])
        found.word.append(words[keep])
    return found


def _some(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return numbers if len(numbers) <= MOST else np.sort(rng.choice(numbers, MOST, replace=False))


def _read(
    loaded: Loaded, progress: Progress, windows: Contexts, word_of: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States [context, d] behind the final norm in front of wanted words, and these words."""
    site = last_site(loaded)
    states, words = [np.zeros((0, loaded.d_model))], [np.zeros(0, dtype=int)]
    parts = windows.batches(TOKENS_AT_ONCE)
    for number, part in enumerate(parts):
        progress.step(0.1 + 0.4 * number / len(parts), "contexts of the text")
        batch = new_rows(loaded, [windows.windows[window].ids for window in part])
        mask = windows.keep_mask(part, batch.ids.shape[1])
        next_word = word_of[batch.ids.cpu().numpy()[:, 1:]]
        hit = mask[:, :-1] & mask[:, 1:] & (next_word >= 0)
        hit &= wanted[np.maximum(next_word, 0)]
        if not hit.any():
            continue
        with loaded.busy():
            seen = run(loaded, batch, read=[site], logits="none", check=progress.check)
        values = seen.values[site][:, :-1][torch.from_numpy(hit).to(seen.values[site].device)]
        states.append(behind_norm(loaded, values.float().cpu()))
        words.append(next_word[hit])
    return np.concatenate(states), np.concatenate(words)


def own_texts(
    loaded: Loaded, progress: Progress, texts: Sequence[str], sides: Sequence[object], found: Found
) -> None:
    """Add texts of one's own, each on one of two sides, as a group."""
    if len(texts) != len(sides):
        raise Error(f"{len(texts)} texts and {len(sides)} sides; give each text the side it is on")
    names = sorted({str(side) for side in sides})
    if len(names) != 2:
        raise Error(f"the texts lie on {len(names)} sides; two are told apart")
    states = states_of(loaded, [encode(loaded, text) for text in texts], progress)
    found.names.append("own texts")
    found.sides.append((names[0][:40], names[1][:40]))
    found.state.append(behind_norm(loaded, states))
    found.side.append(np.array([names.index(str(side)) for side in sides]))
    found.word.append(np.full(len(texts), -1))


def measured(
    found: Found, contrasts: Sequence[Contrast], place: Place, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """l(x) . direction of every context and contrast, the AUC of each group, and chance.

    A contrast is measured on its own contexts by the direction without the pairs of the word that
    follows; else it would know the answer.
    """
    root, inverse = place.white.root, place.white.inverse
    white = place.rows @ inverse
    apart = [white[list(one.second)] - white[list(one.first)] for one in contrasts]
    whole = unit(np.stack([part.mean(axis=0) for part in apart]))
    random = unit(rng.normal(size=(N_RANDOM, len(root))))
    rows, aucs, chances, counts = [], [], [], []
    for number, (state, side, word) in enumerate(
        zip(found.state, found.side, found.word, strict=True)
    ):
        coordinates = state @ root  # [context, d]
        values = coordinates @ whole.T
        if number < len(contrasts):
            own = _without_own(contrasts[number], apart[number], coordinates, word)
            values[:, number] = own
        rows.append(values)
        sizes = np.bincount(side, minlength=2)
        counts.append(sizes)
        enough = sizes.min() >= LEAST
        aucs.append([_auc(column, side) if enough else np.nan for column in values.T])
        beside = [_auc(column, side) if enough else np.nan for column in (coordinates @ random.T).T]
        chances.append(np.quantile(beside, (0.05, 0.95)))
    return {
        "measured": np.concatenate(rows),
        "context_group": np.repeat(np.arange(len(rows)), [len(part) for part in rows]),
        "context_side": np.concatenate(found.side),
        "auc": np.array(aucs),
        "control_auc": np.array(chances),
        "n_contexts": np.array(counts),
    }


def _without_own(
    one: Contrast, apart: np.ndarray, coordinates: np.ndarray, word: np.ndarray
) -> np.ndarray:
    """[context] measured by the direction without the pairs that share the word that follows."""
    others, _ = leave_one_out(one, apart)
    found = np.full(len(word), np.nan)
    for number in np.unique(word):
        pairs = [
            at for at, pair in enumerate(zip(one.first, one.second, strict=True)) if number in pair
        ]
        here = word == number
        if pairs:
            # Whichever of its pairs is taken, all pairs of this word are left out.
            found[here] = coordinates[here] @ others[pairs[0]]
    return found


def _auc(values: np.ndarray, side: np.ndarray) -> float:
    known = np.isfinite(values)
    up, down = values[known & (side == 1)], values[known & (side == 0)]
    return float(auc(up, down)) if len(up) and len(down) else float("nan")
