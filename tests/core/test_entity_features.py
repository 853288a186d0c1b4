"""Features of known names: planted ones are found in every kind, shuffled names give none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.strings import placed
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import site
from kernels.feature_topk import Activation
from tests.core.feature_models import carrying

KNOWN = {
    "city": ["London", "Paris", "Rome", "Oslo", "Cairo", "Delhi"],
    "person": ["Anna", "Tom", "Peter", "Mary", "John", "Sue"],
}
UNKNOWN = {
    "city": ["Larvenholt", "Quist", "Drusk", "Norvath", "Zindeka", "Pellum"],
    "person": ["Torven", "Eddic", "Corvin", "Nadira", "Ishara", "Lisbet"],
}


@pytest.fixture(scope="module")
def m(tiny: Callable[[str], Path]) -> Loaded:
    """Feature 0 fires on known names, 1 on unknown ones, 2 on known cities alone, 3 everywhere."""
    loaded = api.load(tiny("gpt2"), device="cpu")
    at = site("L1.resid_post")
    sentence = {"city": "The city of {}", "person": "A person called {}"}
    texts, marks = [], []
    for kind in KNOWN:
        for side, known in ((KNOWN, 1.0), (UNKNOWN, 0.0)):
            for name in side[kind]:
                texts.append(placed(loaded, sentence[kind], name)[0])
                marks.append([known, 1 - known, known * (kind == "city"), 1.0])
    seen = [run(loaded, rows(loaded, [ids]), read=[at], logits="none") for ids in texts]
    x = torch.stack([each.values[at][0, -1] for each in seen])
    want = torch.tensor(marks) - 0.5
    solved = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], dim=1), want).solution
    generator = torch.Generator().manual_seed(0)
    other = torch.randn(loaded.d_model, 12, generator=generator)
    book = SparseDict(
        name="made",
        site=at,
        out_site=at,
        W_enc=torch.cat([solved[:-1], other], dim=1),
        b_enc=torch.cat([solved[-1], torch.full((12,), -3.0)]),
        W_dec=torch.cat([solved[:-1], other], dim=1).T.contiguous(),
        b_out=torch.zeros(loaded.d_model),
        act=Activation("relu"),
    )
    return carrying(loaded, book)


def test_general_features_are_those_of_every_kind(m: Loaded) -> None:
    result = api.run("entity_features", m, known=KNOWN, unknown=UNKNOWN, most_density=1.0, k=4)
    assert result.kinds == ("city", "person")
    assert result.feature[0, 0, 0] == 0
    assert result.feature[1, 0, 0] == 1
    np.testing.assert_allclose(result.general, 1.0)
    np.testing.assert_allclose(result.score[0, 0, 0], 1.0)
    assert 2 not in result.feature[0, 0, :1]
    assert result.best[0, 0, 0] == 1.0
    assert (result.control_general < 0.8).all()
    assert result.adjusted[0, 0, 0] > 0.5
    assert all(figure(result, Look(dark=dark)).data for dark in (False, True))
    assert "shuffled" in title(result)
    assert "24 names" in caption(result)


def test_features_of_ordinary_text_are_left_out(m: Loaded) -> None:
    result = api.run("entity_features", m, known=KNOWN, unknown=UNKNOWN, most_density=0.6, k=2)
    assert result.n_left_out[0] > 0
    assert (result.density <= 0.6).all()


def test_built_in_names_and_all_dictionaries_of_a_model() -> None:
    result = api.run("entity_features", api.load("embedded", device="cpu"), shuffles=20)
    assert result.dictionaries == ("topk-L1", "topk-L2", "topk-L4")
    assert result.kinds == ("city", "person", "film", "song")
    assert result.n_known == (12, 12, 12, 12)
    assert result.best.shape == (2, 3, 4)
    assert (result.general <= result.best.min(axis=2) + 1e-9).all()


def test_kinds_must_agree_and_have_names(m: Loaded) -> None:
    with pytest.raises(Error, match="same kinds"):
        api.run("entity_features", m, known=KNOWN, unknown={"city": UNKNOWN["city"]})
    with pytest.raises(Error, match="give at least 4"):
        api.run("entity_features", m, known={"city": ["Rome"]}, unknown={"city": ["Quist"]})
