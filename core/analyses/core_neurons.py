"""Core neurons of a text, after "CoreInfer": few neurons that stay, and carry the text on."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.analyses.neuron_sets import Batch, layers_and_width, watch
from core.analyses.runs import Progress, prompt_rows
from core.corpus.reference import reference_chunks
from core.engine.forward import run
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.rows import Rows, repeated, rows
from core.engine.units import Act, through
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.core_neurons import CoreNeurons
from core.spec.errors import Error

BETAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
N_PREFIXES = 12
N_RANDOM = 10
LEAST_TOKENS = 8
SIZES: dict[str, Callable[[Tensor], Tensor]] = {"size": torch.abs, "positive": torch.relu}


def core_neurons(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    alpha: float = 0.4,
    beta: float = 0.2,
    by: str = "size",
    betas: Sequence[float] = BETAS,
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> CoreNeurons:
    """Which neurons a text keeps using, how early they are known, and what runs on them alone.

    A neuron counts at a token where its activation is among the `alpha` share of the largest
    ones; the core of a layer is the `beta` share counted most often ("CoreInfer"). The
    core of the first half is compared with that of every prefix of it, and is then all that runs
    at the tokens of the second half, beside the core of another text and random sets.
    `by` "positive" is the paper's; "size" counts large negative activations as well, which gated
    MLPs have and cannot do without (for a ReLU the two are the same).
    """
    size_of = _size_of(by)
    refuse_without_next_tokens(loaded, "the core of a text")
    _, width = layers_and_width(loaded)
    betas = _betas(alpha, beta, betas)
    prompt, ids = prompt_rows(loaded, text)
    if len(ids) < LEAST_TOKENS:
        raise Error(f"the text has {len(ids)} tokens; a core needs at least {LEAST_TOKENS}")
    first = len(ids) // 2
    marks = np.unique(np.linspace(1, first, min(N_PREFIXES, first)).round().astype(int))
    score = _scores(loaded, progress, rows(loaded, [ids[:first]]), marks.tolist(), alpha, size_of)
    strange, n_reference = _reference(loaded, progress, alpha, size_of)
    size = max(1, round(beta * width))
    own = [top_set(each, size) for each in score]
    both = (score[-1], strange)
    losses, base = _losses(loaded, progress, prompt, first, both, betas, n_random, seed)
    ranked = score[-1].argsort(dim=-1, descending=True)[:, :size]
    return CoreNeurons(
        request={},
        tokens=pieces(loaded, ids),
        alpha=float(alpha),
        beta=float(beta),
        by=by,
        n_first=first,
        n_held=len(ids) - first - 1,
        n_random=n_random,
        n_reference=n_reference,
        d_mlp=width,
        base=base,
        prefix=marks,
        stability=np.stack([jaccard(each, own[-1]).numpy() for each in own]),
        chance=np.array([size / (2 * width - size)]),
        likeness=jaccard(own[-1], top_set(strange, size)).numpy(),
        betas=np.array(betas),
        loss=losses,
        unit=ranked.numpy(),
        often=(score[-1].gather(1, ranked).floor() / first).numpy(),
    )


def _size_of(by: str) -> Callable[[Tensor], Tensor]:
    if by not in SIZES:
        raise Error(f"strongest by 'positive' or by 'size', not by {str(by)[:20]!r}")
    return SIZES[by]


def _betas(alpha: float, beta: float, betas: Sequence[float]) -> list[float]:
    wanted = sorted({float(beta), *map(float, betas)})
    if not (0 < alpha <= 1 and wanted[0] > 0 and wanted[-1] <= 1):
        raise Error("alpha and beta are shares: above 0 and up to 1, for example 0.4 and 0.2")
    return wanted


def strongest(values: Float[Tensor, "token neuron"], alpha: float) -> Bool[Tensor, "token neuron"]:
    """Where a neuron is among the `alpha` share (rounded up) of its token's positive ones."""
    ranked = values.sort(dim=-1, descending=True).values
    n_positive = (values > 0).sum(dim=-1, keepdim=True)
    last = (alpha * n_positive).ceil().long().clamp_min(1) - 1
    return (values >= ranked.gather(-1, last)) & (values > 0)


