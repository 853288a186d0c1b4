"""Made-up results about claims and groups of neurons, plain and hostile. No model has said any."""

import numpy as np

from core.results.base import Result
from core.results.concept_neuron import ConceptNeuron
from core.results.core_neurons import CoreNeurons
from core.results.domain_neurons import DomainNeurons
from core.results.explain_test import ExplainTest
from core.results.shared_neurons import SharedNeurons
from core.results.task_spot import TaskSpot
from tests.pages.samples import PLAIN

WORDS = ("Monday", "Tuesday", "Friday", "Sunday", "May", "June", "spring", "first")


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def explain_test(
    words: tuple[str, ...] = WORDS, weak: bool = False, pairs: int = 12
) -> ExplainTest:
    """A neuron that fires on the first half of the words; `weak`: on none in particular."""
    rng, n = _rng(0), len(words)
    member = np.arange(n) < n // 2
    score = np.full((2, 4), 0.3 if weak else 0.9)
    conditions = ("neuron", "mlp_out", "resid_post", "random")
    shift = np.array([0.4, 0.9, 1.0, 0.01])
    nothing = np.full(4, np.nan)
    return ExplainTest(
        request={},
        site="L2.neuron[7]",
        explanation=words[0],
        sign=1,
        strings=words,
        carriers=(f"{words[1]} {{}}", "The word is {}"),
        false_alarms=words[-1:],
        misses=words[:1],
        n_random=20,
        n_shuffles=20,
        better=("L2.neuron[9]",),
        pairs=tuple((words[0], words[1], words[2], words[3]) for _ in range(pairs)),
        conditions=conditions,
        skipped=(f"2 left out: {words[0]}",),
        member=member,
        held=np.arange(n) % 2 == 0,
        value=rng.normal(0, 1, (n, 2)) + 4 * member[:, None],
        threshold=np.array([2.0, 2.5]),
        score=score,
        low=score - 0.1,
        high=np.minimum(score + 0.1, 1),
        random_score=rng.uniform(0.3, 0.7, (20, 4)),
        shuffled_score=rng.uniform(0.3, 0.6, (20, 4)),
        better_auc=np.array([0.9]),
        flipped=np.repeat([[0.5], [1.0], [1.0], [0.0]], pairs, axis=1),
        shift=np.repeat(shift[:, None], pairs, axis=1),
        efficacy=np.array([0.5, 1.0, 1.0, 0.0]) if pairs else nothing,
        efficacy_low=np.array([0.3, 0.8, 0.8, 0.0]) if pairs else nothing,
        efficacy_high=np.array([0.7, 1.0, 1.0, 0.2]) if pairs else nothing,
        mean_shift=shift if pairs else nothing,
        shift_low=shift - 0.1 if pairs else nothing,
        shift_high=shift + 0.1 if pairs else nothing,
    )


def concept_neuron(words: tuple[str, ...] = WORDS, specific: bool = True) -> ConceptNeuron:
    """One candidate that carries the concept, one that does not, four random neurons."""
    rng, on = _rng(1), np.arange(8) < 4
    loss = rng.normal(0, 0.01, (6, 3, 8))
    loss[0, :, on] += 2.0 if specific else 0.0
    rise = np.stack([loss[:, :, on].mean((1, 2)), loss[:, :, ~on].mean((1, 2))], axis=1)
    ratio = rise[:, 0] / np.maximum(rise[:, 1], 0.01)
    miss = "no more than random neurons"
    return ConceptNeuron(
        request={},
        concept=words[0],
        words=words,
        sites=("L2.neuron[7]", "L1.neuron[3]"),
        control_sites=tuple(f"L2.neuron[{n}]" for n in range(20, 24)),
        writes=(words[:4], words[4:]),
        verdict=("specific" if specific else miss, miss),
        notes=(f"“{words[0]}” is one token",),
        questions=tuple(f"{word}?" for word in words[:8]),
        answers=words[:8],
        noised=words[:8][::-1],
        noise=5.0,
        sigma=0.0,
        n_draws=3,
        least=0.01,
        score=np.array([6.0, -2.0]),
        chance=np.array([1.2, 1.4]),
        on_concept=on,
        deviation=np.full(6, 0.1),
        loss=loss,
        rouge=np.ones((6, 3, 8)),
        bleu=np.ones((6, 3, 8)),
        rise=rise,
        rise_low=rise - 0.1,
        rise_high=rise + 0.1,
        ratio=ratio,
        low=ratio - 1,
        high=ratio + 1,
    )


