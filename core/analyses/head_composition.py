"""Which heads read what which earlier heads write, by their weights."""

import numpy as np
import torch
from torch import Tensor

from core.analyses.head_channels import N_CHANNELS, N_DRAWS, OUTLIER, Listened, channels
from core.analyses.runs import Progress
from core.engine.head_circuits import composition, reduced
from core.engine.head_probe import head_weights, positions
from core.engine.head_weights import HeadWeights, check_head, content
from core.models.loaded import Loaded
from core.results.head_composition import KINDS, HeadComposition
from core.spec.errors import Error

N_RANDOM = 20


def head_composition(
    loaded: Loaded, progress: Progress, *, seed: int = 0, stack: str = ""
) -> HeadComposition:
    """Q-, K- and V-composition of all pairs of heads, beside that of random factors.

    || M1 M2 || / (|| M1 || || M2 ||) in Frobenius norms, M1 what the earlier head writes (W_V W_O),
    M2 the later one's W_Q W_K^T (q), W_K W_Q^T (k) or W_V W_O (v), norms folded in ("A Mathematical
    Framework for Transformer Circuits", 2021); and of each single channel of the earlier ones
    ("Talking Heads", 2024). Raises `Error` for a model of one layer.
    """
    check_head(loaded, 0, stack=stack)
    layers, n = len(loaded.stacks[stack].blocks), loaded.n_heads
    if layers < 2:
        raise Error(f"{loaded.name} has one layer, so no head reads what another one writes")
    tables = {kind: np.full((layers * n, layers * n), np.nan, "float32") for kind in KINDS}
    with loaded.busy():
        about = positions(loaded, stack)
        lates = []
        written: list[Tensor] = []
        share: list[Tensor] = []
        listened = Listened(tuple(KINDS), loaded.d_model, seed)
        for late in range(layers):
            heads = head_weights(loaded, late, stack)
            lates.append(heads)
            readers = {kind: _reads(loaded, heads, kind) for kind in KINDS}
            for early in range(late):
                progress.step((late * (late - 1) / 2 + early) / (layers * (layers - 1) / 2))
                wrote = _writes(lates[early])
                rows, columns = (slice(at * n, (at + 1) * n) for at in (early, late))
                for kind, table in tables.items():
                    table[rows, columns] = composition(wrote, readers[kind]).cpu().numpy()
            for kind in KINDS if late else ():
                listened.add(kind, late * n, readers[kind], written, share)
            for parts, part in zip((written, share), channels(heads), strict=True):
                parts.append(part)
        random = _random(loaded, seed)
    return HeadComposition(
        request={},
        n_layers=layers,
        n_heads=n,
        rotary=any(each.cos is not None for each in about),
        normed=lates[0].norm_q is not None or lates[0].norm_k is not None,
        n_random=N_RANDOM,
        n_pairs=n * n * layers * (layers - 1) // 2,
        composition=tables,
        random=np.tile(random, (len(KINDS), 1)),
        n_channels=min(N_CHANNELS, loaded.d_head),
        n_heard=listened.n // len(KINDS),
        n_draws=N_DRAWS,
        outlier=OUTLIER,
        n_outliers=tuple(listened.n_outliers.values()),
        random_outlier=listened.random_outlier,
        **listened.found(),
        stack=stack,
    )


def _writes(heads: HeadWeights) -> Tensor:
    """W_V W_O of every head, reduced to the side it writes on: [head, d_head, d_model]."""
    return torch.stack([reduced(*heads.ov(head)) for head in range(heads.n_heads)])


def _reads(loaded: Loaded, heads: HeadWeights, kind: str) -> Tensor:
    """What every head reads with, reduced to the side it reads on: [head, d_model, d_head]."""
    found = []
    for head in range(heads.n_heads):
        query, key = content(loaded, heads, head)
        value, out = heads.ov(head)
        own, other = {"q": (query, key), "k": (key, query), "v": (value, out.T)}[kind]
        found.append(reduced(other, own.T).T)
    return torch.stack(found)


def _random(loaded: Loaded, seed: int) -> np.ndarray:
    """Mean and standard deviation of the composition of Gaussian circuits of these shapes."""
    generator = torch.Generator().manual_seed(seed)

    def circuits() -> Tensor:
        factors = torch.randn(2, N_RANDOM, loaded.d_model, loaded.d_head, generator=generator)
        return torch.stack([reduced(a, b.T) for a, b in zip(*factors, strict=True)])

    values = composition(circuits(), circuits().transpose(1, 2)).diagonal()
    return np.array([[float(values.mean()), float(values.std())]], "float32")
