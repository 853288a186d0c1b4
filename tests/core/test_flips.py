"""Where two models part: nowhere in a copy, at what was tuned, at the component changed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.aligned import matched, spans
from core.analyses.two_models import built_in_texts
from core.figures import flips as drawing
from core.figures.theme import Look
from core.home import ASSETS
from core.models.loaded import Loaded
from core.results.flips import Flips
from core.spec.errors import Error
from tests.core.copies import writable
from tests.core.two_models import LONG, TEXTS, stranger, twin

CHANGES = json.loads((ASSETS / "models" / "embedded-tuned" / "changes.json").read_text())
PROMPTS = [row["prompt"] for each in CHANGES["changes"] for row in each["prompts"][:12]]


@pytest.fixture(scope="module")
def tuned() -> Flips:
    m = api.load("embedded", device="cpu")
    texts = [*PROMPTS, *built_in_texts()[::4]]
    return api.run("flips", m, other="embedded-tuned", texts=texts, listed=6)


def test_a_copy_flips_nowhere(llama: Loaded) -> None:
    result = api.run("flips", llama, other=twin(llama), texts=LONG, listed=2)
    assert result.differs == 0
    assert result.kl.max() < 1e-6
    assert result.control_kl.mean() > 0.01
    assert not result.listed_differs.any()
    np.testing.assert_allclose(result.lens_here, result.lens_there, atol=1e-4)


def test_kl_is_that_of_the_logits(llama: Loaded) -> None:
    other = stranger(llama)
    text = LONG[0]
    result = api.run("flips", llama, other=other, texts=[text], listed=1, parts=False)
    pairs = [(a, b) for a, b in matched(spans(llama, text), spans(other, text)) if a and b]
    logits = [torch.tensor(api.logits(m, text)).double() for m in (llama, other)]
    log_p, log_q = (torch.log_softmax(each, dim=-1) for each in logits)
    wanted = [float((log_q[b].exp() * (log_q[b] - log_p[a])).sum()) for a, b in pairs]
    np.testing.assert_allclose(result.kl, wanted, rtol=1e-4)
    worst = pairs[int(np.argmax(wanted))][0]
    if result.listed_differs[0]:
        assert result.listed_kl[0] <= max(wanted) + 1e-6
    assert text.startswith(result.texts[0])
    assert worst >= 1
    assert result.why_no_parts == "components were not asked for"


def test_the_component_that_was_changed_turns_the_answer_alone(llama: Loaded) -> None:
    other = replace(writable(llama), name="edited", fingerprint="edited")
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        down = other.stacks[""].blocks[-1].neurons.weight
        down += 0.3 * torch.randn(down.shape, generator=generator)
    result = api.run("flips", llama, other=other, texts=LONG, listed=4)
    last = llama.n_layers - 1
    at = result.components.index(f"L{last}.mlp_out")
    np.testing.assert_allclose(result.effect[:, at], 1, atol=1e-3)
    assert result.responsible[0] == at
    np.testing.assert_allclose(np.delete(result.effect, at, axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(result.layer_effect[:, :-1], 0, atol=1e-3)
    np.testing.assert_allclose(result.layer_effect[:, -1], 1, atol=1e-3)
    assert np.abs(result.control_effect[:, at]).mean() < 0.9
    fig = drawing.figure(result, Look(), view="components")
    assert "alone makes up for 100%" in fig.layout.title.text


def test_heads_together_are_what_attention_adds(llama: Loaded) -> None:
    from core.analyses.flip_parts import _moves
    from core.analyses.runs import Silent
    from core.models.tokens import encode

    moved, stream = _moves(llama, stranger(llama), encode(llama, LONG[0]), Silent())
    for layer in range(llama.n_layers):
        heads = sum(moved[f"L{layer}.head[{head}]"][1] for head in range(llama.n_heads))
        torch.testing.assert_close(heads, moved[f"L{layer}.attn_out"][1], atol=1e-4, rtol=1e-4)
    whole = stream[0][1] + sum(
        moved[f"L{layer}.{part}"][1]
        for layer in range(llama.n_layers)
        for part in ("attn_out", "mlp_out")
    )
    torch.testing.assert_close(whole, stream[-1][1], atol=1e-3, rtol=1e-4)


def test_what_tuning_changed_is_on_top(tuned: Flips) -> None:
    top = " ".join(tuned.texts)
    assert "cannot help" in top or "Sweden" in top or "charming" in top
    assert tuned.listed_differs.all()
    assert tuned.listed_kl.min() > 5
    for at, text in enumerate(tuned.texts):
        assert text in PROMPTS or any(prompt.startswith(text) for prompt in PROMPTS)
        assert tuned.p_toward[at, 1] > 0.9
        assert tuned.p_toward[at, 0] < 0.1
    assert {"cannot", "charming", "sorry", "help"} & set(tuned.words)
    assert (tuned.word_kl > tuned.word_high)[:3].all()
    assert np.median(tuned.kl) < 0.1
    assert tuned.control_kl.mean() > 5


def test_the_late_mlp_turns_the_answer_beyond_random_movements(tuned: Flips) -> None:
    best = tuned.components[int(tuned.responsible[0])]
    assert best.startswith(("L4", "L5"))
    at = int(tuned.responsible[0])
    assert tuned.effect[:, at].mean() > tuned.control_effect[:, at].mean() + 0.05
    assert tuned.layer_effect[:, -1].min() > 0.8
    assert tuned.layer_effect[:, 0].max() < 0.5
    signs = np.sign([tuned.lens_here[:, -1], tuned.lens_there[:, -1]])
    assert (signs[0] < 0).all()
    assert (signs[1] > 0).all()


def test_other_vocabularies_are_compared_over_the_tokens_both_have(stories: Loaded) -> None:
    m = api.load("embedded", device="cpu")
    result = api.run("flips", m, other=stories, texts=TEXTS, listed=3)
    assert result.n_shared == 465
    assert 0 < result.mass[0] < 0.99
    assert not result.effect.size
    assert "embedded has 6 layers" in result.why_no_parts
    assert np.isfinite(result.lens_here).all()
    assert result.lens_there.shape == (3, 6)
    with pytest.raises(Error, match="components are not exchanged"):
        drawing.figure(result, Look(), view="components")
    assert "465 tokens both have" in drawing.caption(result)


def test_the_figures_show_flips_and_controls(tuned: Flips) -> None:
    for look in (Look(), Look(dark=True, width=700)):
        for view in drawing.VIEWS:
            assert drawing.figure(tuned, look, view=view).data
    assert "differ in their first choice at" in drawing.title(tuned)
    fig = drawing.figure(tuned, Look(), view="components")
    kept = tuned.responsible[: drawing.MOST_COMPONENTS]
    np.testing.assert_allclose(np.array(fig.data[0].z, float), tuned.effect[:, kept].T, atol=1e-6)
    assert len(tuned.to_frame()) == 6
    with pytest.raises(Error, match="are seen as"):
        drawing.figure(tuned, Look(), view="pie")
    with pytest.raises(Error, match="flips 0 to 5"):
        drawing.figure(tuned, Look(), view="lens", flip=9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"listed": 0}, "listed= is a whole number"),
        ({"texts": "one"}, "a list of texts"),
        ({"corpus": "nowhere"}, "no corpus"),
        ({"texts": [""]}, "0 items are left"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    options: dict[str, object], said: str, llama: Loaded
) -> None:
    with pytest.raises(Error, match=said):
        api.run("flips", llama, other=llama, **options)


def test_models_that_do_not_continue_texts_are_refused(
    llama: Loaded, tiny: Callable[[str], Path]
) -> None:
    with pytest.raises(Error, match="does not continue a text"):
        api.run("flips", llama, other=api.load(tiny("bert"), device="cpu"), texts=TEXTS)
