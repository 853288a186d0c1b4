"""Words as the tokens of one model: the forms that are single tokens, else its pieces."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.spec.errors import Error
from core.spec.query import Word

# How vocabularies write a blank in front of a word, and WordPiece the inside of one.
_PREFIXES = ("", "\u2581", "\u0120", "##")
_BLANK = ("\u2581", "\u0120", " ")
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_SHOWN = 8


@dataclass(frozen=True)
class ReadWord:
    """How one word was read: `readings` are alternatives, each one token or several pieces."""

    text: str
    readings: tuple[tuple[int, ...], ...]
    note: str


def read_word(loaded: Loaded, word: Word) -> ReadWord:
    """The tokens that stand for a word in this model's vocabulary.

    A word that is a token, in any of its forms (blank in front, capital, plural), is read as
    those tokens. Any other is read as the pieces the tokenizer makes of it; which of the two
    happened stands in `note`. Raises `Error` when no token of the model fits.
    """
    forms = (word.text,) if word.exact else _forms(word.text)
    single = _single(loaded, forms, word.exact)
    if single:
        shown = _shown(pieces(loaded, single))
        note = f"“{word.text}” is the token {shown}"
        if len(single) > 1:
            note = f"“{word.text}” has {len(single)} tokens, {shown}; the best of them counts"
        return ReadWord(word.text, tuple((token,) for token in single), note)
    spelled = (word.text,) if word.exact else (f" {word.text}", word.text)
    readings = {_split(loaded, form): None for form in spelled}
    found = tuple(reading for reading in readings if reading)
    if not found:
        raise Error(f"no token of {loaded.name} stands for {word.text[:40]!r}; try another word")
    if all(len(reading) == 1 for reading in found):
        near = tuple(reading[0] for reading in found)
        shown = _shown(pieces(loaded, near))
        note = f"“{word.text}” is not a token in this very form; read as {shown}"
        return ReadWord(word.text, found, note)
    kinds = ", or ".join(_shown(pieces(loaded, reading)) for reading in found)
    note = f"“{word.text}” is no token of its own: mean over its pieces {kinds}"
    return ReadWord(word.text, found, note)


def _forms(text: str) -> tuple[str, ...]:
    """The word, its plural, and both with a capital."""
    if text.endswith(_SIBILANTS):
        plural = f"{text}es"
    elif text.endswith("y") and text[-2:-1] not in tuple("aeiou"):
        plural = f"{text[:-1]}ies"
    else:
        plural = f"{text}s"
    forms = (text, plural) if text.isalpha() else (text,)
    return tuple(dict.fromkeys((*forms, *(form[:1].upper() + form[1:] for form in forms))))


def _single(loaded: Loaded, forms: tuple[str, ...], exact: bool) -> tuple[int, ...]:
    """Ids of the tokens that are one of the forms."""
    known, found = vocabulary_ids(loaded), []
    for form in forms:
        if exact:
            blank = form.startswith(" ")
            names = [f"{sign}{form[1:]}" for sign in _BLANK] if blank else [form, f"##{form}"]
        else:
            names = [f"{prefix}{form}" for prefix in _PREFIXES]
        found += [known[name] for name in names if name in known]
        for spelled in (form,) if exact else (form, f" {form}"):
            split = _split(loaded, spelled)
            if len(split) == 1 and (not exact or pieces(loaded, split)[0] == form):
                found += split
    return tuple(dict.fromkeys(found))


def _split(loaded: Loaded, text: str) -> tuple[int, ...]:
    """Ids of a text without special tokens, unknown ones and lone blanks."""
    ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    limit, unknown = known_ids(loaded), loaded.tokenizer.unk_token_id
    kept = [int(i) for i in ids if i < limit and i != unknown]
    raw = loaded.tokenizer.convert_ids_to_tokens(kept)
    return tuple(i for i, name in zip(kept, raw, strict=True) if name not in _BLANK)


def in_text(loaded: Loaded, word: str) -> tuple[int, ...]:
    """The tokens of a word as it stands inside a text, after a blank; one for a whole token.

    Byte-level vocabularies keep " king" and "king" apart, and texts hold the first; word pieces
    and SentencePiece find the blank themselves. Empty where the model has no tokens for it.
    """
    return _split(loaded, f" {word.strip()}") or _split(loaded, word.strip())


def whole_forms(loaded: Loaded, word: str) -> tuple[int, ...]:
    """The tokens that are a word, its plural, or these with a capital, each after a blank.

    Empty where none of them is a single token.
    """
    split = (in_text(loaded, form) for form in _forms(word.strip()))
    return tuple(dict.fromkeys(ids[0] for ids in split if len(ids) == 1))


def vocabulary_ids(loaded: Loaded) -> Mapping[str, int]:
    """Token, as its vocabulary writes it, to id; without special tokens and padding."""
    if "vocabulary_ids" not in loaded.memo:
        special, limit = set(loaded.tokenizer.all_special_ids), known_ids(loaded)
        loaded.memo["vocabulary_ids"] = {
            name: int(token)
            for name, token in loaded.tokenizer.get_vocab().items()
            if token < limit and token not in special
        }
    found: dict[str, int] = loaded.memo["vocabulary_ids"]
    return found


def token_texts(loaded: Loaded) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(ids, readable pieces) of every token that is not special, once per model."""
    if "token_texts" not in loaded.memo:
        ids = tuple(sorted(vocabulary_ids(loaded).values()))
        loaded.memo["token_texts"] = (ids, pieces(loaded, ids))
    found: tuple[tuple[int, ...], tuple[str, ...]] = loaded.memo["token_texts"]
    return found


def one_token(loaded: Loaded, text: str | int) -> int:
    """The id of a token given by its text, as it is shown, or by its number.

    "he" is that very token where there is one, else " he". Raises `Error` for what is no token.
    """
    limit = known_ids(loaded)
    if isinstance(text, int) and not isinstance(text, bool):
        if not 0 <= text < limit:
            raise Error(f"token {text}: {loaded.name} has tokens 0 to {limit - 1}")
        return text
    if not isinstance(text, str) or not text:
        raise Error(f"a token is named by its text or its number, not by {str(text)[:40]!r}")
    ids, texts = token_texts(loaded)
    for form in (text, f" {text}"):
        if form in texts:
            return ids[texts.index(form)]
    split = _split(loaded, text)
    kinds = f"it is {_shown(pieces(loaded, split))}" if split else "it has none of it"
    raise Error(f"{text[:40]!r} is not one token of {loaded.name}: {kinds}; name a single token")


def _shown(shown: tuple[str, ...]) -> str:
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(f"“{piece}”" for piece in shown[:_SHOWN]) + more
