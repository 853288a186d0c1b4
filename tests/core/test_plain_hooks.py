"""Every intervention against plain PyTorch hooks written here, to the bit, on several families.

Nothing of the engine is used for the reference: `register_forward_hook` and
`register_forward_pre_hook` on modules named by their dotted path, and arithmetic on one tensor.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core import api
from core.engine.forward import run
from core.engine.rows import text_rows
from core.engine.writes import write_norms
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Change, Control
from core.spec.site import NEURONS, Site

TEXT = "the cat sat on the mat"
LAYER, UNIT = 1, 2
Edit = Callable[[Tensor], Tensor]
Model = Callable[[str], Loaded]

# family: block, what the attention and MLP add, the inputs of which are heads and neurons
PLACES = {
    "llama": ("model.layers.1", "self_attn", "mlp", "self_attn.o_proj", "mlp.down_proj"),
    "qwen2": ("model.layers.1", "self_attn", "mlp", "self_attn.o_proj", "mlp.down_proj"),
    "gpt2": ("transformer.h.1", "attn", "mlp", "attn.c_proj", "mlp.c_proj"),
    "gpt_neox": ("gpt_neox.layers.1", "attention", "mlp", "attention.dense", "mlp.dense_4h_to_h"),
    "gemma2": (
        "model.layers.1",
        "post_attention_layernorm",
        "post_feedforward_layernorm",
        "self_attn.o_proj",
        "mlp.down_proj",
    ),
    "bert": (
        "bert.encoder.layer.1",
        "attention.output.dense",
        "output.dense",
        "attention.output.dense",
        "output.dense",
    ),
}


# family: the maps of up and gate in a block
PARTS = {
    "llama": ("mlp.up_proj", "mlp.gate_proj"),
    "gpt2": ("mlp.c_fc", ""),
    "gpt_neox": ("mlp.dense_h_to_4h", ""),
    "gemma2": ("mlp.up_proj", "mlp.gate_proj"),
    "bert": ("intermediate.dense", ""),
    "phi3": ("mlp.gate_up_proj", "mlp.gate_up_proj"),
    "opt": ("fc1", ""),
}
BLOCKS = {"phi3": "model.layers.1", "opt": "model.decoder.layers.1"}
# family: the module of a block whose input is what the MLP reads
INPUTS = {
    "llama": "mlp",
    "gpt2": "mlp",
    "gpt_neox": "mlp",
    "gemma2": "mlp",
    "bert": "intermediate",
    "phi3": "mlp",
    "opt": "fc1",
    "bloom": "mlp",
    "mpt": "ffn",
    "mixtral": "mlp",
}
INPUT_BLOCKS = BLOCKS | {
    "bloom": "transformer.h.1",
    "mpt": "transformer.blocks.1",
    "mixtral": "model.layers.1",
}


@pytest.fixture(scope="module")
def model(tiny: Callable[[str], Path]) -> Model:
    """`model("llama")`: the tiny model, loaded and proved once."""
    return cache(lambda family: api.load(tiny(family), device="cpu"))


def hook_output(module: nn.Module, edit: Edit) -> Any:
    def after(_: nn.Module, __: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (edit(output[0].clone()), *output[1:])
        return edit(output.clone())

    return module.register_forward_hook(after)


def hook_input(module: nn.Module, edit: Edit) -> Any:
    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (edit(args[0].clone()), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": edit(kwargs["hidden_states"].clone())}

    return module.register_forward_pre_hook(before, with_kwargs=True)


def reference(m: Loaded, family: str, component: str, edit: Edit) -> Tensor:
    """The model's logits with one tensor edited on its way, by hooks on named modules."""
    path, attn, mlp, heads, neurons = PLACES[family]
    block = m.module.get_submodule(path)
    handle = {
        "resid_pre": lambda: hook_input(block, edit),
        "resid_post": lambda: hook_output(block, edit),
        "attn_out": lambda: hook_output(block.get_submodule(attn), edit),
        "mlp_out": lambda: hook_output(block.get_submodule(mlp), edit),
        "head": lambda: hook_input(block.get_submodule(heads), edit),
        "neuron": lambda: hook_input(block.get_submodule(neurons), edit),
    }[component]()
    try:
        with torch.no_grad():
            logits: Tensor = m.module(input_ids=torch.tensor([ids(m)])).logits
            return logits
    finally:
        handle.remove()


