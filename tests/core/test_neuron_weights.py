"""Neuron vectors against the running MLP of every family; their tokens against brute force."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core import api
from core.engine.forward import run
from core.engine.neuron_rows import has_gate, neuron_rows, weights_of
from core.engine.readout import centres, norm_weight
from core.engine.rows import text_rows
from core.models.build import build
from core.models.library import open_model
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Change, Clamp
from core.spec.request import ModelRef
from core.spec.site import Site
from tests.families.recipes import FAMILIES as RECIPES
from tests.tiny import make

TEXT = "the cat sat on the mat"
# distilbert is refused at the door; the experts of mixtral are one fused tensor.
NAMES = [name for name in RECIPES if name not in ("distilbert", "mixtral")]
PLACES = [(name, "") for name in NAMES] + [("t5", "enc"), ("t5_gated", "enc")]
GATED = {"llama", "llama_tied", "mistral", "qwen2", "qwen3", "smollm3", "olmo2", "phi3", "gemma"}
GATED |= {"gemma2", "gemma3_text", "gemma3", "cohere", "cohere_qk_norm", "cohere2", "granite"}
GATED |= {"t5_gated", "glm", "glm4"}
Tiny = Callable[[str], Path]


@pytest.fixture(scope="module")
def model(tiny: Tiny) -> Callable[[str], Loaded]:
    """`model("llama")`: loaded and proved once, and kept, since all of them are tiny."""

    @cache
    def load(name: str) -> Loaded:
        ref = ModelRef(str(tiny(name)))
        return build(open_model(ref, device="cpu"), ref)

    return load


def seen_by(
    loaded: Loaded, modules: list[nn.Module], changes: Sequence[Change] = ()
) -> list[tuple[Tensor, Tensor]]:
    """(input, output) of each module on the text, one row per token."""
    found: dict[int, tuple[Tensor, Tensor]] = {}

    def hook(number: int) -> Callable[..., None]:
        def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            width = inputs[0].shape[-1]
            flat = inputs[0].reshape(-1, width), output.reshape(-1, output.shape[-1])
            found[number] = (flat[0].clone(), flat[1].clone())

        return keep

    handles = [m.register_forward_hook(hook(n)) for n, m in enumerate(modules)]
    try:
        run(loaded, text_rows(loaded, TEXT), change=[changes])
    finally:
        for handle in handles:
            handle.remove()
    return [found[number] for number in range(len(modules))]


def normed_plainly(norm: nn.Module, stream: Tensor) -> Tensor:
    """The stream divided by the norm's own scale: no mean removed, no gain, no bias."""
    eps = next(v for k, v in vars(norm).items() if "eps" in k)
    middle = stream - stream.mean(-1, keepdim=True) if centres(norm) else stream
    return stream / (middle.pow(2).mean(-1, keepdim=True) + eps).sqrt()


def test_an_mlp_in_front_of_its_norm_reads_the_stream_as_it_is(tmp_path: Path) -> None:
    # As in OPT-350m: the norm of the MLP stands behind the sum.
    loaded = api.load(make("opt", tmp_path / "opt", do_layer_norm_before=False), device="cpu")
    block = loaded.stacks[""].blocks[2]
    assert block.norm_after is not None
    torch.testing.assert_close(neuron_rows(loaded, 2, "in"), block.up.weight.detach())
    test_the_reading_rows_give_the_input_of_every_neuron("", "", lambda _: loaded)


def test_a_projection_between_stream_and_unembedding_is_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    narrow = make("opt", tmp_path / "opt", do_layer_norm_before=False, word_embed_proj_dim=24)
    with pytest.raises(Error, match="reads 24 numbers and the stream has 36"):
        api.load(narrow, device="cpu")


@pytest.mark.parametrize(("name", "stack"), PLACES)
def test_the_reading_rows_give_the_input_of_every_neuron(
    name: str, stack: str, model: Callable[[str], Loaded]
) -> None:
    loaded = model(name)
    layer = len(loaded.stacks[stack].blocks) - 1
    block = loaded.stacks[stack].blocks[layer]
    norm = None if block.norm_after else block.norm_mlp
    (_, value), (before, _) = seen_by(loaded, [block.up, norm or block.up])
    stream = before if norm is None else normed_plainly(norm, before)
    constant = torch.zeros(value.shape[-1])
    bias = getattr(norm, "bias", None)
    if bias is not None:  # what a norm's bias brings is the same at every token
        with torch.no_grad():
            constant = block.up(bias.reshape(1, -1)) - block.up(torch.zeros(1, len(bias)))
    if getattr(block.up, "bias", None) is not None:
        constant = constant + block.up.bias.detach()
    rows = neuron_rows(loaded, layer, "in", stack)
    if block.up is block.gate:
        rows = torch.cat([neuron_rows(loaded, layer, "gate", stack), rows])
    torch.testing.assert_close(stream @ rows.T + constant, value, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(GATED))
