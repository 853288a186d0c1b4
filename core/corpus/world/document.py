"""A document of the concept world: text in segments, every segment with the labels that are true of
it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Segment(NamedTuple):
    """A stretch of text and the planted labels that hold for exactly this stretch (often none)."""

    text: str
    labels: tuple[str, ...]


class Span(NamedTuple):
    """A labelled segment's place in the document's text, in characters, end exclusive."""

    start: int
    end: int
    labels: tuple[str, ...]


@dataclass(slots=True)
class Document:
    """Text that grows from left to right; `add` returns the document so that a sentence reads as
    one line.
    """

    segments: list[Segment] = field(default_factory=list)
    families: list[str] = field(default_factory=list)

    def add(self, text: str, *labels: str) -> Document:
        self.segments.append(Segment(text, labels))
        return self

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)

    def spans(self) -> list[Span]:
        """The labelled segments with their places in `text`, white space around them left out."""
        found, start = [], 0
        for text, labels in self.segments:
            if labels and text.strip():
                lead = len(text) - len(text.lstrip())
                found.append(Span(start + lead, start + len(text.rstrip()), labels))
            start += len(text)
        return found
