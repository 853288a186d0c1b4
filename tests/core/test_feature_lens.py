"""The lens of features against planted tokens, the model's own logits and dense products."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core import api
from core.analyses.feature_rows import random_directions, stream_rows, unit_rows
from core.engine.readout import reading_matrix
from core.models.loaded import Loaded
from core.models.tokens import known_ids
from core.spec.site import site
from tests.core.feature_models import carrying, dictionary, width


def test_a_decoder_row_made_of_one_tokens_reading_row_is_read_as_that_token(
    llama: Loaded, gpt2: Loaded
) -> None:
    for m in (llama, gpt2):
        made = dictionary(m)
        row = reading_matrix(m)[11] - reading_matrix(m)[: known_ids(m)].mean(0)
        made.W_dec[5] = 3 * row
        result = api.run("feature_lens", carrying(m, made), dictionary="made", feature=[5, 6])
        assert result.top_ids[0, 0] == 11
        assert result.near_ids[0, 0] == 11
        assert result.sites[0] == "L1.resid_post.feature[made:5]"
        assert result.top_z[1, 0] < result.top_z[0, 0]


def test_adding_a_little_of_a_feature_moves_the_logits_as_its_lens_says(llama: Loaded) -> None:
    last = llama.n_layers - 1
    at = f"L{last}.resid_post"
    stream = torch.tensor(api.trace(llama, "one two three", [at])[at])[-1]
    made = dictionary(llama, at)
    row = made.W_dec[0]
    made.W_dec[0] = row - (row @ stream) / (stream @ stream) * stream  # w at right angles to x
    m = carrying(llama, made)
    result = api.run("feature_lens", m, dictionary="made", feature=0, k=known_ids(m))
    eps = 1e-3 * float(stream.norm())
    clean = api.logits(m, "one two three")[-1]
    push = api.Add(at, direction=unit(made, 0), coefficient=eps)
    moved = api.logits(m, "one two three", [push])[-1] - clean
    eps_norm = m.config.rms_norm_eps
    rms = float((stream.square().mean() + eps_norm).sqrt())
    said = np.empty(known_ids(m))
    said[result.top_ids[0]] = result.top_scores[0] + result.mean[0]
    wanted = eps * said / rms
    large = np.abs(wanted) > 0.2 * np.abs(wanted).max()
    np.testing.assert_allclose(moved[: len(said)][large], wanted[large], rtol=0.01)


def unit(made: object, feature: int) -> tuple[float, ...]:
    return tuple(unit_rows(made, [feature])[0].tolist())


@pytest.mark.parametrize("place", ["L1.mlp_out", "L1.head", "L1.head[1]", "L1.neuron"])
def test_what_a_feature_adds_to_the_stream_is_what_its_site_leads_to(
    gpt2: Loaded, place: str
) -> None:
    made = dictionary(gpt2, place)
    m = carrying(gpt2, made)
    rows = stream_rows(m, made, [3])[0]
    block, own = m.stacks[""].blocks[1], unit_rows(made, [3])[0]
    if "head" in place:
        full = torch.zeros(m.n_heads * m.d_head)
        start = m.d_head if "[1]" in place else 0
        full[start : start + len(own)] = own
        wanted = full @ block.heads.weight
    else:
        wanted = own if "mlp" in place else own @ block.neurons.weight
    torch.testing.assert_close(rows, wanted.detach(), rtol=1e-4, atol=1e-5)
    result = api.run("feature_lens", m, dictionary="made", feature=3, k=4)
    scores = (rows @ reading_matrix(m).T)[: known_ids(m)].double()
    assert result.top_ids[0].tolist() == scores.topk(4).indices.tolist()
    centred = scores - scores.mean()
    z = centred / centred.square().mean().sqrt()
    np.testing.assert_allclose(result.top_z[0], z.topk(4).values, rtol=1e-4)
    assert result.kurtosis[0] == pytest.approx(float(z.pow(4).mean()) - 3, abs=1e-3)
    assert result.skew[0] == pytest.approx(float(z.pow(3).mean()), abs=1e-3)
    assert result.counts[0].sum() == known_ids(m)


def test_a_feature_that_no_matrix_leads_to_the_stream_is_refused(llama: Loaded) -> None:
    made = dictionary(llama, "L1.gate")
    with pytest.raises(api.Error, match="no single matrix leads to the stream"):
        api.run("feature_lens", carrying(llama, made), dictionary="made", feature=0)


@pytest.mark.parametrize("feature", [24, -1, True, 1.5, "3", [0, 99], []])
def test_a_feature_that_is_not_there_is_a_sentence(llama: Loaded, feature: object) -> None:
    m = carrying(llama, dictionary(llama))
    with pytest.raises(api.Error, match=r"features 0 to 23|a feature is a number"):
        api.run("feature_lens", m, dictionary="made", feature=feature)
    with pytest.raises(api.Error, match=r"there is no dictionary 'other'.*made"):
        api.run("feature_lens", m, dictionary="other", feature=0)


def test_about_one_in_a_hundred_random_rows_lies_beyond_the_null(llama: Loaded) -> None:
    made = dictionary(llama, n=256)
    own = random_directions(made.W_dec, 256, seed=9, like=True)
    m = carrying(llama, replace(made, W_dec=own))
    result = api.run("feature_lens", m, dictionary="made", feature=list(range(256)))
    largest = np.maximum(result.top_z[:, 0], -result.bottom_z[:, 0])
    assert (largest > result.null_z[1]).mean() < 0.05
    assert width(m, site("L0.neuron")) == m.d_mlp


def test_the_null_follows_the_dictionary_and_not_its_name(llama: Loaded) -> None:
    made = dictionary(llama)
    m = carrying(llama, made)
    first = api.run("feature_lens", m, dictionary="made", feature=0)
    flat = made.W_dec.clone()
    flat[:, 1:] = 0
    m.dictionaries = {"made": replace(made, W_dec=flat)}
    second = api.run("feature_lens", m, dictionary="made", feature=0)
    assert first.null_z[1] != second.null_z[1]
    assert first.null_z[0] == second.null_z[0]
