"""Features on a text against the dictionary's own arithmetic, written out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core import api
from core.dictionaries.sparse import Norm, SparseDict
from core.models.loaded import Loaded
from kernels.feature_topk import Activation
from tests.core.feature_models import carrying, dictionary

TEXT = "Once upon a time there was a little girl"


def asked(m: Loaded, **options: object) -> object:
    return api.run("feature_texts", m, dictionary="made", text=TEXT, **options)


def by_hand(m: Loaded, made: object, at: str) -> np.ndarray:
    x = torch.tensor(api.trace(m, TEXT, [at])[at]).flatten(1)
    return torch.relu(x @ made.W_enc + made.b_enc).numpy()


@pytest.mark.parametrize("at", ["L1.resid_post", "L1.head", "L0.neuron", "L1.mlp_out"])
def test_the_strongest_features_are_those_of_the_dense_product(gpt2: Loaded, at: str) -> None:
    made = dictionary(gpt2, at)
    result = asked(carrying(gpt2, made), k=5)
    f = by_hand(gpt2, made, at)
    written = f * made.lengths.numpy()
    np.testing.assert_array_equal(result.l0[0], (f > 0).sum(1))
    for token, row in enumerate(written):
        best = np.argsort(-row, kind="stable")[:5]
        best = best[row[best] > 0]
        np.testing.assert_array_equal(result.feature[0, token, : len(best)], best)
        np.testing.assert_allclose(result.value[0, token, : len(best)], row[best], rtol=1e-4)
        np.testing.assert_allclose(
            result.activation[0, token, : len(best)], f[token, best], rtol=1e-4
        )
        assert (result.feature[0, token, len(best) :] == -1).all()


def test_a_dictionary_that_is_the_identity_leaves_nothing_out(llama: Loaded) -> None:
    eye = torch.eye(llama.d_model)
    both = torch.cat([eye, -eye], dim=1)
    parts = {"b_enc": torch.zeros(2 * llama.d_model), "b_out": torch.zeros(llama.d_model)}
    made = dictionary(llama, n=2 * llama.d_model, W_enc=both, W_dec=both.T.clone(), **parts)
    result = asked(carrying(llama, made))
    assert np.nanmax(result.error) < 1e-5
    assert result.total_error[0] < 1e-5
    assert result.total_random_error[0] > 0.5
    nothing = replace(made, b_enc=torch.full_like(made.b_enc, -1e6))
    result = asked(carrying(llama, nothing))
    assert (result.l0 == 0).all()
    assert result.total_error[0] > 0.5
    assert (result.feature == -1).all()
    assert len(result.listed) == 0


@pytest.mark.parametrize(
    ("out", "norm"), [("L1.resid_pre", Norm("rms")), ("L1.mlp_out", Norm("scale", 0.5))]
)
def test_error_is_measured_behind_norm_skip_and_at_the_place_that_is_written(
    llama: Loaded, out: str, norm: Norm
) -> None:
    at = "L1.resid_pre"
    skip = torch.randn(llama.d_model, llama.d_model, generator=torch.Generator().manual_seed(1))
    made = dictionary(llama, at, out=out, norm=norm, W_skip=0.1 * skip)
    seen = api.trace(llama, TEXT, [at, out])
    x, y = torch.tensor(seen[at]), torch.tensor(seen[out])
    size = x.norm(dim=1, keepdim=True) / llama.d_model**0.5 if norm.kind == "rms" else 2.0

    def missed(own: SparseDict) -> np.ndarray:
        f = torch.relu(x / size @ own.W_enc + own.b_enc)
        guess = (f @ own.W_dec + own.b_out + (x / size) @ own.W_skip) * size
        return (y - guess).square().sum(1).numpy()

    # The distance from the mean is the only other factor, and no feature changes that.
    silent = replace(made, b_enc=made.b_enc - 1e6)
    ratios = [asked(carrying(llama, own)).error[0] / missed(own) for own in (made, silent)]
    np.testing.assert_allclose(ratios[0], ratios[1], rtol=1e-3)


def test_heat_follows_a_feature_and_the_three_that_write_most_alike(llama: Loaded) -> None:
    made = dictionary(llama, act=Activation("topk", k=6))
    for place, noise in ((4, 0.1), (9, 0.3), (2, 0.5)):
        drift = torch.randn(llama.d_model, generator=torch.Generator().manual_seed(place))
        made.W_dec[place] = made.W_dec[7] + noise * drift
    m = carrying(llama, made)
    result = asked(m, feature=7, k=6)
    assert result.followed == (7, 4, 9, 2)
    assert result.followed_cosine[0] == 1
    assert (np.diff(result.followed_cosine) < 0).all()
    for row, feature in enumerate(result.followed):
        at, rank = np.nonzero(result.feature[0] == feature)
        np.testing.assert_allclose(result.heat[row, 0, at], result.value[0, at, rank], rtol=1e-5)
        assert (result.heat[row, 0] > 0).sum() == len(at)


def test_the_list_is_by_the_largest_value_at_tokens_that_count(llama: Loaded) -> None:
    made = dictionary(llama)
    result = asked(carrying(llama, made), k=24, texts=["a girl"])
    assert len(result.tokens) == 2
    assert not result.counted[0][0]
    best = {}
    for text, marks in enumerate(result.counted):
        for token, counts in enumerate(marks):
            for feature, value in zip(
                result.feature[text, token], result.value[text, token], strict=True
            ):
                if counts and feature >= 0:
                    best[feature] = max(best.get(feature, 0), value)
    wanted = sorted(best, key=lambda one: -best[one])
    assert result.listed.tolist() == wanted
    np.testing.assert_allclose(result.listed_value, [best[one] for one in wanted])
    assert (result.l0[1, len(result.tokens[1]) :] == -1).all()


def test_what_cannot_be_read_is_a_sentence(llama: Loaded) -> None:
    m = carrying(llama, dictionary(llama))
    with pytest.raises(api.Error, match="write a text"):
        api.run("feature_texts", m, dictionary="made")
    with pytest.raises(api.Error, match="has features 0 to 23"):
        asked(m, feature=24)
    with pytest.raises(api.Error, match="k must be a whole number"):
        asked(m, k=0)
    wrong = carrying(llama, replace(dictionary(llama), W_enc=torch.randn(llama.d_model + 1, 24)))
    with pytest.raises(api.Error, match=r"made reads \d+ numbers"):
        asked(wrong)
