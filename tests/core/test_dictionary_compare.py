"""Two dictionaries: what is shared is found again, one to one, and chance is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.dictionaries.sparse import SparseDict
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.spec.errors import Error
from tests.core.feature_models import carrying, dictionary
from tests.core.test_feature_label import texts

TEXT = texts(60)


@pytest.fixture(scope="module")
def m(tiny: Callable[[str], Path]) -> Loaded:
    return api.load(tiny("llama"), device="cpu")


def again(book: SparseDict, order: torch.Tensor, kept: int, noise: float = 0.05) -> SparseDict:
    """Its first `kept` features in another order with a little noise, others drawn anew."""
    generator = torch.Generator().manual_seed(9)
    rows = torch.randn(book.W_dec.shape, generator=generator)
    rows[:kept] = book.W_dec[:kept] + noise * rows[:kept]
    columns = torch.randn(book.W_enc.shape, generator=generator) / book.d_in**0.5
    columns[:, :kept] = book.W_enc[:, :kept]
    return replace(
        book, name="again", W_dec=rows[order], W_enc=columns[:, order], b_enc=book.b_enc[order]
    )


@pytest.mark.parametrize("by", ["", "firing"])
def test_shared_features_are_found_one_to_one(m: Loaded, by: str) -> None:
    first = dictionary(m, n=40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    second = again(first, order, kept=16)
    model = carrying(m, first, second)
    result = api.run(
        "dictionary_compare", model, dictionary="made", with_dictionary="again", by=by, corpus=TEXT
    )
    assert (result.by, result.matching) == (by or "decoder", "hungarian")
    back = torch.argsort(order).numpy()
    known = result.feature < 16
    assert known.sum() >= 12
    np.testing.assert_array_equal(result.partner[known], back[result.feature[known]])
    np.testing.assert_array_equal(result.nearest[known], back[result.feature[known]])
    assert (result.likeness[known] > 0.9).all()
    assert result.mutual[known].all()
    assert result.seen_in_both[known].all()
    assert result.chance_share < 0.1
    assert result.chance_mean < result.likeness[known].min() - 0.2
    if not by:
        assert result.share == pytest.approx(16 / 40, abs=0.05)
        used = result.partner[result.partner >= 0]
        assert len(set(used.tolist())) == len(used)
    assert all(figure(result, Look(dark=dark)).data for dark in (False, True))
    assert "chance" in title(result)
    assert "control" in caption(result)


def test_numbers_are_those_by_hand(m: Loaded) -> None:
    first, second = dictionary(m, n=12), dictionary(m, n=9, seed=5, name="again")
    result = api.run(
        "dictionary_compare", carrying(m, first, second), dictionary="made", with_dictionary="again"
    )
    one, two = (b.W_dec / b.W_dec.norm(dim=1, keepdim=True) for b in (first, second))
    table = (one @ two.T).numpy()
    np.testing.assert_allclose(result.likeness, table.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(result.reverse, table.max(axis=0), rtol=1e-5)
    assert (result.partner >= 0).sum() == 9
    best = table[np.flatnonzero(result.partner >= 0), result.partner[result.partner >= 0]]
    assert result.mean == pytest.approx(best.mean(), rel=1e-5)


def test_correlations_are_those_of_numpy(m: Loaded) -> None:
    from core.analyses.feature_gallery import opened
    from core.analyses.runs import Silent

    first, second = dictionary(m, n=12), dictionary(m, "L2.resid_post", n=9, seed=5, name="again")
    model = carrying(m, first, second)
    result = api.run(
        "dictionary_compare", model, dictionary="made", with_dictionary="again", corpus=TEXT
    )
    assert result.by == "firing"  # other sites
    dense = []
    for name in ("made", "again"):
        gallery = opened(model, Silent(), dictionary=name, corpus=TEXT)
        whole = np.zeros((gallery.text.n_tokens, gallery.n_features))
        for feature in range(gallery.n_features):
            token, value = gallery.need_codes().of_feature(feature)
            whole[token, feature] = value
        dense.append(whole[gallery.text.keep])
    both = np.corrcoef(dense[0].T, dense[1].T)[:12, 12:][result.feature]
    np.testing.assert_allclose(result.likeness, np.nanmax(both, axis=1), rtol=1e-4)


def test_what_cannot_be_compared_is_refused(m: Loaded) -> None:
    model = carrying(m, dictionary(m))
    with pytest.raises(Error, match="compared with itself"):
        api.run("dictionary_compare", model, dictionary="made", with_dictionary="made")
    other = carrying(m, dictionary(m), dictionary(m, "L1.neuron", name="again"))
    with pytest.raises(Error, match="compare by firing"):
        api.run(
            "dictionary_compare", other, dictionary="made", with_dictionary="again", by="decoder"
        )
