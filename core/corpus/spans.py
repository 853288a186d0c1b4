"""Where words, a pattern or a planted label stand in a text, in characters and then in tokens."""

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from core.corpus.chunks import Contexts, Span
from core.corpus.patterns import matching
from core.spec.errors import Error

MAX_WORDS, MAX_WORD = 500, 100
WHICH = ("last", "first", "all")
_OPEN, _CLOSE = "\ue000", "\ue001"  # private signs around a match; a text's own become "?"
_GROUP = "target"


def word_spans(words: Sequence[str], texts: Sequence[str]) -> list[list[Span]]:
    """Every occurrence of one of the words as a whole word, in any case; longer words first."""
    cleaned = sorted({word.strip() for word in words if word.strip()}, key=lambda w: (-len(w), w))
    if not cleaned:
        raise Error("the list of words is empty; write at least one")
    if len(cleaned) > MAX_WORDS or max(map(len, cleaned)) > MAX_WORD:
        raise Error(f"at most {MAX_WORDS} words of at most {MAX_WORD} characters are looked for")
    # Escaped alternatives have nothing to go back to, so this cannot take long.
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, cleaned))})(?!\w)", re.IGNORECASE)
    return [[found.span() for found in pattern.finditer(text)] for text in texts]


def pattern_spans(
    pattern: str, texts: Sequence[str], *, ignore_case: bool = False
) -> list[list[Span]]:
    """Every match of a regular expression, or of its one capture group where it has one.

    RE2 syntax: no pattern takes long. Raises `Error` for a pattern that does not compile or has
    several groups. Matches of no length are left out.
    """
    matching(pattern, [""], ignore_case=ignore_case)  # the sentences for what is no pattern
    places = capture_groups(pattern)
    if len(places) > 1:
        raise Error(
            f"the pattern has {len(places)} groups; mark one part with ( ) at most, and write "
            "(?: ) for the others"
        )
    flags = "(?i)" if ignore_case else ""
    clean = [_clean(text) for text in texts]
    marked = pc.replace_substring_regex(
        pa.array(clean, pa.large_string()),
        pattern=f"{flags}({pattern})",
        replacement=f"{_OPEN}\\1{_CLOSE}",
    )
    found = [_between(text) for text in marked.to_pylist()]
    if not places:
        return found
    start, end = places[0]
    named = f"{flags}(?:{pattern[:start]}(?P<{_GROUP}>{pattern[end:]})"
    return _groups(named, clean, found)


def label_spans(label: str, made: Contexts) -> list[list[Span]]:
    """Every segment of the generated world that carries a planted label."""
    known = {name for text in made.documents for _, _, labels in text.spans for name in labels}
    if not known:
        raise Error(
            f"the corpus {made.name} carries no labels; corpus='world' does, or give words="
        )
    if label not in known:
        some = ", ".join(sorted(name for name in known if ":" not in name)[:40])
        raise Error(f"no label {label[:60]!r} in {made.name}; some of those there are: {some}")
    return [
        [(start, end) for start, end, labels in text.spans if label in labels]
        for text in made.documents
    ]


def capture_groups(pattern: str) -> list[Span]:
    """Where capture groups open: (from, to) of "(" or "(?P<name>" in the pattern."""
    found, at, in_class = [], 0, False
    while at < len(pattern):
        sign = pattern[at]
        if pattern.startswith(r"\Q", at):
            end = pattern.find(r"\E", at)
            at = len(pattern) if end < 0 else end
        elif sign == "\\":
            at += 1
        elif in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
            at += 1 if pattern[at + 1 : at + 2] == "]" else 0
            at += 2 if pattern[at + 1 : at + 3] == "^]" else 0
        elif sign == "(":
            named = re.match(r"\(\?P?<[^>]*>", pattern[at:])
            if named or pattern[at + 1 : at + 2] != "?":
                found.append((at, at + (named.end() if named else 1)))
        at += 1
    return found


def _clean(text: str) -> str:
    return text.replace(_OPEN, "?").replace(_CLOSE, "?")


def _between(marked: str) -> list[Span]:
    """Places, in the text without marks, of what stands between marks."""
    found, at = [], 0
    for number, part in enumerate(re.split(f"[{_OPEN}{_CLOSE}]", marked)):
        if number % 2 and part:
            found.append((at, at + len(part)))
        at += len(part)
    return found


def _groups(pattern: str, texts: Sequence[str], matches: list[list[Span]]) -> list[list[Span]]:
    """The group's part of every match, found again from one character before it."""
    found: list[list[Span]] = [[] for _ in texts]
    for before in (0, 1):
        places = [
            (number, start)
            for number, spans in enumerate(matches)
            for start, _ in spans
            if min(start, 1) == before
        ]
        ends = [end for spans in matches for start, end in spans if min(start, 1) == before]
        parts = [
            texts[number][start - before : end + 1]
            for (number, start), end in zip(places, ends, strict=True)
        ]
        lead = r"\A(?s:.)" if before else r"\A"
        spans = pc.extract_regex_span(pa.array(parts, pa.string()), pattern=lead + pattern)
        for (number, start), part, row in zip(places, parts, spans.to_pylist(), strict=True):
            span = row[_GROUP] if row else None
            if span is not None and span[1] > 0:
                left, right = _characters(part, span[0], span[0] + span[1])
                found[number].append((start - before + left, start - before + right))
    return [sorted(spans) for spans in found]


def _characters(text: str, *at: int) -> list[int]:
    """Places in UTF-8 bytes as places in characters."""
    data = text.encode()
    return [len(data[:place].decode()) for place in at]


def target_tokens(
    made: Contexts, spans: Sequence[Sequence[Span]], which: str = "last"
) -> list[list[bool]]:
    """Which tokens of each window are meant by the spans of its document.

    A token is meant when its characters, leading blanks aside, overlap the span and it counts at
    all; `which`: the "last" such token of a span (its first complete reading), the "first", "all".
    A span that a window's end divides belongs to the window of the token asked for.
    """
    if which not in WHICH:
        raise Error(f"token must be one of {', '.join(WHICH)}, not {which!r:.40}")
    if not made.has_spans:
        raise Error("this model's tokenizer does not say which characters a token stands for")
    chosen = [[False] * len(window.ids) for window in made.windows]
    hits: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, window in enumerate(made.windows):
        text, wanted = made.documents[window.document].text, spans[window.document]
        at = 0
        for position, (start, end) in enumerate(window.spans):
            if not window.keep[position] or end <= start:
                continue
            piece = text[start:end]
            first = start + (len(piece) - len(piece.lstrip()) if piece.strip() else 0)
            while at < len(wanted) and wanted[at][1] <= first:
                at += 1
            if at < len(wanted) and wanted[at][0] < end:
                hits.setdefault((window.document, at), []).append((number, position))
    for places in hits.values():
        for number, position in {"last": places[-1:], "first": places[:1], "all": places}[which]:
            chosen[number][position] = True
    return chosen
