"""Figures say what the results say: same numbers, fixed scales, controls named, text harmless."""

import base64
import json
import re
import tomllib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.figures import attention, dose, head_effect, lens, next_tokens, steer, table, theme
from core.figures.theme import ROLES, Look
from core.figures.wording import escaped, number, quoted, readable, visible
from core.home import ROOT
from core.results.base import Result
from core.results.card import CardResult
from core.spec.errors import Error
from tests.pages import samples
from tests.pages.samples import HOSTILE

LOOKS = (Look(), Look(dark=True), Look(titled=False))
HOSTILE_RESULTS = (
    samples.lens(HOSTILE),
    samples.next_tokens(HOSTILE),
    samples.attention(HOSTILE),
    samples.steer(pieces=HOSTILE),
    replace(samples.head_effect(), answer=HOSTILE[3]),
    replace(samples.dose(), target=HOSTILE[1:4], site="<img src=x>"),
    replace(samples.token_neurons(), tokens=HOSTILE, position=3),
    samples.unit_effect(pieces=HOSTILE[:12]),
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return (
        [s for item in inner for s in strings(item)]
        if isinstance(inner, list | tuple) or (isinstance(value, dict))
        else []
    )


def sent(result: Result, look: Look = LOOKS[0], **chosen: object) -> Any:
    """The figure as the browser receives it."""
    return json.loads(table.figure(result, look, **chosen).to_json())


@pytest.mark.parametrize("look", LOOKS, ids=("light", "dark", "untitled"))
@pytest.mark.parametrize("result", samples.every(), ids=lambda r: r.name)
def test_every_figure_names_its_axes_and_reaches_the_browser(result: Result, look: Look) -> None:
    fig = sent(result, look)
    json.dumps(fig).encode()
    axes = {name: axis for name, axis in fig["layout"].items() if re.match(r"[xy]axis", name)}
    named = [axis["title"]["text"] for axis in axes.values() if axis["title"].get("text")]
    assert len(named) >= (1 if result.name == "next_tokens" else 2)
    assert ("text" in fig["layout"].get("title", {})) == look.titled


@pytest.mark.parametrize("result", HOSTILE_RESULTS, ids=lambda r: r.name)
def test_no_token_becomes_markup_or_a_formula_in_a_figure(result: Result) -> None:
    own = re.compile(r"</?b>|<br>|<extra>\w*(, mean)?</extra>|<span style=\"color:#\w+\">|</span>")
    for text in strings(sent(result)):
        assert "<" not in own.sub("", text), text
        assert "$" not in text
        assert "\u202e" not in text
        assert "\x00" not in text


@pytest.mark.parametrize("result", samples.every(), ids=lambda r: r.name)
def test_the_caption_names_the_control_and_the_sample(result: Result) -> None:
    caption = table.caption(result)
    assert "control" in caption
    assert re.search(r"\d+ (reference )?(token|text|layer)|one position", caption)


def test_numbers_travel_as_typed_arrays() -> None:
    for result in samples.every():
        for trace in sent(result)["data"]:
            numbers = trace["x"] if trace["type"] == "bar" else trace.get("z", trace["y"])
            assert "bdata" in numbers, (result.name, trace["type"])


def test_the_lens_is_read_upwards_with_the_embedding_below() -> None:
    result = samples.lens()
    fig = lens.figure(result, Look())
    (cells,) = fig.data
    assert list(cells.y) == list(range(-1, 8))
    np.testing.assert_array_equal(cells.z[1:], result.top_probability[:, :, 0])
    np.testing.assert_allclose(cells.z[0], result.embed_top_probability[:, 0])
    low, high = fig.layout.yaxis.range
    assert low < high
    assert fig.layout.yaxis.ticktext[:2] == ("emb", "L0")
    assert cells.hovertext[0][2].startswith("embedding · token 2")
    assert cells.hovertext[5][2].startswith("layer 4 · token 2")


@pytest.mark.parametrize("colour", lens.SHADES)
def test_every_colour_of_the_lens_stays_inside_its_limits(colour: str) -> None:
    result = samples.lens()
    (cells,) = lens.figure(result, Look(), colour=colour).data
    assert cells.zmin == 0
    assert np.nanmax(cells.z) <= cells.zmax
    assert (colour == "probability") <= (cells.zmax == 1)


def test_rank_colours_are_labelled_with_ranks() -> None:
    (cells,) = lens.figure(samples.lens(), Look(), colour="rank").data
    for at, words in zip(cells.colorbar.tickvals, cells.colorbar.ticktext, strict=True):
        assert 10**at - 1 == pytest.approx(int(words.replace(",", "")))


def test_an_unknown_colour_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Error, match="probability, entropy, rank, kl"):
        lens.figure(samples.lens(), Look(), colour="surprise")


def test_the_lens_says_from_which_layer_on_the_answer_stands() -> None:
    result = samples.lens()
    ids = result.top_ids.copy()
    ids[:, -1, 0] = [9, 3, 3, 9, 3, 3, 3, 3]
    assert lens.settled(replace(result, top_ids=ids), -1) == 4


