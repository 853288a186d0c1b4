"""The built-in reference text: what observed maxima and resampling are measured on."""

import re

from core.home import ASSETS
from core.models.loaded import Loaded
from core.models.tokens import encode

REFERENCE = ASSETS / "corpus" / "reference.txt"
MAX_TOKENS = 256
LEAST_WORDS, MOST_WORDS = 4, 30  # of a sentence that can stand alone
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def reference_chunks(loaded: Loaded) -> list[list[int]]:
    """The reference text in paragraphs of token ids, each short enough for the model."""
    limit = min(loaded.n_ctx or MAX_TOKENS, MAX_TOKENS)
    chunks = [encode_cut(loaded, text, limit) for text in paragraphs()]
    return [chunk for chunk in chunks if len(chunk) > 1]


def paragraphs() -> list[str]:
    """Paragraphs, set apart by empty lines; lines that begin with # say where they are from."""
    lines = REFERENCE.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def sentences() -> list[str]:
    """The sentences of the reference text, as neutral texts that stand for text of any kind."""
    parts = (part for paragraph in paragraphs() for part in _END.split(paragraph))
    return [part for part in parts if LEAST_WORDS <= len(part.split()) <= MOST_WORDS]


def encode_cut(loaded: Loaded, text: str, limit: int) -> list[int]:
    """Token ids of a text, cut to the limit."""
    ids = loaded.tokenizer(text, truncation=True, max_length=limit)["input_ids"]
    return ids if ids else encode(loaded, text)
