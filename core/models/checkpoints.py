"""Other states of one model: the checkpoints beside it, and models a question names with it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.home import called, checkpoints_in
from core.models import sources
from core.models.header import shown
from core.spec.errors import Error
from core.spec.request import ModelRef, Request

MOST = 64
# Analyses that run over checkpoints; their option `checkpoints` names them.
RUN_OVER = ("feature_emergence", "depth_emergence", "training")


def beside(folder: Path) -> list[Path]:
    """The checkpoints in a model's folder, earliest first."""
    return checkpoints_in(folder)


def refs(folder: Path, asked: Any, of: ModelRef | None = None) -> list[ModelRef]:
    """The checkpoints a question means: those beside the model (None), or these, in order.

    A name is that of a folder beside the model's own checkpoints, or "@" and a revision of the
    model `of` where that is known, else that of any model. Raises `Error`.
    """
    found = beside(folder)
    if asked is None:
        step = max(1, -(-len(found) // MOST))  # of very many, evenly drawn, the last among them
        return [ModelRef(called(each)) for each in found[::-1][::step][::-1]]
    if isinstance(asked, str) or not isinstance(asked, list | tuple):
        raise Error("checkpoints= is a list of names or folders; an empty one is the model alone")
    if len(asked) > MOST:
        raise Error(f"{len(asked):,} checkpoints were asked for; at most {MOST} are read")
    own = {each.name: called(each) for each in found}
    for name in asked:
        if not isinstance(name, str) or not name.strip("@"):
            raise Error(f"a checkpoint is a name or a folder, not {shown(str(name))}")
    return [_ref(name, own, of) for name in asked]


def _ref(name: str, own: dict[str, str], of: ModelRef | None) -> ModelRef:
    if of is not None and name.startswith("@"):
        return ModelRef(of.name, name[1:])
    return ModelRef(own.get(name, name))


def beside_ref(ref: ModelRef) -> list[ModelRef]:
    """The checkpoints in the folder of a model that is named."""
    return [replace(ref, name=str(each)) for each in beside(sources.resolve(ref))]


def asked(request: Request) -> list[ModelRef]:
    """The checkpoints that a question's answer depends on."""
    if request.analysis not in RUN_OVER:
        return []
    folder = sources.resolve(request.model)
    found = refs(folder, request.option("checkpoints"), request.model)
    for ref in refs(folder, request.option("sizes", ())):
        found += [*beside_ref(ref), ref]
    return found
