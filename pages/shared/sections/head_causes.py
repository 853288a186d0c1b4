"""What heads cause for the answer on the prompt: direct, total, repaired, and layer by layer."""

from core.figures import head_effect as effect_drawing
from core.figures import head_parts as drawing
from core.figures.wording import quoted
from core.spec.site import Site
from pages.shared import sides
from pages.shared.clicks import pickable_chart
from pages.shared.panels import look
from pages.shared.sections import clamping, head_map
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import View, as_code

HELP = (
    "Every head ablated to its mean over the text, one at a time. Direct: what the answer's logit "
    "loses if nothing behind the head reacts; total: what it loses in the model; the control moves "
    "the stream as far in a random direction. Where the total is smaller than the direct effect, "
    "later layers make it good. Click a cell to select that head."
)
SUM_HELP = (
    "The answer's logit as a running sum of what was written into the stream: embeddings, then "
    "attention and MLP of every layer, norms held at their sizes."
)


def draw(view: View, atlas: Atlas, site: Site, grace: float) -> None:
    """Maps of direct and total effects, the running sum, and the clamp panel of the head."""
    found = atlas.effect
    if found is not None:
        request = atlas.requests[found.name]
        with framed(
            f"What heads cause for {quoted(found.answer)}", HELP, key="beside",
            shows=drawing.words(found),
        ):  # fmt: skip
            pickable_chart(
                drawn(drawing.beside, found), key="beside_chart", label="direct and total effects",
                picked=(site.layer, int(site.unit or 0)),
                on_pick=head_map.choose,
            )  # fmt: skip
            caption = effect_drawing.caption(found)
            foot(found, caption, key="beside", python=as_code(request), asked_as=found.name)
        left, right = sides.columns(2, gap="medium")
        with left, framed("Where the logit comes from", SUM_HELP, key="parts"):
            fig = drawing.parts(found, look())
            pickable_chart(fig, key="parts_chart", label="running sum of the logit", on_pick=None)
        with right, framed("Direct against total", HELP, key="repaired"):
            fig = drawing.repaired(found, look())
            pickable_chart(fig, key="repaired_chart", label="direct against total", on_pick=None)
    clamping.draw(view, site, grace)
