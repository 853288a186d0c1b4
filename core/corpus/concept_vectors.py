"""Reading ConceptVectors files: which neuron writes a concept, and questions about it.

Yihuai Hong and others, "Intrinsic Evaluation of Unlearning Using Parametric Knowledge Traces"
(2024); their data are CC BY 4.0 and not shipped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.spec.errors import Error

TEMPLATE = "Question: {}\n Answer:"
MAX_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class ConceptVector:
    """One concept, the neuron said to hold it, and questions with and without it."""

    concept: str
    layer: int
    neuron: int
    questions: tuple[str, ...]
    controls: tuple[str, ...]

    def options(self) -> dict[str, Any]:
        """What `concept_neuron` takes; the word to be written is the concept's own name."""
        return {
            "concept": self.concept,
            "words": (self.concept,),
            "at": f"L{self.layer}.neuron[{self.neuron}]",
            "questions": self.questions,
            "controls": self.controls,
            "template": TEMPLATE,
        }


def read_concept_vectors(path: str | Path) -> tuple[ConceptVector, ...]:
    """Every concept of a file: a JSON list (Concept, Layer, Dim, QA, unrelated_QA), or JSON lines
    (concept, layer, neuron, questions, control_questions). Raises `Error` on anything else.
    """
    source = Path(path)
    try:
        if source.stat().st_size > MAX_BYTES:
            raise Error(f"{source.name} is larger than {MAX_BYTES // 10**6} MB")
        text = source.read_text(encoding="utf-8")
        rows = json.loads(text) if text.lstrip()[:1] == "[" else _lines(text)
    except FileNotFoundError:
        raise Error(
            f"no file {str(path)[:200]!r}; give the path of a ConceptVectors file"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise Error(f"{source.name} cannot be read as JSON or JSON lines in UTF-8") from None
    return tuple(_vector(row, number) for number, row in enumerate(rows, start=1))


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _vector(row: Any, number: int) -> ConceptVector:
    if not isinstance(row, Mapping):
        raise Error(f"entry {number} is no table of fields")
    lower = {str(name).lower(): value for name, value in row.items()}
    try:
        return ConceptVector(
            concept=str(lower["concept"]).strip(),
            layer=int(lower["layer"]),
            neuron=int(lower["neuron"] if "neuron" in lower else lower["dim"]),
            questions=_texts(lower["questions"] if "questions" in lower else lower["qa"]),
            controls=_texts(
                lower["control_questions"]
                if "control_questions" in lower
                else lower.get("unrelated_qa", ())
            ),
        )
    except (KeyError, TypeError, ValueError):
        raise Error(
            f"entry {number} lacks a field; expected Concept, Layer, Dim, QA, unrelated_QA or "
            "concept, layer, neuron, questions, control_questions"
        ) from None


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError("not a list")
    return tuple(str(text).strip() for text in value)
