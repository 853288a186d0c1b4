"""What each intervention does, to the number."""

import numpy as np
import pytest
import torch

from core import api
from core.corpus.reference import reference_chunks
from core.engine.forward import run
from core.engine.rows import repeated, rows, text_rows
from core.engine.writes import write_matrix
from core.models.loaded import Loaded
from core.spec.interventions import Control
from core.spec.site import Site

TEXT = "the cat sat on the mat"


def at(m: Loaded, site: str, *changes: object, text: str = TEXT) -> np.ndarray:
    return api.trace(m, text, [site], interventions=changes)[site]


def test_a_clamp_of_a_head_fills_its_vector_and_leaves_the_others(llama: Loaded) -> None:
    before = at(llama, "L1.head")
    after = at(llama, "L1.head", api.Clamp("L1.head[2]", 0.5))
    assert (after[:, 2] == 0.5).all()
    assert (np.delete(after, 2, axis=1) == np.delete(before, 2, axis=1)).all()


def test_scale_multiplies_at_its_position_only(llama: Loaded) -> None:
    before = at(llama, "L1.resid_post")
    after = at(llama, "L1.resid_post", api.Scale("L1.resid_post@3", 2.0))
    assert (after[3] == 2 * before[3]).all()
    assert (np.delete(after, 3, axis=0) == np.delete(before, 3, axis=0)).all()


def test_mean_ablation_puts_the_texts_own_mean_everywhere(llama: Loaded) -> None:
    before = at(llama, "L1.head[1]")
    after = at(llama, "L1.head[1]", api.Ablate("L1.head[1]", to="mean"))
    np.testing.assert_allclose(after, np.tile(before.mean(0), (len(before), 1)), rtol=1e-5)


def test_mean_ablation_at_one_position_uses_the_mean_over_all_tokens(llama: Loaded) -> None:
    before = at(llama, "L0.neuron[7]")
    after = at(llama, "L0.neuron[7]", api.Ablate("L0.neuron[7]@2", to="mean"))
    assert after[2] == pytest.approx(before.mean(), rel=1e-5)
    assert (np.delete(after, 2) == np.delete(before, 2)).all()


def test_resampling_is_seeded_and_takes_one_real_value_of_the_reference_text(
    llama: Loaded,
) -> None:
    first = at(llama, "L1.head[0]", api.Ablate("L1.head[0]", to="resample", seed=4))
    again = at(llama, "L1.head[0]", api.Ablate("L1.head[0]", to="resample", seed=4))
    other = at(llama, "L1.head[0]", api.Ablate("L1.head[0]", to="resample", seed=5))
    place, text = Site(1, "head", 0), rows(llama, reference_chunks(llama)[:1])
    seen = run(llama, text, read=[place], logits="none").values[place][0].numpy()
    assert (first == again).all()
    assert not (first == other).all()
    assert (first == first[0]).all()
    assert (seen == first[0]).all(axis=1).any()


def test_add_adds_coefficient_times_the_direction_as_given(llama: Loaded) -> None:
    direction = np.arange(llama.d_model, dtype=np.float32)
    before = at(llama, "L1.resid_pre")
    after = at(llama, "L1.resid_pre", api.Add("L1.resid_pre", direction, 0.25))
    np.testing.assert_allclose(after, before + 0.25 * direction, rtol=1e-6, atol=1e-6)


def test_project_removes_the_component_and_only_that(llama: Loaded) -> None:
    direction = np.random.default_rng(0).normal(size=llama.d_model)
    unit = direction / np.linalg.norm(direction)
    before = at(llama, "L1.resid_post")
    after = at(llama, "L1.resid_post", api.Project("L1.resid_post", 7 * direction))
    np.testing.assert_allclose(after @ unit, 0, atol=1e-5)
    np.testing.assert_allclose(after, before - np.outer(before @ unit, unit), atol=1e-5)


def test_patch_puts_in_the_other_texts_value_at_the_same_position(llama: Loaded) -> None:
    source = "the dog sat on the mat"
    wanted = at(llama, "L1.resid_post", text=source)
    before = at(llama, "L1.resid_post")
    after = at(llama, "L1.resid_post", api.Patch("L1.resid_post@2", source))
    assert (after[2] == wanted[2]).all()
    assert (after[1] == before[1]).all()


def test_a_patch_of_every_position_makes_the_text_behave_like_its_source(llama: Loaded) -> None:
    source = "the mat sat on the cat"
    assert len(api.tokens(llama, source)) == len(api.tokens(llama, TEXT))
    patched = api.logits(llama, TEXT, [api.Patch("L2.resid_post", source)])
    np.testing.assert_allclose(patched, api.logits(llama, source), atol=1e-4)


def test_a_patch_from_a_text_of_another_length_is_refused_with_both_lengths(
    llama: Loaded,
) -> None:
    with pytest.raises(api.Error, match=r"the source text has \d+ tokens, this text \d+"):
        api.logits(llama, TEXT, [api.Patch("L2.resid_post", "cat")])


def test_changes_at_one_site_apply_in_listed_order(llama: Loaded) -> None:
    clamp, double = api.Clamp("L1.neuron[3]", 1.5), api.Scale("L1.neuron[3]", 2.0)
    assert (at(llama, "L1.neuron[3]", clamp, double) == 3.0).all()
    assert (at(llama, "L1.neuron[3]", double, clamp) == 1.5).all()


def test_clamps_on_different_neurons_of_a_layer_commute(llama: Loaded) -> None:
    one, other = api.Clamp("L1.neuron[3]", 1.5), api.Clamp("L1.neuron[4]", -2.0)
    assert (api.logits(llama, TEXT, [one, other]) == api.logits(llama, TEXT, [other, one])).all()


