"""What comes next: clean, clamped, and under controls of equal norm."""

from collections.abc import Sequence

import torch

from core.analyses.runs import (
    N_CONTROLS,
    Progress,
    at_position,
    batches,
    conditions,
    divergence,
    entropy,
    log_probabilities,
    logit_position,
    prompt_rows,
)
from core.models.loaded import Loaded
from core.models.tokens import pieces, special
from core.results.next_tokens import NextTokens
from core.spec.interventions import Change


def next_tokens(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change] = (),
    position: int | None = None,
    k: int = 10,
    seed: int = 0,
) -> NextTokens:
    """The k most probable tokens behind one position, of every run.

    All runs are rows of one batch. KL is KL(clean || run) in nats; the control row is the mean
    over 8 random controls whose change of the stream has the same norm at every token.
    """
    prompt, ids = prompt_rows(loaded, text)
    place = at_position(ids, position)
    runs = conditions(interventions, N_CONTROLS, seed)
    asked = [logit_position(loaded, place)]
    parts = batches(loaded, prompt, runs, logits=asked, check=progress.check)
    log_p = log_probabilities(torch.cat(list(parts))[:, 0])  # [run, d_vocab]
    chosen = _candidates(log_p, k)
    p = log_p.exp()[:, chosen]
    kl = divergence(log_p[:1], log_p)
    spread = entropy(log_p)
    names = ("clean", "clamped", "control") if interventions else ("clean",)
    if interventions:
        p_shown = torch.stack([p[0], p[1], p[2:].mean(0)])
        kl_shown = torch.stack([kl[0], kl[1], kl[2:].mean()])
        spread_shown = torch.stack([spread[0], spread[1], spread[2:].mean()])
    else:
        p_shown, kl_shown, spread_shown = p, kl, spread
    low, high = (p[2:].amin(0), p[2:].amax(0)) if interventions else (p[:0, :0],) * 2
    return NextTokens(
        request={},
        tokens=pieces(loaded, ids),
        special=special(loaded, ids),
        position=place,
        runs=names,
        candidates=pieces(loaded, chosen.tolist()),
        n_controls=N_CONTROLS if interventions else 0,
        masked=loaded.kind == "encoder",
        ids=chosen.cpu().numpy(),
        probability=p_shown.cpu().numpy(),
        control_low=low.reshape(-1).cpu().numpy(),
        control_high=high.reshape(-1).cpu().numpy(),
        entropy=spread_shown.cpu().numpy(),
        kl=kl_shown.cpu().numpy(),
    )


def _candidates(log_p: torch.Tensor, k: int) -> torch.Tensor:
    """Union of the top k of the clean and the clamped run, the clamped run's order first."""
    last = min(1, len(log_p) - 1)
    k = min(k, log_p.shape[-1])
    union = torch.cat([log_p[run].topk(k).indices for run in range(last + 1)]).unique()
    return union[log_p[last, union].argsort(descending=True, stable=True)]
