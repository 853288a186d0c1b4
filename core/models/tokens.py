"""Text to tokens and back, as the model's own tokenizer does it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from core.models.loaded import Loaded
from core.spec.errors import Error

MAX_CHARACTERS = 400_000
# Models without a last position (relative or ALiBi positions) still get an end here.
MAX_TOKENS = 4_096
_SPACE = "\u2581"  # SentencePiece writes a blank as this sign


def encode(loaded: Loaded, text: str) -> list[int]:
    """Token ids of a text, special tokens included. Raises `Error` on what cannot be a prompt."""
    _refuse_bad_text(text)
    ids = [int(i) for i in loaded.tokenizer(text)["input_ids"]]
    limit = loaded.n_ctx or MAX_TOKENS
    if not ids:
        raise Error("the text is empty: write at least one word")
    if len(ids) > limit:
        raise Error(
            f"the text has {len(ids):,} tokens and {loaded.name} takes at most {limit:,}; "
            "shorten it"
        )
    if max(ids) >= loaded.d_vocab:
        raise Error(
            f"the tokenizer knows token {max(ids)}, the model only {loaded.d_vocab}; "
            "they do not belong together"
        )
    return ids


def _refuse_bad_text(text: str) -> None:
    if not isinstance(text, str):
        raise Error(f"a prompt is a text, not a {type(text).__name__}")
    if len(text) > MAX_CHARACTERS:
        raise Error(f"the text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read")
    for place, sign in enumerate(text):
        if "\ud800" <= sign <= "\udfff":
            raise Error(
                f"the text holds half of a character pair (U+{ord(sign):04X}) at position "
                f"{place}; remove it"
            )


def pieces(loaded: Loaded, ids: Sequence[int]) -> tuple[str, ...]:
    """Each token as a person would read it: blanks as blanks, special tokens by their name."""
    read = _reader(loaded.tokenizer)
    return tuple(read(int(i)) for i in ids)


@lru_cache(maxsize=16)
def _reader(tokenizer: Any) -> Any:
    """A function id -> piece for one tokenizer, remembering what it has read."""
    known: dict[int, str] = {}

    def read(token: int) -> str:
        if token not in known:
            known[token] = _piece(tokenizer, token)
        return known[token]

    return read


def _piece(tokenizer: Any, token: int) -> str:
    raw = tokenizer.convert_ids_to_tokens(token)
    if raw is None:
        return f"<{token}>"  # a padded row of the embedding: no text belongs to it
    if token in tokenizer.all_special_ids:
        return str(raw)
    if _SPACE in raw:
        return str(raw).replace(_SPACE, " ")
    text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    # Part of a character or a word piece: the raw form says more than a replacement sign.
    whole = text and "\ufffd" not in text and not raw.startswith("##")
    return str(text if whole else raw)


def special(loaded: Loaded, ids: Sequence[int]) -> tuple[bool, ...]:
    """Which tokens are special ones (`<s>`, `[CLS]`, end of text)."""
    marked = set(loaded.tokenizer.all_special_ids)
    return tuple(int(i) in marked for i in ids)


def decode(loaded: Loaded, ids: Sequence[int]) -> str:
    """Text of ids, special tokens skipped."""
    text = loaded.tokenizer.decode(
        list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return str(text)


def known_ids(loaded: Loaded) -> int:
    """How many ids the tokenizer has words for; embedding rows beyond it are padding."""
    return min(len(loaded.tokenizer), loaded.d_vocab)


def end_ids(loaded: Loaded) -> frozenset[int]:
    """The tokens at which generation stops."""
    settings = getattr(loaded.module, "generation_config", None)
    for source in (settings, loaded.config):
        ends = getattr(source, "eos_token_id", None)
        if ends is not None:
            return frozenset(ends if isinstance(ends, list | tuple) else [ends])
    end = loaded.tokenizer.eos_token_id
    return frozenset() if end is None else frozenset([end])
