"""What a unit causes, against planted units and the engine asked directly."""

import copy

import numpy as np
import pytest
import torch

from core import api
from core.analyses.runs import Silent
from core.analyses.scale import unit_scales
from core.analyses.unit_cases import MATCHED, cases
from core.engine.readout import direct_effect, reading_matrix, unembed
from core.engine.writes import write_norms
from core.models import loaded as loading
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.spec.interventions import Clamp
from core.spec.site import Site, site

TEXT = "Once upon a time, there was a little girl named Lily. She loved to play outside."
TOKEN = 300


@pytest.fixture
def planted(stories: Loaded) -> Loaded:
    """A copy in which L4.neuron[7] writes one chosen token and nothing else."""
    m = copy.copy(stories)
    m.module, m.memo = copy.deepcopy(stories.module), {}
    m.stacks = {"": loading._stack(m.module, "", m.row, m.config)}
    m.head = m.module.get_output_embeddings()
    column = reading_matrix(m)[TOKEN] - reading_matrix(m).mean(0)
    weight = m.stacks[""].blocks[4].neurons.weight  # type: ignore[union-attr]
    with torch.no_grad():
        weight[:, 7] = column / column.norm() * 3  # type: ignore[index]
    return m


def log_p(m: Loaded, *changes: object) -> np.ndarray:
    return torch.log_softmax(torch.tensor(api.logits(m, TEXT, changes)).double(), -1).numpy()


def test_a_planted_neuron_raises_its_token_and_lowers_it_when_held_below_zero(
    planted: Loaded,
) -> None:
    result = api.run("unit_effect", planted, text=TEXT, at="L4.neuron[7]")
    up, down = (result.conditions.index(f"set to {sign}p99.9") for sign in ("+", "−"))
    assert pieces(planted, [TOKEN])[0] in result.raised[up]
    assert result.kl[up] > result.control_kl[up].max()
    probability = log_p(planted, api.Clamp("L4.neuron[7]", -result.unit))[-1, TOKEN]
    assert probability < log_p(planted)[-1, TOKEN]
    assert result.kl[down] > 0


def test_every_number_of_a_condition_is_that_of_the_engine_asked_directly(
    stories: Loaded,
) -> None:
    result = api.run("unit_effect", stories, text=TEXT, at="L2.neuron[5]")
    clean = log_p(stories)
    top = np.argsort(-clean[-1])[:6]
    assert result.answer == pieces(stories, [int(top[0])])[0]
    for number, change in enumerate(result.changes):
        after = log_p(stories, eval(change, {"api": api}))  # noqa: S307  # written by as_python
        kl = (np.exp(clean) * (clean - after)).sum(-1)
        assert result.kl[number] == pytest.approx(kl[-1], abs=2e-5)
        assert result.kl_mean[number] == pytest.approx(kl.mean(), abs=2e-5)
        np.testing.assert_allclose(result.top_change[number], (after - clean)[-1, top], atol=2e-3)
        moved = np.exp(after[-1]) - np.exp(clean[-1])
        raised = pieces(stories, [int(np.argmax(moved[:512]))])[0]
        assert result.raised[number][0] == raised or moved.max() < 1e-5


def test_how_far_a_change_carries_is_the_change_of_the_stream_itself(stories: Loaded) -> None:
    result = api.run("unit_effect", stories, text=TEXT, at="L2.head[3]")
    sites = [f"L{layer}.resid_post" for layer in (2, 3, 4)]
    assert result.layer.tolist() == [2, 3, 4]
    before = api.trace(stories, TEXT, sites)
    after = api.trace(stories, TEXT, sites, interventions=[api.Ablate("L2.head[3]")])
    for number, name in enumerate(sites):
        change = after[name] - before[name]
        ratio = np.linalg.norm(change, axis=-1) / np.linalg.norm(before[name], axis=-1)
        assert result.shift[0, number] == pytest.approx(ratio.mean(), rel=1e-3)
    assert result.cosine[0, 0] > result.cosine[0, -1]


def test_direct_total_and_repair_are_those_of_the_formulas_by_hand(stories: Loaded) -> None:
    """Direct: -a w through the RMS norm's own size and the unembedding, answer against the mean."""
    result = api.run("unit_effect", stories, text=TEXT, at="L2.neuron[5]", position=4)
    activation = api.trace(stories, TEXT, ["L2.neuron[5]"])["L2.neuron[5]"]
    np.testing.assert_allclose(result.activation, activation, rtol=1e-4, atol=1e-6)
    write = stories.stacks[""].blocks[2].neurons.weight[:, 5].detach().numpy()  # type: ignore[union-attr, index, operator]
    last = api.trace(stories, TEXT, ["L4.resid_post"])["L4.resid_post"][4]
    logits, after = (
        api.logits(stories, TEXT, changes)[4] for changes in ((), (api.Ablate("L2.neuron[5]"),))
    )
    answer = int(logits.argmax())
    rms = np.sqrt((last**2).mean() + 1e-5)
    effect = reading_matrix(stories).numpy() @ (-activation[4] * write) / rms
    direct = effect[answer] - effect.mean()
    total = (after[answer] - after.mean()) - (logits[answer] - logits.mean())
    assert result.direct[0] == pytest.approx(direct, rel=1e-2, abs=1e-4)
    assert result.total[0] == pytest.approx(total, abs=1e-4)
    if abs(direct) >= 0.01:
        assert result.repair[0] == pytest.approx(1 - total / direct, abs=0.05)
    assert np.isnan(result.repair[2:]).all()


