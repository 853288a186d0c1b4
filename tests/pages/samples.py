"""Made-up results of every kind, for tests of figures and screens. No model has said any of it."""

import numpy as np

from core.results.attention import AttentionResult
from core.results.base import Result
from core.results.dose import DoseResult
from core.results.head_effect import HeadEffect
from core.results.lens import LensResult
from core.results.next_tokens import NextTokens
from core.results.steer import SteerResult
from core.results.token_neurons import TokenNeurons
from core.results.unit_effect import UnitEffect

PLAIN = ("<s>", "Yesterday", " Tom", " walked", ".", " Then")
_STORY = (
    "he went to the park and saw his friend there . They played all day , and he was happy .\n "
    "In the evening he walked home and told his mother about it . The end ."
)
SAID = tuple(f" {word}" for word in _STORY.split(" "))

# Everything a token may hold that has broken a screen somewhere.
HOSTILE = (
    "<s>",
    "<script>alert(1)</script>",
    " <b>x</b>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "[a](javascript:alert(1))",
    "![i](http://127.0.0.1:9/x.png)",
    "$x^2$",
    "%{z}",
    "&lt;",
    " ",
    "\n",
    "\t\t",
    "\x00",
    "\u202egnp",
    "\ud800",
    "\u0301",
    "\u200b",
    "",
    "=1+2",
    "日本",
    "👩‍🚀",
    "שלום",
    "W" * 60,
)
VOCAB = (" he", " she", " they", " the", ".", ",", " went", " Tom", " was", "\n", " a", " it")


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _special(tokens: tuple[str, ...]) -> tuple[bool, ...]:
    return tuple(i == 0 for i in range(len(tokens)))


def lens(tokens: tuple[str, ...] = PLAIN, n_layers: int = 8, seed: int = 0) -> LensResult:
    """Early layers unsure, late layers agreed: the shape a lens usually has."""
    rng, n, k = _rng(seed), len(tokens), 5
    vocab = VOCAB if tokens is not HOSTILE else HOSTILE
    final = rng.integers(0, len(vocab), n)
    depth = np.linspace(0, 1, n_layers)[:, None]
    settles = rng.uniform(0.2, 0.9, n)[None]
    own = np.clip(1 / (1 + np.exp(-14 * (depth - settles))) * rng.uniform(0.5, 0.98, n), 0.002, 1)
    agreed = depth >= settles
    agreed[-1] = True
    ids = rng.integers(0, len(vocab), (n_layers, n, k))
    ids[:, :, 0] = np.where(agreed, final, ids[:, :, 0])
    top = np.where(agreed, own, rng.uniform(0.03, 0.35, own.shape))
    rest = top[..., None] * 0.5 ** np.arange(k)
    rank = np.where(agreed, 0, (10 ** rng.uniform(0, 3.3, own.shape)).astype(int) + 1)
    embed = rng.integers(0, len(vocab), (n, k))
    return LensResult(
        request={},
        tokens=tokens,
        special=_special(tokens),
        shown=tuple(tuple(tuple(vocab[i] for i in cell) for cell in row) for row in ids),
        embed_shown=tuple(tuple(vocab[i] for i in cell) for cell in embed),
        changed=False,
        top_ids=ids,
        top_logits=np.log(rest).astype("float32"),
        top_probability=rest.astype("float32"),
        entropy=((1 - top) * 7).astype("float32"),
        final_rank=rank.astype("int64"),
        final_probability=np.where(agreed, own, own * 0.1).astype("float32"),
        kl=((1 - depth) * rng.uniform(2, 9, own.shape)).astype("float32"),
        embed_top_ids=embed,
        embed_top_logits=rng.normal(size=(n, k)).astype("float32"),
        embed_top_probability=rng.uniform(0, 0.2, (n, k)).astype("float32"),
        embed_entropy=rng.uniform(6, 8, n).astype("float32"),
        embed_final_rank=rng.integers(0, 500, n),
        embed_final_probability=rng.uniform(0, 0.1, n).astype("float32"),
        embed_kl=rng.uniform(2, 6, n).astype("float32"),
        random_entropy=rng.uniform(7.5, 8.2, own.shape).astype("float32"),
        random_final_probability=np.full(own.shape, 0.0004, "float32"),
    )