def ids(m: Loaded) -> list[int]:
    return [int(i) for i in m.tokenizer(TEXT)["input_ids"]]


def engine(m: Loaded, change: Change) -> Tensor:
    logits = run(m, text_rows(m, TEXT), change=[[change]]).logits
    assert logits is not None
    return logits


def direction(width: int) -> np.ndarray:
    return np.random.default_rng(width).normal(size=width).astype("float32")


def on_unit(component: str, m: Loaded, edit: Edit) -> Edit:
    """The edit of head or neuron UNIT alone; elsewhere of the whole tensor [1, token, width]."""

    def one(x: Tensor) -> Tensor:
        if component == "head":
            part = slice(UNIT * m.d_head, (UNIT + 1) * m.d_head)
            x[..., part] = edit(x[..., part].clone())
            return x
        if component in NEURONS:
            x[..., UNIT] = edit(x[..., UNIT].clone())
            return x
        return edit(x)

    return one


def cases(component: str, m: Loaded) -> list[tuple[Change, Edit]]:
    """Changes of one component and what each does to its tensor [1, token, width or nothing]."""
    unit = f"[{UNIT}]" if component in ("head", *NEURONS) else ""
    site = f"L{LAYER}.{component}{unit}"
    found: list[tuple[Change, Edit]] = [
        (api.Clamp(site, 0.75), lambda x: torch.full_like(x, 0.75)),
        (api.Scale(site, -1.5), lambda x: x * -1.5),
        (api.Ablate(site), torch.zeros_like),
        (api.Ablate(site, "mean"), lambda x: x[0].mean(0).expand_as(x)),
        (api.Limit(site, low=-0.1, high=0.2), lambda x: x.clamp(-0.1, 0.2)),
        (api.Limit(site, high=-0.3), lambda x: x.clamp(max=-0.3)),
        (api.Clamp(site, 0.75, where="2,4-"), _only([2, *range(4, 99)], _filled)),
        (api.Scale(f"{site}@3", 4.0), _only([3], lambda x: x * 4.0)),
    ]
    if component in NEURONS:
        return found
    width = m.d_head if component == "head" else m.d_model
    return found + along(site, direction(width))


