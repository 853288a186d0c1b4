"""Made-up answers about what heads cause."""

import numpy as np

from core.results.base import Result
from core.results.head_importance import HeadImportance
from core.results.head_ranking import HeadRanking
from core.results.head_sources import HeadSources
from core.results.head_types import LABELS, RULES, HeadTypes
from tests.pages.samples import HOSTILE, PLAIN


def head_sources(tokens: tuple[str, ...] = PLAIN, kind: str = "direct") -> HeadSources:
    """A head that looks at its first token and is moved by the third."""
    n = len(tokens)
    weight = np.full(n, 0.4 / max(1, n - 1), "float32")
    weight[0] = 0.6
    part = np.full(n, 0.01, "float32")
    part[2] = 0.7
    nan = np.full(n, np.nan, "float32")
    direct = kind == "direct"
    return HeadSources(
        request={},
        site="L4.head[2]",
        tokens=tokens,
        special=(False,) * n,
        position=n - 1,
        answer=tokens[1],
        against="",
        kind=kind,
        why_not="" if direct else "norms act on the stream itself",
        n_random=32 if direct else 0,
        whole=float(part.sum()),
        weight=weight,
        size=3 * weight,
        attribution=part,
        random_low=-0.1 * weight if direct else nan,
        random_high=0.1 * weight if direct else nan,
    )


def head_importance(n_layers: int = 6, n_heads: int = 4, agree: bool = True) -> HeadImportance:
    """A few heads that matter; exact effects that agree with the estimate, or do not."""
    rng = np.random.default_rng(0)
    estimate = np.abs(rng.normal(0, 0.01, (n_layers, n_heads)))
    estimate[n_layers // 2, 1] = 0.08
    order = np.argsort(-estimate.ravel())[:8]
    layer, head = np.unravel_index(order, estimate.shape)
    exact = estimate[layer, head] * (1.1 if agree else -1.0)
    return HeadImportance(
        request={},
        corpus="built-in",
        to="mean",
        n_texts=128,
        n_tokens=16_256,
        n_samples=4,
        n_controls=2,
        loss=1.77,
        estimate=estimate,
        first=0.3 * estimate,
        second=0.7 * estimate,
        control=np.abs(rng.normal(0, 0.01, estimate.shape)),
        layer=layer,
        head=head,
        top=np.arange(8) < 4,
        exact=exact,
        exact_error=np.full(8, 0.002),
        exact_kl=np.abs(exact),
        exact_control=np.full(8, 0.01),
        spearman=0.93 if agree else -1.0,
        pearson=0.95 if agree else -1.0,
    )


def head_ranking(kind: str = "prompt", about: str = " he", n_heads: int = 6) -> HeadRanking:
    """A few heads matter; of a concept only those in front of its layer were ablated."""
    rng, shape, concept = np.random.default_rng(1), (8, n_heads), kind == "concept"
    effect, control = rng.normal(0, 0.2, shape), rng.normal(0, 0.05, shape)
    effect[4, 2] = 0.9
    names = ("d_prime", "auc", "share", "read_z") if concept else ("direct", "kl", "attention")
    columns = {name: rng.uniform(0, 1, shape) for name in names}
    if concept:
        effect[6:] = control[6:] = np.nan
    return HeadRanking(
        request={},
        kind=kind,
        about=about,
        sides=(f"positive texts of {about}", "negative texts") if concept else (),
        unit="share of the gap" if concept else "nats",
        to="mean",
        position="last" if concept else "5",
        layer=5 if concept else -1,
        separation=0.97 if concept else float("nan"),
        n_built=(10, 10) if concept else (0, 0),
        n_texts=20 if concept else 1,
        n_controls=2,
        n_random=20 if concept else 0,
        notes=(),
        gap=3.0 if concept else float("nan"),
        effect=effect,
        control=control,
        columns=columns,
        nulls={names[0]: np.full(shape, 0.5)},
        agreement=dict.fromkeys(names, 0.1),
        start=0.2 if concept else float("nan"),
        attention=np.full(6, 0.05) if concept else np.zeros(0),
        mlp=np.full(6, 0.08) if concept else np.zeros(0),
    )


def head_types(n_layers: int = 6, n_heads: int = 4) -> HeadTypes:
    """An induction head with two labels, a previous token head, a dormant sink."""
    rng, shape = np.random.default_rng(2), (n_layers, n_heads)
    scores = {name: rng.uniform(0, 0.1, shape) for rule in RULES for name, _ in rule.needs}
    fits, margin = (np.zeros((*shape, len(RULES))) for _ in range(2))
    for at, label in (((4, 1), "induction"), ((4, 1), "copy"), ((1, 0), "previous token"),
                      ((2, 2), "sink")):  # fmt: skip
        place = LABELS.index(label)
        name, least = RULES[place].needs[0]
        scores[name][at] = 1.5 * least
        fits[(*at, place)], margin[(*at, place)] = 1, 1.5
    dormant = np.zeros(shape, "uint8")
    dormant[2, 2] = 1
    cost = np.full(shape, np.nan)
    cost[4, 1] = 0.4
    return HeadTypes(
        request={},
        corpus="built-in",
        sources=("repeats", "text"),
        tested=LABELS[:-1],
        notes=(),
        n_texts={"repeats": 32, "text": 32},
        n_tokens={"repeats": 3_232, "text": 4_096},
        n_random_heads=20,
        thresholds={"induction/ablation": 0.01},
        nulls={"repeats/induction_stripe/untrained": 0.02, "text/same_word/shuffled": 0.3},
        scores=scores,
        fits=fits.astype("uint8"),
        margin=margin,
        dormant=dormant,
        induction_cost=cost,
        importance=rng.normal(0, 0.01, shape),
        importance_control=rng.normal(0, 0.01, shape),
        importance_spearman=0.9,
    )


def every() -> tuple[Result, ...]:
    """One of each kind, plain and hostile, by slope and by path, reliable and not."""
    return (
        head_sources(),
        head_sources(HOSTILE),
        head_sources(kind="gradient"),
        head_importance(),
        head_importance(agree=False),
        head_importance(2, 32),
        head_ranking(),
        head_ranking("concept", HOSTILE[3]),
        head_ranking(about=HOSTILE[3], n_heads=32),
        head_types(),
        head_types(32, 32),
    )
