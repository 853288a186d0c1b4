"""Head and site map: planted cells are found, many cells of noise are not called a finding."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from torch import Tensor

from core import api
from core.analyses import probe_cells as cells
from core.analyses.runs import Silent
from core.analyses.site_vectors import vectors
from core.figures import probe_sites as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.probe_sites import ProbeSites
from core.spec.errors import Error
from core.spec.site import Site
from tests.core.depth_case import lines
from tests.families.recipes import FAMILIES

module = import_module("core.analyses.probe_sites")
N = 120
LABELS = (np.arange(N) % 2).tolist()
GROUPS = [f"g{number // 4}" for number in range(N)]


def run(m: Loaded, **options: Any) -> ProbeSites:
    found = api.run("probe_sites", m, **options)
    assert isinstance(found, ProbeSites)
    return found


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Noise at every place, apart by class (in spreads, along one axis) at the places named."""

    def put(strength: dict[str, float], seed: int = 1) -> None:
        def instead(m: Loaded, _: Any, ids: Any, position: Any, sites: Any, **more: Any) -> Any:
            found: dict[Site, Tensor] = {}
            for number, site in enumerate(sites):
                rng = np.random.default_rng((number, seed))
                shape = (m.n_heads, m.d_head) if site.component == "head" else (m.d_model,)
                values = rng.normal(size=(N, *shape))
                apart = strength.get(str(site), 0) * (np.array(LABELS) - 0.5)
                for head in range(m.n_heads if site.component == "head" else 0):
                    own = strength.get(f"{site}[{head}]", 0) * (np.array(LABELS) - 0.5)
                    values[:, head, 0] += own
                if site.component != "head":
                    values[:, 0] += apart
                found[site] = torch.tensor(values).float()
            return found

        monkeypatch.setattr(module, "vectors", instead)

    return put


def test_the_planted_head_and_site_are_found_and_no_other(
    stories: Loaded, plant: Callable[..., None]
) -> None:
    plant({"L3.head[2]": 4.0, "L2.attn_out": 4.0})
    found = run(stories, texts=lines(N), labels=LABELS, groups=GROUPS)
    assert [name for name, sure in zip(found.cells, found.beyond, strict=True) if sure] == [
        "L2.attn_out",
        "L3.head[2]",
    ]
    head = found.best("heads")
    assert head is not None
    assert found.auc[head] > 0.9
    assert found.nested[0] > 0.9
    gap = found.gaps["head"][3, 2]
    assert gap[0] == pytest.approx(4, abs=0.6)
    assert np.abs(gap[1:]).max() < 0.8
    assert "best head L3.head[2]" in drawing.title(found)
    assert found.grid(found.auc, "head")[3, 2] == found.auc[head]
    assert np.isnan(found.grid(found.auc, "embedding")[1:]).all()


def test_the_best_of_many_cells_of_noise_is_not_a_finding(
    stories: Loaded, plant: Callable[..., None]
) -> None:
    """Some cell of forty is high by chance; what all of them reach under shuffles says so."""
    rng, found, nested = np.random.default_rng(0), 0, []
    for seed in range(6):
        plant({}, seed)
        labels = rng.permutation(N) % 2
        one = run(stories, texts=lines(N), labels=labels.tolist(), parts=["head"], seed=seed)
        best = one.best("heads")
        assert best is not None
        assert one.auc[best] > 0.56  # alone it would look like one
        own = np.quantile(one.control_auc[:, best], 0.95)
        assert own < one.chance("heads")
        found += int(one.beyond.sum())
        nested.append(one.nested[0])
    assert found <= 1
    assert abs(np.mean(nested) - 0.5) < 0.12


def test_margins_are_those_of_a_ridge_that_never_saw_the_item() -> None:
    rng = np.random.default_rng(3)
    label, fold = rng.permutation(60) % 2, np.arange(60) % 3
    x = rng.normal(size=(60, 5)) + 2 * label[:, None] * np.eye(5)[1]
    found = cells.held_out(torch.tensor(x), label[:, None], fold)[:, 0]
    for number in range(3):
        here = fold == number
        middle, size = x[~here].mean(0), x[~here].std(0)
        near = []
        for penalty in (1.0, 10.0, 1e2, 1e3, 1e4, 1e5):
            model = RidgeClassifier(alpha=penalty).fit((x[~here] - middle) / size, label[~here])
            near.append(model.decision_function((x[here] - middle) / size))
        closest = min(np.abs(found[here] - one).max() for one in near)
        assert closest < 1e-8
    assert cells.mean(cells.aucs(found[:, None], label[:, None], fold))[0] > 0.85


