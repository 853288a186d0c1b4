"""Topic structure: words that occur together, in the embedding, in states and in attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses import topic_pairs
from core.analyses.clouds import PREPARED, cosines, prepared
from core.analyses.head_nulls import untrained
from core.analyses.item_states import ItemStates, item_states
from core.analyses.latent_topics import latent_topics
from core.analyses.runs import Progress
from core.analyses.states import stream_sites
from core.concept_sets import asked
from core.corpus.chunks import Contexts
from core.corpus.chunks import contexts as windows_of
from core.corpus.readers import Corpus, name_of
from core.corpus.spans import MAX_WORDS
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.topics import Topics
from core.spec.concept_set import ConceptSet, short
from core.spec.errors import Error
from core.spec.site import Site

N_TEXTS, N_SHUFFLES, WINDOW = 96, 50, 128
LEAST_PAIRS = 60
FEW = 200
MOST_WEIGHTS = 20_000_000  # of all heads on all pairs
PATTERN_BYTES = 400_000_000  # of the patterns of a batch
N_EXAMPLES = 5


def topics(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = None,
    corpus: Corpus | None = None,
    field: str = "text",
    n_texts: int = N_TEXTS,
    window: int = WINDOW,
    n_topics: int = 8,
    prepare: str = "centre",
    untrained_too: bool = False,
    n_shuffles: int = N_SHUFFLES,
    contexts: Sequence[str] = (),
    read: str = "last",
    seed: int = 0,
) -> Topics:
    """Cosine and attention between words of one topic and of two, layer by layer and head by head.

    concepts  a set whose groups are topics; None: topics found in the corpus, `n_topics` of them,
              by latent Dirichlet allocation
    corpus    texts in which the words are looked for; None: lists of the words themselves, four
              topics to a list, in random order
    n_texts   lists, or windows of the corpus of at most `window` tokens

    Li, Li and Risteski 2023, "How Do Transformers Learn Topic Structure: Towards a Mechanistic
    Understanding". Weights are taken over the head's mean weight at that distance, pairs with the
    first token and of a word with itself left out.
    """
    _check(loaded, prepare, n_texts, n_shuffles, n_topics)
    given = _given(progress, concepts, corpus, field, n_topics, seed)
    words, topic, names, dropped = _topics(given)
    seen = item_states(
        loaded, progress, words, contexts=contexts or given.contexts, read=read, share=(0.05, 0.4)
    )
    texts = _texts(words, topic, corpus, n_texts, seed)
    made = windows_of(loaded, texts, field=field, window=window, n_contexts=n_texts)
    own = np.array([topic[word] for word in words])
    chosen, same = _pairs(loaded, made, words, own, seed)
    rng = np.random.default_rng((seed, 31))
    mixed = [rng.permutation(own) for _ in range(n_shuffles)]
    near = _cosines(seen, own, words, prepare, mixed)
    looks = _attention(loaded, progress, made, chosen, own, mixed, (0.4, 0.8))
    fresh, notes = _fresh(loaded, progress, made, chosen, own, seen, words, prepare, seed,
                          untrained_too)  # fmt: skip
    notes += _few(same)
    return Topics(
        request={},
        topics=names,
        topic_size=tuple(int(n) for n in np.bincount(own, minlength=len(names))),
        dropped=(*dropped, *seen.dropped),
        notes=tuple(notes),
        corpus="" if corpus is None else name_of(corpus),
        n_shuffles=n_shuffles,
        prepare=prepare,
        read=read,
        seed=seed,
        stack=loaded.prompt_stack,
        sites=("embedding", *map(str, stream_sites(loaded))),
        **_sizes(given, made, chosen, same, seen),
        **_fields(near, looks, fresh),
    )


def _given(
    progress: Progress, concepts: Any, corpus: Corpus | None, field: str, n_topics: int, seed: int
) -> ConceptSet:
    if concepts is not None:
        return asked(concepts)
    if corpus is None:
        raise Error("give topics (concepts=), or a corpus in which they are to be found")
    progress.step(0.0, "finding topics")
    return latent_topics(corpus, field, n_topics, seed)


def _few(same: np.ndarray) -> list[str]:
    fewer = int(min(same.sum(), (~same).sum()))
    if fewer >= FEW:
        return []
    kind = "one topic" if same.sum() == fewer else "two topics"
    return [f"only {fewer} pairs are of {kind}, so the gaps of heads are mostly noise"]


def _sizes(
    given: ConceptSet, made: Contexts, chosen: topic_pairs.Pairs, same: np.ndarray,
    seen: ItemStates,
) -> dict[str, Any]:  # fmt: skip
    return {
        "set_name": given.name,
        "source": given.source,
        "licence": given.licence,
        "examples": tuple(document.text[:200] for document in made.documents[:N_EXAMPLES]),
        "n_texts": len(made),
        "n_words": len(seen.words),
        "n_found": len(np.unique(np.concatenate([chosen.one, chosen.other]))),
        "n_pairs": len(chosen),
        "n_same": int(same.sum()),
        "n_bins": int(chosen.bin.max()) + 1,
        "contexts": seen.contexts,
    }


def _fields(near: "_Gap", looks: "_Gap", fresh: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    return {
        "untrained_cosine": fresh[0],
        "untrained_attention": fresh[1],
        "cosine_same": near.same,
        "cosine_different": near.different,
        "cosine_chance": near.chance,
        "attention_same": looks.same,
        "attention_different": looks.different,
        "attention_chance": looks.chance.astype(np.float32),
        "weight": looks.weight,
    }


def _check(loaded: Loaded, prepare: str, n_texts: Any, n_shuffles: Any, n_topics: Any) -> None:
    if not loaded.pattern_source:
        raise Error(f"{loaded.family} does not hand out its attention, so its heads have no scores")
    if prepare not in PREPARED:
        raise Error(f"prepare= is one of {', '.join(PREPARED)}, not {str(prepare)[:20]!r}")
    for name, value, least, most in (
        ("n_texts", n_texts, 4, 20_000),
        ("n_shuffles", n_shuffles, 5, 1_000),
        ("n_topics", n_topics, 2, 100),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Error(f"{name}= is a whole number from {least} to {most:,}, not {value!r:.40}")


def _topics(
    given: ConceptSet,
) -> tuple[tuple[str, ...], dict[str, int], tuple[str, ...], list[tuple[str, str]]]:
    """(words, topic of each, names of the topics, what was left out and why)."""
    own = [group for group in given.groups if group.items]
    if len(own) < 2:
        raise Error(
            f"{short(given.name)} has one group of words; topic structure compares two or more"
        )
    found: dict[str, set[int]] = {}
    spelled: dict[str, str] = {}
    for number, group in enumerate(own):
        for word in (*group.items, *group.targets):
            found.setdefault(word.lower().strip(), set()).add(number)
            spelled.setdefault(word.lower().strip(), word)
    many = [word for word, where in found.items() if len(where) > 1]
    dropped = [(spelled[word], "it stands in several topics") for word in many]
    kept = [word for word in found if word not in set(many)]
    if len(kept) > MAX_WORDS:
        dropped += [(spelled[word], f"more than {MAX_WORDS} words") for word in kept[MAX_WORDS:]]
        kept = kept[:MAX_WORDS]
    topic = {spelled[word]: next(iter(found[word])) for word in kept}
    if len(set(topic.values())) < 2:
        raise Error(f"{short(given.name)}: fewer than two topics have words of their own")
    return tuple(topic), topic, tuple(group.name for group in own), dropped


def _texts(
    words: Sequence[str], topic: dict[str, int], corpus: Corpus | None,
    n_texts: int, seed: int,
) -> Corpus:  # fmt: skip
    if corpus is not None:
        return corpus
    table: dict[str, list[str]] = {}
    for word in words:
        table.setdefault(str(topic[word]), []).append(word)
    return topic_pairs.lists(table, n_texts, np.random.default_rng((seed, 32)))


def _pairs(
    loaded: Loaded, made: Contexts, words: Sequence[str], own: np.ndarray, seed: int
) -> tuple[topic_pairs.Pairs, np.ndarray]:
    """Pairs of words of the topics, and whether each is of one topic."""
    where = topic_pairs.found_words(made, words)
    found = topic_pairs.pairs(
        where, ahead=loaded.kind != "decoder", rng=np.random.default_rng((seed, 33))
    )
    n_heads = loaded.n_heads * len(loaded.stacks[loaded.prompt_stack].blocks)
    most = max(LEAST_PAIRS, MOST_WEIGHTS // n_heads)
    if len(found) > most:
        keep = np.sort(np.random.default_rng((seed, 34)).choice(len(found), most, replace=False))
        found = topic_pairs.some(found, keep)
    if len(found) < LEAST_PAIRS:
        raise Error(
            f"{len(found)} pairs of words of the topics stand together in the texts, {LEAST_PAIRS} "
            "are needed: give more text, or leave corpus= out for lists of the words"
        )
    same = own[found.one] == own[found.other]
    if not same.any() or same.all():
        raise Error("the texts hold no pairs of words of one topic, or none of two; give others")
    return found, same


@dataclass(frozen=True)
class _Gap:
    """same and different, and what is left of their difference with topics dealt out anew."""

    same: np.ndarray
    different: np.ndarray
    chance: np.ndarray
    weight: np.ndarray


def _cosines(
    seen: ItemStates, own: np.ndarray, words: Sequence[str], prepare: str,
    mixed: Sequence[np.ndarray],
) -> _Gap:  # fmt: skip
    place = {word: number for number, word in enumerate(words)}
    which = np.array([place[word] for word in seen.words])
    same, different, chance = [], [], []
    for layer in range(seen.n_layers):
        cosine = cosines(prepared(seen.at(layer), prepare))
        one, other = topic_pairs.cosine_gaps(cosine, own[which])
        same.append(one)
        different.append(other)
        drawn = [topic_pairs.cosine_gaps(cosine, labels[which]) for labels in mixed]
        chance.append([a - b for a, b in drawn])
    return _Gap(
        np.array(same), np.array(different), np.array(chance).T.reshape(-1, seen.n_layers),
        np.zeros(0),
    )  # fmt: skip


def _attention(
    loaded: Loaded, progress: Progress, made: Contexts, chosen: topic_pairs.Pairs,
    own: np.ndarray, mixed: Sequence[np.ndarray], share: tuple[float, float],
) -> _Gap:  # fmt: skip
    weight = _weights(loaded, progress, made, chosen, share)
    n_layers, n_heads, n = weight.shape
    flat = weight.reshape(-1, n)
    mean = flat.mean(axis=1).reshape(n_layers, n_heads)
    ratio = topic_pairs.beyond_distance(flat, chosen.bin)
    tables = np.stack([one[chosen.one] == one[chosen.other] for one in (own, *mixed)])
    same, different = topic_pairs.gaps(ratio, tables)
    shape = (-1, n_layers, n_heads)
    same, different = same.reshape(shape), different.reshape(shape)
    chance = same[1:] - different[1:]
    return _Gap(same[0], different[0], np.nan_to_num(chance), mean)


def _weights(
    loaded: Loaded, progress: Progress, made: Contexts, chosen: topic_pairs.Pairs,
    share: tuple[float, float],
) -> np.ndarray:  # fmt: skip
    """Attention weight [layer, head, pair] in float32, window by window."""
    stack = loaded.prompt_stack
    n_layers = len(loaded.stacks[stack].blocks)
    sites = [Site(layer, "pattern", stack=stack) for layer in range(n_layers)]
    found = np.zeros((n_layers, loaded.n_heads, len(chosen)), dtype=np.float32)
    longest = max(len(one.ids) for one in made.windows)
    each = 4 * loaded.n_heads * n_layers * longest
    batches = made.batches(max(longest, PATTERN_BYTES // each))
    used = set(chosen.window.tolist())
    for done, batch in enumerate(batches):
        progress.step(share[0] + (share[1] - share[0]) * done / len(batches), "attention")
        numbers = [number for number in batch if number in used]
        if not numbers:
            continue
        shown = rows(loaded, [made.windows[number].ids for number in numbers])
        seen = run(loaded, shown, read=sites, logits="none", check=progress.check)
        row = {number: place for place, number in enumerate(numbers)}
        mine = np.flatnonzero(np.isin(chosen.window, numbers))
        at = [row[int(number)] for number in chosen.window[mine]]
        query, key = chosen.query[mine].tolist(), chosen.key[mine].tolist()
        for layer, site in enumerate(sites):
            part = seen.values[site][at, :, query, key]  # [pair, head]
            found[layer][:, mine] = part.float().cpu().numpy().T
    return found


def _fresh(
    loaded: Loaded, progress: Progress, made: Contexts, chosen: topic_pairs.Pairs,
    own: np.ndarray, seen: ItemStates, words: Sequence[str], prepare: str, seed: int, wanted: bool,
) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:  # fmt: skip
    n_layers = len(loaded.stacks[loaded.prompt_stack].blocks)
    nothing = (np.full(seen.n_layers, np.nan), np.full((n_layers, loaded.n_heads), np.nan))
    if not wanted:
        return nothing, []
    twin, why = untrained(loaded, seed)
    if twin is None:
        return nothing, [why]
    states = item_states(
        twin, progress, seen.words, contexts=seen.contexts, read=seen.read, share=(0.8, 0.85)
    )
    near = _cosines(states, own, words, prepare, ())
    looks = _attention(twin, progress, made, chosen, own, (), (0.85, 0.98))
    return (near.same - near.different, looks.same - looks.different), []
