"""A question about heads on one text: the answer's logit, and how every head is read for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.analyses.neuron_activity import no_direct_effect
from core.analyses.runs import Progress, at_position, log_probabilities, logit_position, prompt_rows
from core.engine.forward import run
from core.engine.gradients import head_gradients
from core.engine.head_attribution import (
    Parts,
    Score,
    head_readings,
    part_sites,
    parts,
    reading,
)
from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.models.words import one_token
from core.spec.interventions import Change
from core.spec.site import Site

N_RANDOM = 32


@dataclass
class Asked:
    """The run as it is, and what a change of any head is measured against.

    With a plain path to the logits (`why_not` empty) z and `readings` hold the asked token only;
    else every token, and the readings are slopes of the score.
    """

    loaded: Loaded
    progress: Progress
    prompt: Rows
    ids: list[int]
    base: list[Change]
    place: int  # token of the prompt
    at: int  # where its prediction is among the logits
    score: Score
    why_not: str
    log_p: Tensor  # [d_vocab]
    value: float  # of the score
    z: list[Tensor]  # by layer, [token, head, d_head]
    readings: list[Tensor]  # by layer, what a change of z is multiplied with, same shape
    parts: Parts | None
    stream: Tensor | None  # [d_model] the last resid_post at the token

    def site(self, layer: int, head: int | None = None) -> Site:
        """A head, or all heads of a layer where they are read."""
        one = self.place if head is None and not self.why_not else None
        return Site(layer, "head", head, one, stack=self.loaded.prompt_stack)

    @property
    def answer(self) -> str:
        return pieces(self.loaded, [self.score.answer])[0]

    @property
    def against(self) -> str:
        other = self.score.against
        return "" if other is None else pieces(self.loaded, [other])[0]


def ask_heads(
    loaded: Loaded,
    progress: Progress,
    text: str,
    interventions: Sequence[Change],
    position: int | None,
    answer: str | int,
    against: str | int,
) -> Asked:
    """One run of the text (and one back, where there is no plain path to the logits).

    The answer "" is the most probable token at the position; against "" the vocabulary's mean.
    """
    prompt, ids = prompt_rows(loaded, text)
    place, base = at_position(ids, position), list(interventions)
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
    shared = (loaded, progress, prompt, ids, base, place, at, score, why_not, log_p, value)
    if why_not:
        return Asked(*shared, *_slopes(loaded, prompt, base, at, score), None, None)
    with loaded.busy():
        found, readings = parts(loaded, score, seen.values, logits, place)
    layers = range(loaded.n_layers)
    z = [seen.values[Site(layer, "head", position=place)][0].float() for layer in layers]
    last = Site(loaded.n_layers - 1, "resid_post", position=place)
    stream = seen.values[last][0, 0].float()
    return Asked(*shared, z, [each[None] for each in readings], found, stream)


def _slopes(
    loaded: Loaded, prompt: Rows, base: list[Change], at: int, score: Score
) -> tuple[list[Tensor], list[Tensor]]:
    """Heads [token, head, d_head] and the slope of the score in them, by layer."""

    def scores(logits: Tensor) -> tuple[list[Tensor], None]:
        return [score.of(loaded, logits[0, at])], None

    stack = loaded.prompt_stack
    z, gradients, _ = head_gradients(loaded, prompt, scores, stack, base)
    return [each[0].float() for each in z], [each[0].float() for each in gradients[0]]


def random_readings(asked: Asked, layer: int, seed: int) -> Tensor:
    """How the heads of a layer are read for random tokens instead, [random, head, d_head].

    Needs a plain path to the logits.
    """
    assert asked.stream is not None
    loaded = asked.loaded
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(known_ids(loaded), (N_RANDOM,), generator=generator).tolist()
    with loaded.busy():
        reads = torch.stack([reading(loaded, Score(token), asked.stream) for token in tokens])
        return head_readings(loaded, layer, reads, asked.z[layer][0])[0]