def test_a_fold_without_a_class_has_no_auc_and_ties_count_half() -> None:
    sets = np.array([[1], [0], [1], [1]])
    found = cells.aucs(np.zeros((4, 1)), sets, np.array([0, 0, 1, 1]))
    assert found[0, 0] == 0.5
    assert np.isnan(found[1, 0])
    assert cells.mean(found)[0] == 0.5


def test_p_counts_the_best_of_all_places() -> None:
    most = np.linspace(0.5, 0.69, 20)
    found = cells.beyond(np.array([0.7, 0.69, 0.4, np.nan]), most)
    np.testing.assert_allclose(found[:3], [1 / 21, 2 / 21, 1])
    assert np.isnan(found[3])


def test_the_embedded_model_has_heads_for_a_verdict_and_fresh_weights_have_none() -> None:
    m = api.load("embedded", device="cpu")
    found = run(m, labelled="review with not", untrained=True)
    best = found.best("heads")
    assert best is not None
    assert found.beyond[best]
    assert found.auc[best] > 0.95
    assert found.nested[0] > 0.9
    assert np.nanmax(found.untrained_auc) < found.chance("heads")
    late = found.grid(found.auc, "head")
    assert late[4:].max() > 0.95 > late[0].max() + 0.1
    nothing = run(m, labelled="random labels")
    assert nothing.nested.max() < 0.7


def test_heads_read_are_those_of_a_trace(gpt2: Loaded) -> None:
    texts = ["the cat sat", "a dog", "the red hat sat", "one big mat ran"]
    ids = [list(gpt2.tokenizer(text)["input_ids"]) for text in texts]
    sites = [Site(1, "head"), Site(0, "mlp_out")]
    found = vectors(gpt2, Silent(), ids, "last", sites, share=(0, 1))
    for number, text in enumerate(texts):
        seen = api.trace(gpt2, text, [str(site) for site in sites])
        for site in sites:
            np.testing.assert_allclose(found[site][number], seen[str(site)][-1], atol=1e-5)


# No row of the table fits distilbert, so it is refused when it is loaded.
NAMES = sorted({*[name for name in FAMILIES if name != "distilbert"][1::8], "bert", "t5"})


@pytest.mark.parametrize("family", NAMES)
def test_every_family_has_a_map(tiny: Callable[[str], Any], family: str) -> None:
    m = api.load(tiny(family), device="cpu")
    some = lines(16)
    found = run(m, texts=some, labels=[0, 1] * 8, folds=2, shuffles=3)
    assert found.auc.shape == (len(found.cells),)
    assert np.isfinite(found.auc).all()
    drawing.figure(found, Look())
    drawing.figure(found, Look(dark=True), view="sites")


def test_what_cannot_be_asked_is_a_sentence(stories: Loaded) -> None:
    texts = lines(20)
    for options, said in (
        ({"parts": ["neuron"]}, "no part 'neuron'"),
        ({"parts": []}, "no part ''"),
        ({"shuffles": 0}, "a number from 1 to 1,000"),
        ({"labels": [1] * 20}, "one class"),
        ({"labels": [0, 1] * 9}, "every text needs one"),
    ):
        with pytest.raises(Error, match=said):
            run(stories, **{"texts": texts, "labels": [0, 1] * 10, **options})


@pytest.mark.parametrize("look", [Look(), Look(dark=True, titled=False)])
def test_the_figures_ring_what_is_beyond_chance(stories: Loaded, look: Look) -> None:
    found = run(stories, labelled="plural", shuffles=19, folds=3)
    fig = drawing.figure(found, look, view="heads")
    assert len(fig.data[1].x) == int((found.beyond & found.family("heads")).sum())
    assert "the best of all reaches in 1 of 20" in fig.layout.annotations[0].text
    ranked = drawing.figure(found, look, view="ranked")
    assert {"heads", "other sites"} <= {trace.name for trace in ranked.data}
    assert "under 19 shuffles" in drawing.caption(found)
    frame = found.to_frame()
    assert len(frame) == len(found.cells)
    with pytest.raises(Error, match="the figure can show"):
        drawing.figure(found, look, view="pie")
