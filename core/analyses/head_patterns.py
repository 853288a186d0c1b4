"""Where all heads look on a text, each as a small picture: layer by layer, never all at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, prompt_rows
from core.engine.forward import run
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.head_patterns import HeadPatterns
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.site import Site

SIDE, MOST_SIDE = 48, 256  # cells of a picture
MOST_BYTES = 2_000_000_000  # of the patterns of one layer while they are pooled


def head_patterns(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    layer: int | None = None,
    side: int = SIDE,
    interventions: Sequence[Change] = (),
) -> HeadPatterns:
    """Patterns of all heads (of one layer, or of all), pooled to at most `side` x `side` cells.

    A cell is the largest weight in it, so that a thin line stays visible however long the text
    is. One forward a layer: the memory needed is that of one layer's patterns. Raises `Error` for
    a text whose patterns would not fit.
    """
    if not isinstance(side, int) or not 2 <= side <= MOST_SIDE:
        raise Error(f"side must be a whole number from 2 to {MOST_SIDE}, not {side!r:.40}")
    prompt, ids = prompt_rows(loaded, text)
    n = len(ids)
    refuse_long(loaded, n)
    step = -(-n // side)
    asked = range(len(loaded.stacks[loaded.prompt_stack].blocks)) if layer is None else [layer]
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("tiles", "entropy", "best")}
    for done, number in enumerate(asked):
        progress.step(done / len(asked), f"patterns of layer {number}")
        place = Site(number, "pattern", stack=loaded.prompt_stack)
        seen = run(
            loaded, prompt, read=[place], change=[interventions], logits="none",
            check=progress.check,
        )  # fmt: skip
        pattern = seen.values[place][0].float()
        found["tiles"].append(_pooled(pattern, step).cpu().numpy())
        spread = -(pattern * pattern.clamp_min(1e-30).log()).sum(dim=-1).mean(dim=-1)
        found["entropy"].append(spread.cpu().numpy())
        found["best"].append(_strongest(pattern).cpu().numpy())
    best = np.stack(found["best"])  # [layer, head, (place, weight)]
    place_ = best[..., 0].astype(np.int64)
    return HeadPatterns(
        request={},
        tokens=pieces(loaded, ids),
        step=step,
        layers=np.array(list(asked)),
        tiles=np.stack(found["tiles"]),
        entropy=np.stack(found["entropy"]).astype(np.float32),
        uniform_entropy=_uniform(n, causal=loaded.kind == "decoder"),
        strongest_query=place_ // n,
        strongest_key=place_ % n,
        strongest=best[..., 1].astype(np.float32),
        stack=loaded.prompt_stack,
    )


def refuse_long(loaded: Loaded, n: int, layers: int = 1) -> None:
    """Raise `Error` for a text of n tokens whose patterns of that many layers would not fit."""
    each = 4 * loaded.n_heads * layers
    if each * n * n > MOST_BYTES:
        what = "one layer" if layers == 1 else f"{layers} layers"
        raise Error(
            f"the patterns of {what} on {n:,} tokens take {each * n * n / 1e9:.1f} GB; give a text "
            f"of at most {int((MOST_BYTES / each) ** 0.5):,} tokens"
        )


def _pooled(pattern: Tensor, step: int) -> Tensor:
    """[head, cell, cell] uint8, the largest weight of each square of `step` tokens."""
    if step > 1:
        pattern = torch.nn.functional.max_pool2d(pattern, step, ceil_mode=True)
    return (pattern * 255).round().to(torch.uint8)


def _strongest(pattern: Tensor) -> Tensor:
    """[head, (place, weight)] float64: the largest weight between two different tokens.

    The first token is left out as a key: most heads rest on it. Place = query x tokens + key.
    """
    n = pattern.shape[-1]
    other = pattern.masked_fill(torch.eye(n, dtype=torch.bool, device=pattern.device), -1.0)
    other[..., 0] = -1.0
    if n == 1:
        other = pattern
    weight, place = other.flatten(1).max(dim=1)
    return torch.stack([place.double(), weight.clamp_min(0).double()], dim=1)


def _uniform(n: int, *, causal: bool) -> float:
    """Mean entropy of uniform attention over what each token sees, nats."""
    return float(np.log(np.arange(1, n + 1)).mean()) if causal else float(np.log(n))
