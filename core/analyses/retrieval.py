"""Retrieval heads: needles at depths and lengths, and where the rows that foretell them look."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.needles import Hay, Prompt, own_needle
from core.analyses.runs import Progress, batches, log_probabilities
from core.engine.last_rows import MOST_WHOLE, last_rows
from core.engine.loss import refuse_without_next_tokens
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.retrieval import Retrieval
from core.spec.errors import Error
from core.spec.interventions import Ablate, Intervention
from core.spec.site import Site

N_DEPTHS = 10
SHARES = (0.25, 0.5, 1.0)  # of the longest text
LONGEST = 1_024  # tokens unless asked for more
N_SPANS = 8
N_CHECKED = 6
N_RANDOM = 4
KS = (1, 2, 5, 10, 20, 30)


def retrieval(
    loaded: Loaded,
    progress: Progress,
    *,
    source: str = "text",
    needle: str = "",
    question: str = "",
    answer: str = "",
    lengths: Sequence[int] = (),
    n_depths: int = N_DEPTHS,
    n_needles: int = 1,
    without_first: bool = False,
    seed: int = 0,
) -> Retrieval:
    """Which heads look at the needle while the model is made to say it; Wu et al., 2024.

    The answer is given token by token ("teacher-forced"), so one forward per prompt is enough and
    only the rows that foretell it are looked at. `source` "random": eight random tokens, said
    again, instead of sentences; `needle`, `question`, `answer` for one of your own. `lengths` in
    tokens (a quarter, a half, all of the context, at most 1,024); `n_needles` prompts per cell.
    Raises `Error` where the needle does not fit the context.
    """
    refuse_without_next_tokens(loaded, "finding a needle")
    _whole_numbers(n_depths=n_depths, n_needles=n_needles)
    own = own_needle(needle, question, answer) if needle or question or answer else None
    hay = Hay(loaded, source, own, seed)
    sizes = _lengths(loaded, hay, lengths)
    depths = np.linspace(0, 1, n_depths) if n_depths > 1 else np.array([0.5])
    cells = [(a, b) for a in range(len(sizes)) for b in range(n_depths) for _ in range(n_needles)]
    places = [(sizes[a], float(depths[b])) for a, b in cells]
    looked = _looked(loaded, progress, hay, places, without_first)
    seen = [(cells[number], prompt, one) for number, prompt, one in looked]
    found = [each for _, _, each in seen if each.right > 0.5]
    score, soft = (_mean(seen, part) for part in ("score", "soft"))
    check = _checked(loaded, progress, seen, score + 1e-3 * soft, seed)
    return Retrieval(
        request={},
        source=source,
        without_first=without_first,
        n_prompts=len(seen),
        n_lost=len(cells) - len(seen),
        n_found=len(found),
        n_spans=N_SPANS,
        n_tokens=sum(len(prompt.wanted) for _, prompt, _ in seen),
        score=score,
        soft=soft,
        control=_mean(seen, "control"),
        control_soft=_mean(seen, "control_soft"),
        score_found=np.mean([each.score for each in found], axis=0)
        if found
        else np.full_like(score, np.nan),
        lengths=np.array(sizes),
        depths=depths,
        success=_map(seen, "right", len(sizes), n_depths),
        log_p=_map(seen, "log_p", len(sizes), n_depths),
        **check,
    )


def _looked(
    loaded: Loaded,
    progress: Progress,
    hay: Hay,
    places: Sequence[tuple[int, float]],
    without_first: bool,
) -> "list[tuple[int, Prompt, _Seen]]":
    """What every prompt showed, with its number; `places` are (length in tokens, depth 0 to 1).

    Prompts whose answer is split differently fall out.
    """
    seen = []
    for number, (length, depth) in enumerate(places):
        progress.step(0.7 * number / len(places), f"needle {number + 1} of {len(places)}")
        prompt = hay.prompt(number, length, depth)
        if prompt is not None:
            spans = hay.chance(prompt, N_SPANS)
            seen.append((number, prompt, _look(loaded, progress, prompt, spans, without_first)))
    if not seen:
        raise Error(
            f"{loaded.name} splits the answers in another way behind the question; none fits"
        )
    return seen


def _whole_numbers(**given: Any) -> None:
    for name, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100:
            raise Error(f"{name} must be a whole number from 1 to 100, not {value!r:.40}")


def _lengths(loaded: Loaded, hay: Hay, lengths: Sequence[int]) -> list[int]:
    """The lengths asked for, or shares of the context; every needle must fit into each."""
    least, most = hay.least(), loaded.n_ctx or max([LONGEST, *lengths])
    if least > most:
        raise Error(
            f"the needle with its question and answer takes {least:,} tokens and {loaded.name} "
            f"takes at most {most:,}; give a shorter one"
        )
    if not lengths:
        longest = min(most, LONGEST)
        return sorted({max(least, int(share * longest)) for share in SHARES})
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in lengths)
    if not whole or not least <= min(lengths) <= max(lengths) <= most:
        raise Error(
            f"lengths are whole numbers of tokens from {least:,} (the needle alone) to {most:,} "
            f"(the context of {loaded.name})"
        )
    if loaded.pattern_source == "outputs" and max(lengths) > MOST_WHOLE:
        raise Error(
            f"{loaded.family} hands out whole attention patterns only, so lengths end at "
            f"{MOST_WHOLE:,} tokens"
        )
    return sorted(set(lengths))


@dataclass(frozen=True)
class _Seen:
    """Of one prompt: the four scores [layer, head], share of tokens right, nats per token."""

    score: np.ndarray
    soft: np.ndarray
    control: np.ndarray
    control_soft: np.ndarray
    right: float
    log_p: float


def _look(
    loaded: Loaded,
    progress: Progress,
    prompt: Prompt,
    spans: Sequence[Sequence[int]],
    without_first: bool,
) -> _Seen:
    text = rows(loaded, [prompt.ids])
    n = len(prompt.wanted)
    found: dict[str, list[Tensor]] = {"score": [], "soft": [], "control": [], "control_soft": []}

    def take(_: int, weights: Tensor) -> None:
        for name, value in _scores(weights, prompt, spans, without_first).items():
            found[name].append(value.cpu())

    logits = last_rows(loaded, text, n, take, progress.check)
    right, log_p = _answered(logits, prompt.wanted)
    arrays = {name: torch.stack(parts).numpy() for name, parts in found.items()}
    return _Seen(**arrays, right=right, log_p=log_p)


def _scores(
    weights: Tensor, prompt: Prompt, spans: Sequence[Sequence[int]], without_first: bool
) -> dict[str, Tensor]:
    """Scores [head] from attention [head, query, key] of the rows that foretell the answer."""
    heads, n, keys = weights.shape
    ids = torch.tensor(prompt.ids, device=weights.device)
    wanted = torch.tensor(prompt.wanted, device=weights.device)
    places = torch.tensor([prompt.places, *spans], device=weights.device)  # [span, query]
    top = (weights[..., 1:].argmax(-1) + 1) if without_first else weights.argmax(-1)
    hit = torch.isin(top, places[0]) & (ids[top] == wanted)
    # A set of places, so that one looked at twice counts once and no score exceeds 1.
    counted = torch.zeros(heads, keys + 1, device=weights.device)
    counted.scatter_(1, top.masked_fill(~hit, keys), 1.0)
    query = torch.arange(n, device=weights.device)
    on = weights[:, query[None], places]  # [head, span, query]
    at = (top[:, None] == places[None]).float()
    nan = weights.new_full((heads,), float("nan"))
    return {
        "score": counted[:, :keys].sum(-1) / n,
        "soft": on[:, 0].mean(-1),
        "control": at[:, 1:].mean((1, 2)) if spans else nan,
        "control_soft": on[:, 1:].mean((1, 2)) if spans else nan,
    }


def _answered(logits: Tensor, wanted: Sequence[int]) -> tuple[float, float]:
    """(share that is the first choice, nats per token) of logits [query, d_vocab]."""
    right = torch.tensor(wanted, device=logits.device)
    log_p = log_probabilities(logits).gather(1, right[:, None])
    return float((logits.argmax(-1) == right).float().mean()), float(log_p.mean())


def _mean(seen: Sequence[tuple[Any, Prompt, _Seen]], part: str) -> np.ndarray:
    """Over the prompts that have it; NaN where none has."""
    parts = [getattr(each, part) for _, _, each in seen]
    kept = [one for one in parts if not np.isnan(one).any()]
    return np.mean(kept or parts[:1], axis=0).astype(np.float32)


def _map(
    seen: Sequence[tuple[tuple[int, int], Prompt, _Seen]], part: str, lengths: int, depths: int
) -> np.ndarray:
    total, n = np.zeros((lengths, depths)), np.zeros((lengths, depths))
    for cell, _, each in seen:
        total[cell] += getattr(each, part)
        n[cell] += 1
    return np.where(n > 0, total / np.maximum(n, 1), np.nan).astype(np.float32)


def _checked(
    loaded: Loaded,
    progress: Progress,
    seen: Sequence[tuple[Any, Prompt, _Seen]],
    rank: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """The answers again without the k best heads, and without k others."""
    best = [divmod(int(place), rank.shape[1]) for place in np.argsort(-rank, axis=None)]
    ks = [k for k in KS if 2 * k <= len(best)]
    order = sorted(seen, key=lambda each: -each[2].right)[: max(N_CHECKED, len(seen) // 2)]
    chosen = order[:: max(1, len(order) // N_CHECKED)][:N_CHECKED]
    draw = random.Random(seed)
    sets = [best[:k] for k in ks]
    sets += [draw.sample(best[k:], k) for k in ks for _ in range(N_RANDOM)]
    right, log_p = np.zeros((len(chosen), 1 + len(sets))), np.zeros((len(chosen), 1 + len(sets)))
    for number, (_, prompt, _) in enumerate(chosen):
        progress.step(0.7 + 0.3 * number / len(chosen), "without the best heads, and others")
        for place, (a, b) in enumerate(_without(loaded, progress, prompt, sets)):
            right[number, place], log_p[number, place] = a, b
    found: dict[str, Any] = {"n_checked": len(chosen), "n_random": N_RANDOM, "k": np.array(ks)}
    for name, values in (("", right.mean(0)), ("_log_p", log_p.mean(0))):
        found[f"unmasked{name}"] = float(values[0])
        found[f"masked{name}"] = values[1 : 1 + len(ks)].astype(np.float32)
        others = values[1 + len(ks) :].reshape(len(ks), N_RANDOM)
        found[f"masked_control{name}"] = others.astype(np.float32)
    return found


def _without(
    loaded: Loaded, progress: Progress, prompt: Prompt, sets: Sequence[Sequence[tuple[int, int]]]
) -> list[tuple[float, float]]:
    """(share right, nats) as it is, and with each set silent at the rows that foretell."""
    first, n = len(prompt.ids) - len(prompt.wanted), len(prompt.wanted)
    changes: list[list[Intervention]] = [[]]
    changes += [
        [Ablate(Site(layer, "head", head), where=f"{first}-") for layer, head in each]
        for each in sets
    ]
    at = list(range(first, first + n))
    found = []
    text = rows(loaded, [prompt.ids])
    for logits in batches(loaded, text, changes, logits=at, check=progress.check):
        found += [_answered(each, prompt.wanted) for each in logits]
    return found
