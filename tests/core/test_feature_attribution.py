"""What features add is what ablation takes away where all is linear, and is checked elsewhere."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core import api
from core.analyses import feature_attribution as module
from core.analyses.runs import Silent
from core.dictionaries.sparse import Norm, SparseDict
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models import loaded as parts
from core.models.loaded import Loaded
from core.results.feature_attribution import FeatureAttribution
from core.spec.errors import Error
from core.spec.site import site
from kernels.feature_topk import Activation

TEXT = "Once upon a time, there was a little girl named Lily."
LAST = "L4.resid_post"


def book(d: int, place: str, **more: Any) -> SparseDict:
    """Random rows; about a quarter of 40 features fire."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(40, d, generator=generator)
    return SparseDict(
        "random",
        site(place),
        site(place),
        rows.T.contiguous() / d,
        torch.full((40,), -0.1),
        rows / d**0.5,
        torch.randn(d, generator=generator) / 10,
        Activation("relu"),
        **more,
    )


def asked(m: Loaded, dictionary: SparseDict, **more: Any) -> FeatureAttribution:
    twin = replace(m, dictionaries={"random": dictionary}, memo={})
    found: FeatureAttribution = module.feature_attribution(
        twin, Silent(), **{"text": TEXT, "dictionary": "random", **more}
    )
    return found


@pytest.fixture
def linear(stories: Loaded) -> Loaded:
    """A copy without a final norm: behind the last block everything is one matrix."""
    m = copy.copy(stories)
    m.module, m.memo = copy.deepcopy(stories.module), {}
    m.module.model.norm = nn.Identity()  # type: ignore[union-attr]
    m.stacks = {"": parts._stack(m.module, "", m.row, m.config)}
    m.head = m.module.get_output_embeddings()  # type: ignore[operator]
    return m


@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("norm", [Norm(), Norm("scale", 0.5), Norm("rms"), Norm("layernorm")])
def test_in_a_linear_model_the_sum_is_what_ablation_does(
    linear: Loaded, integrated: bool, norm: Norm
) -> None:
    result = asked(linear, book(64, LAST, norm=norm), integrated=integrated)
    assert len(result.verified) == 10
    np.testing.assert_allclose(result.predicted, result.ablated, atol=1e-5 * abs(result.value))
    assert result.correlation > 0.999
    assert result.remainder == pytest.approx(0, abs=1e-4)
    assert result.rest == pytest.approx(0, abs=1e-4)
    assert result.by_token.sum() == pytest.approx(result.value - result.without, abs=1e-4)
    listed = result.total.sum() + result.others
    assert listed == pytest.approx(result.by_token.sum(), abs=1e-4)


def test_only_the_token_that_is_asked_about_matters_behind_the_last_block(linear: Loaded) -> None:
    result = asked(linear, book(64, LAST), position=5)
    assert result.by_token[5] != 0
    assert (np.delete(result.by_token, 5) == 0).all()
    assert not result.counted[0]


def test_the_sum_is_complete_in_a_real_model(stories: Loaded) -> None:
    for measure in ("logit", "log p"):
        result = asked(stories, book(64, "L2.resid_post"), measure=measure)
        assert abs(result.remainder) < 1e-4
        assert result.by_token.sum() + result.error.sum() + result.bias.sum() != 0
    whole = asked(stories, book(64, "L2.resid_post"), integrated=True)
    # Completeness of the path: what all features do together.
    assert whole.by_token.sum() == pytest.approx(whole.value - whole.without, rel=0.1)


def test_a_slope_is_the_change_of_a_small_step(stories: Loaded) -> None:
    dictionary = book(64, "L2.resid_post")
    result = asked(stories, dictionary, answer=300, against=310)
    one, at = int(result.feature[0]), int(np.abs(result.attribution[0]).argmax())
    step = 1e-2
    row = dictionary.W_dec[one] * step
    logits = [
        api.logits(stories, TEXT, [api.Add(f"L2.resid_post@{at}", (sign * row).tolist())])[-1]
        for sign in (1, -1)
    ]
    slope = ((logits[0] - logits[1])[300] - (logits[0] - logits[1])[310]) / (2 * step)
    active = result.activation[0, at] / float(dictionary.lengths[one])
    assert result.attribution[0, at] == pytest.approx(slope * active, rel=1e-2)