def top_set(score: Float[Tensor, "layer neuron"], size: int) -> Bool[Tensor, "layer neuron"]:
    """The `size` neurons of each layer with the highest score."""
    chosen = torch.zeros(score.shape, dtype=torch.bool)
    return chosen.scatter_(1, score.topk(size, dim=-1).indices, True)


def jaccard(
    one: Bool[Tensor, "layer neuron"], two: Bool[Tensor, "layer neuron"]
) -> Float[Tensor, " layer"]:
    """Neurons in both over neurons in either, layer by layer."""
    return (one & two).sum(dim=-1) / (one | two).sum(dim=-1).clamp_min(1)


def _scores(
    loaded: Loaded,
    progress: Progress,
    text: Rows,
    marks: Sequence[int],
    alpha: float,
    size_of: Callable[[Tensor], Tensor],
) -> list[Float[Tensor, "layer neuron"]]:
    """Counts after each of the marked tokens, [layer, neuron]; ties go by summed activation.

    The part behind the point is that sum, scaled below 1.
    """
    per_layer: dict[int, Tensor] = {}

    def look(layer: int, values: Tensor) -> None:
        sizes = size_of(values.float())
        fired = strongest(sizes, alpha)
        counts = fired.cumsum(dim=0)
        mass = (sizes * fired).cumsum(dim=0)
        mass = mass / (mass.amax(dim=-1, keepdim=True) * 1.001).clamp_min(1e-30)
        ends = [mark - 1 for mark in marks]
        per_layer[layer] = (counts + mass)[ends].cpu()

    watch(loaded, progress, Batch((0,), text), look)
    found = torch.stack([per_layer[layer] for layer in sorted(per_layer)], dim=1)
    return list(found)


def _reference(
    loaded: Loaded, progress: Progress, alpha: float, size_of: Callable[[Tensor], Tensor]
) -> tuple[Tensor, int]:
    """The scores on the reference text: the core that any text would have."""
    chunks = reference_chunks(loaded)[:8]
    total = None
    for chunk in chunks:
        progress.step(0.1, "the core of the reference text")
        one = _scores(loaded, progress, rows(loaded, [chunk]), [len(chunk)], alpha, size_of)[0]
        total = one if total is None else total + one
    assert total is not None
    return total, sum(map(len, chunks))


def _losses(
    loaded: Loaded,
    progress: Progress,
    prompt: Rows,
    first: int,
    scores: tuple[Tensor, Tensor],
    betas: Sequence[float],
    n_random: int,
    seed: int,
) -> tuple[np.ndarray, float]:
    """Loss behind token `first` where only a set runs from there on, [beta, set]; and of all."""
    base = float(_held(loaded, progress, prompt, first, None)[0])
    found = []
    generator = torch.Generator().manual_seed(seed)
    shape = scores[0].shape
    for number, beta in enumerate(betas):
        progress.step(0.2 + 0.8 * number / len(betas), f"only {beta:.0%} of the neurons run")
        size = max(1, round(beta * shape[1]))
        drawn = torch.rand(n_random, *shape, generator=generator)
        sets = [top_set(each, size) for each in (*scores, *drawn)]
        found.append(_held(loaded, progress, prompt, first, torch.stack(sets, dim=1)))
    return np.stack(found), base


def _held(
    loaded: Loaded, progress: Progress, prompt: Rows, first: int, sets: Tensor | None
) -> np.ndarray:
    """Mean loss of what is foretold from token `first` on, one number per set.

    sets [layer, set, neuron]: what runs there; None: everything, one number.
    """
    n = 1 if sets is None else sets.shape[1]
    batch = repeated(prompt, n)
    acts = {} if sets is None else {k: _only(each, first) for k, each in enumerate(sets)}
    with through(loaded, acts, n):
        logits = run(loaded, batch, check=progress.check).logits
        assert logits is not None
        return next_token_losses(logits, batch)[:, first:].mean(dim=1).double().cpu().numpy()


def _only(sets: Bool[Tensor, "set neuron"], first: int) -> Act:
    """Keep row r's own set behind the first tokens, which run whole."""

    def act(values: Tensor) -> Tensor:
        kept = values.clone()
        kept[:, first:] *= sets[:, None].to(values)
        return kept

    return act
