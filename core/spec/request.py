"""A question as plain data, and its content address."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.spec.errors import Error
from core.spec.interventions import Intervention, to_plain


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model: an embedded name, a folder or a hub id; its revision and dtype.

    `dtype` "" means float32 on the CPU and the stored dtype on a GPU.
    """

    name: str
    revision: str = ""
    dtype: str = ""

    def __str__(self) -> str:
        return self.name + (f"@{self.revision}" if self.revision else "")


def model_ref(value: Any) -> ModelRef:
    """The model an option names: its name, or (name, revision, dtype). Raises `Error`."""
    parts = (value,) if isinstance(value, str) else value
    fits = isinstance(parts, list | tuple) and 1 <= len(parts) <= 3
    if not fits or not all(isinstance(part, str) for part in parts) or not parts[0]:
        raise Error(f"not the name of a model: {str(value)[:60]!r}; give a name or a folder")
    return ModelRef(*parts)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model (a comparison names the other in its option `other`).

    `options` are (name, value) pairs, sorted; values are numbers, texts, booleans, None
    or tuples of these. The device is no part of the question.
    """

    analysis: str
    model: ModelRef
    prompts: tuple[str, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    options: tuple[tuple[str, Any], ...] = field(default=())

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """The model asked, then the one that a comparison names in its option `other`."""
        other = self.option("other")
        return (self.model,) if other is None else (self.model, model_ref(other))

    def option(self, name: str, default: Any = None) -> Any:
        return dict(self.options).get(name, default)

    def plain(self) -> dict[str, Any]:
        """A JSON-ready dictionary of the whole question."""
        return {
            "analysis": self.analysis,
            "model": [self.model.name, self.model.revision, self.model.dtype],
            "prompts": list(self.prompts),
            "interventions": [to_plain(change) for change in self.interventions],
            "options": dict(self.options),
        }

    def key(self, salt: str = "") -> str:
        """SHA-256 over the canonical question; `salt` adds weights and method version."""
        text = json.dumps(self.plain(), sort_keys=True, ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()


def ask(
    analysis: str,
    model: ModelRef,
    *prompts: str,
    interventions: tuple[Intervention, ...] = (),
    **options: Any,
) -> Request:
    """Build a `Request`; option values are checked and lists become tuples."""
    pairs = tuple(sorted((name, _plain(name, value)) for name, value in options.items()))
    return Request(analysis, model, tuple(prompts), tuple(interventions), pairs)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_plain(name, item) for item in value)
    if isinstance(value, Mapping):
        return tuple(sorted((str(k), _plain(name, v)) for k, v in value.items()))
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Error(f"option {name} must be finite, got {value}")
        return value
    raise Error(f"option {name} holds a {type(value).__name__}; use numbers, texts or lists")
