"""A planted feature tells its concept alone; shuffled texts are told by none."""

import numpy as np
import pytest

from core import api
from core.figures.sparse_probes import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.sparse_probes import SparseProbes
from core.spec.errors import Error
from tests.core.feature_models import carrying, dictionary, reads

WORDS = "the cat went to a big house and saw them play with some red ball there"


def texts(seed: int, word: str, n: int = 40) -> tuple[str, ...]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        words = list(generator.choice(WORDS.split(), 6, replace=False))
        words.insert(int(generator.integers(1, 6)), word)
        found.append(" ".join(words))
    return tuple(dict.fromkeys(found))


DOG, NONE, MORE = texts(0, "dog"), texts(1, "now"), texts(2, "now", 60)


@pytest.fixture(scope="module")
def found(stories: Loaded) -> SparseProbes:
    made = dictionary(stories, "L0.resid_pre", n=40)
    reads(made, stories, 3, ["dog"], [*DOG, *NONE])
    asked = [
        {"name": "dog", "positive": DOG, "negative": NONE},
        {"name": "nothing", "positive": NONE, "negative": MORE},
        {"name": "few", "positive": DOG[:5], "negative": NONE[:5]},
    ]
    got = api.run("sparse_probes", carrying(stories, made), dictionary="made", concepts=asked)
    assert isinstance(got, SparseProbes)
    return got


def test_a_planted_concept_is_told_by_one_feature_and_nothing_by_none(found: SparseProbes) -> None:
    assert (found.concepts, found.left_out) == (("dog", "nothing"), ("few",))
    assert found.accuracy[0, 0] > 0.97
    assert found.random[0, 0] < 0.85
    assert (found.accuracy[1] < 0.75).all()
    np.testing.assert_allclose(found.majority, 0.5, atol=0.03)
    assert found.n_texts[1, 0] == len(NONE)


def test_the_figure_says_what_it_rests_on(found: SparseProbes) -> None:
    for look in (Look(), Look(dark=True, titled=False)):
        assert len(figure(found, look).data) == 5
    assert "one feature tells 2 concepts" in title(found)
    assert "1 concept with too few texts" in caption(found)
    assert set(found.to_frame().concept) == {"dog", "nothing"}


def test_what_cannot_be_asked_is_refused(stories: Loaded) -> None:
    m = carrying(stories, dictionary(stories, "L0.resid_pre", n=8))
    with pytest.raises(Error, match="a list of concepts"):
        api.run("sparse_probes", m, dictionary="made", concepts="sentiment")
    few = {"name": "few", "positive": DOG[:5], "negative": NONE[:5]}
    with pytest.raises(Error, match="no concept has 8 texts on each side"):
        api.run("sparse_probes", m, dictionary="made", concepts=[few])
