"""What every head causes: the answer's loss when the head is ablated, beside a control."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.analyses.neuron_activity import no_direct_effect
from core.analyses.runs import (
    LOGITS_AT_ONCE,
    TOKENS_AT_ONCE,
    Progress,
    at_position,
    divergence,
    log_probabilities,
    logit_position,
    prompt_rows,
)
from core.engine.forward import Trace, run
from core.engine.gradients import head_gradients
from core.engine.head_attribution import Parts, Score, logit_cap, part_sites, parts, reading
from core.engine.head_attribution import head_readings as readings_of
from core.engine.rows import Rows, repeated
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.models.words import one_token
from core.results.head_effect import HeadEffect
from core.spec.interventions import Ablate, Change, Control, Intervention
from core.spec.site import Site

N_CONTROLS = 2
N_RANDOM = 32
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
    prompt, ids = prompt_rows(loaded, text)
    place = at_position(ids, position)
    asked = _asked(loaded, progress, prompt, list(interventions), place, answer, against, seed)
    # By measure and layer: [head, then the controls of each head].
    found: dict[str, list[Tensor]] = {name: [] for name in MEASURES}
    heads, layers = loaded.n_heads, len(loaded.stacks[loaded.prompt_stack].blocks)
    for layer in range(layers):
        progress.step(layer / layers, f"heads of layer {layer} of {layers - 1}")
        _layer(asked, layer, to, where, seed, found)

    def mean(name: str) -> Any:
        """[layer, head] over the controls of each head."""
        rows = torch.stack(found[name])[:, heads:]
        return rows.reshape(layers, heads, N_CONTROLS).mean(dim=-1).numpy()

    def own(name: str) -> Any:
        return torch.stack(found[name])[:, :heads].numpy()

    return HeadEffect(
        request={},
        stack=loaded.prompt_stack,
        tokens=pieces(loaded, ids),
        position=place,
        answer=pieces(loaded, [asked.score.answer])[0],
        answer_id=asked.score.answer,
        against="" if asked.score.against is None else pieces(loaded, [asked.score.against])[0],
        to=to,
        where=where,
        n_controls=N_CONTROLS,
        n_random=0 if asked.why_not else N_RANDOM,
        n_texts=1,
        direct_kind="gradient" if asked.why_not else "direct",
        why_not=asked.why_not,
        cap=logit_cap(loaded),
        probability=float(asked.log_p[asked.score.answer].exp()),
        effect=own("effect"),
        control=mean("effect"),
        kl=own("kl"),
        control_kl=mean("kl"),
        total=own("total"),
        control_total=mean("total"),
        direct=own("direct"),
        control_direct=mean("direct"),
        **_sum(asked, layers, heads),
    )


@dataclass
class _Asked:
    """The unablated run, and what is measured against it."""

    loaded: Loaded
    progress: Progress
    prompt: Rows
    base: list[Change]
    place: int  # token of the prompt
    at: int  # where its prediction is among the logits
    score: Score
    why_not: str
    log_p: Tensor  # [d_vocab]
    value: float  # of the score
    z: list[Tensor]  # by layer, [token, head, d_head]: one token with a plain path, else all
    readings: list[Tensor]  # by layer, what a change of z is multiplied with, same shape
    parts: Parts | None
    random: Tensor | None  # [layer]

    def site(self, layer: int, component: Any = "head", head: int | None = None) -> Site:
        one = self.place if not self.why_not and head is None else None
        return Site(layer, component, head, one, stack=self.loaded.prompt_stack)


def _asked(
    loaded: Loaded,
    progress: Progress,
    prompt: Rows,
    base: list[Change],
    place: int,
    answer: str | int,
    against: str | int,
    seed: int,
) -> _Asked:
    """One clean run (and one back, where there is no plain path)."""
    at, why_not = logit_position(loaded, place), no_direct_effect(loaded)
    read = [] if why_not else part_sites(loaded, place)
    seen = run(loaded, prompt, read=read, change=[base], logits=[at], check=progress.check)
    assert seen.logits is not None
    logits = seen.logits[0, -1]
    log_p = log_probabilities(logits)
    best = int(log_p[: known_ids(loaded)].argmax())
    score = Score(
        best if answer == "" else one_token(loaded, answer),
        None if against == "" else one_token(loaded, against),
    )
    with loaded.busy():
        value = float(score.of(loaded, logits))
    shared = (loaded, progress, prompt, base, place, at, score, why_not, log_p, value)
    if why_not:
        return _Asked(*shared, *_slopes(loaded, prompt, base, at, score), None, None)
    with loaded.busy():
        found, readings = parts(loaded, score, seen.values, logits, place)
        random = _random(loaded, seen, place, seed)
    layers = range(loaded.n_layers)
    z = [seen.values[Site(layer, "head", position=place)][0].float() for layer in layers]
    return _Asked(*shared, z, [each[None] for each in readings], found, random)


def _slopes(
    loaded: Loaded, prompt: Rows, base: list[Change], at: int, score: Score
) -> tuple[list[Tensor], list[Tensor]]:
    """Heads [token, head, d_head] and the slope of the score in them, by layer."""

    def scores(logits: Tensor) -> tuple[list[Tensor], None]:
        return [score.of(loaded, logits[0, at])], None

    stack = loaded.prompt_stack
    z, gradients, _ = head_gradients(loaded, prompt, scores, stack, base)
    return [each[0].float() for each in z], [each[0].float() for each in gradients[0]]


def _random(loaded: Loaded, seen: Trace, place: int, seed: int) -> Tensor:
    """[layer] the largest |attribution| of its heads for a random token, mean over N_RANDOM."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(known_ids(loaded), (N_RANDOM,), generator=generator).tolist()
    layers = range(loaded.n_layers)
    last = seen.values[Site(loaded.n_layers - 1, "resid_post", position=place)][0, 0].float()
    reads = torch.stack([reading(loaded, Score(token), last) for token in tokens])
    found = []
    for layer in layers:
        z = seen.values[Site(layer, "head", position=place)][0, 0].float()
        said = [(readings_of(loaded, layer, read, z)[0] * z).sum(dim=-1) for read in reads]
        found.append(torch.stack(said).abs().amax(dim=1).mean())
    return torch.stack(found)