def test_a_long_text_is_drawn_without_letters_in_the_cells() -> None:
    (cells,) = lens.figure(samples.lens(tuple(f" w{i}" for i in range(200))), Look()).data
    assert cells.text is None
    assert len(json.dumps(sent(samples.lens(tuple(f" w{i}" for i in range(200)))))) < 1_500_000


@pytest.mark.parametrize("dark", [False, True])
def test_signed_maps_are_symmetric_about_zero(dark: bool) -> None:
    for result in (samples.head_effect(), samples.steer()):
        cells = table.figure(result, Look(dark=dark)).data[0]
        assert cells.zmin == -cells.zmax
        assert cells.colorscale[len(cells.colorscale) // 2][0] == 0.5


def test_the_head_map_shows_effect_and_control_on_one_scale() -> None:
    result = samples.head_effect()
    effect, control = head_effect.figure(result, Look()).data
    np.testing.assert_array_equal(effect.z, result.effect)
    np.testing.assert_array_equal(control.z, result.control)
    assert (effect.zmin, effect.zmax) == (control.zmin, control.zmax)
    assert "control" in effect.hovertext[4][2]
    assert head_effect.title(result).startswith("Without L4.head[2], log p of “·he” falls by 0.83")


def test_units_of_an_encoder_are_named_as_such() -> None:
    result = replace(samples.head_effect(), stack="enc")
    assert "enc.L4.head[2]" in head_effect.title(result)
    assert "enc.L4.head[2]" in head_effect.figure(result, Look()).data[0].hovertext[4][2]
    assert attention.title(replace(samples.attention(), stack="enc")).startswith("enc.L4.head[2]")
    assert "enc.L" in table.title(replace(samples.token_neurons(), stack="enc"))


def test_the_attention_grid_keeps_its_eight_bits() -> None:
    result = samples.attention()
    (cells,) = attention.figure(result, Look()).data
    assert cells.z.dtype == np.uint8
    np.testing.assert_array_equal(cells.z, result.pattern)
    np.testing.assert_allclose(cells.customdata, result.pattern / 255)
    assert cells.colorbar.ticktext[-1] == "1"


def test_attention_over_a_long_text_is_refused_with_both_numbers() -> None:
    with pytest.raises(Error, match=r"256 tokens, this text has 300"):
        attention.figure(samples.attention(tuple("a" * 300)), Look())


def test_the_bars_are_the_probabilities_and_the_marks_the_controls_range() -> None:
    result = samples.next_tokens()
    fig = next_tokens.figure(result, Look(), most=5)
    assert [bar.name.split(" ")[0] for bar in fig.data] == ["clean", "clamped", "control"]
    for bar, row in zip(fig.data, result.probability, strict=True):
        np.testing.assert_array_equal(bar.x, row[:5])
    control = fig.data[2]
    np.testing.assert_allclose(control.x + control.error_x.array, result.control_high[:5])
    np.testing.assert_allclose(control.x - control.error_x.arrayminus, result.control_low[:5])
    assert fig.layout.yaxis.range[0] > fig.layout.yaxis.range[1]  # the first candidate on top


def test_without_clamps_there_is_one_run_and_no_legend() -> None:
    fig = next_tokens.figure(samples.next_tokens(clamped=False), Look())
    assert len(fig.data) == 1
    assert not fig.layout.showlegend


def notes(fig: Any) -> str:
    return " ".join(note.text for note in fig.layout.annotations)


def test_the_dose_curve_marks_the_band_only_where_there_is_one() -> None:
    shown = notes(dose.figure(samples.dose(), Look()))
    assert "usable: raises" in shown
    assert "broken" in shown
    assert "raises" not in notes(dose.figure(samples.dose(usable=False), Look()))
    names = [trace.name for trace in dose.figure(samples.dose(), Look()).data]
    assert "best usable" in names
    assert dose.title(samples.dose(usable=False)).startswith("L5.neuron[77]: no strength")


def test_a_strength_outside_the_sweep_gets_no_mark() -> None:
    assert "now [+2]" in notes(dose.figure(samples.dose(current=2.0), Look()))
    assert "now" not in notes(dose.figure(samples.dose(current=40.0), Look()))
    assert "now [−1]" in notes(dose.figure(samples.dose(), Look(), current=-1.0))


@pytest.mark.parametrize(("share", "end"), [(1.0, 1.0), (0.1, 0.1), (0.001, 0.001)])
def test_the_dose_curve_fills_its_axis_however_rare_the_tokens_are(
    share: float, end: float
) -> None:
    rare = replace(
        samples.dose(),
        probability=samples.dose().probability * share,
        control_high=samples.dose().control_high * share,
    )
    assert dose.figure(rare, Look()).layout.yaxis.range == pytest.approx((0, end * 1.02))
    assert dose.figure(rare, Look(), top=0.5).layout.yaxis.range == pytest.approx((0, 0.51))


@pytest.mark.parametrize(
    ("value", "end"), [(0.3, 0.5), (1.0, 1.0), (1.01, 2.0), (70, 100), (0.02, 0.02), (0, 1.0)]
)
def test_scales_end_on_round_numbers(value: float, end: float) -> None:
    assert theme.rounded_up(value) == pytest.approx(end)


def test_what_was_not_measured_is_empty_and_not_zero() -> None:
    result = samples.steer()
    cells = steer.figure(result, Look()).data[0]
    short = len(result.pieces[2])
    assert np.isnan(cells.z[2, short:]).all()
    assert np.isfinite(cells.z[2, :short]).all()
    assert steer.mean_kl(result)["control"] == pytest.approx(float(np.nanmean(result.kl[2])))
    assert number(float("nan")) == "no value"


def _says(name: str, text: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def test_one_table_draws_every_analysis_and_refuses_the_rest() -> None:
    """What has no sample here is drawn from real answers, in both themes, with its analysis."""
    texts = [
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests/core").glob("test_*.py"))
    ]
    drawn = [text for text in texts if "dark" in text and "figure(" in text]
    others = set(table.FIGURES) - {result.name for result in samples.every()}
    assert {result.name for result in samples.every()} <= set(table.FIGURES)
    left = [name for name in sorted(others) if not any(_says(name, text) for text in drawn)]
    assert not left, f"drawn by no test: {', '.join(left)}"
    card = CardResult(
        {}, "m", "f", "decoder", {}, 0, "float32", "cpu", 0, 0, 0, 0.0, "", (), (), (), ""
    )
    with pytest.raises(Error, match="no figure for 'card'"):
        table.figure(card)


def test_a_figure_drawn_without_its_title_gets_it_back_for_a_file() -> None:
    plain = table.figure(samples.lens(), Look(titled=False))
    whole = theme.with_title(plain, "a <b> title")
    assert whole.layout.title.text == "a &lt;b> title"
    assert whole.layout.height - plain.layout.height == theme.TITLE
    assert plain.layout.title.text is None


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        (" Tom", "·Tom"),
        ("\n", "⏎"),
        ("\t", "⇥"),
        ("\x00", "\\x00"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"),
        ("\u200b", "\\u200b"),
        ("\u0301", "◌\u0301"),
        ("", "∅"),
        ("👩‍🚀", "👩‍🚀"),
        ("<b>", "<b>"),
    ],
)
def test_hidden_characters_are_shown_as_signs(piece: str, shown: str) -> None:
    assert visible(piece) == shown


def test_every_shown_token_can_be_sent() -> None:
    for piece in HOSTILE:
        visible(piece).encode()
        readable(piece).encode()


def test_prose_keeps_its_blanks_and_breaks_its_lines() -> None:
    assert readable(" a b\n") == " a b⏎\n"
    assert readable("") == "∅"


def test_right_to_left_tokens_cannot_turn_a_sentence_round() -> None:
    assert quoted("שלום", "a") == "“\u2068שלום\u2069”, “a”"


def test_escaped_text_holds_no_tag_no_entity_and_no_formula() -> None:
    assert escaped("<b>&lt;$x$") == "&lt;b>&amp;lt;&#36;x&#36;"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.62, "0.62"), (1234.5, "1.23e3"), (-0.0312, "−0.0312"), (0.0, "0"), (1e-7, "1e−7")],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_signs_are_said_where_they_matter() -> None:
    assert number(2, sign=True) == "+2"
    assert number(-2, sign=True) == "−2"


