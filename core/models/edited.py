"""Changes of a running model written into its weights, and the result as a plain model folder.

The copy shares every weight that is not edited, so it costs little memory, and the loaded model
is never touched.
"""

import copy
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.models import door
from core.models.loaded import Block, Loaded, rebuilt
from core.spec.errors import Error
from core.spec.interventions import Ablate, Add, Change, Project, Scale
from core.spec.site import Site

# What is copied from the original's folder beside the new weights and configuration.
COPIED = (*door.TOKENIZERS, *door.BESIDE, *(n for n in door.CONFIGS if "token" in n))


def everywhere(loaded: Loaded, direction: Iterable[float]) -> tuple[Project, ...]:
    """The projections that keep a direction out of the whole residual stream.

    At the embedding and at everything a block adds to the stream; where a family has a norm behind
    its sums (BERT) also at every block's input, since the norm brings the direction back.
    """
    vector, stack = tuple(direction), loaded.prompt_stack
    found: list[Project] = []
    for layer, block in enumerate(loaded.stacks[stack].blocks):
        if layer == 0 or block.norm_after:
            found.append(Project(Site(layer, "resid_pre", stack=stack), vector))
        found.append(Project(Site(layer, "attn_out", stack=stack), vector))
        if block.cross is not None:
            found.append(Project(Site(layer, "cross_out", stack=stack), vector))
        found.append(Project(Site(layer, "mlp_out", stack=stack), vector))
    return tuple(found)


def edited(loaded: Loaded, changes: Sequence[Change]) -> Loaded:
    """A model whose plain forward does what `loaded` does under the changes.

    Projections at `L0.resid_pre`, `attn_out` and `mlp_out` (the list of `everywhere`); neurons,
    heads and whole outputs ablated to zero or scaled; directions added where the family keeps a
    bias. Everything else is refused with a sentence. Whether the result is exact is for the
    caller to measure.
    """
    _refuse_model(loaded)
    if not changes:
        raise Error("there is nothing to write into the weights: give at least one change")
    for change in changes:
        _refuse_change(loaded, change)
    module = _copy(loaded, changes)
    twin = replace(rebuilt(loaded, module), memo={}, dictionaries={}, lock=threading.RLock())
    with loaded.busy():
        for change in changes:
            _apply(twin, change)
    return twin


def _refuse_model(loaded: Loaded) -> None:
    config = loaded.config
    if loaded.kind != "decoder":
        raise Error(f"{loaded.name} is no decoder; edited weights are written for decoders only")
    if getattr(config, "quantization_config", None) is not None or any(
        not parameter.is_floating_point() for parameter in loaded.module.parameters()
    ):
        raise Error(f"{loaded.name} is quantised; load it unquantised to edit its weights")
    if len({parameter.device for parameter in loaded.module.parameters()}) > 1:
        raise Error(f"{loaded.name} lies on several devices; load it on one to edit its weights")


def _refuse_change(loaded: Loaded, change: Change) -> None:
    site = change.site
    loaded.check(site)
    what = f"{site}: {type(change).__name__.lower()}"
    if site.position is not None or change.where or site.dictionary:
        raise Error(f"{what} acts at some tokens or on a feature; weights act at every token")
    if not isinstance(change, Project | Ablate | Scale | Add) or (
        isinstance(change, Ablate) and change.to != "zero"
    ):
        raise Error(
            f"{what} has no form as weights; projections, ablations to zero, scalings and added "
            "directions have"
        )
    if isinstance(change, Add) and change.keep_norm:
        raise Error(f"{what} that keeps the norm has no form as weights")
    _refuse_site(loaded, change)


def _refuse_site(loaded: Loaded, change: Change) -> None:
    site, block = change.site, loaded.block(change.site)
    if site.component == "resid_pre" and site.layer == 0 and site.unit is None:
        if isinstance(change, Project | Add):
            return
        raise Error(f"{site}: only a direction can be taken out of the embedding or added to it")
    if site.component not in ("attn_out", "mlp_out", "neuron", "head") or (
        site.unit is not None and site.component in ("attn_out", "mlp_out")
    ):
        raise Error(
            f"{site} is written by several matrices; weights can be edited at L0.resid_pre, "
            "attn_out, mlp_out, heads and neurons (api.everywhere lists those of a direction)"
        )
    whole = site.component in ("attn_out", "mlp_out")
    if not whole and not isinstance(change, Ablate | Scale):
        raise Error(f"{site}: heads and neurons can be ablated to zero or scaled in the weights")
    if whole and (block.post_attn if site.component == "attn_out" else block.post_mlp) is not None:
        raise Error(
            f"{site}: in {loaded.family} a norm stands behind the matrix, so an edit of the "
            "weights is not the same; use the change itself"
        )
    if _writer(block, site) is None:
        raise Error(f"{site}: the experts of {loaded.family} share one tensor that is not edited")
    bias = getattr(_writer(block, site), "bias", None)
    needs = isinstance(change, Add) or (isinstance(change, Project) and change.center != 0)
    if needs and bias is None:
        raise Error(
            f"{site}: the output matrix of {loaded.family} keeps no bias to hold a constant"
        )


