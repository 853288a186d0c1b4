"""Whether a tokenizer is one: it has words, fits the model, and reads as its file says."""

from pathlib import Path
from typing import Any

from core.spec.errors import Error

PROBE = "The cat, naïve & 12 years old, sat.  Then?"


def check(tokenizer: Any, folder: Path, rows: int) -> tuple[str, ...]:
    """Raise `Error` for a tokenizer without words; notes on what a person should know.

    `rows` is the number of rows of the model's embedding.
    """
    words = len(tokenizer.get_vocab()) - len(tokenizer.get_added_vocab())
    if words <= 0:
        raise Error(
            "the tokenizer is empty: its files are not of the kind its class reads, so copy "
            "tokenizer.json of the model into the folder"
        )
    notes = []
    if len(tokenizer) > rows:
        notes.append(
            f"the tokenizer has {len(tokenizer):,} ids, the embedding {rows:,} rows: texts with "
            "a token beyond them are refused"
        )
    if _rebuilt(tokenizer, folder / "tokenizer.json"):
        notes.append(
            f"the class {type(tokenizer).__name__} splits text differently from the file "
            "tokenizer.json; the class is followed"
        )
    return tuple(notes)


def _rebuilt(tokenizer: Any, file: Path) -> bool:
    """Some classes build their own rules around the vocabulary of the file."""
    if not file.is_file() or not hasattr(tokenizer, "backend_tokenizer"):
        return False
    from tokenizers import Tokenizer

    plain = Tokenizer.from_file(str(file))
    plain.no_truncation()
    plain.no_padding()
    own = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
    return list(own) != list(plain.encode(PROBE, add_special_tokens=False).ids)
