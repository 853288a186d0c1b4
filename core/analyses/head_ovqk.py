"""One head by its weights: what it writes for a token and what it looks for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses.head_ov import Ov, random_directions
from core.analyses.head_qk import Qk, check_offset
from core.analyses.runs import Progress
from core.engine.head_probe import head_weights, positions
from core.engine.head_weights import check_head
from core.engine.token_scores import (
    Vocabulary,
    affordable_draws,
    check_k,
    piece_table,
    vocabulary,
)
from core.engine.token_states import (
    affordable,
    check_embedding,
    frequent_ids,
    piece,
    start_id,
    used,
)
from core.models.loaded import Loaded
from core.models.words import read_word
from core.results.head_ovqk import HeadOvqk
from core.spec.errors import Error
from core.spec.query import Pattern, parse

N_SOURCES, MOST_SOURCES = 10, 12
N_PAIRS = 2_000  # query and key tokens
N_RANDOM = 20


def head_ovqk(
    loaded: Loaded,
    progress: Progress,
    *,
    layer: int,
    head: int,
    token: str | None = None,
    query: str | None = None,
    key: str | None = None,
    offset: int = 1,
    k: int = 10,
    embedding: str = "effective",
    against: str = "unembedding",
    relative: bool = False,
    seed: int = 0,
    stack: str = "",
) -> HeadOvqk:
    """Tables of tokens for the OV and the QK circuit of one head, its channels, its positions.

    token      words to ask about, as in `neuron_search`; None: the tokens it writes most for
    query, key the pair whose score is shown against the offset; None: the strongest pair
    offset     how far the query stands behind the key in the QK table
    embedding  "effective" (stream behind block 0) or "raw"; heads of layer 0 read "raw"
    against    what written vectors are read with, as in `neuron_tokens`
    relative   take away what the head writes for common tokens on average

    Raises `Error` for a layer, head or word that is not there, an offset the model cannot have,
    and where the family's weights cannot be read or have nothing to be read with.
    """
    check_head(loaded, layer, head, stack)
    check_embedding(embedding)
    words = vocabulary(loaded, against, stack)
    check_k(loaded, words, k)
    asked, notes = _asked(loaded, token)
    chosen = (_one(loaded, query), _one(loaded, key))
    ask = _Question(layer, head, asked, chosen, offset, k, embedding, relative, seed, stack)
    with loaded.busy():
        found = _answer(loaded, progress, words, ask)
    return HeadOvqk(
        request={},
        layer=layer,
        head=head,
        embedding=used(embedding, layer),
        against=against,
        relative=relative,
        start=piece(loaded, start_id(loaded)),
        asked=token or "",
        notes=notes,
        n_vocabulary=words.n,
        n_random=N_RANDOM,
        offset=offset,
        stack=stack,
        **found,
    )


@dataclass(frozen=True)
class _Question:
    """What is asked about one head; `sources` empty: to be chosen, `chosen` None: likewise."""

    layer: int
    head: int
    sources: list[int]
    chosen: tuple[int | None, int | None]
    offset: int
    k: int
    embedding: str
    relative: bool
    seed: int
    stack: str


def _answer(
    loaded: Loaded, progress: Progress, words: Vocabulary, ask: _Question
) -> dict[str, Any]:
    """Everything that is computed, by the names of the result."""
    progress.step(0.0, "the head's matrices")
    layer, head, stack = ask.layer, ask.head, ask.stack
    heads, here = head_weights(loaded, layer, stack), positions(loaded, stack)[layer]
    check_offset(loaded, here, ask.offset, stack)
    other = _other(heads.n_heads, head, ask.seed)
    progress.step(0.1, "tokens as they enter the head")
    common = frequent_ids(loaded, N_PAIRS)
    table = _table_ids(loaded, words.n, used(ask.embedding, layer), stack)
    ov = Ov(loaded, words, heads, layer, head, ask.embedding, stack, table, progress.check)
    sources = ask.sources or ov.most_written(common, N_SOURCES)
    progress.step(0.4, "what it writes")
    nulls = random_directions(words, ov, affordable_draws(words), ask.seed, progress.check)
    usual = ov.usual(common, ask.relative)
    written = ov.tables(sources, other, usual, ask.k, progress.check)
    progress.step(0.7, "what it looks for")
    seen = Qk(loaded, heads, here, layer, head, ask.offset, stack).tables(
        sources, common, ask.chosen, ask.k, other, ask.embedding, ask.seed, progress.check
    )
    tables = {**written, **seen.pop("tables")}
    return {
        "kv_head": heads.kv(head),
        "n_tokens": len(table),
        "control_head": -1 if other is None else other,
        "source_ids": np.array(sources),
        "constant_norm": float(heads.constant(head).norm()),
        **_about(here, heads.norm_q is not None or heads.norm_k is not None),
        **_pieces(loaded, [*sources, seen["query_id"], seen["key_id"]], tables),
        **ov.spectrum(N_RANDOM, ask.seed),
        **nulls,
        **seen,
        **tables,
    }


def _pieces(
    loaded: Loaded, ids: list[int], tables: dict[str, dict[str, np.ndarray]]
) -> dict[str, Any]:
    """The readable piece of every token in the answer."""
    shown = [
        torch.from_numpy(array)
        for group in tables.values()
        for name, array in group.items()
        if name.endswith("ids")
    ]
    piece_ids, pieces = piece_table(loaded, torch.tensor(ids), *shown)
    return {"piece_ids": piece_ids, "pieces": pieces}


def _asked(loaded: Loaded, token: str | None) -> tuple[list[int], tuple[str, ...]]:
    """(ids, how each word was read) of the words asked about."""
    if token is None:
        return [], ()
    words = parse(token)
    if isinstance(words, Pattern):
        raise Error("a head is asked about words, not about a pattern; write the words")
    ids: list[int] = []
    notes = []
    for word in words:
        read = read_word(loaded, word)
        whole = [reading[0] for reading in read.readings if len(reading) == 1]
        ids += whole or list(read.readings[0])
        notes.append(
            read.note.replace("; the best of them counts", "; each has its row")
            if whole
            else f"“{word.text}” is no token of its own: each of its pieces has its row"
        )
    ids = list(dict.fromkeys(ids))
    if len(ids) > MOST_SOURCES:
        notes.append(f"the first {MOST_SOURCES} of {len(ids)} tokens are shown")
    return ids[:MOST_SOURCES], tuple(notes)


def _one(loaded: Loaded, word: str | None) -> int | None:
    """The token of a word: its first reading's last piece."""
    if word is None:
        return None
    ids, _ = _asked(loaded, word)
    return ids[0]


def _table_ids(loaded: Loaded, n: int, embedding: str, stack: str) -> tuple[int, ...]:
    """The tokens it may read: all of them, or the commonest where their states take long."""
    most = affordable(loaded, stack)
    if embedding == "raw" or most >= n:
        return tuple(range(n))
    return frequent_ids(loaded, most)


def _other(n_heads: int, head: int, seed: int) -> int | None:
    """Another head of the layer, the same for a seed."""
    others = [each for each in range(n_heads) if each != head]
    return others[np.random.default_rng(seed).integers(len(others))] if others else None


def _about(here: Any, normed: bool) -> dict[str, Any]:
    position = "rotary" if here.cos is not None else "none" if here.bias is None else "added"
    return {
        "position": position,
        "window": here.window,
        "capped": here.cap is not None,
        "normed": normed,
    }