def _writer(block: Block, site: Site) -> nn.Module | None:
    """The linear map that writes what is at the site into the stream."""
    return block.heads if site.component in ("attn_out", "head") else block.neurons


def _copy(loaded: Loaded, changes: Sequence[Change]) -> Any:
    """The module copied, its unedited weights shared."""
    sites = {change.site.whole() for change in changes}
    own: set[int] = set()
    for site in sites:
        parts = (
            [*_embeddings(loaded.module, loaded.d_model)]
            if site.component == "resid_pre"
            else [_writer(loaded.block(site), site)]
        )
        own |= {id(value) for part in parts if part is not None for value in part.parameters()}
    memo: dict[int, Any] = {
        id(value): value
        for value in (*loaded.module.parameters(), *loaded.module.buffers())
        if id(value) not in own
    }
    module: Any = copy.deepcopy(loaded.module, memo)
    _untie(module, loaded.module)
    return module


def _untie(module: Any, original: Any) -> None:
    """An unembedding that shares the edited embedding gets the unedited matrix for itself."""
    inputs, head = module.get_input_embeddings(), module.get_output_embeddings()
    if head is None or head.weight is not inputs.weight:
        return
    if inputs.weight is original.get_input_embeddings().weight:
        return  # the embedding is not edited
    head.weight = nn.Parameter(original.get_input_embeddings().weight.clone(), requires_grad=False)
    for config in {id(c): c for c in (module.config, module.config.get_text_config())}.values():
        config.tie_word_embeddings = False


def _embeddings(module: Any, width: int) -> list[nn.Embedding]:
    """What the stream begins with: the token embedding, and tables of positions as wide."""
    first = module.get_input_embeddings()
    others = [
        part
        for part in module.modules()
        if isinstance(part, nn.Embedding) and part is not first and part.embedding_dim == width
    ]
    return [first, *others]


def _apply(twin: Loaded, change: Change) -> None:
    site = change.site
    if site.component == "resid_pre":
        tables = _embeddings(twin.module, twin.d_model)
        for number, table in enumerate(tables):
            # A constant is added once, with the token.
            rows = table.weight.float()
            table.weight.copy_(_written(change, rows, constant=number == 0))
        return
    linear = _writer(twin.block(site), site)
    assert linear is not None
    weight: Tensor = linear.weight  # type: ignore[assignment]
    stored_out_in = isinstance(linear, nn.Linear)
    rows = (weight.T if stored_out_in else weight).float()  # [input, d_model]
    bias: Tensor | None = getattr(linear, "bias", None)
    if site.component in ("neuron", "head"):
        new = _units(twin, change, rows.clone())
    else:
        new = _written(change, rows, constant=False)
        if bias is not None:
            bias.copy_(_written(change, bias.float()[None], constant=True)[0])
    weight.copy_(new.T if stored_out_in else new)


def _written(change: Change, rows: Tensor, constant: bool) -> Tensor:
    """What rows [row, d_model] that are added up become; `constant` goes to one of them only."""
    match change:
        case Project(direction=direction, center=center, share=share):
            vector = torch.tensor(direction, dtype=torch.float64, device=rows.device)
            unit = (vector / torch.linalg.vector_norm(vector)).to(rows)
            along = rows @ unit - (center if constant else 0.0)
            return rows - share * along[:, None] * unit
        case Add(direction=direction, coefficient=coefficient):
            vector = torch.tensor(direction, dtype=rows.dtype, device=rows.device)
            return rows + coefficient * vector if constant else rows
        case Scale(factor=factor):
            return rows * factor
        case Ablate():
            return torch.zeros_like(rows)
    raise TypeError(f"no form as weights for {change!r}")


def _units(twin: Loaded, change: Change, rows: Tensor) -> Tensor:
    """rows [neuron or head x d_head, d_model] with the named units scaled or gone."""
    factor = change.factor if isinstance(change, Scale) else 0.0
    unit = change.site.unit
    width = twin.d_head if change.site.component == "head" else 1
    if unit is None:
        return rows * factor
    rows[unit * width : (unit + 1) * width] *= factor
    return rows


def save(twin: Loaded, folder: Path, original: Path, shard: str = "2GB") -> None:
    """Write the model as a plain Hugging Face folder: safetensors, configuration, tokenizer.

    The folder must not exist. Tokenizer files are the original's own, byte for byte.
    """
    folder.mkdir(parents=True)
    module: Any = twin.module
    module.save_pretrained(str(folder), max_shard_size=shard)
    for name in COPIED:
        if (original / name).is_file():
            shutil.copyfile(original / name, folder / name)