def _layer(
    asked: _Asked, layer: int, to: str, where: str, seed: int, found: dict[str, list[Tensor]]
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


def _traces(asked: _Asked, read: Site, changes: list[list[Intervention]]) -> Any:
    """Runs of the prompt under many lists of changes, as many rows at once as fit."""
    loaded, tokens = asked.loaded, asked.prompt.ids.shape[1]
    size = max(1, min(TOKENS_AT_ONCE // tokens, LOGITS_AT_ONCE // loaded.d_vocab))
    for start in range(0, len(changes), size):
        some = changes[start : start + size]
        batch = repeated(asked.prompt, len(some)) if len(some) > 1 else asked.prompt
        yield run(
            loaded, batch, read=[read], change=some, logits=[asked.at], check=asked.progress.check
        )


def _sum(asked: _Asked, layers: int, heads: int) -> dict[str, Any]:
    """The score as a sum of what was written, NaN where there is no plain path."""
    own, nan = asked.parts, float("nan")
    if own is None or asked.random is None:
        empty = torch.full((layers,), nan).numpy()
        return {
            "score": asked.value,
            "start": nan,
            "constant": nan,
            "attribution": torch.full((layers, heads), nan).numpy(),
            **dict.fromkeys(("random_attribution", "bias", "attention", "mlp"), empty),
        }
    return {
        "score": own.score,
        "start": own.start,
        "constant": own.constant,
        "attribution": own.heads.numpy(),
        "random_attribution": asked.random.cpu().numpy(),
        "bias": own.bias.numpy(),
        "attention": own.attention.numpy(),
        "mlp": own.mlp.numpy(),
    }
