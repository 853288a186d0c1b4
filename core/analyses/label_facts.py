"""What can be said of a token by rule: the token, its neighbours, its place, its word, its text.

A family is a list of predicates ("atoms"). Tokens fall into groups, and a group has atoms: for
"the current token" every id is a group and an atom, for "the text holds the word w" a document is
a group with many atoms. So all features are scored against all atoms by sparse products.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from core import concepts
from core.corpus.chunks import Contexts
from core.corpus.spans import pattern_spans
from core.galleries.text import GalleryText
from core.spec.claims import word_sets

MOST_SET = 8  # elements of a set that a rule may name
LEAST_LIST, MOST_PATTERNS = 3, 50
MOST_KEYWORDS = 2_000
KEYWORD_SHARE = 0.3  # of the documents at most; a word of nearly all of them says nothing
LEAST_KEYWORD = 4  # documents
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_EDGES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 4096)
_SENTENCE = re.compile(r"[.!?][\"'”’)\]]*\s*$")
_SHAPES = {
    "a number": r"\d",
    "a capital letter first": r"^\s*[A-Z]",
    "capital letters only": r"^\s*[A-Z]{2,}\s*$",
    "punctuation": r"^\s*[^\w\s]+\s*$",
    "a blank or line break only": r"^\s+$",
    "ends in -ing": r"\wing$",
    "ends in -ed": r"\wed$",
    "ends in -ly": r"\wly$",
    "ends in -s": r"\ws$",
    "goes on with a word": r"^\w",
    "letters beyond ASCII": r"[^\x00-\x7f]",
}


@dataclass(frozen=True)
class Family:
    """Predicates of one kind.

    group   [token] int64, -1 where none holds
    member  [group, atom] of 0 and 1, None where every group is its own atom
    words   how a rule of these atoms reads
    most    how many atoms a rule may join by "or"
    """

    name: str
    group: np.ndarray
    n_atoms: int
    words: Callable[[Sequence[int]], str]
    member: sparse.csr_matrix | None = None
    most: int = 1

    def hits(
        self, row: np.ndarray, token: np.ndarray, n_rows: int, weight: np.ndarray | None = None
    ) -> sparse.csr_matrix:
        """[row, atom]: how many (or how much weight) of the given tokens fall under each atom."""
        group = self.group[token]
        known = group >= 0
        value = np.ones(int(known.sum())) if weight is None else weight[known].astype(float)
        n_groups = self.n_atoms if self.member is None else self.member.shape[0]
        found = sparse.csr_matrix((value, (row[known], group[known])), shape=(n_rows, n_groups))
        found = found if self.member is None else found @ self.member
        found.sum_duplicates()
        return sparse.csr_matrix(found)

    def holds(self, atoms: Sequence[int]) -> np.ndarray:
        """[token] bool: where one of the atoms holds."""
        if self.member is None:
            return np.isin(self.group, list(atoms))
        fits = np.asarray(self.member[:, list(atoms)].sum(axis=1)).reshape(-1) > 0
        found: np.ndarray = np.where(self.group >= 0, fits[np.maximum(self.group, 0)], False)
        return found

    def said(self, token: np.ndarray) -> np.ndarray:
        """How many of the tokens fall under each atom, [atom]."""
        return self.hits(np.zeros(len(token), dtype=np.int64), token, 1).toarray()[0]


def families(text: GalleryText, made: Contexts, patterns: Sequence[str] = ()) -> tuple[Family, ...]:
    """Every family there is for this text."""
    before, after = _neighbours(text)
    ids = text.ids.astype(np.int64)
    pair, pairs = _pairs(before, ids)
    found = [
        _of_ids("token", text, ids),
        _of_ids("previous token", text, before),
        Family("last two tokens", pair, len(pairs), _pair_words(text, pairs), most=MOST_SET),
        _of_ids("next token", text, after),
        _position(text),
        _marks("place", _places(text, before), text.n_tokens),
        _marks("shape", _shapes(text), text.n_tokens),
    ]
    found += [_marks("word of a list", _lists(text, made), text.n_tokens)]
    found += [_marks("planted label", _labels(text, made), text.n_tokens)]
    found += [_marks("pattern", _patterns(text, made, patterns), text.n_tokens)]
    found += [_keywords(text, made)]
    return tuple(family for family in found if family.n_atoms)


def _neighbours(text: GalleryText) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the token before and behind each, -1 at the ends of a context or where not counted."""
    ids = text.ids.astype(np.int64)
    before, after = np.full(len(ids), -1), np.full(len(ids), -1)
    before[1:], after[:-1] = ids[:-1], np.where(text.keep[1:], ids[1:], -1)
    before[text.start[:-1]] = -1
    after[text.start[1:] - 1] = -1
    return before, after


