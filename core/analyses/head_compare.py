"""Two heads side by side on one text: patterns, what they write, what each and both cause."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.head_asked import Asked, ask_heads
from core.analyses.head_effect import N_CONTROLS
from core.analyses.head_patterns import refuse_long
from core.analyses.runs import Progress, batches, log_probabilities, prompt_rows
from core.engine.forward import run
from core.engine.rows import Rows
from core.engine.writes import write_matrix
from core.models.loaded import Loaded
from core.models.tokens import pieces, special
from core.results.head_compare import CASES, MEASURES, HeadCompare
from core.spec.errors import Error
from core.spec.interventions import Ablate, Change, Control, Intervention
from core.spec.site import Site

SIDE = 96  # cells of a pattern
SECOND = 50  # added to the seed of the second head's controls, so that they are others


def head_compare(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    layer: int,
    head: int,
    other_layer: int,
    other_head: int,
    interventions: Sequence[Change] = (),
    position: int | None = None,
    answer: str | int = "",
    to: str = "mean",
    side: int = SIDE,
    seed: int = 0,
) -> HeadCompare:
    """How alike two heads look and write on a text, and what ablating each, and both, costs.

    Each measure stands beside the same for the other heads of the two layers. Effects are those of
    `head_effect`; where the model foretells nothing they are NaN.
    """
    if not isinstance(side, int) or isinstance(side, bool) or not 2 <= side <= 1_024:
        raise Error(f"side must be a whole number from 2 to 1,024, not {side!r:.40}")
    sites = _sites(loaded, (layer, head), (other_layer, other_head))
    prompt, ids = prompt_rows(loaded, text)
    refuse_long(loaded, len(ids), layers=2)
    progress.step(0.0, "where both look")
    alike = _seen(loaded, progress, prompt, sites, interventions, side)
    progress.step(0.5, "without each, and without both")
    asked = None
    if loaded.head is not None:
        asked = ask_heads(loaded, progress, text, interventions, position, answer, "")
    effect, control = _effects(asked, sites, to, seed)
    return HeadCompare(
        request={},
        heads=(str(sites[0]), str(sites[1])),
        tokens=pieces(loaded, ids),
        special=special(loaded, ids),
        position=asked.place if asked else len(ids) - 1,
        answer=asked.answer if asked else "",
        to=to,
        n_controls=N_CONTROLS,
        effect=effect,
        control=control,
        **alike,
    )


def _sites(loaded: Loaded, *places: tuple[int, int]) -> list[Site]:
    """The two heads. Raises `Error` where the model has no such head, or it is twice the same."""
    stack = loaded.prompt_stack
    sites = [Site(layer, "head", head, stack=stack) for layer, head in places]
    for site in sites:
        loaded.check(site)
        loaded.check(Site(site.layer, "pattern", site.unit, stack=stack))
    if sites[0] == sites[1]:
        raise Error(f"{sites[0]} cannot be compared with itself; choose another head")
    return sites


def _seen(
    loaded: Loaded,
    progress: Progress,
    prompt: Rows,
    sites: Sequence[Site],
    interventions: Sequence[Change],
    side: int,
) -> dict[str, Any]:
    """Likeness and pooled patterns of the two, by field of the result."""
    stack = loaded.prompt_stack
    layers = sorted({site.layer for site in sites})
    read = [Site(at, part, stack=stack) for at in layers for part in ("pattern", "head")]
    seen = run(
        loaded, prompt, read=read, change=[interventions], logits="none", check=progress.check
    ).values
    with loaded.busy():
        patterns = {at: seen[Site(at, "pattern", stack=stack)][0].float() for at in layers}
        written = {at: seen[Site(at, "head", stack=stack)][0].float() for at in layers}
        own = [patterns[site.layer][site.unit] for site in sites]
        pooled, difference, step = _pooled(own, side)
        found = _Likeness(loaded, patterns, written).of(sites)
    return found | {"pattern": pooled, "difference": difference, "step": step}


class _Likeness:
    """How alike heads of a layer or two are, measure by measure."""

    def __init__(
        self, loaded: Loaded, patterns: dict[int, Tensor], written: dict[int, Tensor]
    ) -> None:
        self.loaded, self.patterns, self.z = loaded, patterns, written
        n = next(iter(patterns.values())).shape[-1]
        causal = loaded.kind == "decoder"
        self.seen = torch.ones(n, n, device=next(iter(patterns.values())).device)
        if causal:
            self.seen = self.seen.tril()
        self.counting = self.seen.sum(1) > 1
        self.write = {
            at: write_matrix(loaded, Site(at, "head", stack=loaded.prompt_stack)) for at in patterns
        }

    def of(self, sites: Sequence[Site]) -> dict[str, Any]:
        """`alike` of the two, mean and largest of either beside every other head."""
        pair = [(site.layer, int(site.unit or 0)) for site in sites]
        others = [
            (at, n)
            for at in self.patterns
            for n in range(self.loaded.n_heads)
            if (at, n) not in pair
        ]
        beside = np.array([self._measures(one, other) for one in pair for other in others])
        nan = np.full(len(MEASURES), np.nan)
        return {
            "alike": np.array(self._measures(*pair)),
            "others": beside.mean(0) if len(beside) else nan,
            "most": beside.max(0) if len(beside) else nan,
            "n_others": len(others),
        }

    def _measures(self, one: tuple[int, int], other: tuple[int, int]) -> list[float]:
        if not bool(self.counting.any()):
            return [float("nan")] * len(MEASURES)
        a, b = (self.patterns[at][n][self.counting] for at, n in (one, other))
        seen = self.seen[self.counting]
        even = seen / seen.sum(1, keepdim=True)
        common = torch.minimum(a, b).sum(1).mean()
        u, v = (self._written(*at) for at in (one, other))
        cosine = torch.nn.functional.cosine_similarity(u, v, dim=-1).mean()
        output = _cosine(u - u.mean(0), v - v.mean(0))
        return [float(each) for each in (common, _cosine(a - even, b - even), cosine, output)]

    def _written(self, layer: int, head: int) -> Tensor:
        """[token, d_model] what a head adds at the tokens that count, before any post-norm."""
        return self.z[layer][self.counting, head] @ self.write[layer][head]


def _cosine(u: Tensor, v: Tensor) -> Tensor:
    """Of all numbers of two arrays; NaN where one is 0 everywhere."""
    return (u * v).sum() / (torch.linalg.vector_norm(u) * torch.linalg.vector_norm(v))


def _pooled(patterns: Sequence[Tensor], side: int) -> tuple[np.ndarray, np.ndarray, int]:
    """(patterns, their difference, tokens of a cell) in at most `side` cells a side."""
    both = torch.stack(list(patterns))[:, None]  # [2, 1, query, key]
    step = -(-both.shape[-1] // side)
    apart = both[0] - both[1]

    def largest(values: Tensor) -> Tensor:
        return torch.nn.functional.max_pool2d(values, step, ceil_mode=True) if step > 1 else values

    up, down = largest(apart), largest(-apart)
    difference = torch.where(up >= down, up, -down)[0]
    pooled = (largest(both)[:, 0] * 255).round().to(torch.uint8)
    return (
        pooled.cpu().numpy(),
        (difference * 255).round().to(torch.int16).cpu().numpy(),
        step,
    )


def _effects(
    asked: Asked | None, sites: Sequence[Site], to: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nats lost without the first, the second and both, and the mean of the controls of each."""
    if asked is None:
        nan = np.full(len(CASES), np.nan)
        return nan, nan.copy()
    first, second = (Ablate(site, to, seed) for site in sites)  # type: ignore[arg-type]
    cases: list[list[Intervention]] = [[first], [second], [first, second]]
    for number in range(N_CONTROLS):
        a, b = Control(first, seed * 100 + number), Control(second, seed * 100 + number)
        cases += [[a], [b], [a, Control(second, seed * 100 + number + SECOND)]]
    changes = [[*asked.base, *case] for case in cases]
    found = []
    for logits in batches(
        asked.loaded, asked.prompt, changes, logits=[asked.at], check=asked.progress.check
    ):
        log_p = log_probabilities(logits[:, -1])
        found.append((asked.log_p[asked.score.answer] - log_p[:, asked.score.answer]).cpu())
    lost = torch.cat(found).view(1 + N_CONTROLS, len(CASES)).numpy()
    return lost[0], lost[1:].mean(0)
