"""What the search line of the neurons page asks, as questions to the model."""

from typing import Any

from core import concepts
from core.spec.errors import Error
from core.spec.query import Pattern, parse
from core.spec.request import Request, ask
from pages.shared import state
from pages.shared.sections import corpus
from pages.shared.sections.view import View

MOST_HITS = 200
CONCEPT, LABEL = "concept", "label"  # as in "concept:day"


def search(view: View) -> Request | None:
    """What the search line asks, None when it is empty.

    Raises `Error` for what cannot be read, and for a concept that is not built in.
    """
    work = state.workspace()
    line, by = work.choice("find").strip(), work.choice("by")
    if not line:
        return None
    kind, colon, name = (part.strip() for part in line.partition(":"))
    kind = kind.lower() if colon else ""
    words = concepts.named(name).positive if kind == CONCEPT else ()
    if by == "fires":
        return _fires(view, line, words, name if kind == LABEL else "")
    if kind == LABEL:
        raise Error(
            f"{line[:60]!r} names a label of the generated text; what neurons write or read has "
            "none, so choose “fire on”, or search for words"
        )
    options: dict[str, Any] = {"weight": by, "k": MOST_HITS, "stack": view.stack, **view.against}
    if words:
        return ask("neuron_search", view.model, words=words, concept=name, **options)
    return ask("neuron_search", view.model, query=line, **options)


def _fires(view: View, line: str, words: tuple[str, ...], label: str) -> Request:
    """The same question about the text that neurons are looked at on."""
    if label:
        return ask("neuron_fires", view.model, label=label, k=MOST_HITS)
    options: dict[str, Any] = {"corpus": corpus.chosen() or "built-in", "k": MOST_HITS}
    if words:
        return ask("neuron_fires", view.model, words=words, **options)
    read = parse(line)
    if isinstance(read, Pattern):
        pattern = f"(?i){read.text}" if read.ignore_case else read.text
        return ask("neuron_fires", view.model, pattern=pattern, **options)
    listed = tuple(word.text.strip() for word in read)
    return ask("neuron_fires", view.model, words=listed, **options)


def whole(view: View) -> Request:
    """All neurons by their weights."""
    return ask("neuron_map", view.model, stack=view.stack, **view.against)


def activity(view: View) -> Request:
    """All neurons on the prompt, at the selected token."""
    return view.ask("neuron_activity", **view.position)