def test_where_no_layer_follows_what_is_repaired_is_the_final_norms_doing_alone(
    stories: Loaded,
) -> None:
    m = copy.copy(stories)
    m.module, m.memo = copy.deepcopy(stories.module), {}
    m.stacks = {"": loading._stack(m.module, "", m.row, m.config)}
    m.head = m.module.get_output_embeddings()
    first, last = (m.stacks[""].blocks[layer] for layer in (3, 4))
    with torch.no_grad():
        for silent in (last.neurons, last.heads):
            silent.weight.zero_()  # type: ignore[union-attr, operator]
        answer = int(api.logits(m, TEXT)[-1].argmax())
        write = reading_matrix(m)[answer] - reading_matrix(m).mean(0)
        first.neurons.weight[:, 9] = write / write.norm() * 4  # type: ignore[union-attr, index]
    result = api.run("unit_effect", m, text=TEXT, at="L3.neuron[9]")
    last_state = torch.tensor(api.trace(m, TEXT, ["L4.resid_post"])["L4.resid_post"][-1])
    shift = -result.activation[-1] * first.neurons.weight[:, 9].detach()  # type: ignore[union-attr, index, operator]
    with torch.no_grad():
        moved = unembed(m, last_state + shift) - unembed(m, last_state)
    top = int(api.logits(m, TEXT)[-1].argmax())
    assert result.total[0] == pytest.approx(float(moved[top] - moved.mean()), rel=1e-2)
    assert result.cosine[:, -1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "cohere", "granite"])
def test_the_direct_effect_is_the_slope_of_the_readout_across_the_stream(
    family: str,
    tiny,  # type: ignore[no-untyped-def]
) -> None:
    m = api.load(tiny(family), device="cpu")
    generator = torch.Generator().manual_seed(1)
    x, shift = torch.randn(2, m.d_model, generator=generator).double().float()
    x, shift = x - x.mean(), shift - shift.mean()
    weight = torch.ones(m.d_model)
    shift = (shift - (shift * weight) @ x / (x @ x) * x) * 1e-3  # no change of the norm's size
    with torch.no_grad():
        found = direct_effect(m, x[None], shift[None])[0]
        wanted = (unembed(m, x + shift) - unembed(m, x - shift)) / 2
    scale = wanted.abs().max()
    torch.testing.assert_close(found / scale, wanted / scale, atol=2e-2, rtol=0)


def test_matched_controls_write_as_much_and_stay_near_their_own_range(stories: Loaded) -> None:
    place = site("L2.neuron[5]")
    made = cases(stories, Silent(), place, (), 0)
    norms = write_norms(stories, place)
    (units,) = unit_scales(stories, Silent(), [Site(2, "neuron")])
    for case in made.cases[2:]:
        assert case.words == MATCHED
        assert len({control.site.unit for control in case.controls}) == 8
        for control in case.controls:
            assert isinstance(control, Clamp)
            assert isinstance(case.change, Clamp)
            assert control.site.unit != 5
            size = abs(control.value * float(norms[control.site.unit]))
            assert size == pytest.approx(abs(case.change.value * float(norms[5])), rel=1e-4)
            assert abs(control.value) < 3 * float(units.p999[control.site.unit])


@pytest.mark.parametrize(
    ("at", "options", "kind", "n"),
    [
        ("L2.neuron[5]", {}, "neuron", 4),
        ("L2.up[5]", {}, "neuron", 4),
        ("L2.gate[5]", {"where": "1-3"}, "neuron", 4),
        ("L1.head[3]", {"where": "generated"}, "head", 4),
        ("L2.resid_post[5]", {"position": 3}, "coordinate", 4),
        ("L2.resid_post", {"direction": [float(n) for n in range(64)]}, "direction", 4),
        ("L2.resid_mid", {"direction": [float(n) for n in range(64)]}, "direction", 4),
        ("L2.mlp_out", {"direction": [float(n) for n in range(64)]}, "direction", 4),
    ],
)
def test_every_kind_of_unit_has_its_effects(
    at: str, options: dict, kind: str, n: int, stories: Loaded
) -> None:
    clamp = api.Clamp("L0.neuron[1]", 1.0)
    result = api.run("unit_effect", stories, text=TEXT, at=at, interventions=[clamp], **options)
    assert (result.kind, len(result.conditions)) == (kind, n)
    assert result.control_kl.shape == (n, 8)
    assert len(result.activation) == len(result.tokens)
    assert (result.kl >= 0).all()
    assert result.kl.max() > 0
    assert len(result.to_frame()) == n


def test_effects_at_chosen_tokens_leave_earlier_tokens_as_they_were(stories: Loaded) -> None:
    late = api.run("unit_effect", stories, text=TEXT, at="L2.head[3]", where="9-", position=8)
    assert late.kl == pytest.approx(0, abs=1e-6)
    assert late.control_kl == pytest.approx(0, abs=1e-6)
    assert late.kl_mean.max() > 1e-4


@pytest.mark.parametrize(
    ("at", "says"),
    [("L2.resid_post", "name one unit"), ("L2.neuron", "name one unit"), ("L9.head[1]", "layers")],
)
def test_what_is_no_unit_is_refused_with_a_sentence(at: str, says: str, stories: Loaded) -> None:
    with pytest.raises(api.Error, match=says):
        api.run("unit_effect", stories, text=TEXT, at=at)


@pytest.mark.parametrize("family", ["bert", "t5_gated", "opt", "gemma2", "gpt_neox"])
def test_effects_are_measured_on_other_families_too(family: str, tiny) -> None:  # type: ignore[no-untyped-def]
    m = api.load(tiny(family), device="cpu")
    stack = "enc." if family.startswith("t5") else ""
    result = api.run("unit_effect", m, text="the cat sat on the mat", at=f"{stack}L1.neuron[5]")
    assert np.isfinite(result.kl).all()
    assert np.isnan(result.direct).all() == (family in ("bert", "t5_gated"))
