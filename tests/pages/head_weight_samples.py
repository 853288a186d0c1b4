"""Made-up answers about the weights of heads, plain and hostile."""

import numpy as np

from core.results.base import Result
from core.results.head_composition import HeadComposition
from core.results.head_ovqk import HeadOvqk
from core.results.head_scores import KINDS, SIGNED, HeadScores
from core.results.head_successor import HeadSuccessor
from tests.pages.samples import HOSTILE

WORDS = (" he", " she", "day", "Monday", " two", ".", " the", "ing", " and", " red", " may", "st")


def every() -> tuple[Result, ...]:
    """One of each kind, with tokens that try to become markup, and large and small models."""
    return (
        head_scores(),
        head_scores(n_layers=2, n_heads=40, lists=False),
        head_successor(),
        head_successor(HOSTILE),
        head_composition(),
        head_composition(n_layers=8, n_heads=32),
        head_ovqk(),
        head_ovqk(HOSTILE),
    )


def head_scores(n_layers: int = 4, n_heads: int = 6, *, lists: bool = True) -> HeadScores:
    random = np.random.default_rng(0)
    shape = (n_layers, n_heads)
    names = ("days", "months") if lists else ()
    scores, control = {}, {}
    for kind in KINDS:
        values = random.random(shape).astype("float32")
        scores[kind] = values * 2 - 1 if kind in SIGNED else values
        control[kind] = np.full(shape, 0.1, "float32")
    if not lists:
        for kind in ("successor", "successor_over_copy", "successor_over_previous", "name_copy"):
            scores[kind] = control[kind] = np.full(shape, np.nan, "float32")
    return HeadScores(
        request={},
        embedding="effective",
        against="unembedding",
        start="<s>",
        n_vocabulary=4096,
        n_eigen=4096,
        n_tokens=1000,
        n_names=28 if lists else 0,
        n_random=4,
        n_copied=400,
        copy_chance=1 / 26,
        list_names=names,
        list_sizes=(7, 12)[: len(names)],
        list_dropped=(0, 0)[: len(names)],
        list_steps=(7, 12)[: len(names)],
        list_published=(True, True)[: len(names)],
        list_chance=(1 / 7, 1 / 12)[: len(names)],
        chance=2 / 19 if lists else float("nan"),
        n_steps=19 if lists else 0,
        scores=scores,
        control=control,
        by_list={name: random.random(shape).astype("float32") for name in names},
    )


def head_successor(items: tuple[str, ...] = WORDS[:7]) -> HeadSuccessor:
    n = len(items)
    logits = np.random.default_rng(1).normal(size=(n, n)).astype("float32")
    logits -= logits.mean(axis=1, keepdims=True)
    step, after = np.arange(n - 1), np.arange(1, n)
    hit = logits[step].argmax(axis=1) == after
    return HeadSuccessor(
        request={},
        layer=5,
        head=2,
        list_name="days",
        embedding="effective",
        against="unembedding",
        start="<s>",
        spelling="as written",
        items=items,
        n_dropped=1,
        n_steps=n - 1,
        score=float(hit.mean()),
        control_score=0.1,
        random_score=0.12,
        n_random=4,
        chance=1 / n,
        ids=np.arange(n),
        logits=logits,
        step=step,
        after=after,
        hit=hit,
        rank=np.ones(n - 1, "int64"),
        over_copy=np.linspace(-1, 1, n - 1).astype("float32"),
        over_previous=np.array([np.nan, *np.linspace(0, 1, n - 2)], "float32"),
        mod_note="",
        mod_accuracy={"numbers": 0.9, "months": 0.5, "shuffled": 0.1},
        mod_n=(144, 36),
        mod_unedited=0.8,
        mod_n_random=8,
        mod_hit=np.full((10, 10), 0.7),
        mod_control=np.eye(10),
    )