def test_a_clamp_at_the_natural_value_changes_nothing(llama: Loaded) -> None:
    value = float(at(llama, "L1.neuron[3]@2")[0])
    clamped = api.logits(llama, TEXT, [api.Clamp("L1.neuron[3]@2", value)])
    assert (clamped == api.logits(llama, TEXT)).all()


def test_resid_mid_is_changed_through_the_sum(llama: Loaded) -> None:
    after = api.trace(
        llama,
        TEXT,
        ["L1.resid_mid", "L1.mlp_out", "L1.resid_post"],
        interventions=[api.Clamp("L1.resid_mid", 0.0)],
    )
    np.testing.assert_allclose(after["L1.resid_mid"], 0, atol=1e-6)
    np.testing.assert_allclose(after["L1.resid_post"], after["L1.mlp_out"], atol=1e-5)


def test_resid_mid_sees_what_was_changed_in_attn_out(llama: Loaded) -> None:
    seen = api.trace(
        llama,
        TEXT,
        ["L1.resid_mid", "L1.resid_pre"],
        interventions=[api.Scale("L1.resid_mid", 2.0), api.Clamp("L1.attn_out", 0.0)],
    )
    np.testing.assert_allclose(seen["L1.resid_mid"], 2 * seen["L1.resid_pre"], rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        api.Clamp("L1.neuron[3]", 6.0),
        api.Ablate("L1.head[1]", to="mean"),
        api.Scale("L1.head", 0.5),
        api.Add("L1.resid_post", np.linspace(-1, 1, 36), 3.0),
        api.Project("L1.attn_out", np.linspace(-1, 1, 36)),
        api.Project("L1.resid_post", np.linspace(-1, 1, 36), center=30.0, share=0.5),
        api.Add("L1.resid_post", np.linspace(-1, 1, 36), 3.0, keep_norm=True),
        api.Limit("L1.neuron[3]", low=5.0),
        api.Limit("L1.head[1]", high=-3.0),
        api.Limit("L1.resid_post", low=40.0, direction=np.linspace(-1, 1, 36)),
        api.Erase("L1.resid_post", np.eye(36)[:2], np.eye(36)[:2], np.full(36, 9.0)),
    ],
    ids=str,
)
def test_a_control_moves_the_stream_as_far_at_every_token_in_another_direction(
    change: object, llama: Loaded
) -> None:
    site = change.site  # type: ignore[attr-defined]
    whole = site.whole()
    moved, control = (stream_shift(llama, whole, c) for c in (change, Control(change, 3)))  # type: ignore[arg-type]
    wanted = torch.linalg.vector_norm(moved, dim=-1)
    torch.testing.assert_close(
        torch.linalg.vector_norm(control, dim=-1), wanted, rtol=1e-3, atol=1e-4
    )
    assert wanted.min() > 0
    cosine = torch.nn.functional.cosine_similarity(moved, control, dim=-1)
    assert cosine.abs().max() < 0.9


def stream_shift(m: Loaded, whole: Site, change: object) -> torch.Tensor:
    """How a change at a site moves the stream, [token, d_model], by the output matrices."""
    one = text_rows(m, TEXT)
    seen = run(m, repeated(one, 2), read=[whole], change=[[], [change]], logits="none")  # type: ignore[list-item]
    shift = seen.values[whole][1] - seen.values[whole][0]
    if whole.component == "head":
        return torch.einsum("thd,hdm->tm", shift, write_matrix(m, whole))
    return shift @ write_matrix(m, whole) if whole.component == "neuron" else shift


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: api.Clamp("L1.neuron[3]", float("nan")), "value must be finite"),
        (lambda: api.Clamp("L1.neuron[3]", "much"), "value must be a number"),
        (lambda: api.Add("L1.resid_post", [1.0, float("inf")], 1), "not finite"),
        (lambda: api.Project("L1.resid_post", [0.0, 0.0]), "length zero"),
        (lambda: api.Ablate("L1.head[1]", to="nothing"), "'zero', 'mean' or 'resample'"),
        (lambda: api.Clamp("L1.pattern[1]", 0.0), "read but not changed"),
        (lambda: api.Clamp("layer 3", 0.0), "not a site"),
        (lambda: api.Clamp("L1.logits", 0.0), "no component 'logits'"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_with_a_sentence(make, says) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(api.Error, match=says):
        make()


@pytest.mark.parametrize(
    ("site", "says"),
    [
        ("L9.neuron[3]", "has layers 0 to 2"),
        ("L1.neuron[99999]", "has neuron 0 to"),
        ("L1.head[9]", "has head 0 to"),
        ("L1.resid_post@99", "tokens 0 to"),
        ("enc.L1.resid_post", "no encoder stack"),
        ("L1.cross_out", "no cross-attention"),
        ("L1.resid_post.feature[sae:3]", "no dictionary 'sae'"),
    ],
)
def test_a_site_out_of_range_is_refused_with_what_there_is(
    site: str, says: str, llama: Loaded
) -> None:
    with pytest.raises(api.Error, match=says):
        api.logits(llama, TEXT, [api.Clamp(site, 1.0)])


def test_a_direction_of_the_wrong_width_is_refused_with_both_widths(llama: Loaded) -> None:
    with pytest.raises(api.Error, match=f"has 3 numbers, the site {llama.d_model}"):
        api.logits(llama, TEXT, [api.Add("L1.resid_post", [1, 2, 3], 1.0)])


def test_an_overflow_names_the_change_that_caused_it(llama: Loaded) -> None:
    big = api.Clamp("L2.resid_post", 1e38)
    with pytest.raises(api.Error, match=r"change at L2\.resid_post; use a smaller value"):
        api.logits(llama, TEXT, [big, api.Scale("L2.resid_post", 1e38)])
