"""Made-up answers about pairs: two heads on one text, a head's pairs of tokens in a corpus."""

import numpy as np

from core.results.base import Result
from core.results.head_compare import MEASURES, HeadCompare
from core.results.head_contexts import BINS, RELATIONS, HeadContexts
from core.results.head_false_induction import HeadFalseInduction
from core.results.head_overlap import HeadOverlap
from tests.pages.samples import HOSTILE, PLAIN

GROUPS = ("top", "top", "5", "4", "3", "2", "1", "sample")


def head_compare(
    tokens: tuple[str, ...] = PLAIN, *, cells: int = 0, foretells: bool = True
) -> HeadCompare:
    """Two heads that share half of their attention; `cells` > 0: a long text in so many cells."""
    n = cells or len(tokens)
    rng = np.random.default_rng(0)
    pattern = (255 * rng.dirichlet(np.ones(n), (2, n))).astype("uint8")
    nan = np.full(3, np.nan)
    return HeadCompare(
        request={},
        heads=("L4.head[1]", "L2.head[0]"),
        tokens=tokens,
        special=(False,) * len(tokens),
        position=len(tokens) - 1,
        answer=tokens[1] if foretells else "",
        to="mean",
        n_controls=2,
        n_others=6,
        step=-(-len(tokens) // n),
        alike=np.linspace(0.5, 0.2, len(MEASURES)),
        others=np.full(len(MEASURES), 0.1),
        most=np.full(len(MEASURES), 0.3),
        effect=np.array([0.4, 0.1, 1.2]) if foretells else nan,
        control=np.array([0.01, -0.02, 0.0]) if foretells else nan,
        pattern=pattern,
        difference=pattern[0].astype("int16") - pattern[1],
    )


def head_false_induction(n_layers: int = 6, n_heads: int = 6) -> HeadFalseInduction:
    """One head that follows wrong examples; without it half of the lost accuracy comes back."""
    rng, shape = np.random.default_rng(3), (n_layers, n_heads)
    score = rng.uniform(-0.02, 0.02, shape).astype("float32")
    score[4, 1] = 0.7
    return HeadFalseInduction(
        request={},
        source="random",
        names=(),
        n_examples=20,
        n_classes=4,
        n_prompts=24,
        n_chosen_on=12,
        n_tested=12,
        n_random=5,
        score=score,
        control=rng.uniform(-0.02, 0.02, shape).astype("float32"),
        mass=rng.uniform(0.1, 0.9, shape).astype("float32"),
        chosen=np.array([[4, 1]]),
        accuracy_true=np.array([0.9, 0.7, 0.9, 0.9, 0.8, 0.9, 0.9]),
        accuracy_false=np.array([0.1, 0.5, 0.1, 0.1, 0.2, 0.1, 0.1]),
        margin_true=np.array([3.0, 2.0, 3.0, 3.0, 2.9, 3.0, 3.1]),
        margin_false=np.array([-3.0, -1.0, -3.0, -3.0, -2.9, -3.0, -3.1]),
    )


def head_contexts(tokens: tuple[str, ...] = PLAIN) -> HeadContexts:
    """A head that looks one token back; the last text is shorter than the others."""
    rng, n, shown = np.random.default_rng(1), len(tokens), len(GROUPS)
    texts = (tokens,) * (shown - 1) + (tokens[:-1],)
    attention = rng.dirichlet(np.ones(n), shown).astype("float32")
    attention[-1, -1] = np.nan
    weight = np.linspace(0.9, 0.05, shown).astype("float32")
    return HeadContexts(
        request={},
        site="L4.head[1]",
        corpus="built-in",
        n_contexts=256,
        n_tokens=20_000,
        n_queries=15_000,
        cut=True,
        least=8,
        sites=(),
        group=GROUPS,
        tokens=texts,
        special=tuple((True, *[False] * (len(text) - 1)) for text in texts),
        n_listed=20,
        relations=tuple(RELATIONS),
        largest=0.9,
        mean=0.4,
        uniform_mean=0.04,
        random_mean=0.04,
        random_p99=0.7,
        rest=0.3,
        distance=1.2,
        random_distance=17.5,
        relation=np.array([0.0, 0.9, 0.0, 0.1, 0.05]),
        random_relation=np.array([0.05, 0.04, 0.0, 0.04, 0.03]),
        attention=attention,
        context=np.arange(shown),
        document=np.arange(shown),
        query=np.full(shown, n - 2),
        key=np.full(shown, n - 3),
        weight=weight,
        uniform=np.full(shown, 0.1, "float32"),
        counts=rng.integers(0, 2_000, BINS),
        random_counts=rng.integers(0, 500, BINS),
        band_share=np.full(5, 0.2),
    )


def head_overlap(n_layers: int = 6, n_heads: int = 4) -> HeadOverlap:
    """Two tasks that share two heads."""
    rng, shape = np.random.default_rng(3), (2, n_layers, n_heads)
    chosen = np.zeros(shape, bool)
    chosen[:, 4, 1] = chosen[:, 2, 0] = chosen[0, 1, 3] = True
    both = (chosen[:, None] & chosen[None]).sum(3)
    return HeadOverlap(
        request={},
        names=("successions", "facts"),
        n_cases=(12, 12),
        n_held=(12, 12),
        n_fitting=(55, 40),
        n_written=(83, 60),
        share=0.1,
        to="mean",
        n_random=8,
        silenced=("shared by all", "only successions"),
        base=np.array([-0.1, -2.0]),
        right=np.array([1.0, 0.2]),
        effect=rng.normal(0, 0.1, shape),
        error=np.full(shape, 0.02),
        chosen=chosen,
        overlap=both,
        expected=np.full(both.shape, 0.1),
        p=np.full(both.shape, 0.05),
        jaccard=np.array([[0.7, 0.6], [0.6, 0.8]]),
        corrected=np.array([[0.7, 0.5], [0.5, 0.8]]),
        silenced_size=np.array([2, 1]),
        lost=rng.normal(0, 0.5, (2, 2, 9)),
    )


def every() -> tuple[Result, ...]:
    """Plain and hostile, a long text, and a model that foretells nothing."""
    return (
        head_compare(),
        head_compare(HOSTILE),
        head_compare(PLAIN * 50, cells=96, foretells=False),
        head_contexts(),
        head_contexts(HOSTILE),
    )
