"""What each head may be called: labels by rules over its scores, weights and effects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from core.analyses import head_texts
from core.analyses.head_false_induction import head_false_induction
from core.analyses.head_importance import head_importance
from core.analyses.head_ranking import head_ranking
from core.analyses.head_scores import head_scores
from core.analyses.heads import heads
from core.analyses.retrieval import retrieval
from core.analyses.runs import LOGITS_AT_ONCE, Progress
from core.corpus.readers import Corpus, name_of
from core.engine.forward import run
from core.engine.head_sets import fixed, replaced, tiled
from core.engine.loss import next_token_losses
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.results.head_ranking import READS
from core.results.head_types import LABELS, RULES, HeadTypes, Rule
from core.results.heads import LEAST_QUERIES, Heads
from core.spec.errors import Error
from core.spec.site import Site

SOURCES = ("repeats", "text", "weights", "retrieval", "demonstrations", "importance")
N_TEXTS = 32  # windows of the corpus whose attention is read
N_EXACT = 5  # heads of each kind whose importance is checked
N_PROMPTS = 24  # of labelled examples
N_REPEATS = 32  # rows of random tokens said twice
N_CHECKED = 16  # of these rows, for the ablation of induction heads
N_RANDOM_HEADS = 20  # whose ablation an induction head's has to exceed
QUANTILE = 0.99
QUARTER = 0.75  # a sink below this quantile of importance is dormant


def head_types(
    loaded: Loaded,
    progress: Progress,
    *,
    corpus: Corpus = "built-in",
    concept: Any = "",
    sources: Sequence[str] = SOURCES,
    n_contexts: int = 64,
    window: int = 128,
    seed: int = 0,
) -> HeadTypes:
    """Labels of every head by the rules of `core.results.head_types`, with the null beside each.

    sources    what is read: attention on "repeats" of random tokens and on "text" of the corpus,
               "weights", "retrieval" of a needle, "demonstrations" with wrong labels, and
               "importance" for the loss of the corpus (the first `n_contexts` windows of `window`
               tokens). What a model does not have is left out, with the reason in `notes`; labels
               that need it are then not given.
    concept    one to look for as well, as in `head_ranking`: which heads write it, which read it
    """
    strange = [name for name in sources if name not in SOURCES]
    if strange or isinstance(sources, str) or not sources:
        raise Error(f"sources= is a list of {', '.join(SOURCES)}")
    read = _Read(loaded, progress, corpus, window, n_contexts, seed, concept)
    asked = [name for name in SOURCES if name in sources] + ["concept"] * bool(concept)
    for number, name in enumerate(asked):
        read.part = (number / len(asked), 1 / len(asked))
        read.attempt(name)
    if not read.n_texts:
        raise Error(f"nothing could be read of the heads: {'; '.join(read.notes)}")
    fits, margin = _labelled(read)
    cost = read.induction_cost(fits)
    beyond = cost > read.thresholds.get("induction/ablation", np.inf)
    fits[..., LABELS.index("induction")] &= beyond.astype(np.uint8)
    return HeadTypes(
        request={},
        corpus=name_of(corpus),
        sources=tuple(name for name in asked if name in read.n_texts),
        tested=tuple(rule.label for rule in RULES if read.can(rule)),
        notes=tuple(read.notes),
        n_texts=read.n_texts,
        n_tokens=read.n_tokens,
        n_random_heads=read.n_random_heads,
        thresholds=read.thresholds,
        nulls=read.nulls,
        scores=read.scores,
        fits=fits,
        margin=margin,
        dormant=_dormant(fits, read.importance),
        induction_cost=cost,
        importance=read.importance,
        importance_control=read.importance_control,
        importance_spearman=read.spearman,
        stack=loaded.prompt_stack,
    )


@dataclass
class _Read:
    """What has been read of the heads so far."""

    loaded: Loaded
    progress: Progress
    corpus: Corpus
    window: int
    n_contexts: int
    seed: int
    concept: Any = ""
    part: tuple[float, float] = (0.0, 1.0)
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    uniform: dict[str, np.ndarray] = field(default_factory=dict)
    nulls: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    n_texts: dict[str, int] = field(default_factory=dict)
    n_tokens: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    n_random_heads: int = 0
    spearman: float = float("nan")

    def __post_init__(self) -> None:
        layers = len(self.loaded.stacks[self.loaded.prompt_stack].blocks)
        self.shape = (layers, self.loaded.n_heads)
        self.importance = np.full(self.shape, np.nan)
        self.importance_control = np.full(self.shape, np.nan)

    def attempt(self, name: str) -> None:
        """Read one source, or note in a sentence why the model does not have it."""
        ways: dict[str, Callable[[], None]] = {
            "repeats": self._repeats,
            "text": self._text,
            "weights": self._weights,
            "retrieval": self._retrieval,
            "demonstrations": self._demonstrations,
            "concept": self._concept,
            "importance": self._importance,
        }
        try:
            ways[name]()
        except Error as fault:
            self.notes.append(f"{name}: {fault}")

    def can(self, rule: Rule) -> bool:
        known = all(score in self.scores for score, _ in rule.needs)
        return known and (not rule.causal or self.loaded.kind == "decoder")

    def _repeats(self) -> None:
        self._heads(
            "repeats", heads(self.loaded, _Part(self), n_sequences=N_REPEATS, seed=self.seed)
        )

    def _text(self) -> None:
        asked: dict[str, Any] = {"corpus": self.corpus}
        if not isinstance(self.corpus, str):
            asked = {"texts": tuple(self.corpus)}
        found = heads(self.loaded, _Part(self), n_sequences=N_TEXTS, seed=self.seed, **asked)
        self._heads("text", found)

    def _heads(self, source: str, found: Heads) -> None:
        self.n_texts[source], self.n_tokens[source] = found.n_texts, found.n_tokens
        for kind, values in found.scores.items():
            if found.n_queries.get(kind, 0) < LEAST_QUERIES:
                continue
            self.scores[f"{source}/{kind}"] = values
            self.uniform[f"{source}/{kind}"] = found.uniform[kind]
            for null in ("untrained", "shuffled"):
                level = found.threshold(kind, null)
                if not np.isnan(level):
                    self.nulls[f"{source}/{kind}/{null}"] = level

    def _weights(self) -> None:
        found = head_scores(
            self.loaded, _Part(self), seed=self.seed, stack=self.loaded.prompt_stack
        )
        self.n_texts["weights"], self.n_tokens["weights"] = 0, found.n_tokens
        self.chance["weights/successor"] = found.chance
        for kind, values in found.scores.items():
            if not np.isfinite(values).any():
                continue
            self.scores[f"weights/{kind}"] = values
            if np.isfinite(found.control[kind]).any():
                level = float(np.nanquantile(found.control[kind], QUANTILE))
                self.nulls[f"weights/{kind}/random"] = level

    def _retrieval(self) -> None:
        found = retrieval(self.loaded, _Part(self), source="random", seed=self.seed)
        self.n_texts["retrieval"], self.n_tokens["retrieval"] = found.n_prompts, found.n_tokens
        self.scores["retrieval/score"] = found.score
        if np.isfinite(found.control).any():
            level = float(np.nanquantile(found.control, QUANTILE))
            self.nulls["retrieval/score/chance"] = level

    def _demonstrations(self) -> None:
        found = head_false_induction(
            self.loaded, _Part(self), n_prompts=N_PROMPTS, k=0, seed=self.seed
        )
        self.n_texts["demonstrations"] = found.n_prompts
        self.n_tokens["demonstrations"] = found.n_prompts * found.n_examples
        self.scores["demonstrations/false_induction"] = found.score
        level = float(np.quantile(np.abs(found.control), QUANTILE))
        self.nulls["demonstrations/false_induction/unordered"] = level

    def _concept(self) -> None:
        found = head_ranking(self.loaded, _Part(self), concept=self.concept, most=1, seed=self.seed)
        self.n_texts["concept"], self.n_tokens["concept"] = found.n_texts, found.n_texts
        columns = {"separation": np.abs(found.columns["auc"] - 0.5) + 0.5}
        columns |= {"share": np.abs(found.columns["share"])}
        for name in READS:
            if np.isfinite(found.columns.get(name, np.array(np.nan))).any():
                columns[name] = found.columns[name]
        for name, values in columns.items():
            self.scores[f"concept/{name}"] = values
        for name, null in (("separation", "auc"), ("share", "share")):
            level = float(np.nanmax(found.nulls[null]))
            self.nulls[f"concept/{name}/random"] = level

    def _importance(self) -> None:
        found = head_importance(
            self.loaded,
            _Part(self),
            corpus=self.corpus,
            window=self.window,
            n_contexts=self.n_contexts,
            exact=N_EXACT,
            seed=self.seed,
        )
        self.n_texts["importance"], self.n_tokens["importance"] = found.n_texts, found.n_tokens
        self.importance, self.importance_control = found.estimate, found.control
        self.spearman = found.spearman

    def induction_cost(self, fits: np.ndarray) -> np.ndarray:
        """Increase of the second copy's loss with each candidate at its mean, NaN of the others.

        The threshold is the 99th percentile of random other heads; previous token heads, without
        which no induction head works, are not among them.
        """
        cost = np.full(self.shape, np.nan)
        candidates = fits[..., LABELS.index("induction")]
        helper = fits[..., LABELS.index("previous token")]
        wanted = [(int(a), int(b)) for a, b in np.argwhere(candidates)]
        if not wanted or self.loaded.kind != "decoder" or self.loaded.head is None:
            return cost
        others = [(int(a), int(b)) for a, b in np.argwhere((candidates == 0) & (helper == 0))]
        order = np.random.default_rng(self.seed).permutation(len(others))[:N_RANDOM_HEADS]
        random = [others[at] for at in order]
        found = _second_copy(self.loaded, self.progress, [*wanted, *random], self.seed)
        for at, value in zip(wanted, found, strict=False):
            cost[at] = value
        self.n_random_heads = len(random)
        chance = found[len(wanted) :]
        self.thresholds["induction/ablation"] = (
            float(np.quantile(chance, QUANTILE)) if len(chance) else 0.0
        )
        return cost


class _Part:
    """Progress of one source as a stretch of the whole."""

    def __init__(self, read: _Read) -> None:
        self.progress, (self.start, self.length) = read.progress, read.part

    def step(self, share: float, note: str = "") -> None:
        self.progress.step(self.start + self.length * share, note)

    def tell(self, note: str) -> None:
        self.progress.tell(note)

    def check(self) -> None:
        self.progress.check()

    def publish(self, partial: object) -> None:
        """Parts of this answer are no answers of its kind."""


def _labelled(read: _Read) -> tuple[np.ndarray, np.ndarray]:
    """(fits, margin) [layer, head, label], causal conditions left aside."""
    fits = np.zeros((*read.shape, len(RULES)), dtype=np.uint8)
    margin = np.zeros(fits.shape)
    for place, rule in enumerate(RULES):
        if not read.can(rule):
            continue
        ratios = [np.nan_to_num(read.scores[score]) / least for score, least in rule.needs]
        first = rule.needs[0][0]
        enough = np.ones(read.shape, dtype=bool)
        if rule.lift:
            enough &= read.scores[first] >= rule.lift * read.uniform[first]
        if rule.chance:
            enough &= read.scores[first] >= rule.chance * read.chance[first]
        margin[..., place] = np.min(ratios, axis=0)
        fits[..., place] = (margin[..., place] >= 1) & enough
    return fits, margin


def _dormant(fits: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """Sinks whose importance is not in the model's top quarter; none where it is not known."""
    sink = fits[..., LABELS.index("sink")] > 0
    if not np.isfinite(importance).any():
        return np.zeros(sink.shape, dtype=np.uint8)
    least = np.quantile(importance, QUARTER)
    found: np.ndarray = (sink & (importance < least)).astype(np.uint8)
    return found