def next_tokens(tokens: tuple[str, ...] = PLAIN, clamped: bool = True, seed: int = 0) -> NextTokens:
    """The clamp moves probability from " he" to " she"; the control does not."""
    rng = _rng(seed)
    pieces = VOCAB if tokens is not HOSTILE else HOSTILE[:12]
    clean = np.sort(rng.dirichlet(np.full(len(pieces), 0.3)))[::-1]
    moved = np.array(clean)
    moved[[0, 1]] = moved[[1, 0]]
    runs = ("clean", "clamped", "control") if clamped else ("clean",)
    rows = np.stack([clean, moved, clean * 0.97][: len(runs)]).astype("float32")
    empty = np.zeros(0, "float32")
    return NextTokens(
        request={},
        tokens=tokens,
        special=_special(tokens),
        position=len(tokens) - 1,
        runs=runs,
        candidates=pieces,
        n_controls=8 if clamped else 0,
        masked=False,
        ids=np.arange(len(pieces)),
        probability=rows,
        control_low=(rows[-1] * 0.9).astype("float32") if clamped else empty,
        control_high=(rows[-1] * 1.15).astype("float32") if clamped else empty,
        entropy=np.array([1.8, 1.9, 1.82][: len(runs)], "float32"),
        kl=np.array([0.0, 0.41, 0.03][: len(runs)], "float32"),
    )


