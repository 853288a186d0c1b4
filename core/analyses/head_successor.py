"""Does one head turn an item of an ordered list into the next one?"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.head_digits import mod_ten
from core.analyses.head_scores import N_RANDOM, steps
from core.analyses.runs import Progress
from core.corpus.sequences import TokenList, token_list, token_lists
from core.engine.head_circuits import random_thin
from core.engine.head_probe import head_weights
from core.engine.head_weights import check_head
from core.engine.token_scores import vocabulary
from core.engine.token_states import check_embedding, piece, start_id, token_inputs, used
from core.models.loaded import Loaded
from core.results.head_successor import HeadSuccessor
from core.spec.errors import Error


def head_successor(
    loaded: Loaded,
    progress: Progress,
    *,
    layer: int,
    head: int,
    sequence: str = "",
    embedding: str = "effective",
    against: str = "unembedding",
    seed: int = 0,
    stack: str = "",
) -> HeadSuccessor:
    """Each item of a list through the head's output matrices: which item does it raise most?

    Beside it, for models with numbers as single tokens, the last digit: whether it can be read off
    a number as it enters the head, and whether the head follows when it is exchanged.

    sequence  a list's name, the one with most tokens if not given. Other options as in
              `head_scores`, whose numbers these are. Raises `Error` for a list that is not there
              or has too few single tokens, and for a layer or head that is not there.
    """
    check_head(loaded, layer, head, stack)
    check_embedding(embedding)
    words = vocabulary(loaded, against, stack)
    one = token_list(loaded, sequence) if sequence else _longest(loaded)
    with loaded.busy():
        progress.step(0.1, f"{one.name} through the head")
        heads = head_weights(loaded, layer, stack)
        inputs = token_inputs(loaded, one.ids, layer, embedding, stack, progress.check)
        table = words.matrix[list(one.ids)]
        random = zip(*random_thin(*heads.ov(head), N_RANDOM, seed), strict=True)
        own, others, chance = (
            [_logits(inputs, table, *pair) for pair in pairs]
            for pairs in (
                [heads.ov(head)],
                [heads.ov(other) for other in range(heads.n_heads) if other != head],
                random,
            )
        )
        progress.step(0.6, "numbers by their last digit")
        digits = mod_ten(loaded, layer, heads.ov(head), words.matrix, embedding, seed, stack)
    return HeadSuccessor(
        request={},
        layer=layer,
        head=head,
        embedding=used(embedding, layer),
        against=against,
        start=piece(loaded, start_id(loaded)),
        control_score=_mean_score(others, one),
        random_score=_mean_score(chance, one),
        n_random=N_RANDOM,
        stack=stack,
        **_about(one),
        **_measured(own[0], one),
        **digits,
    )


def _about(one: TokenList) -> dict[str, Any]:
    """The list, by the names of the result."""
    return {
        "list_name": one.name,
        "spelling": one.spelling,
        "items": one.items,
        "n_dropped": one.n_dropped,
        "n_steps": one.n_steps,
        "chance": 1 / len(one.ids),
        "ids": np.array(one.ids),
    }


def _measured(logits: Tensor, one: TokenList) -> dict[str, Any]:
    """Hits, ranks and margins of one head, by the names of the result."""
    hit, over_copy, over_previous = steps(logits, one)
    whole, after = logits.cpu().numpy(), np.array(one.after)
    step = np.flatnonzero(after >= 0)
    next_ = whole[step, after[step]][:, None]
    return {
        "logits": whole,
        "step": step,
        "after": after[step],
        "score": float(hit.mean()),
        "hit": hit.bool().numpy(),
        "rank": (whole[step] > next_).sum(axis=1) + 1,
        "over_copy": over_copy.numpy(),
        "over_previous": over_previous.numpy(),
    }


def _longest(loaded: Loaded) -> TokenList:
    lists = token_lists(loaded)
    if not lists:
        raise Error(f"no ordered list has enough single tokens in {loaded.name}")
    return max(lists, key=lambda each: each.n_steps)


def _logits(inputs: Tensor, table: Tensor, v: Tensor, o: Tensor) -> Tensor:
    """[item seen, item raised], less the mean of each row."""
    logits = inputs @ v @ o @ table.T
    return logits - logits.mean(dim=1, keepdim=True)


def _mean_score(logits: list[Tensor], one: TokenList) -> float:
    hits = [steps(each, one)[0] for each in logits]
    return float(torch.stack(hits).mean()) if hits else float("nan")
