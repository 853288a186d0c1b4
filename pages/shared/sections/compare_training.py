"""A model over its training: when heads, concepts and features appear, and what is forgotten."""

from core.spec.request import ModelRef
from pages.shared.notices import sentence
from pages.shared.sections.view import Patience


def draw(model: ModelRef, patience: Patience) -> None:
    del model, patience
    sentence("Choose a model with checkpoints.", "info")