def task_spot(
    names: tuple[str, str] = ("code", "prose"), pieces: tuple[str, ...] = WORDS
) -> TaskSpot:
    """The larger the spot, the more its own texts lose."""
    size = np.array([3, 8, 15])
    gain = np.zeros((3, 2, 11))
    gain[:, 0, 0], gain[:, 1, 0] = (0.2, 0.6, 1.5), (0.0, 0.01, 0.05)
    return TaskSpot(
        request={},
        names=names,
        n_texts=(12, 12),
        n_found=(150, 170),
        n_held=(6, 6),
        n_random=10,
        d_mlp=512,
        least=0.01,
        asked=1,
        writes=(pieces[:5], pieces[1:6]),
        share=np.array([0.001, 0.0025, 0.005]),
        size=size,
        gain=gain,
        low=gain[:, :, 0] - 0.05,
        high=gain[:, :, 0] + 0.05,
        ratio=gain[:, 0] / np.maximum(gain[:, 1], 0.01),
        base=np.array([0.9, 1.1]),
        in_layer=np.array([4, 0, 1, 0, 2, 1]),
        layer=np.array([0, 0, 0, 0, 2, 4, 4, 5]),
        unit=np.arange(8),
        importance=np.linspace(0.02, 0.01, 16).reshape(8, 2),
    )


def shared_neurons(names: tuple[str, ...] = ("code", "prose", "French")) -> SharedNeurons:
    """Two kinds of text share more than chance."""
    n, layers = len(names), 6
    overlap = np.full((n, n, layers), 5)
    expected = np.full((n, n, layers), 1.5)
    corrected = np.full((n, n), 0.2)
    np.fill_diagonal(corrected, 0.7)
    corrected[1, 0] = corrected[0, 1] = 0.4
    silenced = ("shared by all", *(f"only {name}" for name in names))
    gain = np.zeros((n + 1, n, 3))
    gain[1:, :, 0] = np.eye(n)
    return SharedNeurons(
        request={},
        names=names,
        models=("embedded",) * n,
        n_texts=(12,) * n,
        ratio=0.1,
        agree=1.0,
        d_mlp=512,
        n_random=2,
        silenced=silenced,
        measured=names,
        size=np.full((n, layers), 20),
        overlap=overlap,
        expected=expected,
        p=np.full((n, n, layers), 0.01),
        corrected=corrected,
        silenced_size=np.array([4, 30, 20, 25][: n + 1]),
        gain=gain,
        base=np.ones(n),
        layer=np.array([0, 1, 1, 5]),
        unit=np.array([3, 7, 9, 100]),
    )


def core_neurons(tokens: tuple[str, ...] = PLAIN) -> CoreNeurons:
    """The core settles, and beats random sets of its size."""
    betas = np.array([0.1, 0.2, 0.4, 0.8])
    loss = np.tile(np.array([8.0, 7.0, 5.0, 1.2])[:, None], (1, 5))
    loss[:, 0] = (6.0, 3.0, 1.5, 1.0)
    return CoreNeurons(
        request={},
        tokens=tokens,
        alpha=0.4,
        beta=0.2,
        by="size",
        n_first=20,
        n_held=20,
        n_random=3,
        n_reference=900,
        d_mlp=512,
        base=0.9,
        prefix=np.array([1, 5, 10, 20]),
        stability=np.linspace(0.2, 1, 24).reshape(4, 6),
        chance=np.array([0.11]),
        likeness=np.full(6, 0.4),
        betas=betas,
        loss=loss,
        unit=np.tile(np.arange(102), (6, 1)),
        often=np.tile(np.linspace(1, 0.3, 102), (6, 1)),
    )


def domain_neurons(
    names: tuple[str, ...] = ("code", "prose", "French"), pieces: tuple[str, ...] = WORDS
) -> DomainNeurons:
    """Most listed neurons belong to the first kind."""
    n = len(names)
    gain = np.zeros((n, n, 3))
    gain[0, 0, 0] = 0.5
    edge = np.linspace(0, np.log(n), 11)
    return DomainNeurons(
        request={},
        names=names,
        n_texts=(12,) * n,
        n_tokens=(150,) * n,
        n_random=2,
        n_shuffles=5,
        share=0.01,
        d_mlp=512,
        n_able=500,
        writes=(pieces[:5], pieces[1:6], pieces[2:7]),
        layer=np.array([0, 2, 5]),
        unit=np.array([4, 5, 6]),
        kind=np.array([0, 0, 1]),
        entropy=np.array([0.1, 0.3, 0.5]),
        rate=np.tile(np.linspace(0.5, 0.1, n), (3, 1)),
        edge=edge,
        count=np.arange(10),
        null_count=np.arange(10) / 2,
        in_layer=np.array([[1, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]] + [[0] * 6] * (n - 2)),
        gain=gain,
        base=np.ones(n),
    )


def every() -> tuple[Result, ...]:
    return (
        explain_test(),
        explain_test(weak=True, pairs=0),
        concept_neuron(),
        concept_neuron(specific=False),
        task_spot(),
        shared_neurons(),
        core_neurons(),
        domain_neurons(),
    )


def hostile(pieces: tuple[str, ...]) -> tuple[Result, ...]:
    """The same with every name and token replaced by something that has broken a screen."""
    some = pieces[1:9]
    return (
        explain_test(some),
        concept_neuron(some),
        task_spot((some[0], some[2]), some),
        shared_neurons(some[:3]),
        core_neurons(pieces),
        domain_neurons(some[3:6], some),
    )
