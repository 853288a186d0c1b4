"""Whole sets of neurons changed, and their gradients, against edited weights and differences."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core import api
from core.engine.forward import run
from core.engine.generate import generate
from core.engine.gradients import neuron_importance
from core.engine.loss import next_token_losses
from core.engine.rows import Rows, repeated, rows, text_rows
from core.engine.units import Rewrite, rewritten, through
from core.engine.writes import matrix
from core.models import loaded as loaded_module
from core.models.loaded import Loaded
from tests.families.recipes import FAMILIES

TEXT = "the cat sat on the mat"
NO_NEXT_TOKEN = ("bert", "roberta", "t5", "t5_gated", "distilbert")
DECODERS = [name for name in FAMILIES if name not in (*NO_NEXT_TOKEN, "mixtral")]


def logits(m: Loaded, batch: Rows) -> torch.Tensor:
    found = run(m, batch).logits
    assert found is not None
    return found


def edited(m: Loaded, layer: int, unit: int, delta: torch.Tensor) -> Loaded:
    """A copy of the model whose weights hold the rewrite."""
    other = copy.copy(m)
    other.module, other.memo = copy.deepcopy(m.module), {}
    other.stacks = {"": loaded_module._stack(other.module, "", m.row, m.config)}
    other.head = other.module.get_output_embeddings()
    linear = other.stacks[""].blocks[layer].neurons
    with torch.no_grad():
        row = matrix(linear)[unit] + delta
        by_output = isinstance(linear, torch.nn.Linear)
        (linear.weight[:, unit] if by_output else linear.weight[unit]).copy_(row)
    return other


@pytest.mark.parametrize("family", DECODERS)
def test_a_rewritten_row_answers_like_a_model_with_edited_weights(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    delta = torch.randn(m.d_model, generator=torch.Generator().manual_seed(1))
    batch = repeated(text_rows(m, TEXT), 2)
    before = logits(m, batch)
    with rewritten(m, [[], [Rewrite(1, 4, delta)]]):
        clean, moved = logits(m, batch)
    torch.testing.assert_close(clean, before[0], rtol=1e-5, atol=1e-5)
    wanted = logits(edited(m, 1, 4, delta), text_rows(m, TEXT))[0]
    torch.testing.assert_close(moved, wanted, rtol=1e-4, atol=1e-4)
    assert (moved - clean).abs().max() > 1e-3
    assert torch.equal(logits(m, batch), before)


def test_text_is_written_under_a_rewrite_as_by_edited_weights(stories: Loaded) -> None:
    delta = 5 * torch.randn(stories.d_model, generator=torch.Generator().manual_seed(3))
    prompt = text_rows(stories, "Once upon a time")
    with rewritten(stories, [[], [Rewrite(3, 9, delta)]]):
        clean, noised = generate(stories, prompt, [[], []], max_new_tokens=12).ids
    assert clean == generate(stories, prompt, max_new_tokens=12).ids[0]
    other = edited(stories, 3, 9, delta)
    assert noised == generate(other, prompt, max_new_tokens=12).ids[0]
    assert noised != clean


@pytest.mark.parametrize("family", DECODERS)
def test_silencing_a_set_in_one_product_is_ablating_each_neuron(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    units = (2, 5, 11)
    keep = torch.ones(m.d_mlp)
    keep[list(units)] = 0
    one = text_rows(m, TEXT)
    with through(m, {1: lambda values: values * keep}, 1):
        silent = logits(m, one)
    ablated = run(m, one, change=[[api.Ablate(f"L1.neuron[{unit}]") for unit in units]]).logits
    assert ablated is not None
    assert torch.equal(silent, ablated)
    assert not torch.equal(silent, logits(m, one))


@pytest.mark.parametrize("family", DECODERS)
def test_importance_is_activation_times_the_slope_of_the_loss(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    batch = text_rows(m, TEXT)
    found, losses = neuron_importance(m, batch)
    torch.testing.assert_close(losses, next_token_losses(logits(m, batch), batch).sum(1))
    values = api.trace(m, TEXT, ["L1.neuron[3]"])["L1.neuron[3]"]
    wanted, step = 0.0, 0.02
    for place, value in enumerate(values):
        sides = []
        for sign in (1, -1):
            clamp = api.Clamp(f"L1.neuron[3]@{place}", value * (1 + sign * step))
            moved = run(m, batch, change=[[clamp]]).logits
            assert moved is not None
            sides.append(float(next_token_losses(moved.double(), batch).sum()))
        wanted += abs(sides[0] - sides[1]) / (2 * step)
    assert float(found[1][0, 3]) == pytest.approx(wanted, rel=0.05, abs=2e-3)


def test_rows_of_different_length_have_the_importance_they_have_alone(stories: Loaded) -> None:
    texts = [[1, 403, 407, 261, 378], [1, 403, 407]]
    together, losses = neuron_importance(stories, rows(stories, texts))
    for row, ids in enumerate(texts):
        alone, loss = neuron_importance(stories, rows(stories, [ids]))
        torch.testing.assert_close(losses[row], loss[0])
        for layer in range(stories.n_layers):
            torch.testing.assert_close(together[layer][row], alone[layer][0], rtol=1e-3, atol=1e-5)


def test_gradients_leave_nothing_behind(stories: Loaded) -> None:
    batch = text_rows(stories, TEXT)
    before = logits(stories, batch)
    neuron_importance(stories, batch)
    assert all(p.grad is None and not p.requires_grad for p in stories.module.parameters())
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in stories.module.modules()]
    assert sum(hooks) == 0
    assert torch.equal(logits(stories, batch), before)
    assert not torch.is_grad_enabled() or logits(stories, batch).grad_fn is None


@pytest.mark.parametrize(("family", "said"), [("bert", "next token"), ("mixtral", "experts")])
def test_models_without_the_thing_asked_for_say_so(
    family: str, said: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    with pytest.raises(api.Error, match=said):
        neuron_importance(m, text_rows(m, TEXT))
