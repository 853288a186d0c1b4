"""Made-up results about where, when and whether a thing is read, for tests of screens."""

import numpy as np

from core.results.depth_emergence import DepthEmergence
from core.results.meaning_control import MeaningControl
from core.results.minimal_pairs import MinimalPairs
from core.results.probe_sites import ProbeSites


def probe_sites(concept: str = "gender carried", positive: str = "female") -> ProbeSites:
    """Two layers of three heads; L1.head[2] and what leaves layer 1 are beyond chance."""
    cells = [*(f"L{n}.head[{h}]" for n in (0, 1) for h in range(3)), "L0.resid_pre",
             "L0.resid_post", "L1.resid_post"]  # fmt: skip
    auc = np.array([0.5, 0.55, 0.6, 0.5, 0.62, 0.95, 0.5, 0.6, 0.97])
    rng = np.random.default_rng(0)
    shuffled = rng.uniform(0.4, 0.66, (40, 9))
    p = np.where(auc > 0.9, 1 / 41, 0.5)
    return ProbeSites(
        request={}, concept=concept, about="made up", source="made up", positive=positive,
        negative="male", position="last", stack="", seed=0, grouped=True, n_texts=160,
        n_positive=80, n_groups=20, n_folds=5, n_shuffles=40, n_layers=2, n_heads=3,
        cells=tuple(cells),
        components=(*("head",) * 6, "embedding", "resid_post", "resid_post"), notes=(),
        layer=np.array([0, 0, 0, 1, 1, 1, 0, 0, 1]), unit=np.array([0, 1, 2, 0, 1, 2, -1, -1, -1]),
        auc=auc, auc_low=auc - 0.04, auc_high=np.minimum(1, auc + 0.04), accuracy=auc,
        control_auc=shuffled, untrained_auc=np.full(9, np.nan),
        most=np.stack([shuffled[:, :6].max(1), shuffled[:, 6:].max(1)]), p=p,
        nested=np.array([0.94, 0.96]), nested_control=np.full((2, 40), 0.5),
        floor_auc=np.array([0.5, 0.51, np.nan]), gaps={"head": np.zeros((2, 3, 4))},
    )  # fmt: skip


def minimal_pairs(name: str = "agreement", word: str = "dogs", n: int = 12) -> MinimalPairs:
    """Preferred in all but two pairs, read behind layer 2 in all."""
    rng = np.random.default_rng(1)
    rows = 4
    margin = np.repeat(np.array([0.0, 0.0, 0.0, 2.0])[:, None], n, axis=1)
    chosen = np.where(margin > 0, 1, 0.5).mean(axis=1)
    gap = np.stack([np.ones(n), np.ones(n), np.full(n, np.nan)])
    gap[:2, :2] = -1
    direct = np.array([(n - 2) / n, (n - 2) / n, np.nan])
    return MinimalPairs(
        request={}, pairs=name, about="made up", seed=0, position="last", prompt="",
        answers=("true", "false"), sites=("L0.resid_pre", *(f"L{i}.resid_post" for i in range(3))),
        good=tuple(f"the {word} {i} are here" for i in range(n)),
        bad=tuple(f"the {word} {i} is here" for i in range(n)), kinds=("one", "many"),
        grouped=True, n_groups=6, n_folds=5, n_shuffles=40, notes=(), kind=np.arange(n) % 2,
        gap=gap, direct=direct, direct_low=direct - 0.1, direct_high=direct + 0.05,
        untrained_direct=np.full(3, np.nan), n_shared=np.ones(n, int), shorter=0.5, margin=margin,
        chosen=chosen, chosen_low=chosen - 0.1, chosen_high=np.minimum(1, chosen + 0.1),
        control_chosen=rng.uniform(0.4, 0.6, (40, rows)), untrained_chosen=np.full(rows, np.nan),
        words_chosen=0.5, auc=chosen, f1=chosen, nested=1.0, nested_low=0.9, nested_high=1.0,
    )  # fmt: skip


def meaning_control(name: str = "months") -> MeaningControl:
    """Held from layer 1 on."""
    auc = np.array([0.5, 0.6, 0.9, 0.95])
    rng = np.random.default_rng(2)
    other = rng.uniform(0.45, 0.55, (20, 4))
    excess = auc - other.mean(axis=0)
    return MeaningControl(
        request={}, texts_name=name, about="made up", classes=("no", "yes"),
        others_names=tuple(f"drawn {i}" for i in range(1, 21)), position="last", seed=0,
        sites=("L0.resid_pre", *(f"L{i}.resid_post" for i in range(3))), grouped=False,
        n_texts=240, n_groups=240, n_folds=5, n_shuffles=20, notes=(), auc=auc, auc_low=auc - 0.05,
        auc_high=np.minimum(1, auc + 0.05), other_auc=other, excess=excess,
        excess_low=excess - 0.05, excess_high=excess + 0.05, other_excess=other - 0.5,
        accuracy=auc, other_accuracy=other, control_auc=other, untrained_auc=np.full(4, np.nan),
        untrained_excess=np.full(4, np.nan), agreement=np.full(20, 0.5),
        words_auc=np.full(21, 0.5), nested=0.44, nested_others=np.full(20, 0.05),
    )  # fmt: skip


def depth_emergence(
    concept: str = "gender carried", models: tuple[str, ...] = ("embedded",)
) -> DepthEmergence:
    """Two checkpoints and the first model; one row for every further one."""
    names = ("step-000", "step-100", *models)
    rows = len(names)
    auc = np.full((rows, 4), 0.5)
    auc[1:, 2:] = 0.9
    rng = np.random.default_rng(3)
    return DepthEmergence(
        request={}, concept=concept, about="made up", source="made up", positive="female",
        negative="male", seed=0, grouped=True, n_texts=160, n_groups=20, n_folds=5, n_shuffles=20,
        models=models, parameters=(1_000_000,) * len(models), checkpoints=names, notes=(),
        model=np.array([0, 0, *range(len(models))]), n_layers=np.full(rows, 3), auc=auc,
        auc_low=auc - 0.05, auc_high=auc + 0.05, accuracy=auc,
        control_auc=rng.uniform(0.4, 0.6, (20, rows, 4)), floor_auc=np.full(rows, 0.52),
    )  # fmt: skip
