"""What a token looks like to a head, alone: its embedding, or its state behind the first block."""

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.corpus.reference import reference_chunks
from core.engine.forward import run
from core.engine.head_weights import scaled
from core.engine.rows import Rows, rows
from core.engine.token_scores import STEP_CPU, STEP_GPU, vocabulary
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.models.words import token_texts
from core.spec.errors import Error
from core.spec.site import Site

EMBEDDINGS = ("effective", "raw")
LEAST = 2_000  # tokens of a table
_SECONDS = 5  # of work for the states of many tokens
_ROWS_AT_ONCE = 1_024


def check_embedding(embedding: str) -> None:
    """Raise `Error` unless it is the name of one."""
    if embedding not in EMBEDDINGS:
        raise Error(f"no embedding {str(embedding)[:20]!r}; use {' or '.join(EMBEDDINGS)}")


def used(embedding: str, layer: int) -> str:
    """Which embedding a layer's heads are read with: heads of layer 0 read the input's."""
    return "raw" if layer == 0 else embedding


def start_id(loaded: Loaded) -> int:
    """The token put in front of another: what this tokenizer starts or ends texts with."""
    if loaded.kind == "encoder-decoder":
        return int(getattr(loaded.config, "decoder_start_token_id", None) or 0)
    tokenizer = loaded.tokenizer
    for name in ("bos_token_id", "cls_token_id", "eos_token_id"):
        token = getattr(tokenizer, name, None)
        if token is not None and token < loaded.d_vocab:
            return int(token)
    return 0


def frequent_ids(loaded: Loaded, most: int) -> tuple[int, ...]:
    """Ordinary tokens, commonest first: by their count in the reference text, then by number.

    Tokenizers number their tokens about as they were found, frequent ones first. Special tokens,
    single bytes and blanks are left out.
    """
    if "frequent_ids" not in loaded.memo:
        ids, texts = token_texts(loaded)
        ordinary = [token for token, text in zip(ids, texts, strict=True) if _ordinary(text)]
        counted = Counter(token for chunk in reference_chunks(loaded) for token in chunk)
        loaded.memo["frequent_ids"] = tuple(sorted(ordinary, key=lambda i: (-counted[i], i)))
    found: tuple[int, ...] = loaded.memo["frequent_ids"]
    return found[:most]


def _ordinary(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and not text.startswith("<0x")


def affordable(loaded: Loaded, stack: str = "") -> int:
    """How many tokens' states behind block 0 are computed while somebody waits."""
    block = loaded.stacks[stack].blocks[0].whole
    work = 2 * sum(parameter.numel() for parameter in block.parameters())
    step = STEP_CPU if loaded.device.type == "cpu" else STEP_GPU
    return max(LEAST, int(_SECONDS * step / max(1, work)))


def token_states(
    loaded: Loaded,
    ids: Sequence[int],
    layer: int,
    embedding: str,
    stack: str = "",
    check: Callable[[], None] = lambda: None,
) -> Float[Tensor, "token d_model"]:
    """Each token as a state of the stream in front of a layer, [token, d_model] in float32.

    "effective": the stream behind block 0 at position 1 of the two tokens (start, token), so with
    the norms, attention and MLP of that block ("Successor Heads" call such a thing the effective
    embedding); heads of layer 0 read "raw", the rows of the input embedding.
    """
    check_embedding(embedding)
    if used(embedding, layer) == "raw":
        return vocabulary(loaded, "embedding", stack).matrix[list(ids)]
    known = _known(loaded, stack)
    missing = [token for token in dict.fromkeys(ids) if token not in known]
    for place in range(0, len(missing), _ROWS_AT_ONCE):
        check()
        part = missing[place : place + _ROWS_AT_ONCE]
        known |= dict(zip(part, _behind_block_0(loaded, part, stack), strict=True))
    return torch.stack([known[token] for token in ids])


def token_inputs(
    loaded: Loaded,
    ids: Sequence[int],
    layer: int,
    embedding: str,
    stack: str = "",
    check: Callable[[], None] = lambda: None,
) -> Float[Tensor, "token d_model"]:
    """`token_states` divided as the norm in front of the layer's attention does it."""
    states = token_states(loaded, ids, layer, embedding, stack, check)
    return scaled(loaded, layer, states, stack)


def _known(loaded: Loaded, stack: str) -> dict[int, Tensor]:
    """States behind block 0 by token, kept as long as the model."""
    known: dict[int, Tensor] = loaded.memo.setdefault(("token_states", stack), {})
    return known


def _behind_block_0(loaded: Loaded, ids: Sequence[int], stack: str) -> Tensor:
    place = Site(0, "resid_post", position=1, stack=stack)
    made = rows(loaded, [[start_id(loaded), token] for token in ids])
    if made.targets is not None and not stack:  # a decoder beside an encoder that reads one token
        alone = made.ids[:, :1]
        made = Rows(alone, (1,) * made.n, made.ids)
    return run(loaded, made, read=[place], logits="none").values[place][:, 0].float()


def piece(loaded: Loaded, token: int) -> str:
    """The readable piece of one token."""
    return pieces(loaded, [token])[0]
