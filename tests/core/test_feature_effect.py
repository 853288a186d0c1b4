"""The total effect of features: planted writers, the engine asked directly, and controls."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.engine.readout import reading_matrix
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.results.feature_effect import FeatureEffect
from core.spec.errors import Error
from core.spec.site import Site
from tests.core.feature_models import carrying, dictionary

TEXTS = (
    "Once upon a time there was a little dog who lived in a big red house by the sea.",
    "Tom and Sue went to the park. They saw a bird in a tree, and the bird sang a song.",
    "It was a cold day. The cat sat by the fire, and the old man read a book to the cat.",
)
TOKEN, UNIT = 300, 5


def effect(m: Loaded, **options: Any) -> FeatureEffect:
    options = {"dictionary": "made", "feature": UNIT, "corpus": TEXTS, "window": 24} | options
    found = api.run("feature_effect", m, **options)
    assert isinstance(found, FeatureEffect)
    return found


@pytest.fixture(scope="module")
def planted(stories: Loaded) -> Loaded:
    """A feature of the last block that writes what one token is read by."""
    made = dictionary(stories, f"L{stories.n_layers - 1}.resid_post", n=32)
    rows = reading_matrix(stories)
    made.W_dec[UNIT] = 2 * torch.nn.functional.normalize(
        rows[TOKEN] - rows[: known_ids(stories)].mean(0), dim=0
    )
    return carrying(stories, made)


def test_a_planted_writer_raises_its_token_and_without_it_the_token_falls(
    planted: Loaded,
) -> None:
    found = effect(planted, times=0.2)
    assert found.top_ids[0, 0] == found.direct_ids[0] == TOKEN
    assert found.top_rank[0, 0] == 1
    assert pieces(planted, [TOKEN])[0] in found.read(found.top_ids[0])
    assert found.top_change[0, 0] > 5 * abs(found.top_control[0, 0])
    assert TOKEN in found.bottom_ids[1]
    # In the last block nothing stands between the lens and the answer but the norm's scale.
    assert found.whole[0] > 0.9
    assert found.whole[1] > 0.9
    assert (np.abs(found.control_whole[0]) < found.whole[0]).all()
    assert found.agreement[0] > found.control_agreement[0].max()
    assert (found.kl[0] > 0) & (found.kl[1] > 0)
    assert found.n_tokens[1] <= found.n_tokens[0]


def places(m: Loaded, text: str) -> list[int]:
    return list(range(1, len(api.tokens(m, text))))  # all but the first token count


@pytest.mark.parametrize("out", ["", "L1.mlp_out"])
def test_both_means_are_those_of_the_engine_asked_directly(llama: Loaded, out: str) -> None:
    """Also of a transcoder, which is read at one place and moved at another."""
    made = dictionary(llama, "L1.mlp_in" if out else "L1.resid_post", out=out)
    m = carrying(llama, made)
    text = TEXTS[0]
    found = effect(m, corpus=(text,), window=64, times=0.5, n_controls=1, k=12)
    clean = torch.log_softmax(torch.tensor(api.logits(m, text)).double(), -1)
    site = made.site

    def at(position: int) -> Site:
        return replace(site, unit=UNIT, dictionary="made", position=position)

    counted = places(m, text)
    read = torch.tensor(api.trace(m, text, [site])[str(site)])
    values = made.feature(read, UNIT)
    amount = 0.5 * float(values[counted].max())
    assert found.activation == pytest.approx(amount, rel=1e-4)
    fires = [p for p in counted if values[p] > 0]
    assert 0 < len(fires) < len(counted)
    cases = (
        ([api.Add(at(p), (1.0,), amount) for p in counted], counted),
        ([api.Ablate(at(p)) for p in counted], fires),
    )
    for row, (changes, asked) in enumerate(cases):
        after = torch.log_softmax(torch.tensor(api.logits(m, text, changes)).double(), -1)
        mean = (after - clean)[asked].mean(0).numpy()
        ids = found.top_ids[row]
        np.testing.assert_allclose(found.top_change[row], mean[ids], rtol=1e-3, atol=1e-5)
        assert found.n_tokens[row] == len(asked)
        kl = (clean.exp() * (clean - after)).sum(-1)[asked].mean()
        assert found.kl[row] == pytest.approx(float(kl), rel=1e-3, abs=1e-6)
    assert np.isnan(found.top_error).all()  # of a single context nothing can be said


def test_controls_move_as_far_and_errors_are_those_of_the_contexts(planted: Loaded) -> None:
    made = planted.dictionaries["made"]
    found = effect(planted, times=2.0)
    wanted = found.activation * float(made.lengths[UNIT])
    assert found.length == pytest.approx(wanted, rel=1e-5)
    assert np.isfinite(found.top_error[0]).all()
    assert 0 < found.top_error[0, 0] < 2 * abs(found.top_change[0, 0])
    other = effect(planted, times=2.0, seed=3)
    np.testing.assert_array_equal(found.top_change, other.top_change)
    assert (found.control_kl != other.control_kl).all()


def test_where_no_lens_reads_the_dictionary_the_rest_is_told(llama: Loaded) -> None:
    m = carrying(llama, dictionary(llama, "L1.mlp_in"))
    found = effect(m, n_texts=2, n_controls=2)
    assert "leads to the stream" in found.why_no_lens
    assert np.isnan(found.agreement).all()
    assert (found.top_rank == 0).all()
    assert np.isfinite(found.top_change[0]).all()


@pytest.mark.parametrize(
    "options",
    [{"times": 0}, {"times": "1"}, {"n_texts": 0}, {"n_controls": 65}, {"k": 0}, {"feature": 99}],
)
def test_what_cannot_be_asked_is_a_sentence(planted: Loaded, options: dict[str, Any]) -> None:
    with pytest.raises(Error):
        effect(planted, **options)


def test_a_feature_that_never_fires_and_a_model_that_foretells_nothing_are_refused(
    llama: Loaded, tiny: Any
) -> None:
    made = dictionary(llama)
    made.b_enc[UNIT] = -1e6
    with pytest.raises(Error, match="fires nowhere"):
        effect(carrying(llama, made))
    bert = api.load(tiny("bert"), device="cpu")
    with pytest.raises(Error, match="does not continue a text"):
        effect(carrying(bert, dictionary(bert)))
