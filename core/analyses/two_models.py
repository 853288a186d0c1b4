"""What comparing two models begins with: texts both can read, their states, and what they share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core import labelled
from core.analyses.aligned import matched, spans
from core.analyses.neuron_match import both_busy, n_unlike
from core.analyses.runs import Progress
from core.analyses.states import states, stream_sites
from core.corpus.reference import sentences
from core.models.loaded import Loaded
from core.models.tokens import encode, known_ids, special
from core.spec.errors import Error

__all__ = [
    "Items",
    "both_busy",
    "both_states",
    "built_in_texts",
    "counterpart",
    "items",
    "refuse",
    "same_weights",
    "side_states",
    "unlike_architectures",
    "unlike_vocabularies",
]

POSITIONS = ("", "last", "mean", "token")
PER_SET = 12  # texts taken from each built-in labelled set
BUILT_IN = "sentences of the reference text and of the built-in labelled sets"
MOST_GIVEN = 20_000
# Per side the token of every item; () where the position is no single token.
Places = tuple[np.ndarray, np.ndarray] | tuple[()]
MOST_NAMED = 5  # texts that could not be read are named, then counted


def built_in_texts() -> tuple[str, ...]:
    """Sentences of many kinds, each once: what two models are compared on when none are given."""
    found = list(sentences())
    for name in labelled.built_in():
        texts = tuple(dict.fromkeys(labelled.named(name).texts))
        step = max(1, len(texts) // PER_SET)
        found += texts[: step * PER_SET : step]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Items:
    """The items two models are asked about, as token ids of either.

    texts    [item] str; a text may be several items when every token is one
    ids      per side, [text] token ids; of the texts in `order`
    text     [item] number of its text in `ids`
    at       per side, [item] token of its text; () where the position is no single token
    end      [item] characters of the text that an item has seen
    """

    texts: tuple[str, ...]
    source: str
    position: str
    ids: tuple[list[list[int]], list[list[int]]]
    text: np.ndarray
    at: Places
    end: np.ndarray
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        return len(self.text)

    @property
    def same_tokens(self) -> bool:
        """Do both models split every text into the same ids?"""
        return self.ids[0] == self.ids[1]

    def some(self, most: int, seed: int) -> "Items":
        """At most so many of the items, drawn at random and in order, with the texts they need."""
        picked = np.arange(self.n)
        if self.n > most:
            picked = np.sort(np.random.default_rng(seed).choice(self.n, most, replace=False))
        used, text = np.unique(self.text[picked], return_inverse=True)
        return replace(
            self,
            texts=tuple(self.texts[place] for place in used),
            ids=([self.ids[0][t] for t in used], [self.ids[1][t] for t in used]),
            text=text,
            at=(self.at[0][picked], self.at[1][picked]) if self.at else (),
            end=self.end[picked],
        )


def items(
    one: Loaded,
    two: Loaded,
    texts: Sequence[str],
    position: str,
    most: int,
    least: int,
    seed: int,
) -> Items:
    """What both models can read, sampled to `most` items. Raises `Error` below `least`.

    texts     () for the built-in ones; texts given twice count once
    position  "last" token of a text, "mean" over its tokens, "token": every token behind which both
              models have read the same characters; "": "last", but "mean" where all texts end in
              the same token
    """
    if position not in POSITIONS:
        raise Error(f"no position {str(position)[:20]!r}; there are last, mean and token")
    given, source = _given(texts)
    ids, kept, notes = _readable(one, two, given)
    repeats = len(given) - len(tuple(dict.fromkeys(given)))
    if repeats:
        notes.append(f"{repeats:,} texts stood there twice and count once")
    number, places, end = _tokens(one, two, kept) if position == "token" else _whole(kept)
    if len(number) < least:
        raise Error(
            f"{len(number)} items are left that both models can read; a comparison needs at "
            f"least {least}, so give more texts"
        )
    if len(number) > most:
        notes.append(f"{most:,} of {len(number):,} items, drawn at random")
    whole = Items(tuple(kept), source, position, ids, number, places, end, ())
    found = whole.some(most, seed)
    position = position or _fitting(one, two, found.ids, notes)
    return replace(found, position=position, notes=tuple(notes))


def _whole(texts: Sequence[str]) -> tuple[np.ndarray, Places, np.ndarray]:
    """Every text is one item, read as a whole."""
    return np.arange(len(texts)), (), np.array([len(text) for text in texts], dtype=int)


def _given(texts: Sequence[str]) -> tuple[tuple[str, ...], str]:
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise Error("texts are a list of texts")
    if len(texts) > MOST_GIVEN:
        raise Error(f"{len(texts):,} texts were given; at most {MOST_GIVEN:,} are read")
    return (tuple(texts), "texts of one's own") if len(texts) else (built_in_texts(), BUILT_IN)


def _readable(
    one: Loaded, two: Loaded, given: Sequence[str]
) -> tuple[tuple[list[list[int]], list[list[int]]], list[str], list[str]]:
    """Token ids of both sides, the texts that both can read, and a note on the others."""
    ids: tuple[list[list[int]], list[list[int]]] = ([], [])
    kept, dropped = [], []
    for text in dict.fromkeys(given):
        try:
            both = [encode(model, text) for model in (one, two)]
            if all(all(special(model, own)) for model, own in zip((one, two), both, strict=True)):
                raise Error("it holds special tokens only")
        except Error as fault:
            dropped.append((text, str(fault)))
            continue
        kept.append(text)
        for side, own in zip(ids, both, strict=True):
            side.append(own)
    notes = [f"left out {text[:30]!r}: {why}" for text, why in dropped[:MOST_NAMED]]
    if len(dropped) > MOST_NAMED:
        notes.append(f"{len(dropped) - MOST_NAMED:,} more texts could not be read")
    return ids, kept, notes


def _tokens(
    one: Loaded, two: Loaded, texts: Sequence[str]
) -> tuple[np.ndarray, Places, np.ndarray]:
    """(text, (token here, token there), characters read) of every token both sides share.

    The first token of a decoder is left out: it is where attention is parked.
    """
    rows = []
    for number, text in enumerate(texts):
        here, there = spans(one, text), spans(two, text)
        pairs = [(a, b) for a, b in matched(here, there) if a and b]
        rows += [(number, a, b, here[a][1]) for a, b in pairs]
    table = np.array(rows, dtype=int).reshape(-1, 4)
    return table[:, 0], (table[:, 1], table[:, 2]), table[:, 3]


def _fitting(
    one: Loaded, two: Loaded, ids: tuple[list[list[int]], list[list[int]]], notes: list[str]
) -> str:
    """ "last", unless in one model all texts end alike: then the embedding tells nothing there."""
    for model, side in zip((one, two), ids, strict=True):
        ends = set()
        for own in side:
            plain = [i for i, marked in zip(own, special(model, own), strict=True) if not marked]
            ends.add((plain or own)[-1])
        if len(ends) == 1:
            notes.append(
                f"all texts end in the same token for {model.name}: means over the tokens are "
                "compared, not the last one"
            )
            return "mean"
    return "last"


def both_states(
    one: Loaded,
    two: Loaded,
    progress: Progress,
    asked: Items,
    share: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """States [layer, item, d_model] float32 of either model; row 0 enters the first block."""
    middle = (share[0] + share[1]) / 2
    return (
        side_states(one, progress, asked, 0, (share[0], middle)),
        side_states(two, progress, asked, 1, (middle, share[1])),
    )


def side_states(
    model: Loaded,
    progress: Progress,
    asked: Items,
    side: int,
    share: tuple[float, float],
    note: str = "",
) -> np.ndarray:
    """States [layer, item, d_model] float32 of one side's tokens in a model that reads them."""
    note = note or f"reading {len(asked.ids[side]):,} texts with {model.name}"
    if not asked.at:
        seen = states(
            model, progress, asked.ids[side], positions=(asked.position,), embedding=True,
            note=note, share=share,
        )  # fmt: skip
        return np.asarray(seen.vectors[0].numpy()[:, asked.text])
    # Every item is one token: the k-th items of all texts that have as many are read together.
    rank, width = _ranks(asked.text), stream_sites(model)
    found = np.zeros((len(width) + 1, asked.n, model.d_model), dtype=np.float32)
    places = [[0] * int(rank.max() + 1) for _ in asked.ids[side]]
    for item, text in enumerate(asked.text):
        places[text][rank[item]] = int(asked.at[side][item])
    positions = [[own[k] for own in places] for k in range(int(rank.max()) + 1)]
    seen = states(
        model, progress, asked.ids[side], positions=positions, embedding=True, note=note,
        share=share,
    )  # fmt: skip
    found[:] = seen.vectors.numpy()[rank, :, asked.text].transpose(1, 0, 2)
    return found


