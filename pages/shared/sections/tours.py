"""Prepared ways into Steer, on the embedded model."""

from dataclasses import dataclass

from core.spec.interventions import Ablate
from core.spec.site import site
from core.spec.workspace import TrayItem, Workspace


@dataclass(frozen=True, slots=True)
class Tour:
    """A prepared state of the Steer page, and what to look at in it."""

    title: str
    about: str
    work: Workspace


TOURS = (
    Tour(
        "Depth",
        "When does the model settle on its answer? Read the lens from the bottom row upwards.",
        Workspace(prompt="Once upon a time there was a little"),
    ),
    Tour(
        "One layer less",
        "The MLP of layer 1 is ablated. Compare the text with the control before believing it.",
        Workspace(
            prompt="Yesterday Tom walked. Then",
            tray=(TrayItem(Ablate(site("L1.mlp_out"), "mean")),),
        ),
    ),
)
