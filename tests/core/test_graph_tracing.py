"""Walks on graphs: nulls with known values, planted structure, and models that show none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses import graphs
from core.analyses.graph_heads import _zeroed
from core.corpus.graph_words import built_in, node_words
from core.engine.forward import run
from core.engine.rows import text_rows
from core.engine.units import through
from core.figures import graph_tracing as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.graph_tracing import GraphTracing
from tests.core.copies import writable

SHORT = {"length": 60, "n_walks": 4, "window": 40}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("name", "edges"), [("grid", 24), ("ring", 10), ("hexagon", 19)])
def test_graphs_are_connected_and_have_their_edges(name: str, edges: int) -> None:
    shape = graphs.graph(name, graphs.GRAPHS[name])
    assert len(shape.edges) == edges
    reach = np.linalg.matrix_power(shape.adjacency.astype(int) + np.eye(shape.n, dtype=int), 16)
    assert (reach > 0).all()


@pytest.mark.parametrize(("name", "energy", "aligned"), [("grid", 0.57, 0.9), ("ring", 0.41, 0.95)])
def test_averaging_neighbours_once_gives_its_published_values(
    name: str, energy: float, aligned: float
) -> None:
    shape = graphs.graph(name, graphs.GRAPHS[name])
    mixed = graphs.mixed(shape, 4_096, 10, rng()).mean(axis=0)
    assert mixed[0] == pytest.approx(energy, abs=0.03)
    assert mixed[1] > aligned
    plain = graphs.unrelated(shape, 4_096, 10, rng(1)).mean(axis=0)
    assert plain[0] == pytest.approx(1.0, abs=0.02)
    assert plain[1] < 0.35


def test_states_laid_out_as_the_graph_have_little_energy_and_full_alignment() -> None:
    shape = graphs.graph("grid", 16)
    layout = graphs.spectral(shape.adjacency) @ rng().standard_normal((2, 50))
    assert graphs.energy(layout, shape.adjacency) < 0.25
    noisy = layout + 0.01 * rng(1).standard_normal(layout.shape)
    assert graphs.plane(noisy, shape.adjacency).alignment > 0.95
    orders = [rng(seed).permutation(16) for seed in range(50)]
    assert graphs.energies(noisy, shape.adjacency, orders).mean() == pytest.approx(1.0, abs=0.1)


def test_energy_and_plane_do_not_depend_on_rotation_or_the_order_of_the_words() -> None:
    shape = graphs.graph("ring", 8)
    rows = rng().standard_normal((8, 12))
    turn = np.linalg.qr(rng(1).standard_normal((12, 12)))[0]
    assert graphs.energy(rows @ turn + 3, shape.adjacency) == pytest.approx(
        graphs.energy(rows, shape.adjacency)
    )
    order = rng(2).permutation(8)
    swapped = shape.adjacency[np.ix_(order, order)]
    assert graphs.energy(rows[order], swapped) == pytest.approx(
        graphs.energy(rows, shape.adjacency)
    )
    one, other = graphs.plane(rows, shape.adjacency), graphs.plane(rows @ turn, shape.adjacency)
    np.testing.assert_allclose(one.points, other.points, atol=1e-9)


def test_words_that_were_not_seen_are_left_out() -> None:
    shape = graphs.graph("ring", 8)
    rows = rng().standard_normal((8, 12))
    rows[3] = np.nan
    assert np.isfinite(graphs.energy(rows, shape.adjacency))
    flat = graphs.plane(rows, shape.adjacency)
    assert np.isnan(flat.points[3]).all()
    assert np.isfinite(np.delete(flat.points, 3, axis=0)).all()
    assert np.isnan(graphs.energy(np.ones((8, 4)), shape.adjacency))


def test_a_walk_only_steps_to_neighbours() -> None:
    shape = graphs.graph("hexagon", 16)
    steps = graphs.walk(shape, 500, 5, rng())
    assert steps[0] == 5
    assert shape.adjacency[steps[:-1], steps[1:]].all()
    assert len(set(steps.tolist())) == 16


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


@pytest.fixture(scope="module")
def traced(embedded: Loaded) -> GraphTracing:
    found = api.run("graph_tracing", embedded, graph="ring", length=100, n_walks=4, ablate=4)
    assert isinstance(found, GraphTracing)
    return found


def test_the_embedded_model_learns_where_walks_go_by_its_induction_heads(
    traced: GraphTracing,
) -> None:
    assert traced.late > 2 * traced.late_permuted
    assert traced.mass_low[-1] <= traced.mass[-1] <= traced.mass_high[-1]
    mass = dict(zip(traced.ablated, traced.ablated_mass.tolist(), strict=True))
    assert mass["induction"] < 0.5 * mass["none"]
    random = [mass[name] for name in mass if name.startswith("random")]
    assert mass["induction"] < min(random)


def test_walks_in_random_order_leave_the_words_where_they_are(traced: GraphTracing) -> None:
    blocks = traced.shuffled_energy[-1, 1:]
    assert 0.8 < blocks.mean() < 1.2
    assert traced.mixed[1, 0] == pytest.approx(0.41, abs=0.03)


def test_without_attention_states_know_nothing_of_the_walk(llama: Loaded) -> None:
    silent = writable(llama)
    with torch.no_grad():
        for block in silent.stacks[""].blocks:
            block.heads.weight.zero_()  # type: ignore[operator]
    alone = api.run("graph_tracing", silent, graph="ring", nulls=False, **SHORT)
    # A word's state is the same wherever it stands, so the energy is the same after 50 and 60.
    np.testing.assert_allclose(alone.energy[-2], alone.energy[-1], rtol=1e-3)
    other = api.run("graph_tracing", llama, graph="ring", nulls=False, **SHORT)
    assert np.abs(other.energy[-2, 1:] - other.energy[-1, 1:]).max() > 1e-3


def test_mean_states_are_means_over_the_window(llama: Loaded) -> None:
    from core.analyses.graph_tracing import _planned
    from core.analyses.graph_walks import prefix, walked
    from core.analyses.runs import Silent

    plan = _planned(llama, "ring", (), 40, 15, 1, 0)
    found = walked(llama, Silent(), plan, (0, 1), "", kept=1)
    start, ids = prefix(llama), [plan.words.ids[node] for node in plan.walks[0]]
    states = run_states(llama, [*start, *ids])[len(start) :]
    node = int(plan.walks[0][-1])
    places = [at for at in range(40 - 15, 40) if plan.walks[0][at] == node]
    np.testing.assert_allclose(found.means[-1, -1, node], states[places].mean(0), rtol=1e-4)
    assert found.counts[-1, node] == len(places)
    np.testing.assert_allclose(found.kept[-1], states[-15:], rtol=1e-4, atol=1e-5)
    assert (found.kept_before == plan.walks[0][-16:-1]).all()


def run_states(m: Loaded, ids: list[int]) -> np.ndarray:
    from core.engine.rows import rows
    from core.spec.site import Site

    last = Site(m.n_layers - 1, "resid_post")
    return run(m, rows(m, [ids]), read=[last]).values[last][0].numpy()


def test_silencing_heads_is_zeroing_them(llama: Loaded) -> None:
    heads = [(0, 1), (0, 4), (2, 0)]
    text = text_rows(llama, "the cat sat on the mat")
    with through(llama, _zeroed(llama, heads), 1, component="head"):
        found = run(llama, text).logits
    assert found is not None
    changes = [api.Ablate(f"L{layer}.head[{head}]", to="zero") for layer, head in heads]
    wanted = api.logits(llama, "the cat sat on the mat", changes)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-5)


def test_words_are_single_tokens_and_what_is_not_is_said(llama: Loaded, embedded: Loaded) -> None:
    assert built_in()[:4] == ("apple", "bird", "car", "egg")
    found = node_words(embedded, 16)
    assert "egg" in found.dropped
    assert len(set(found.ids)) == 16
    small = node_words(llama, 16)
    assert len(set(small.ids)) == 16
    assert "own vocabulary" in small.source


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"graph": "cube"}, "no graph 'cube'"),
        ({"nodes": ["dog"]}, "make no graph"),
        ({"nodes": ["dog", "dog", "cat", "milk", "sun", "box"]}, "stands twice"),
        ({"nodes": ["dog", "cat", "milk", "sun", "box", "antidisestablishment"]}, "single token"),
        ({"nodes": ["dog", "cat", "milk", "sun", "box"]}, "fill no grid"),
        ({"nodes": "dog"}, "list of words"),
        ({"graph": "hexagon", "nodes": ["dog", "cat", "milk", "sun", "box"]}, "hexagonal"),
        ({"length": 3}, "length is a whole number"),
        ({"ablate": -1}, "ablate is a whole number"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    embedded: Loaded, options: dict[str, object], words: str
) -> None:
    with pytest.raises(api.Error, match=words):
        api.run("graph_tracing", embedded, **options)


def test_encoders_and_short_contexts_are_refused(
    tiny: Callable[[str], Path], embedded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(api.Error, match="does not continue a text"):
        api.run("graph_tracing", api.load(tiny("bert"), device="cpu"))
    monkeypatch.setattr(embedded, "n_ctx", 30)
    with pytest.raises(api.Error, match="too few to walk"):
        api.run("graph_tracing", embedded)


def test_a_week_in_another_order_is_compared_with_the_usual_one(embedded: Loaded) -> None:
    result = api.run("graph_tracing", embedded, graph="weekdays", nulls=False, **SHORT)
    assert result.words[0] == "Monday"
    assert np.isfinite(result.usual_energy).all()
    monday = {int(node) for edge in result.edges if 0 in edge for node in edge} - {0}
    assert monday == {3, 4}
    assert result.usual_energy[-1, 0] < result.energy[-1, 0]  # embeddings know the usual order


@pytest.mark.parametrize("dark", [False, True])
def test_figures_of_every_view_name_the_null(
    traced: GraphTracing, dark: bool, tmp_path: Path
) -> None:
    again = api.open_result(traced.save(tmp_path))
    for view in drawing.VIEWS:
        assert drawing.figure(again, Look(dark=dark), view=view).layout.xaxis.title.text
    assert "averaged once with their neighbours" in drawing.caption(again)
    assert "beyond" in drawing.title(again)
    with pytest.raises(api.Error, match="rows of the stream"):
        drawing.figure(again, Look(), view="picture", layer=99)
