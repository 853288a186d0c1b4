"""Three texts side by side: clean, clamped, and a random control of equal norm."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import (
    N_CONTROLS,
    Progress,
    conditions,
    divergence,
    log_probabilities,
    prompt_rows,
)
from core.engine.forward import run
from core.engine.generate import Written, continuation, generate
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.steer import SteerResult
from core.spec.interventions import Change, Intervention

RUNS = ("clean", "clamped", "control")


def steer(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change] = (),
    new_tokens: int = 40,
    temperature: float = 0.0,
    seed: int = 0,
) -> SteerResult:
    """Continue the prompt clean, under the changes, and under a random control of equal norm.

    The three runs are rows of one batch with a key-value cache. Every text is then scored by the
    clean and by the changed model: log-probability of each token and KL(clean || changed), nats.
    """
    prompt, ids = prompt_rows(loaded, text)
    runs = conditions(interventions, 1, seed)
    names = RUNS[: len(runs)]

    def publish(texts: Sequence[Sequence[int]]) -> None:
        parts = [continuation(loaded, ids, new) for new in texts]
        longest = max(map(len, texts))
        progress.step(longest / new_tokens, f"token {longest} of {new_tokens}")
        progress.publish(tuple(zip(names, parts, strict=True)))

    written = generate(
        loaded,
        prompt,
        runs,
        max_new_tokens=new_tokens,
        temperature=temperature,
        seed=seed,
        check=progress.check,
        publish=publish,
    )
    clean, changed, kl = _scores(loaded, progress, ids, written, runs)
    return SteerResult(
        request={},
        prompt=pieces(loaded, ids),
        runs=names,
        texts=tuple(continuation(loaded, ids, new) for new in written.ids),
        pieces=tuple(pieces(loaded, new) for new in written.ids),
        sites=tuple(str(change.site) for change in interventions),
        seed=seed,
        temperature=temperature,
        stopped=written.stopped,
        logprob_clean=clean,
        logprob_changed=changed,
        kl=kl,
        control_kl_mean=_other_controls(loaded, progress, ids, written, interventions, seed),
    )


def _scores(
    loaded: Loaded,
    progress: Progress,
    ids: list[int],
    written: Written,
    runs: list[list[Intervention]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each text under the clean and under its changed model, [run, token], NaN behind its end."""
    width = max(1, *map(len, written.ids))
    clean = np.full((len(runs), width), np.nan, dtype=np.float32)
    changed, kl = clean.copy(), clean.copy()
    for row, new in enumerate(written.ids):
        if not new:
            continue
        # The clean text is scored by the clamped model, so that all three show a change.
        other = runs[row] or runs[min(1, len(runs) - 1)]
        log_p = _forced(loaded, progress, ids, new, [[], other] if other else [[]])
        chosen = torch.tensor(new, device=log_p.device)
        picked = log_p.gather(2, chosen.expand(len(log_p), -1)[..., None])[..., 0].cpu().numpy()
        clean[row, : len(new)], changed[row, : len(new)] = picked[0], picked[-1]
        kl[row, : len(new)] = divergence(log_p[0], log_p[-1]).cpu().numpy()
    return clean, changed, kl


def _forced(
    loaded: Loaded,
    progress: Progress,
    ids: list[int],
    new: Sequence[int],
    changes: Sequence[Sequence[Intervention]],
) -> Tensor:
    """Log-probabilities [condition, new token, d_vocab] of a text that is already written."""
    if loaded.kind == "encoder-decoder":
        one = rows(loaded, [ids])
        assert one.targets is not None
        given = one.targets.shape[1]
        begun = torch.tensor([[*one.targets[0].tolist(), *new[:-1]]], device=loaded.device)
        text = Rows(one.ids, one.lengths, begun)
        asked = list(range(len(new)))
    else:
        given = len(ids)
        text = rows(loaded, [[*ids, *new[:-1]]])
        asked = list(range(len(ids) - 1, len(ids) + len(new) - 1))
    parts = []
    for each in changes:
        trace = run(loaded, text, change=[each], logits=asked, prompt=given, check=progress.check)
        assert trace.logits is not None
        parts.append(log_probabilities(trace.logits))
    return torch.cat(parts)


def _other_controls(
    loaded: Loaded,
    progress: Progress,
    ids: list[int],
    written: Written,
    interventions: Sequence[Change],
    seed: int,
) -> np.ndarray:
    """Mean KL per token of every control over the clean text: how far chance alone moves it."""
    if not interventions or not written.ids[0]:
        return np.zeros(0, dtype=np.float32)
    means = []
    clean = _forced(loaded, progress, ids, written.ids[0], [[]])[0]
    for control in conditions(interventions, N_CONTROLS, seed)[2:]:
        moved = _forced(loaded, progress, ids, written.ids[0], [control])[0]
        means.append(float(divergence(clean, moved).mean()))
    return np.array(means, dtype=np.float32)