def _ranks(text: np.ndarray) -> np.ndarray:
    """[item] how many items of the same text stand before it; items lie text by text."""
    first = np.searchsorted(text, text, side="left")
    return np.arange(len(text)) - first


def same_weights(one: Loaded, two: Loaded) -> bool:
    """Is it the same model twice?"""
    return one is two or (one.fingerprint, one.name) == (two.fingerprint, two.name)


def unlike_architectures(one: Loaded, two: Loaded) -> str:
    """The first thing in which two architectures differ, in words; "" where parts correspond."""
    stack = one.prompt_stack
    if stack != two.prompt_stack or one.kind != two.kind:
        return f"{one.name} is a model of the kind {one.kind} and {two.name} of {two.kind}"
    sizes = {
        "layers": (len(stream_sites(one)), len(stream_sites(two))),
        "numbers in the stream": (one.d_model, two.d_model),
        "heads": (one.n_heads, two.n_heads),
        "numbers in a head": (one.d_head, two.d_head),
        "neurons in a layer": (one.d_mlp, two.d_mlp),
    }
    for what, (here, there) in sizes.items():
        if here != there:
            return f"{one.name} has {here:,} {what} and {two.name} {there:,}"
    if one.family != two.family:
        return f"{one.name} is of the family {one.family} and {two.name} of {two.family}"
    return ""


def unlike_vocabularies(one: Loaded, two: Loaded) -> str:
    """Why token ids of the two do not mean the same, in words; "" where they do."""
    n = min(known_ids(one), known_ids(two))
    unlike = n_unlike(one, two)
    if unlike or known_ids(one) != known_ids(two):
        return (
            f"{one.name} and {two.name} have different vocabularies ({known_ids(one):,} and "
            f"{known_ids(two):,} tokens; {unlike:,} of the first {n:,} ids are written differently)"
        )
    return ""


def refuse(why: str, what: str) -> None:
    """Raise `Error` that says what cannot be compared, where there is a reason."""
    if why:
        raise Error(f"{why}, so {what}")


def counterpart(n_here: int, n_there: int) -> np.ndarray:
    """[layer here] the layer there at the same relative depth; rows of the stream, 0 first."""
    return np.round(np.linspace(0, n_there - 1, n_here)).astype(int)
