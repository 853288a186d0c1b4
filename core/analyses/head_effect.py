"""What every head causes: the answer's loss when the head is ablated, beside a control."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.analyses.runs import (
    Progress,
    at_position,
    batches,
    divergence,
    log_probabilities,
    logit_position,
    prompt_rows,
)
from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.head_effect import HeadEffect
from core.spec.interventions import Ablate, Change, Control, Intervention
from core.spec.site import Site

N_CONTROLS = 2


def head_effect(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change] = (),
    position: int | None = None,
    to: str = "mean",
    seed: int = 0,
) -> HeadEffect:
    """log p(answer) minus log p(answer) with each head ablated, in nats; total effect.

    The answer is the most probable token of the unablated run at the position (an encoder-decoder:
    the decoder's first token, its encoder heads ablated). All heads of a
    layer are rows of one batch that shares everything below the layer. The control moves the
    stream as far at every token, in a random direction inside another head of the layer.
    """
    prompt, ids = prompt_rows(loaded, text)
    place = at_position(ids, position)
    asked = [logit_position(loaded, place)]
    base = list(interventions)
    plain = next(batches(loaded, prompt, [base], logits=asked, check=progress.check))
    log_base = log_probabilities(plain[:, 0])
    answer = int(log_base.argmax())
    effects, kls = [], []
    heads, layers = loaded.n_heads, len(loaded.stacks[loaded.prompt_stack].blocks)
    for layer in range(layers):
        progress.step(layer / layers, f"heads of layer {layer} of {layers - 1}")
        log_p = _layer(loaded, progress, prompt, base, layer, to, seed, asked)
        effects.append((log_base[0, answer] - log_p[:, answer]).cpu())
        kls.append(divergence(log_base[0], log_p[:heads]).cpu())
    effect = torch.stack(effects)  # [layer, head, then the controls of each head]
    control = effect[:, heads:].reshape(layers, heads, N_CONTROLS).mean(dim=-1)
    return HeadEffect(
        request={},
        stack=loaded.prompt_stack,
        tokens=pieces(loaded, ids),
        position=place,
        answer=pieces(loaded, [answer])[0],
        answer_id=answer,
        to=to,
        n_controls=N_CONTROLS,
        n_texts=1,
        effect=effect[:, :heads].numpy(),
        control=control.numpy(),
        kl=torch.stack(kls).numpy(),
    )


def _layer(
    loaded: Loaded,
    progress: Progress,
    prompt: Rows,
    base: list[Change],
    layer: int,
    to: str,
    seed: int,
    asked: list[int],
) -> Tensor:
    """Log-probabilities [row, d_vocab] with each head ablated, then with each control."""
    ablated = [
        Ablate(Site(layer, "head", head, stack=loaded.prompt_stack), to, seed)  # type: ignore[arg-type]  # Ablate checks it
        for head in range(loaded.n_heads)
    ]
    changes: list[list[Intervention]] = [[*base, one] for one in ablated]
    changes += [
        [*base, Control(one, seed * 100 + number)]
        for one in ablated
        for number in range(N_CONTROLS)
    ]
    parts = batches(loaded, prompt, changes, logits=asked, check=progress.check)
    return log_probabilities(torch.cat(list(parts))[:, 0])
