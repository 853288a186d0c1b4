"""A made-up training run: a head comes at the third checkpoint, one goes, a concept comes."""

import numpy as np

from core.analyses.training_circuit import circuits
from core.results.training import Training

KINDS = ("previous_token", "duplicate_token", "induction")


def training(model: str, refs: tuple[str, ...], concept: str = "gender") -> Training:
    """Fresh weights, the checkpoints of these names, and the model at the end."""
    n, layers, heads = len(refs) + 2, 3, 4
    rng = np.random.default_rng(0)
    quiet = {kind: np.full((n, layers, heads), 0.03) for kind in KINDS}
    scores = {kind: 0.02 + 0.01 * rng.random((n, layers, heads)) for kind in KINDS}
    scores["previous_token"][3:, 1, 2] = 0.9
    scores["induction"][2:4, 2, 0] = 0.6
    auc = 0.5 + 0.05 * rng.random((n, 2, layers + 1))
    auc[4:, 0, 2] = 0.97
    rows = [{"effect": rng.random((4, layers, heads))} for _ in range(n)]
    names = ["fresh weights", *(ref.rpartition("/")[2] for ref in refs), model.rpartition("/")[2]]
    return Training(
        request={"analysis": "training", "model": [model, "", ""], "prompts": [], "options": {}},
        model=model,
        checkpoints=tuple(names),
        refs=("", *refs, model),
        revisions=("",) * n,
        fresh=True,
        left_out=(), why_not=(),
        kinds=KINDS,
        by_place=("previous_token",),
        concepts=(concept, "embedded: plural"),
        n_items=((30, 30), (40, 40)),
        n_shuffles=20,
        corpora=("reference", "world"),
        n_tokens=(2_000, 1_500),
        n_sequences=16,
        n_queries=(1_600, 800, 800),
        task="repeated_tokens", n_cases=4, to="mean",
        n_neurons=50,
        d_mlp=50,
        seed=0,
        stack="",
        steps=np.array([0.0, *(10.0**place for place in range(n - 1))]),
        loss=np.linspace(8, 2, 2 * n).reshape(n, 2),
        copy_loss=np.linspace(8, 1, 2 * n).reshape(n, 2),
        scores=scores,
        control=quiet,
        shuffled=quiet,
        auc=auc,
        control_auc=0.5 + 0.1 * rng.random((n, 2, 20, layers + 1)),
        answered=np.linspace(-8, -1, n),
        right=np.linspace(0, 1, n),
        **circuits(rows, (layers, heads), 3),
        kept_next=rng.random((n, layers)),
        kept_last=rng.random((n, layers)),
        cosine_next=rng.random((n, layers)),
        control_cosine_next=rng.random((n, layers)),
    )  # fmt: skip