def head_effect(n_layers: int = 8, n_heads: int = 6, seed: int = 0) -> HeadEffect:
    """One strong head (L4.head[2]), half of it repaired, one that hurts, the rest near nothing."""
    rng = _rng(seed)
    effect = rng.normal(0, 0.04, (n_layers, n_heads)).astype("float32")
    effect[n_layers // 2, 2 % n_heads] = 0.83
    effect[-1, 0] = -0.31
    control = rng.normal(0, 0.04, effect.shape).astype("float32")
    direct, layers = 2 * effect, np.ones(n_layers, "float32")
    own = {"effect": effect, "kl": np.abs(effect), "total": effect, "direct": direct}
    chance = {"control": control, "control_kl": np.abs(control), "control_total": control}
    parts = {"attribution": direct, "attention": direct.sum(axis=1), "bias": 0 * layers}
    parts |= {"mlp": layers / 4, "random_attribution": layers / 5, "control_direct": control}
    words = {"answer": " he", "against": "", "to": "mean", "where": "", "why_not": ""}
    score = float(1.5 + direct.sum() + n_layers / 4)
    return HeadEffect(
        request={}, tokens=PLAIN, position=5, answer_id=0, n_controls=4, n_random=32, n_texts=1,
        direct_kind="direct", cap=0.0, probability=0.4, score=score, start=1.0, constant=0.5,
        **words, **own, **chance, **parts,
    )  # fmt: skip


def attention(tokens: tuple[str, ...] = PLAIN, seed: int = 0) -> AttentionResult:
    """A causal pattern that looks at the token before, at the first, and somewhat at random."""
    n = len(tokens)
    scores = _rng(seed).normal(0, 1, (n, n))
    scores[np.arange(1, n), np.arange(n - 1)] += 3
    scores[:, 0] += 1.5
    scores[np.triu_indices(n, 1)] = -np.inf
    weight = np.exp(scores - scores.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    entropy = -(weight * np.log(np.maximum(weight, 1e-30))).sum(1)
    return AttentionResult(
        request={},
        tokens=tokens,
        special=_special(tokens),
        layer=4,
        head=2,
        pattern=np.rint(weight * 255).astype("uint8"),
        uniform=(1 / np.arange(1, n + 1)).astype("float32"),
        entropy=entropy.astype("float32"),
    )


def dose(current: float = 2.0, usable: bool = True) -> DoseResult:
    """A unit that writes its targets, its controls that do not."""
    stop = np.array([-4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 8], "float32")
    probability = (1 / (1 + np.exp(-1.3 * (stop - 2.2)))).astype("float32")
    held = stop[::3]
    control = (0.045 + 0.004 * np.abs(held)).astype("float32")
    state = tuple(
        "broken" if abs(s) > 4 else "raises" if usable and s >= 0.5 else "no effect" for s in stop
    )
    return DoseResult(
        request={},
        site="L5.neuron[77]",
        kind="clamp",
        where="",
        unit=3.21,
        unit_words="the 99.9th percentile of its size",
        origin=0.0,
        natural=(-0.4, 1.3),
        stream_share=0.0,
        target=(" he", " she", " they"),
        target_reason="tokens the neuron writes most",
        n_tokens=64,
        n_controls=20,
        n_neutral=96,
        n_neutral_controls=2,
        n_reference=2_213,
        loss_limit=0.5,
        current=current,
        band=(0.5, 4.0) if usable else (),
        lowering=(),
        best=(2.0,) if usable else (),
        state=state,
        stop=stop,
        probability=probability,
        base_probability=np.array([0.05], "float32"),
        kl=(0.11 * stop**2).astype("float32"),
        neutral_kl=(0.02 * stop**2).astype("float32"),
        neutral_loss=(0.02 * stop**2).astype("float32"),
        control_stop=held,
        control_low=control * 0.5,
        control_mean=control,
        control_high=control * 2,
        control_kl=(0.05 * held**2).astype("float32"),
        control_neutral_loss=(0.015 * held**2).astype("float32"),
    )


def steer(clamped: bool = True, pieces: tuple[str, ...] = (), seed: int = 0) -> SteerResult:
    """Three continuations; the control's is shorter, so its rows end in NaN."""
    rng = _rng(seed)
    clean = pieces or SAID
    moved = tuple(piece.replace(" he", " she").replace(" his", " her") for piece in clean)
    runs = ("clean", "clamped", "control") if clamped else ("clean",)
    written = (clean, moved, clean[:-6])[: len(runs)]
    length = max(map(len, written))
    shape = (len(runs), length)
    before = -rng.exponential(1.2, shape)
    change = rng.normal(0, 0.35, shape) * np.array([1, 1, 0.1])[: len(runs), None]
    for r, row in enumerate(written):
        for t, piece in enumerate(row):
            if piece.strip() in ("he", "his"):
                change[r, t] = -3.2 if r == 0 else change[r, t]
            if piece.strip() in ("she", "her"):
                before[r, t], change[r, t] = -3.1, 2.4
        before[r, len(row) :] = np.nan
    before = np.minimum(before, -0.01)
    if not clamped:
        change[:] = 0
    return SteerResult(
        request={},
        prompt=PLAIN,
        runs=runs,
        texts=tuple("".join(row) for row in written),
        pieces=written,
        sites=("L5.neuron[77]", "L4.head[2]") if clamped else (),
        seed=0,
        temperature=0.0,
        stopped=("length", "length", "end token")[: len(runs)],
        logprob_clean=before.astype("float32"),
        logprob_changed=np.minimum(before + change, -0.01).astype("float32"),
        kl=(np.abs(change) * 0.4 + 0 * before).astype("float32"),
        control_kl_mean=np.array([0.03, 0.02, 0.05, 0.03], "float32"),
    )


def token_neurons(n_layers: int = 8, k: int = 5, seed: int = 0) -> TokenNeurons:
    """The strongest first in every layer."""
    rng = _rng(seed)
    activation = np.sort(rng.exponential(1.2, (n_layers, k)), axis=1)[:, ::-1]
    signs = np.where(rng.random((n_layers, k)) < 0.25, -1, 1)

    def words() -> tuple[tuple[tuple[str, ...], ...], ...]:
        chosen = rng.integers(0, len(VOCAB), (n_layers, k, 4))
        return tuple(tuple(tuple(VOCAB[i] for i in cell) for cell in row) for row in chosen)

    return TokenNeurons(
        request={},
        tokens=PLAIN,
        position=5,
        writes=words(),
        suppresses=words(),
        n_reference=20_000,
        n_random=64,
        neuron=rng.integers(0, 768, (n_layers, k)),
        activation=(activation * signs).astype("float32"),
        peak=(activation + rng.exponential(2, (n_layers, k))).astype("float32"),
        write=(activation * 0.8).astype("float32"),
        random_write=np.full(n_layers, 0.04, "float32"),
    )


def unit_effect(kind: str = "neuron", pieces: tuple[str, ...] = VOCAB, seed: int = 0) -> UnitEffect:
    """Setting the unit does much, ablating it little; controls do next to nothing."""
    rng = _rng(seed)
    names = ("ablated to zero", "ablated to its mean", "set to +p99.9", "set to −p99.9")
    if kind == "head":
        names = (*names[:2], "× 2", "× −1")
    n, k = len(names), 6
    change = rng.normal(0, 0.3, (n, k)).astype("float32")
    pairs = np.sort(rng.uniform(0, 0.5, (n, k, 2)), axis=-1).astype("float32")
    return UnitEffect(
        request={},
        site="L4.head[2]" if kind == "head" else "L4.neuron[77]",
        kind=kind,
        where="",
        tokens=PLAIN,
        special=_special(PLAIN),
        position=5,
        conditions=names,
        changes=tuple(f"api.Change({name!r})" for name in names),
        control_words=("random change that moves the stream as far at every token",) * n,
        unit=0.0 if kind == "head" else 3.21,
        natural=() if kind == "head" else (-1.1, 4.2),
        stack="",
        n_controls=8,
        n_reference=0 if kind == "head" else 2_213,
        answer=pieces[0],
        top=pieces[:k],
        raised=tuple(pieces[-k:] for _ in names),
        lowered=tuple(pieces[:k] for _ in names),
        activation=rng.normal(0, 1, len(PLAIN)).astype("float32"),
        top_probability=np.sort(rng.dirichlet(np.full(k, 0.4)))[::-1].astype("float32"),
        top_change=change,
        control_top_change=change * 0.05,
        raised_probability=pairs,
        lowered_probability=pairs[..., ::-1],
        **_effect_sizes(rng),
    )


def _effect_sizes(rng: np.random.Generator, layers: int = 4) -> dict[str, np.ndarray]:
    """Four conditions, eight controls each, four layers."""
    size = np.array([0.05, 0.03, 0.9, 0.4], "float32")
    direct = np.array([-0.4, -0.2, 3.1, -2.0], "float32")
    falling = np.linspace(1, 0.4, layers, dtype="float32")
    return {
        "layer": np.arange(4, 4 + layers),
        "kl": size,
        "kl_mean": size * 0.5,
        "control_kl": rng.exponential(0.05, (4, 8)).astype("float32"),
        "control_kl_mean": rng.exponential(0.03, (4, 8)).astype("float32"),
        "direct": direct,
        "total": direct * 0.6,
        "control_total": rng.normal(0, 0.1, (4, 8)).astype("float32"),
        "repair": np.array([0.4, 0.4, np.nan, np.nan], "float32"),
        "shift": size[:, None] * falling,
        "cosine": np.tile(falling, (4, 1)),
        "control_shift": size[:, None] * falling,
        "control_cosine": np.tile(falling, (4, 1)),
    }


def every() -> tuple[Result, ...]:
    """One result of each kind that has a figure, plain and hostile."""
    from tests.pages import (  # which take their words from here
        claim_samples,
        direction_samples,
        head_cause_samples,
        head_pair_samples,
        head_weight_samples,
        neuron_samples,
        text_samples,
    )

    return (
        lens(),
        lens(HOSTILE),
        next_tokens(),
        next_tokens(clamped=False),
        next_tokens(HOSTILE),
        head_effect(),
        head_effect(2, 32),
        attention(),
        attention(HOSTILE),
        dose(),
        dose(usable=False),
        steer(),
        steer(clamped=False),
        steer(pieces=HOSTILE),
        token_neurons(),
        unit_effect(),
        unit_effect("head"),
        unit_effect(pieces=HOSTILE[:12]),
        *neuron_samples.every(),
        *head_weight_samples.every(),
        *text_samples.every(),
        *direction_samples.every(),
        *head_cause_samples.every(),
        *head_pair_samples.every(),
        *claim_samples.every(),
    )