def test_ablation_is_the_engines_own(stories: Loaded) -> None:
    dictionary = book(64, "L2.resid_post")
    result = asked(stories, dictionary, answer=300, against=310)
    twin = replace(stories, dictionaries={"random": dictionary}, memo={})
    one = int(result.verified[0])
    places = [at for at, counted in enumerate(result.counted) if counted]
    changes = [api.Ablate(f"L2.resid_post.feature[random:{one}]@{at}") for at in places]
    clean, without = api.logits(twin, TEXT)[-1], api.logits(twin, TEXT, changes)[-1]
    lost = (clean - without)[300] - (clean - without)[310]
    assert result.ablated[0] == pytest.approx(lost, abs=1e-4)


def test_a_base_text_is_compared_token_by_token(linear: Loaded) -> None:
    other = TEXT.replace("girl", "boy")
    same = asked(linear, book(64, LAST), base=TEXT)
    assert same.by_token == pytest.approx(0, abs=1e-6)
    assert same.without == pytest.approx(same.value, abs=1e-5)
    result = asked(linear, book(64, LAST), base=other)
    np.testing.assert_allclose(result.predicted, result.ablated, atol=1e-4)
    with pytest.raises(Error, match="use texts of equal length"):
        asked(linear, book(64, LAST), base="Once")


def test_the_embedded_dictionary_foretells_ablation_better_than_chance() -> None:
    m = api.load("embedded", device="cpu")
    result = api.run("feature_attribution", m, text="The cat and the dog are", dictionary="topk-L4")
    assert isinstance(result, FeatureAttribution)
    assert result.correlation > 0.8
    assert np.abs(result.predicted).max() > result.random_largest
    assert np.abs(result.ablated).mean() > 2 * np.abs(result.random_ablated).mean()


def test_a_dictionary_of_heads_reads_them_side_by_side(stories: Loaded) -> None:
    result = asked(stories, book(64, "L2.head", heads=True))
    assert abs(result.remainder) < 1e-4
    assert result.correlation > 0.5


def test_what_cannot_be_asked_is_refused(stories: Loaded) -> None:
    with pytest.raises(Error, match="measure is one of"):
        asked(stories, book(64, LAST), measure="x")
    with pytest.raises(Error, match="log p is of the answer alone"):
        asked(stories, book(64, LAST), measure="log p", against=3)
    with pytest.raises(Error, match="no dictionary 'y'"):
        module.feature_attribution(stories, Silent(), text=TEXT, dictionary="y")


def test_a_text_without_active_features_has_an_answer(stories: Loaded) -> None:
    silent = replace(book(64, LAST), b_enc=torch.full((40,), -1e6))
    result = asked(stories, silent)
    assert result.n_active == 0
    assert np.isnan(result.correlation)
    for view in ("sum", "tokens", "check"):
        assert figure(result, view=view).data
    assert "no feature is active" in title(result)


@pytest.mark.parametrize("look", [Look(), Look(dark=True)], ids=["light", "dark"])
def test_figures_show_every_part_and_escape_tokens(stories: Loaded, look: Look) -> None:
    result = asked(stories, book(64, "L2.resid_post"))
    hostile = replace(result, tokens=("<b>$x$</b>",) * len(result.tokens), answer="<i>")
    drawn = figure(hostile, look)
    assert drawn.data[0].x.sum() == pytest.approx(result.value, abs=1e-3)
    assert "error term" in drawn.layout.yaxis.ticktext
    for view in ("sum", "tokens", "check"):
        text = figure(hostile, look, view=view).to_json()
        assert "$x" not in text
        assert "<i>" not in text
    assert "control: with random decoder rows" in caption(result)
    with pytest.raises(Error, match="is drawn as sum"):
        figure(result, look, view="z")