def head_composition(n_layers: int = 3, n_heads: int = 4) -> HeadComposition:
    n = n_layers * n_heads
    layer = np.arange(n) // n_heads
    random = np.random.default_rng(2)
    tables = {}
    for kind in "qkv":
        table = random.uniform(0.05, 0.08, (n, n)).astype("float32")
        table[0, n_heads] = 0.2
        table[layer[:, None] >= layer] = np.nan
        tables[kind] = table
    return HeadComposition(
        request={},
        n_layers=n_layers,
        n_heads=n_heads,
        rotary=True,
        normed=True,
        n_random=20,
        n_pairs=n_heads**2 * n_layers * (n_layers - 1) // 2,
        composition=tables,
        random=np.tile(np.array([[0.0625, 0.002]], "float32"), (3, 1)),
        n_channels=10,
        n_heard=10 * n_heads**2 * n_layers * (n_layers - 1) // 2,
        n_draws=200,
        outlier=4.0,
        n_outliers=(0, 2, 1),
        random_outlier=(3.1, 3.2, 3.0),
        channels=_channels(n_heads),
    )


def _channels(n_heads: int, each: int = 25) -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    falling = np.tile(np.linspace(7, 2, each), 3).astype("float32")
    return {
        "kind": np.repeat(np.arange(3), each).astype("int32"),
        "early": random.integers(0, n_heads, 3 * each).astype("int32"),
        "late": random.integers(n_heads, 2 * n_heads, 3 * each).astype("int32"),
        "channel": random.integers(0, 10, 3 * each).astype("int32"),
        "strength": random.uniform(0.01, 0.5, 3 * each).astype("float32"),
        "value": random.uniform(0.1, 0.4, 3 * each).astype("float32"),
        "z": 2 * falling,
        "outlier": falling,
    }


def _tables(n: int, k: int) -> dict[str, dict[str, np.ndarray]]:
    """The tables of tokens of one head: random ids below n and falling scores, k of each."""
    random = np.random.default_rng(3)

    def ids(*shape: int) -> np.ndarray:
        return random.integers(0, n, shape)

    def z(*shape: int) -> np.ndarray:
        return np.sort(random.normal(3, 2, shape).astype("float32"), axis=-1)[..., ::-1].copy()

    def ends(rows: int, *, logits: bool = False) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for end, sign in (("top", 1), ("bottom", -1)):
            found |= {f"{end}_ids": ids(rows, k), f"{end}_z": sign * z(rows, k)}
            found |= {f"{end}_logits": sign * z(rows, k)} if logits else {}
        return found

    offsets = np.arange(65)
    wave = (10 * np.exp(-offsets / 9)).astype("float32")
    sides = (("read", ends(4)), ("write", ends(4)))
    own = {"own_rank": np.array([1, 5]), "own_z": z(2), "norm": z(2), "control_z": z(2)}
    prefers = ("key", "query")
    return {
        "ov": ends(2, logits=True) | own,
        "sources_of": ends(2),
        "channels": {f"{side}_{name}": a for side, each in sides for name, a in each.items()},
        "pairs": {"query_ids": ids(k), "key_ids": ids(k)}
        | {name: z(k) for name in ("score", "preference", "z")},
        "prefers": {f"{end}_ids": ids(2, k) for end in prefers}
        | {f"{end}_z": z(2, k) for end in prefers},
        "offsets": {"offsets": offsets, "score": wave, "mean": wave / 3, "control": wave / 5},
        "constant": {name: array[0] for name, array in ends(1).items()},
    }


def head_ovqk(pieces: tuple[str, ...] = WORDS, *, k: int = 3, position: str = "rotary") -> HeadOvqk:
    return HeadOvqk(
        request={},
        pieces=pieces,
        piece_ids=np.arange(len(pieces)),
        layer=4,
        head=1,
        kv_head=0,
        embedding="effective",
        against="unembedding",
        relative=False,
        start=pieces[0],
        asked="he",
        notes=(f"“{pieces[0]}” is the token",),
        n_vocabulary=4096,
        n_tokens=4096,
        n_pairs=2000,
        n_null=2000,
        n_random=20,
        null_z=4.5,
        read_null_z=4.4,
        control_head=5,
        offset=1,
        position=position,
        window=8,
        capped=False,
        normed=False,
        participation=8.5,
        control_participation=23.7,
        pair_control_z=7.2,
        pair_random_z=6.2,
        query_id=0,
        key_id=1,
        constant_norm=0.5,
        source_ids=np.arange(2),
        spectrum=np.linspace(7, 0, 16).astype("float32"),
        control_spectrum=np.linspace(5, 2, 16).astype("float32"),
        layer_participation=np.linspace(5, 12, 6).astype("float32"),
        **_tables(len(pieces), k),
    )