def along(site: str, given: np.ndarray) -> list[tuple[Change, Edit]]:
    """The same for changes along a direction; `share` is each token's component along it."""
    v = torch.tensor(given)
    unit = v / torch.linalg.vector_norm(v)

    def share(x: Tensor) -> Tensor:
        return (x @ unit)[..., None]

    def length(x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    def kept(x: Tensor) -> Tensor:
        moved = x + 3.0 * v
        return moved * (length(x) / length(moved))

    left = np.stack([given, given[::-1]])
    right, mean = left[:, ::-1] * 0.01, given * 0.1

    def erased(x: Tensor) -> Tensor:
        p, q = torch.tensor(left.copy()), torch.tensor(right.copy())
        return x - (x - torch.tensor(mean)) @ q.T @ p

    return [
        (api.Add(site, given, 3.0), lambda x: x + 3.0 * v),
        (api.Add(site, given, 3.0, keep_norm=True), kept),
        (api.Project(site, given), lambda x: x - share(x) * unit),
        (api.Project(site, given, center=0.5), lambda x: x - (share(x) - 0.5) * unit),
        (api.Project(site, given, share=-0.5), lambda x: x - -0.5 * share(x) * unit),
        (
            api.Limit(site, low=-0.2, high=0.1, direction=given),
            lambda x: x + (share(x).clamp(-0.2, 0.1) - share(x)) * unit,
        ),
        (api.Erase(site, left, right, mean), erased),
        (api.Project(site, given, where="1-2"), _only([1, 2], lambda x: x - share(x) * unit)),
    ]


def _filled(x: Tensor) -> Tensor:
    return torch.full_like(x, 0.75)


def _only(tokens: list[int], edit: Edit) -> Edit:
    def some(x: Tensor) -> Tensor:
        there = [place for place in tokens if place < x.shape[1]]
        y = x.clone()
        y[:, there] = edit(x)[:, there]
        return y

    return some


@pytest.mark.parametrize(
    "component", ["resid_pre", "resid_post", "attn_out", "mlp_out", "head", "neuron"]
)
@pytest.mark.parametrize("family", PLACES)
def test_every_change_is_a_plain_hook_to_the_bit(family: str, component: str, model: Model) -> None:
    m = model(family)
    before = engine(m, api.Scale("L0.neuron[0]", 1.0))
    for change, edit in cases(component, m):
        wanted = reference(m, family, component, on_unit(component, m, edit))
        found = engine(m, change)
        assert torch.equal(found, wanted), change
        assert not torch.equal(found, before), change
    assert torch.equal(engine(m, api.Scale("L0.neuron[0]", 1.0)), before)


def part_reference(m: Loaded, family: str, component: str, edit: Edit) -> Tensor:
    """The logits with up or gate edited; a fused map (Phi-3) gives the gates first."""
    path = BLOCKS[family] if family in BLOCKS else PLACES[family][0]
    up, gate = PARTS[family]

    def half(x: Tensor) -> Tensor:
        x = x.reshape(1, -1, x.shape[-1])
        if up != gate:
            return edit(x)
        width = x.shape[-1] // 2
        part = slice(width, None) if component == "up" else slice(0, width)
        x[..., part] = edit(x[..., part].clone())
        return x

    name = up if component == "up" else gate
    handle = hook_output(m.module.get_submodule(f"{path}.{name}"), half)
    try:
        with torch.no_grad():
            logits: Tensor = m.module(input_ids=torch.tensor([ids(m)])).logits
            return logits
    finally:
        handle.remove()


@pytest.mark.parametrize("component", ["up", "gate"])
@pytest.mark.parametrize("family", PARTS)
def test_a_change_of_up_or_gate_is_a_plain_hook_on_its_map(
    family: str, component: str, model: Model
) -> None:
    m = model(family)
    if component == "gate" and not PARTS[family][1]:
        with pytest.raises(Error, match="has no gate"):
            engine(m, api.Clamp("L1.gate[2]", 1.0))
        return
    before = engine(m, api.Scale("L0.neuron[0]", 1.0))
    for change, edit in cases(component, m):
        wanted = part_reference(m, family, component, on_unit(component, m, edit))
        assert torch.equal(engine(m, change), wanted), change
    assert torch.equal(engine(m, api.Scale("L0.neuron[0]", 1.0)), before)


@pytest.mark.parametrize("family", INPUTS)
def test_a_change_of_what_the_mlp_reads_is_a_plain_hook_on_its_module(
    family: str, model: Model
) -> None:
    m = model(family)
    path = INPUT_BLOCKS[family] if family in INPUT_BLOCKS else PLACES[family][0]
    module = m.module.get_submodule(f"{path}.{INPUTS[family]}")
    before = engine(m, api.Scale("L0.mlp_out", 1.0))
    for change, edit in cases("mlp_in", m):

        def by_row(x: Tensor, edit: Edit = edit) -> Tensor:
            return edit(x.reshape(1, -1, x.shape[-1])).reshape(x.shape)

        handle = hook_input(module, by_row)
        try:
            with torch.no_grad():
                wanted = m.module(input_ids=torch.tensor([ids(m)])).logits
        finally:
            handle.remove()
        assert torch.equal(engine(m, change), wanted), change
        assert not torch.equal(wanted, before), change
    assert torch.equal(engine(m, api.Scale("L0.mlp_out", 1.0)), before)


def test_the_control_of_what_the_mlp_reads_moves_it_as_far(model: Model) -> None:
    m, place = model("llama"), Site(1, "mlp_in")
    change = api.Add(place, direction(m.d_model), 0.5)
    seen = [
        run(m, text_rows(m, TEXT), read=[place], change=[each], logits="none").values[place][0]
        for each in ([], [change], [Control(change, 3)])
    ]
    moved, control = seen[1] - seen[0], seen[2] - seen[0]
    torch.testing.assert_close(moved.norm(dim=-1), control.norm(dim=-1))
    assert abs(float(torch.cosine_similarity(moved[0], control[0], dim=0))) < 0.9


@pytest.mark.parametrize("component", ["up", "gate"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3", "t5_gated"])
def test_the_control_of_up_or_gate_moves_the_stream_as_far_by_another_neuron(
    family: str, component: str, model: Model
) -> None:
    m = model(family)
    if component == "gate" and m.stacks[""].blocks[0].gate is None:
        return
    change = api.Clamp(Site(1, component, 3), 4.0)  # type: ignore[arg-type]
    place = Site(1, "neuron")
    rows = text_rows(m, TEXT)
    seen = [
        run(m, rows, read=[place], change=[each], logits="none").values[place][0]
        for each in ([], [change], [Control(change, 7)])
    ]
    moved, control = seen[1] - seen[0], seen[2] - seen[0]
    write = write_norms(m, place)
    torch.testing.assert_close(
        (moved * write).norm(dim=-1), (control * write).norm(dim=-1), rtol=1e-4, atol=1e-6
    )
    assert (control != 0).any(dim=0).nonzero().flatten().tolist() != [3]
    assert (control != 0).any(dim=0).sum() == 1


def test_experts_have_no_up_and_gate_to_address(model: Model) -> None:
    with pytest.raises(Error, match="experts"):
        engine(model("mixtral"), api.Clamp("L1.up[2]", 1.0))


@pytest.mark.parametrize(
    "change",
    [
        api.Add("L1.resid_post", [1.0, 2.0]),
        api.Limit("L1.head[1]", low=0.0, direction=[1.0, 2.0]),
        api.Erase("L1.mlp_out", [[1.0, 2.0]], [[1.0, 2.0]], [0.0, 0.0]),
    ],
    ids=lambda change: type(change).__name__,
)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert", "phi3"])
def test_a_change_that_fails_on_its_way_leaves_the_model_as_it_was(
    family: str, change: Change, model: Model
) -> None:
    m = model(family)
    rows = text_rows(m, TEXT)
    before = run(m, rows).logits
    hooks = sum(len(x._forward_hooks) + len(x._forward_pre_hooks) for x in m.module.modules())
    with pytest.raises(Error, match="has 2 numbers, the site"):
        run(m, rows, change=[[api.Clamp("L0.up[1]", 1.0), change]])
    after = sum(len(x._forward_hooks) + len(x._forward_pre_hooks) for x in m.module.modules())
    assert after == hooks
    assert torch.equal(run(m, rows).logits, before)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "bert", "phi3", "t5_gated"])
def test_a_clamp_of_any_part_at_its_natural_value_changes_no_bit(family: str, model: Model) -> None:
    m = model(family)
    rows = text_rows(m, TEXT)
    before = run(m, rows).logits
    for component in ("neuron", "up", "gate"):
        if component == "gate" and m.stacks[""].blocks[0].gate is None:
            continue
        place = Site(1, component, 3, position=2, stack=m.prompt_stack)  # type: ignore[arg-type]
        value = float(run(m, rows, read=[place], logits="none").values[place][0, 0])
        held = run(m, rows, change=[[api.Clamp(place, value)]]).logits
        assert torch.equal(held, before)  # type: ignore[arg-type]
