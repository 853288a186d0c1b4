"""What a probe needs: planted signals, random labels, words known by heart; the asked analysis."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from core import api
from core.analyses import probe_effort as effort
from core.analyses.probe_controls import probe_controls
from core.analyses.runs import Silent
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.probe_controls import ProbeControls
from core.spec.errors import Error
from tests.core.depth_case import halves, lines, noise

N, D = 240, 24


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


def check() -> None:
    """Nobody stops it."""


def planted(strong: float, at: int = 0, seed: int = 0) -> tuple[torch.Tensor, effort.Case]:
    """Noise whose channels get quieter, and a class that moves one of them."""
    label = halves(N)
    x = noise(N, D, seed) / np.arange(1, D + 1)
    x[:, at] += strong * (2 * label - 1) / (at + 1)
    one = effort.case(label, np.arange(N), np.arange(N) % 5, seed)
    return torch.tensor(x, dtype=torch.float32), one


def test_random_labels_are_not_compressed_and_planted_ones_are() -> None:
    x, one = planted(0.0)
    found = effort.bits(x, one, check)
    assert found["bits"].min() > 0.97
    assert abs(found["control_bits"].mean() - found["bits"].mean()) < 0.1
    strong = effort.bits(*planted(3.0), check)
    assert strong["bits"].max() < 0.35
    assert strong["control_bits"].min() > 0.95
    weaker = effort.bits(*planted(0.8), check)
    assert strong["bits"].mean() < weaker["bits"].mean() < 0.95


def test_the_code_is_that_of_its_definition() -> None:
    """One order, one penalty, written out with scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    x, one = planted(0.8)
    order, stops = one.orders[0], effort.ends(one, one.orders[0])
    lengths = []
    for c in effort.PENALTIES:
        bits = float(stops[0])
        for start, end in pairwise(stops):
            seen, block = order[:start], order[start:end]
            values = x.numpy()
            middle, size = values[seen].mean(axis=0), values[seen].std(axis=0)
            model = LogisticRegression(C=c, tol=1e-8, max_iter=5_000)
            model.fit((values[seen] - middle) / size, one.label[seen])
            p = model.predict_proba((values[block] - middle) / size)
            bits -= np.log2(p[np.arange(len(block)), one.label[block]]).sum()
        lengths.append(bits)
    wanted = (min(lengths) + np.log2(len(effort.PENALTIES))) / N
    assert effort.bits(x, one, check)["bits"][0] == pytest.approx(wanted, rel=0.01)


def test_blocks_do_not_tear_groups() -> None:
    label, group = halves(120), np.arange(120) // 4
    one = effort.case(label, group, group % 5, 0)
    for order in one.orders:
        stops = effort.ends(one, order)
        assert stops[-1] == 120
        assert len(set(label[order[: stops[0]]].tolist())) == 2
        for end in stops[:-1]:
            assert not set(group[order[:end]]) & set(group[order[end:]])


def test_a_clear_signal_takes_few_texts_and_a_faint_one_many() -> None:
    strong = effort.by_size(*planted(3.0), 1.0, check)
    assert strong["size_auc"][0] > 0.75
    faint = effort.by_size(*planted(0.8), 1.0, check)
    assert faint["size_auc"][0] < faint["size_auc"][-1] - 0.1
    assert 0.35 < faint["control_size_auc"].mean() < 0.65
    assert (faint["size_auc_low"] <= faint["size_auc"]).all()


def test_dimensions_are_counted_from_the_loudest() -> None:
    loud = effort.by_dimension(*planted(3.0, at=0), 1.0, 0, check)
    assert loud["dimension_auc"][0] > 0.95
    assert loud["random_dimension_auc"][0] < loud["dimension_auc"][0]
    x, one = planted(3.0, at=10)
    quiet = effort.by_dimension(x, one, 1.0, 0, check)
    kept = effort.dimensions(x)
    assert quiet["dimension_auc"][kept <= 2].max() < 0.75
    assert quiet["dimension_auc"][-1] > 0.95
    assert quiet["control_dimension_auc"].mean() == pytest.approx(0.5, abs=0.1)


def test_a_planted_concept_is_compressed_where_it_is_written(embedded: Loaded) -> None:
    found = probe_controls(embedded, Silent(), labelled="review")
    assert found.bits[:, 0].mean() > 0.95  # the verdict is not in the last word
    assert found.bits[:, -1].mean() < 0.3
    assert found.best > 0
    assert found.enough(found.best) is not None
    assert found.enough(0) is None
    for view in ("bits", "sizes", "dimensions"):
        for dark in (False, True):
            assert figure(found, Look(dark=dark), view=view).data
    assert "bits a text behind" in title(found)
    assert "labels shuffled 20 times" in caption(found)
    frame = found.to_frame()
    assert len(frame) == embedded.n_layers + 1
    with pytest.raises(Error, match="can show bits"):
        figure(found, Look(), view="x")
    with pytest.raises(Error, match="from 0"):
        figure(found, Look(), view="sizes", layer=99)


def test_random_labels_are_said_to_be_unread(stories: Loaded) -> None:
    found = api.run("probe_controls", stories, texts=lines(80), labels=halves(80).tolist())
    assert isinstance(found, ProbeControls)
    assert "no layer makes the labels shorter" in title(found)
    assert found.few(found.best) is None


def test_few_texts_and_bad_penalties(stories: Loaded) -> None:
    found = api.run("probe_controls", stories, texts=lines(10), labels=[0, 1] * 5)
    assert isinstance(found, ProbeControls)
    with pytest.raises(Error, match="C= is a number"):
        api.run("probe_controls", stories, texts=lines(10), labels=[0, 1] * 5, C=0)
    with pytest.raises(Error, match="one class"):
        api.run("probe_controls", stories, texts=lines(10), labels=[1] * 10)