def _second_copy(
    loaded: Loaded, progress: Progress, wanted: Sequence[tuple[int, int]], seed: int
) -> np.ndarray:
    """Increase of the loss on the second copy of random tokens with each head at its mean."""
    sample = head_texts.repeated(loaded, N_CHECKED, seed)
    batch = rows(loaded, sample.ids)
    half = slice(sample.before + sample.copy, sample.before + 2 * sample.copy - 1)
    sites = sorted({layer for layer, _ in wanted})
    read = [Site(layer, "head") for layer in sites]
    size = max(1, LOGITS_AT_ONCE // (2 * batch.ids.shape[1] * loaded.d_vocab))
    parts = [
        Rows(batch.ids[at : at + size], batch.lengths[at : at + size])
        for at in range(0, batch.n, size)
    ]
    seen = [run(loaded, part, read=read, logits="none").values for part in parts]
    mean = {site: torch.cat([one[site] for one in seen]).float().mean(dim=(0, 1)) for site in read}
    clean = np.mean([_loss(loaded, part, half) for part in parts])
    found = []
    for layer, head in wanted:
        progress.check()
        put = fixed(mean[Site(layer, "head")])
        lost = []
        for part in parts:
            with replaced(loaded, layer, [head], put, part.n):
                lost.append(_loss(loaded, tiled(part, 1), half))
        found.append(float(np.mean(lost) - clean))
    return np.array(found)


def _loss(loaded: Loaded, part: Rows, half: slice) -> float:
    logits = run(loaded, part).logits
    assert logits is not None
    return float(next_token_losses(logits, part)[:, half].mean())
