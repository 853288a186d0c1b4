"""What every head causes: the answer's loss when the head is ablated, beside a control."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from core.analyses.head_asked import N_RANDOM, Asked, ask_heads, random_readings
from core.analyses.runs import (
    LOGITS_AT_ONCE,
    TOKENS_AT_ONCE,
    Progress,
    divergence,
    log_probabilities,
)
from core.engine.forward import Trace, run
from core.engine.head_attribution import logit_cap
from core.engine.rows import repeated
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.head_effect import HeadEffect
from core.spec.interventions import Ablate, Change, Control, Intervention
from core.spec.site import Site

N_CONTROLS = 2
MEASURES = ("effect", "kl", "total", "direct")


def head_effect(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change] = (),
    position: int | None = None,
    answer: str | int = "",
    against: str | int = "",
    to: str = "mean",
    where: str = "",
    seed: int = 0,
) -> HeadEffect:
    """log p(answer) minus log p(answer) with each head ablated, in nats; total effect.

    The answer is the most probable token of the unablated run at the position, or `answer`, a
    single token (an encoder-decoder: the decoder's first token, its encoder heads ablated). Its
    logit is compared with that of `against`, or with the mean of the vocabulary. All heads of a
    layer are rows of one batch that shares everything below the layer; `where` as of a change.
    The control moves the stream as far at every token, in a random direction inside another head.
    """
    asked = ask_heads(loaded, progress, text, interventions, position, answer, against)
    # By measure and layer: [head, then the controls of each head].
    found: dict[str, list[Tensor]] = {name: [] for name in MEASURES}
    heads, layers = loaded.n_heads, len(loaded.stacks[loaded.prompt_stack].blocks)
    for layer in range(layers):
        progress.step(layer / layers, f"heads of layer {layer} of {layers - 1}")
        _layer(asked, layer, to, where, seed, found)

    return HeadEffect(
        request={},
        stack=loaded.prompt_stack,
        tokens=pieces(loaded, asked.ids),
        position=asked.place,
        answer=asked.answer,
        answer_id=asked.score.answer,
        against=asked.against,
        to=to,
        where=where,
        n_controls=N_CONTROLS,
        n_random=0 if asked.why_not else N_RANDOM,
        n_texts=1,
        direct_kind="gradient" if asked.why_not else "direct",
        why_not=asked.why_not,
        cap=logit_cap(loaded),
        probability=float(asked.log_p[asked.score.answer].exp()),
        **_apart(found, heads),
        **_sum(asked, layers, heads, seed),
    )


def _apart(found: dict[str, list[Tensor]], heads: int) -> dict[str, Any]:
    """The measures [layer, head], and the means over each head's controls."""
    arrays: dict[str, Any] = {}
    for name, rows in found.items():
        both = torch.stack(rows)
        controls = both[:, heads:].unflatten(1, (heads, N_CONTROLS)).mean(dim=-1)
        arrays[name] = both[:, :heads].numpy()
        arrays["control" if name == "effect" else f"control_{name}"] = controls.numpy()
    return arrays


def _layer(
    asked: Asked, layer: int, to: str, where: str, seed: int, found: dict[str, list[Tensor]]
) -> None:
    """Ablate each head of a layer, then make the controls of each; append what they show."""
    loaded, answer = asked.loaded, asked.score.answer
    ablated = [
        Ablate(asked.site(layer, head=head), to, seed, where)  # type: ignore[arg-type]  # checked there
        for head in range(loaded.n_heads)
    ]
    changes: list[list[Intervention]] = [[*asked.base, one] for one in ablated]
    changes += [
        [*asked.base, Control(one, seed * 100 + number)]
        for one in ablated
        for number in range(N_CONTROLS)
    ]
    seen: dict[str, list[Tensor]] = {name: [] for name in MEASURES}
    for trace in _traces(asked, asked.site(layer), changes):
        assert trace.logits is not None
        log_p = log_probabilities(trace.logits[:, -1])
        z = trace.values[asked.site(layer)].float()
        effect = asked.log_p[answer] - log_p[:, answer]
        total = asked.value - asked.score.of(loaded, trace.logits[:, -1])
        direct = ((asked.z[layer] - z) * asked.readings[layer]).flatten(1).sum(dim=1)
        kl = divergence(asked.log_p[None], log_p)
        for name, values in zip(MEASURES, (effect, kl, total, direct), strict=True):
            seen[name].append(values.cpu())
    for name, rows in seen.items():
        found[name].append(torch.cat(rows))


def _traces(asked: Asked, read: Site, changes: list[list[Intervention]]) -> Iterator[Trace]:
    """Runs of the prompt under many lists of changes, as many rows at once as fit."""
    loaded, tokens = asked.loaded, asked.prompt.ids.shape[1]
    size = max(1, min(TOKENS_AT_ONCE // tokens, LOGITS_AT_ONCE // loaded.d_vocab))
    for start in range(0, len(changes), size):
        some = changes[start : start + size]
        batch = repeated(asked.prompt, len(some)) if len(some) > 1 else asked.prompt
        yield run(
            loaded, batch, read=[read], change=some, logits=[asked.at], check=asked.progress.check
        )


def _sum(asked: Asked, layers: int, heads: int, seed: int) -> dict[str, Any]:
    """The score as a sum of what was written, NaN where there is no plain path."""
    own, nan = asked.parts, float("nan")
    if own is None:
        empty = torch.full((layers,), nan).numpy()
        return {
            "score": asked.value,
            "start": nan,
            "constant": nan,
            "attribution": torch.full((layers, heads), nan).numpy(),
            **dict.fromkeys(("random_attribution", "bias", "attention", "mlp"), empty),
        }
    random = [
        (random_readings(asked, layer, seed) * asked.z[layer]).sum(dim=-1).abs().amax(dim=-1).mean()
        for layer in range(layers)
    ]
    return {
        "score": own.score,
        "start": own.start,
        "constant": own.constant,
        "attribution": own.heads.numpy(),
        "random_attribution": torch.stack(random).cpu().numpy(),
        "bias": own.bias.numpy(),
        "attention": own.attention.numpy(),
        "mlp": own.mlp.numpy(),
    }
