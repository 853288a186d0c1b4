"""States of words at every depth, in contexts that say nothing about them, in one forward pass.

What all of concept geometry starts from. A bare word would stand where the attention sink is, so
every word stands at the end of a few neutral contexts and its states are averaged over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses.runs import Progress
from core.analyses.states import states
from core.models.loaded import Loaded
from core.models.tokens import encode, special
from core.spec.concept_set import SLOT, ConceptSet, short
from core.spec.errors import Error

NEUTRAL = ("The word is {}", "I think of {}", "It is about {}", "They talk about {}")
READS = ("last", "mean")
MOST_PIECES = 8  # of a word whose mean is read
KEPT = 6  # answers kept per model: moving a slider or a switch must not run the model again
FLOATS_KEPT = 64_000_000


@dataclass(frozen=True)
class ItemStates:
    """What one pass over the words showed.

    words     those that were read, in the order given
    dropped   (word, why) of those that could not be read
    contexts  the texts they stood in, {} for the word; ("{}",) where texts stood alone
    read      "last" piece of a word, or the "mean" of its pieces
    n_pieces  [item] tokens of each word
    norm      [layer] mean length of the stream over all tokens that are not special
    apart     [layer, context, item, d_model] float32; layer 0 is what enters the first block,
              layer l the output of block l - 1 (raw, before the final norm)
    """

    words: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    contexts: tuple[str, ...]
    read: str
    n_pieces: np.ndarray
    norm: np.ndarray
    apart: torch.Tensor

    @property
    def n_layers(self) -> int:
        """Rows of the depth axis: blocks and the embedding."""
        return len(self.apart)

    def at(self, layer: int) -> np.ndarray:
        """[item, d_model] float64 of one layer, the mean over the contexts."""
        found: np.ndarray = self.apart[layer].double().mean(dim=0).numpy()
        return found

    def in_contexts(self, layer: int) -> np.ndarray:
        """[context, item, d_model] float64 of one layer."""
        found: np.ndarray = self.apart[layer].double().numpy()
        return found

    def rows(self, words: Sequence[str]) -> list[int]:
        """Item numbers of those of the words that were read, in their order."""
        place = {word: number for number, word in enumerate(self.words)}
        return [place[word] for word in words if word in place]


def item_states(
    loaded: Loaded,
    progress: Progress,
    words: Sequence[str],
    *,
    contexts: Sequence[str] = (),
    read: str = "last",
    share: tuple[float, float] = (0.0, 0.6),
) -> ItemStates:
    """States of words or texts at every layer of the stack that reads the prompt.

    contexts  texts that end with {}, the place of the word; () for four neutral ones, ("{}",) for
              items that are texts of their own
    read      "last": at the last piece of the word, which has seen the earlier ones; "mean": the
              mean over its pieces

    Words that are unknown to the tokenizer or too long are dropped with the reason. Raises `Error`
    when fewer than two words are left. The last few answers are kept with the model.
    """
    if isinstance(words, str):
        raise Error("the words are a list of words")
    if read not in READS:
        raise Error(f"read= is one of {', '.join(READS)}, not {str(read)[:20]!r}")
    contexts = checked(contexts)
    key = (tuple(dict.fromkeys(words)), contexts, read)
    kept: dict[Any, ItemStates] = loaded.memo.setdefault("item_states", {})
    if key not in kept:
        found = _read(loaded, progress, key[0], contexts, read, share)
        while kept and len(kept) >= KEPT:
            kept.pop(next(iter(kept)), None)
        if found.apart.numel() > FLOATS_KEPT:
            return found
        kept[key] = found
    progress.step(share[1], "states at hand")
    return kept[key]


def checked(contexts: Sequence[str]) -> tuple[str, ...]:
    """The contexts, or the neutral ones. Raises `Error` for one that does not end with the word."""
    if isinstance(contexts, str):
        contexts = (contexts,)
    for context in contexts:
        if not isinstance(context, str) or context.count(SLOT) != 1 or not context.endswith(SLOT):
            raise Error(
                f"the context {short(context)} does not end with {SLOT}, the place of the word: "
                "what follows a word cannot have changed its state"
            )
    return tuple(contexts) or NEUTRAL


def set_states(
    loaded: Loaded,
    progress: Progress,
    given: ConceptSet,
    *,
    contexts: Sequence[str] = (),
    read: str = "last",
    share: tuple[float, float] = (0.0, 0.6),
) -> ItemStates:
    """States of all words of a set, in its own contexts unless others are given."""
    return item_states(
        loaded, progress, given.items, contexts=contexts or given.contexts, read=read, share=share
    )


def _read(
    loaded: Loaded,
    progress: Progress,
    words: tuple[str, ...],
    contexts: tuple[str, ...],
    read: str,
    share: tuple[float, float],
) -> ItemStates:
    kept, dropped, counts = [], [], []
    texts: list[list[int]] = []
    for word in words:
        try:
            each = [encode(loaded, context.replace(SLOT, word)) for context in contexts]
            counts.append(_pieces(loaded, contexts[0], each[0]))
        except Error as fault:
            dropped.append((word, str(fault)))
            continue
        kept.append(word)
        texts.extend(each)
    if len(kept) < 2:
        why = f": {dropped[0][1]}" if dropped else ""
        raise Error(
            f"{len(kept)} of {len(words)} words can be read; geometry needs at least two{why}"
        )
    most = 1 if read == "last" else min(MOST_PIECES, max(counts))
    positions = ["last", *(f"-{back}" for back in range(2, most + 1))]
    with loaded.busy():
        seen = states(
            loaded, progress, texts, positions=positions, embedding=True,
            note=f"reading {len(kept):,} words", share=share,
        )  # fmt: skip
    vectors = seen.vectors  # [position, layer, word x context, d_model]
    sizes = torch.tensor(counts).clamp(max=most)
    if most > 1:
        each_size = sizes.repeat_interleave(len(contexts))
        counted = torch.arange(most)[:, None] < each_size  # [position, text]
        weight = counted.float() / each_size
        vectors = torch.einsum("plnd,pn->lnd", vectors, weight)[None]
    layers, _, width = vectors.shape[1:]
    apart = vectors[0].reshape(layers, len(kept), len(contexts), width).transpose(1, 2)
    return ItemStates(
        words=tuple(kept),
        dropped=tuple(dropped),
        contexts=contexts,
        read=read,
        n_pieces=np.array(counts),
        norm=seen.norm.double().numpy(),
        apart=apart.contiguous(),
    )


def _pieces(loaded: Loaded, context: str, ids: Sequence[int]) -> int:
    """How many of the text's tokens stand for the word at its end."""
    plain = sum(not marked for marked in special(loaded, ids))
    before = context[: -len(SLOT)].rstrip()
    if not before:
        return max(1, plain)
    front = encode(loaded, before)
    own = plain - sum(not marked for marked in special(loaded, front))
    if own < 1:
        raise Error("its tokens cannot be told from those before it")
    return own