def test_the_pages_use_the_colours_of_the_figures() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    keys = {
        "primaryColor": "a",
        "backgroundColor": "background",
        "secondaryBackgroundColor": "panel",
        "textColor": "text",
        "borderColor": "hairline",
        "violetColor": "clamped",
    }
    for dark, name in enumerate(("light", "dark")):
        for key, role in keys.items():
            assert config[name][key] == ROLES[role][dark], (name, key)


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("role", "least"),
    [("text", 7), ("muted", 4.5), ("warning", 4.5), ("clamped", 4.5), ("a", 4.5), ("control", 3)],
)
def test_every_role_can_be_read_on_the_background(role: str, least: float, dark: bool) -> None:
    """WCAG 2: 4.5 for text, 3 for lines and large text."""
    light, deep = sorted(luminance(ROLES[name][dark]) for name in (role, "background"))[::-1]
    assert (light + 0.05) / (deep + 0.05) >= least


def test_the_ends_of_the_dark_signed_scale_are_equally_light() -> None:
    scale = theme.signed(Look(dark=True))
    low, high = luminance(scale[0][1]), luminance(scale[-1][1])
    assert abs(low ** (1 / 3) - high ** (1 / 3)) < 0.05  # CIE lightness goes with the cube root


def test_the_typed_array_of_a_heat_map_holds_its_numbers() -> None:
    result = samples.head_effect()
    z = sent(result)["data"][0]["z"]
    read = np.frombuffer(base64.b64decode(z["bdata"]), z["dtype"]).reshape(result.effect.shape)
    np.testing.assert_array_equal(read, result.effect)
