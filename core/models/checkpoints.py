"""Other states of one model: the checkpoints beside it, and models a question names with it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.models import sources
from core.models.header import shown
from core.spec.errors import Error
from core.spec.request import ModelRef, Request

FOLDER = "checkpoints"  # in the model's own folder, one folder each
MOST = 64
# Analyses that run over checkpoints; their option `checkpoints` names them.
RUN_OVER = ("feature_emergence", "depth_emergence")


def beside(folder: Path) -> list[Path]:
    """The checkpoints in a model's folder, by name."""
    place = folder / FOLDER
    if not place.is_dir():
        return []
    return sorted(each for each in place.iterdir() if (each / "config.json").is_file())


def refs(folder: Path, asked: Any) -> list[ModelRef]:
    """The checkpoints a question means: those beside the model (None), or these, in order.

    A name is that of a folder beside the model's own checkpoints, else that of any model. Raises
    `Error`.
    """
    found = beside(folder)
    if asked is None:
        return [ModelRef(str(each)) for each in found][:MOST]
    if isinstance(asked, str) or not isinstance(asked, list | tuple):
        raise Error("checkpoints= is a list of names or folders; an empty one is the model alone")
    if len(asked) > MOST:
        raise Error(f"{len(asked):,} checkpoints were asked for; at most {MOST} are read")
    own = {each.name: each for each in found}
    for name in asked:
        if not isinstance(name, str) or not name:
            raise Error(f"a checkpoint is a name or a folder, not {shown(str(name))}")
    return [ModelRef(str(own.get(name, name))) for name in asked]


def beside_ref(ref: ModelRef) -> list[ModelRef]:
    """The checkpoints in the folder of a model that is named."""
    return [replace(ref, name=str(each)) for each in beside(sources.resolve(ref))]


def asked(request: Request) -> list[ModelRef]:
    """The checkpoints that a question's answer depends on."""
    if request.analysis not in RUN_OVER:
        return []
    folder = sources.resolve(request.model)
    found = refs(folder, request.option("checkpoints"))
    for ref in refs(folder, request.option("sizes", ())):
        found += [*beside_ref(ref), ref]
    return found
