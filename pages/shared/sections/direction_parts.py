"""How a direction holds: its items, how many are needed, other methods, other layers."""

from core.figures import direction as drawing
from core.results.direction import DirectionResult
from pages.shared import sides
from pages.shared.clicks import pickable_chart
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import framed

ITEMS = (
    "Every item's state projected on the direction. Two heaps: the concept lies along it. The "
    "direction was built from these very items, so trust the held-out AUC rather than the gap."
)
NEEDED = (
    "How near the difference of means would come to the true direction with more items a side, "
    "foretold from how much these items scatter: sqrt(signal / (signal + noise / n))."
)
METHODS = (
    "Cosines between the directions that each method builds from the same items, and in front of "
    "each its AUC on held-out items. In a stream of 192 numbers two random directions have a "
    "cosine of about ±0.07."
)
LAYERS = (
    "Cosines between the directions of different layers: a block of red is a stretch of depth "
    "over which the model keeps the concept in one place."
)


def draw(found: DirectionResult, layer: int) -> None:
    """Four small pictures of one direction."""
    left, right = sides.columns(2, gap="medium")
    if found.n_positive:
        with left:
            _chart("direction_items", "Its items", ITEMS, drawing.items, found, layer=layer)
        with right:
            _chart("direction_needed", "How many are needed", NEEDED, drawing.needed, found,
                   layer=layer)  # fmt: skip
        with left:
            _chart("direction_methods", "Other methods", METHODS, drawing.methods, found,
                   layer=layer)  # fmt: skip
    with right:
        _chart("direction_layers", "Other layers", LAYERS, drawing.layers, found)


def _chart(
    key: str, title: str, help: str, figure: object, found: DirectionResult, **more: int
) -> None:
    with framed(title, help, key=key):
        pickable_chart(
            drawn(figure, found, **more),  # type: ignore[arg-type]  # a figure function
            key=f"{key}_chart",
            label=title,
            on_pick=None,
        )