def test_neurons_are_what_opens_the_gate_times_what_is_read(
    name: str, model: Callable[[str], Loaded]
) -> None:
    loaded = model(name)
    block = loaded.stacks[""].blocks[1]
    norm = None if block.norm_after else block.norm_mlp
    (neurons, _), (before, _) = seen_by(
        loaded,
        [block.neurons, norm or block.up],
    )
    stream = before if norm is None else normed_plainly(norm, before)
    value, gate = (stream @ neuron_rows(loaded, 1, weight).T for weight in ("in", "gate"))
    if name == "llama_tied":  # the only one whose MLP has biases
        value, gate = value + block.up.bias, gate + block.gate.bias
    names = ("hidden_activation", "hidden_act", "dense_act_fn")
    wanted = next(getattr(loaded.config, n) for n in names if hasattr(loaded.config, n))
    from transformers.activations import ACT2FN

    torch.testing.assert_close(ACT2FN[wanted](gate) * value, neurons, atol=5e-4, rtol=1e-3)


@pytest.mark.parametrize(("name", "stack"), PLACES)
def test_setting_one_neuron_moves_the_stream_along_its_out_row(
    name: str, stack: str, model: Callable[[str], Loaded]
) -> None:
    loaded = model(name)
    block = loaded.stacks[stack].blocks[1]
    neurons, out = Site(1, "neuron", stack=stack), Site(1, "mlp_out", stack=stack)
    one = Site(1, "neuron", 3, stack=stack)
    texts = text_rows(loaded, TEXT)
    scales, moved, states = [], [], []
    for changes in ([], [Clamp(one, 2.5)]):
        seen = run(loaded, texts, read=[neurons, out], change=[changes]).values
        moved.append(seen[out])
        states.append(seen[neurons])
        scales.append(torch.ones(1))
        if block.post_mlp is not None:
            ((before, _),) = seen_by(loaded, [block.post_mlp], changes)
            scales[-1] = (normed_plainly(block.post_mlp, before) / before)[None, :, :1]
    # A post-norm divides by a size that the clamp changes: undone before comparing.
    change = moved[1] / scales[1] - moved[0] / scales[0]
    step = (states[1] - states[0])[..., 3:4] * loaded.stacks[stack].stream_scale
    wanted = step * neuron_rows(loaded, 1, "out", stack)[3]
    torch.testing.assert_close(change, wanted, atol=3e-4, rtol=1e-3)
    assert wanted.abs().max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_a_gate_or_says_that_it_has_none(
    name: str, model: Callable[[str], Loaded]
) -> None:
    loaded = model(name)
    assert has_gate(loaded) == (name in GATED)
    if name in GATED:
        assert weights_of(loaded) == ("out", "in", "gate")
        gate, read = neuron_rows(loaded, 0, "gate"), neuron_rows(loaded, 0, "in")
        assert gate.shape == read.shape == (loaded.d_mlp, loaded.d_model)
        assert not torch.equal(gate, read)
    else:
        with pytest.raises(Error, match=r"has no gate: its MLP is .*; use 'in' or 'out'"):
            neuron_rows(loaded, 0, "gate")


def test_experts_unknown_weights_layers_and_stacks_are_refused(
    model: Callable[[str], Loaded],
) -> None:
    with pytest.raises(Error, match="experts of mixtral keep no single neurons"):
        neuron_rows(model("mixtral"), 0, "out")
    llama = model("llama")
    for weight, layer, stack, sentence in (
        ("up", 0, "", "no weight 'up' of a neuron; use out, in, gate"),
        ("out", 9, "", "has layers 0 to 2"),
        ("out", -1, "", "a layer is a whole number from 0 on"),
        ("out", 0, "enc", "has no encoder stack"),
    ):
        with pytest.raises(Error, match=sentence):
            neuron_rows(llama, layer, weight, stack)


def test_the_norm_in_front_is_folded_with_its_effective_weight(
    model: Callable[[str], Loaded],
) -> None:
    gemma = model("gemma")
    block = gemma.stacks[""].blocks[0]
    plain = block.up.weight.detach()
    rows = neuron_rows(gemma, 0, "in")
    torch.testing.assert_close(rows, plain * (1 + block.norm_mlp.weight))
    torch.testing.assert_close(norm_weight(gemma, block.norm_mlp), 1 + block.norm_mlp.weight)
    gpt2 = model("gpt2")
    assert neuron_rows(gpt2, 0, "in").mean(dim=1).abs().max() < 1e-6