def _of_ids(name: str, text: GalleryText, ids: np.ndarray) -> Family:
    """A rule by token ids; atoms are places in the text's own list of ids."""
    group = np.where(ids >= 0, np.searchsorted(text.piece_ids, ids), -1)

    def words(atoms: Sequence[int]) -> str:
        return f"{name} {_choice([text.pieces[atom] for atom in atoms])}"

    return Family(name, group, len(text.piece_ids), words, most=MOST_SET)


def _choice(pieces: Sequence[str]) -> str:
    shown = ", ".join(f"“{piece}”" for piece in pieces)
    return f"is {shown}" if len(pieces) == 1 else f"in {{{shown}}}"


def _pairs(before: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each token's pair (token before, token), and the pairs [pair, 2]."""
    both = np.where(before >= 0, before * (ids.max() + 1) + ids, -1)
    known, number = np.unique(both, return_inverse=True)
    number = number.reshape(-1).astype(np.int64)
    if len(known) and known[0] < 0:
        known, number = known[1:], number - 1
    return number, np.stack([known // (ids.max() + 1), known % (ids.max() + 1)], axis=1)


def _pair_words(text: GalleryText, pairs: np.ndarray) -> Callable[[Sequence[int]], str]:
    def words(atoms: Sequence[int]) -> str:
        return f"last two tokens {_choice([''.join(text.read(pairs[atom])) for atom in atoms])}"

    return words


def _position(text: GalleryText) -> Family:
    edges = np.array(_EDGES)
    group = np.searchsorted(edges, text.position, side="right") - 1

    def words(atoms: Sequence[int]) -> str:
        low, high = _EDGES[atoms[0]], (*_EDGES, 0)[atoms[0] + 1] - 1
        if high <= low:
            return f"position {low}" if high == low else f"position {low} or later"
        return f"position {low} to {high}"

    return Family("position", group.astype(np.int64), len(_EDGES), words)


def _marks(name: str, marks: dict[str, np.ndarray], n: int) -> Family:
    """Predicates given as the tokens at which they hold, of `n` tokens."""
    called = [key for key, tokens in marks.items() if len(tokens)]
    row = np.concatenate([marks[key] for key in called]) if called else np.empty(0, np.int64)
    column = np.repeat(np.arange(len(called)), [len(marks[key]) for key in called])
    member = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=(n, len(called)))
    member.data[:] = 1  # a token named twice has the mark once

    def words(atoms: Sequence[int]) -> str:
        return f"{name}: {called[atoms[0]]}"

    return Family(name, np.arange(n), len(called), words, member)


def _places(text: GalleryText, before: np.ndarray) -> dict[str, np.ndarray]:
    """Tokens at the beginning of a sentence or line, inside quotation marks or brackets."""
    own = text.pieces
    piece_of = np.searchsorted(text.piece_ids, np.maximum(before, text.piece_ids[0]))
    ends = np.array([bool(_SENTENCE.search(piece)) for piece in own])
    breaks = np.array(["\n" in piece for piece in own])
    known = before >= 0
    first = ~known | ~np.concatenate([[False], text.keep[:-1]])
    return {
        "a sentence begins": np.flatnonzero((known & ends[piece_of]) | first),
        "behind a line break": np.flatnonzero(known & breaks[piece_of]),
        "inside quotation marks": np.flatnonzero(_inside(text, '"“”„', "")),
        "inside brackets": np.flatnonzero(_inside(text, "([{", ")]}")),
    }


def _inside(text: GalleryText, opens: str, closes: str) -> np.ndarray:
    """[token] bool: between signs that open and close; without signs that close they alternate."""
    n_open = np.array([sum(piece.count(sign) for sign in opens) for piece in text.pieces])
    n_close = np.array([sum(piece.count(sign) for sign in closes) for piece in text.pieces])
    kind = np.searchsorted(text.piece_ids, text.ids)
    depth = np.cumsum(n_open[kind]) - np.cumsum(n_close[kind])
    at_start = np.concatenate([[0], depth])[text.start[:-1]]
    depth = depth - at_start[text.context]
    inside = depth > 0 if closes else depth % 2 == 1
    return inside & (n_open[kind] + n_close[kind] == 0)


def _shapes(text: GalleryText) -> dict[str, np.ndarray]:
    kind = np.searchsorted(text.piece_ids, text.ids)
    found = {}
    for name, pattern in _SHAPES.items():
        like = re.compile(pattern)
        has = np.array([bool(like.search(piece)) for piece in text.pieces])
        found[name] = np.flatnonzero(has[kind])
    return found


def _patterns(text: GalleryText, made: Contexts, patterns: Sequence[str]) -> dict[str, np.ndarray]:
    """Patterns of a person; the last token of each match, or of its one group."""
    documents = [document.text for document in made.documents]
    found = {}
    for pattern in list(patterns)[:MOST_PATTERNS]:
        spans = pattern_spans(pattern, documents)
        found[f"/{pattern}/"] = _last_tokens(text, made, spans)
    return found


def _labels(text: GalleryText, made: Contexts) -> dict[str, np.ndarray]:
    """Every token of the segments that a generated text has labelled."""
    places: dict[str, list[np.ndarray]] = defaultdict(list)
    for number, (token, start, end) in _tokens_of(text, made):
        for left, right, labels in made.documents[number].spans:
            inside = token[np.searchsorted(end, left, "right") : np.searchsorted(start, right)]
            for label in labels:
                places[label].append(inside)
    return {label: np.unique(np.concatenate(parts)) for label, parts in places.items()}


def _lists(text: GalleryText, made: Contexts) -> dict[str, np.ndarray]:
    """The last token of every word of a built-in list, in any case."""
    of_word: dict[str, list[str]] = defaultdict(list)
    for name, members in built_in_lists().items():
        for word in members:
            of_word[word].append(name)
    if not made.has_spans:
        return _by_piece(text, of_word)
    found: dict[str, list[int]] = defaultdict(list)
    for number, (token, start, _) in _tokens_of(text, made):
        for match in _WORD.finditer(made.documents[number].text):
            names = of_word.get(match[0].lower())
            if names:
                at = int(np.searchsorted(start, match.end() - 1, "right")) - 1
                for name in names if at >= 0 else ():
                    found[name].append(int(token[at]))
    return {name: np.unique(tokens) for name, tokens in found.items()}


def built_in_lists() -> dict[str, tuple[str, ...]]:
    """Lists of single words by name: the built-in sets, then concepts that are words."""
    found: dict[str, tuple[str, ...]] = {}
    lists: list[tuple[str, Iterable[str]]] = [(one.name, one.members) for one in word_sets()]
    lists += [(name, one.positive) for name, one in concepts.built_in().items()]
    seen = set()
    for name, words in lists:
        clean = tuple(sorted({word.strip().lower() for word in words}))
        single = all(_WORD.fullmatch(word) for word in clean)
        if single and len(clean) >= LEAST_LIST and clean not in seen:
            seen.add(clean)
            found[name] = clean
    return found


def _by_piece(text: GalleryText, of_word: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """The same where tokens have no place in the text: pieces that are the whole word."""
    kind = np.searchsorted(text.piece_ids, text.ids)
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for number, piece in enumerate(text.pieces):
        for name in of_word.get(piece.strip().lower(), ()):
            found[name].append(np.flatnonzero(kind == number))
    return {name: np.unique(np.concatenate(parts)) for name, parts in found.items()}


def _keywords(text: GalleryText, made: Contexts) -> Family:
    """Does the document hold the word, anywhere."""
    of_document = [
        {match[0].lower() for match in _WORD.finditer(document.text) if len(match[0]) > 2}
        for document in made.documents
    ]
    counts: dict[str, int] = defaultdict(int)
    for words in of_document:
        for word in words:
            counts[word] += 1
    most = KEYWORD_SHARE * len(of_document)
    fit = [w for w, n in counts.items() if LEAST_KEYWORD <= n <= most and not w.isdigit()]
    chosen = sorted(fit, key=lambda word: (-counts[word], word))[:MOST_KEYWORDS]
    place = {word: number for number, word in enumerate(chosen)}
    row, column = [], []
    for number, words in enumerate(of_document):
        own = [place[word] for word in words if word in place]
        row += [number] * len(own)
        column += own
    shape = (len(of_document), len(chosen))
    member = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=shape)
    group = text.document[text.context].astype(np.int64)

    def said(atoms: Sequence[int]) -> str:
        return f"the text holds “{chosen[atoms[0]]}”"

    return Family("keyword of the text", group, len(chosen), said, member)


def _tokens_of(
    text: GalleryText, made: Contexts
) -> Iterable[tuple[int, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """(document, (its tokens that count, where each begins and ends)); leading blanks left out."""
    if not made.has_spans:
        return
    held: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for number, window in enumerate(made.windows):
        document = made.documents[window.document].text
        for position, (start, end) in enumerate(window.spans):
            if window.keep[position] and end > start:
                piece = document[start:end]
                lead = len(piece) - len(piece.lstrip()) if piece.strip() else 0
                place = int(text.start[number]) + position
                held[window.document].append((place, start + lead, end))
    for document_number, tokens in held.items():
        token, start_at, end_at = (np.array(part) for part in zip(*tokens, strict=True))
        yield document_number, (token, start_at, end_at)


def _last_tokens(
    text: GalleryText, made: Contexts, spans: Sequence[Sequence[tuple[int, int]]]
) -> np.ndarray:
    """The last token of every span of every document."""
    found: list[int] = []
    for number, (token, start, end) in _tokens_of(text, made):
        for left, right in spans[number]:
            at = int(np.searchsorted(start, right - 1, "right")) - 1
            if at >= 0 and end[at] > left:
                found.append(int(token[at]))
    return np.unique(np.array(found, dtype=np.int64))
