"""The logit lens (nostalgebraist 2020): every layer's state read as if it were the last."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, divergence, entropy, log_probabilities, prompt_rows
from core.engine.forward import run
from core.engine.readout import unembed
from core.models.loaded import Loaded
from core.models.tokens import pieces, special
from core.results.lens import LensResult
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.site import Site

# Logits of this many numbers are held at a time, whatever the text's length.
LOGITS_AT_ONCE = 16_000_000


@dataclass
class _Read:
    """One layer's reading: [token, k] and [token]."""

    ids: Tensor
    logits: Tensor
    probability: Tensor
    entropy: Tensor
    rank: Tensor
    chosen: Tensor
    kl: Tensor


def lens(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change] = (),
    k: int = 5,
    seed: int = 0,
) -> LensResult:
    """Top k tokens and entropy of every layer at every token.

    logits_l = unembed(final_norm(L{l}.resid_post)), the norm's statistics taken from that state.
    The control reads a random state of equal norm. The last layer equals the model's answer.
    """
    if loaded.kind == "encoder-decoder":
        raise Error(
            f"{loaded.name} is an encoder-decoder: its decoder sees no prompt tokens, so the "
            "lens over the prompt is not defined"
        )
    if loaded.head is None:
        raise Error(f"{loaded.name} has no head for predictions, so there is no lens")
    prompt, ids = prompt_rows(loaded, text)
    sites = [Site(0, "resid_pre"), *(Site(n, "resid_post") for n in range(loaded.n_layers))]
    trace = run(
        loaded, prompt, read=sites, change=[interventions], logits="none", check=progress.check
    )
    states = [trace.values[site][0] for site in sites]
    noise = [_random_like(state, seed, layer) for layer, state in enumerate(states[1:])]
    with loaded.busy():
        reads = _read(loaded, [*states, *noise], states[-1], min(k, loaded.d_vocab), progress)
    layers = len(states)
    return _result(loaded, ids, reads[:layers], reads[layers:], changed=bool(interventions))


def _read(
    loaded: Loaded, states: list[Tensor], last: Tensor, k: int, progress: Progress
) -> list[_Read]:
    """Every state read, some tokens at a time: [layer, token, d_vocab] never exists."""
    size = max(1, LOGITS_AT_ONCE // loaded.d_vocab)
    found: list[list[tuple[Tensor, ...]]] = [[] for _ in states]
    for start in range(0, len(last), size):
        progress.step(start / len(last), f"lens, token {start} of {len(last)}")
        final = log_probabilities(unembed(loaded, last[start : start + size]))
        for parts, state in zip(found, states, strict=True):
            progress.check()
            parts.append(_read_part(loaded, state[start : start + size], final, k))
    return [_Read(*(torch.cat(each).cpu() for each in zip(*parts, strict=True))) for parts in found]


def _read_part(loaded: Loaded, state: Tensor, final: Tensor, k: int) -> tuple[Tensor, ...]:
    logits = unembed(loaded, state).float()
    log_p = log_probabilities(logits)
    top = logits.topk(k, dim=-1)
    answer = final.argmax(dim=-1, keepdim=True)
    rank = (logits > logits.gather(1, answer)).sum(dim=-1)
    return (
        top.indices,
        top.values,
        log_p.gather(1, top.indices).exp(),
        entropy(log_p),
        rank,
        log_p.gather(1, answer).exp()[:, 0],
        divergence(final, log_p),
    )


def _random_like(state: Tensor, seed: int, layer: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed * 1_000 + layer)
    noise = torch.randn(state.shape, generator=generator).to(state)
    length = torch.linalg.vector_norm(state, dim=-1, keepdim=True)
    return noise / torch.linalg.vector_norm(noise, dim=-1, keepdim=True) * length


def _result(
    loaded: Loaded, ids: Sequence[int], reads: list[_Read], noise: list[_Read], *, changed: bool
) -> LensResult:
    embed, layers = reads[0], reads[1:]

    def stacked(name: str, source: list[_Read] = layers) -> np.ndarray:
        return torch.stack([getattr(read, name) for read in source]).numpy()

    def shown(read: _Read) -> tuple[tuple[str, ...], ...]:
        return tuple(pieces(loaded, row) for row in read.ids.tolist())

    return LensResult(
        request={},
        tokens=pieces(loaded, ids),
        special=special(loaded, ids),
        shown=tuple(shown(read) for read in layers),
        embed_shown=shown(embed),
        changed=changed,
        top_ids=stacked("ids"),
        top_logits=stacked("logits"),
        top_probability=stacked("probability"),
        entropy=stacked("entropy"),
        final_rank=stacked("rank"),
        final_probability=stacked("chosen"),
        kl=stacked("kl"),
        embed_top_ids=embed.ids.numpy(),
        embed_top_logits=embed.logits.numpy(),
        embed_top_probability=embed.probability.numpy(),
        embed_entropy=embed.entropy.numpy(),
        embed_final_rank=embed.rank.numpy(),
        embed_final_probability=embed.chosen.numpy(),
        embed_kl=embed.kl.numpy(),
        random_entropy=stacked("entropy", noise),
        random_final_probability=stacked("chosen", noise),
    )
