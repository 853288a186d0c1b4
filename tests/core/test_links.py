"""An address restores the exact workspace, and no address can do harm."""

import base64
import json
import random
import zlib
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from core.spec.concept import Concept
from core.spec.concept_set import ConceptSet, Group
from core.spec.errors import Error
from core.spec.interventions import Ablate, Add, Clamp, Erase, Limit, Patch, Project, Scale
from core.spec.links import (
    MAX_LINK,
    from_query,
    from_session,
    link,
    to_query,
    to_session,
    workspace_for,
)
from core.spec.request import ModelRef
from core.spec.site import site
from core.spec.workspace import CHOICES, MAX_CLAMPS, Selection, TrayItem, Workspace

FLOATS = tuple(float(x) for x in np.linspace(-1, 1, 12).astype("float32"))
DOUBLES = tuple(n / 10 for n in range(12))
FULL = Workspace(
    own_set=ConceptSet(
        "<i>",
        "categories",
        (Group("bird ☃", ("robin", 'a "b"'), parent="animal"), Group("animal")),
        ("I see {}",),
    ),
    own=Concept("<b>", ("a ☃", 'b "c"'), ("d", "e"), paired=True, about="x"),
    models=(ModelRef("embedded"), ModelRef("/models/a b", "step 10", "float16")),
    prompt='She said: "a & b = <b>c</b>" – ünïcode ☃\n\tnext?',
    selection=Selection(token=3, layer=2, head=1, neuron=512, feature=77),
    tray=(
        TrayItem(Clamp(site("L2.neuron[17]"), 8.123456789012345), unit=3.3333333333333335),
        TrayItem(Scale(site("L1.head[3]@4"), -0.1), on=False),
        TrayItem(Ablate(site("L0.mlp_out"), "resample", 7)),
        TrayItem(Add(site("L2.resid_post"), (0.1, -0.2, 1e-8), 4.0)),
        TrayItem(Project(site("L2.resid_post"), (1.0, 0.0))),
        TrayItem(Patch(site("L1.resid_pre"), "a “source” text")),
        TrayItem(Clamp(site("L2.resid_post.feature[d.1:44]"), 2.0)),
        TrayItem(Clamp(site("L2.up[3]"), 1.0, "2,5-7,9-")),
        TrayItem(Limit(site("L2.gate[3]"), high=0.1)),
        TrayItem(Limit(site("L2.resid_post"), -1.0, 1.0, FLOATS, "generated")),
        TrayItem(Project(site("L2.resid_post"), FLOATS, 0.3, 0.5)),
        TrayItem(Add(site("L2.resid_post"), DOUBLES, -2.0, keep_norm=True, where="prompt")),
        TrayItem(Erase(site("L1.resid_post"), (FLOATS, DOUBLES), (FLOATS, FLOATS), FLOATS)),
        TrayItem(Patch(site("L1.resid_pre"), "f32:a text that begins like packed numbers")),
    ),
    seed=123_456_789,
    temperature=0.123456789012,
    new_tokens=77,
)


def _through_an_address(work: Workspace) -> Workspace:
    split = urlsplit(link("steer", work))
    return from_query(dict(parse_qsl(split.query, keep_blank_values=True)))


def test_the_default_state_has_a_bare_address():
    assert to_query(Workspace()) == {}
    assert link("steer", Workspace()) == "/steer"
    assert link("start", Workspace()) == "/"
    assert from_query({}) == Workspace()


def test_an_address_restores_every_choice_exactly():
    assert _through_an_address(FULL) == FULL


def test_a_session_file_restores_every_choice_exactly():
    assert from_session(to_session(FULL)) == FULL


@pytest.mark.parametrize("prompt", ["", " ", "\n", "a=b&c", "%20", "+", "\x00", "🙂" * 50])
def test_any_prompt_survives_the_address(prompt):
    work = Workspace(prompt=prompt)
    assert _through_an_address(work) == work
    assert from_session(to_session(work)) == work


def test_plain_choices_are_readable():
    query = to_query(replace(FULL, tray=()))
    assert query["layer"] == "2"
    assert query["head"] == "1"
    assert query["model_b"] == "/models/a b|step 10|float16"
    assert "w" not in query


def test_a_state_too_long_for_a_browser_is_refused_with_both_numbers():
    with pytest.raises(Error, match=f"browsers take {MAX_LINK}; save a session file"):
        link("steer", Workspace(prompt="x" * 100_000))


def test_what_a_notebook_means_is_what_the_page_opens():
    work = workspace_for((ModelRef("embedded"),), "a text", (Clamp(site("L0.neuron[1]"), 2.0),))
    assert _through_an_address(work).active() == (Clamp(site("L0.neuron[1]"), 2.0),)


def test_a_second_model_alone_leaves_the_first_at_its_default():
    work = from_query({"model_b": "other"})
    assert work.models == (*Workspace().models, ModelRef("other"))


@pytest.mark.parametrize("width", [768, 1024])
def test_a_direction_as_wide_as_a_stream_fits_into_an_address(width):
    rng = np.random.default_rng(0)
    direction = tuple(float(x) for x in rng.normal(size=width).astype("float32"))
    work = Workspace(tray=(TrayItem(Add(site("L5.resid_post"), direction, 4.0)),))
    assert len(link("steer", work)) < MAX_LINK
    assert _through_an_address(work) == work


def test_numbers_that_float32_cannot_hold_are_not_rounded_by_an_address():
    exact = (0.1,) * 9 + (1e300,)
    work = Workspace(tray=(TrayItem(Add(site("L5.resid_post"), exact, 4.0)),))
    assert _through_an_address(work) == work


def test_an_address_from_before_directions_were_packed_still_opens():
    plain = {"kind": "add", "site": "L2.resid_post", "direction": list(DOUBLES), "coefficient": 2.0}
    (item,) = from_query({"w": _packed([plain])}).tray
    assert item.change == Add(site("L2.resid_post"), DOUBLES, 2.0)


BAD_QUERIES = [
    {"layer": "x"},
    {"layer": "-1"},
    {"layer": "9" * 5000},
    {"token": "1.5"},
    {"head": "nan"},
    {"neuron": "1000000000"},
    {"seed": ""},
    {"new_tokens": "many"},
    {"temperature": "nan"},
    {"temperature": "inf"},
    {"temperature": "-1"},
    {"temperature": "hot"},
    {"model": "|main|"},
    {"model": "x" * 2000},
    {"w": "2.abc"},
    {"w": "1."},
    {"w": "1.!!!"},
    {"w": "1.AAAA"},
    {"w": "nothing"},
]


@pytest.mark.parametrize("query", BAD_QUERIES, ids=lambda q: str(q)[:30])
def test_a_bad_address_is_one_sentence(query):
    with pytest.raises(Error) as caught:
        from_query(query)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def _packed(plain: object) -> str:
    raw = plain if isinstance(plain, bytes) else json.dumps(plain).encode()
    return "1." + base64.urlsafe_b64encode(zlib.compress(raw, 9)).decode().rstrip("=")


CLAMP = {"kind": "clamp", "site": "L0.neuron[1]", "value": 1.0}
BAD_TRAYS = [
    {},
    "text",
    [7],
    [None],
    [{}],
    [{"kind": "explode", "site": "L0.neuron[1]"}],
    [{"kind": ["clamp"], "site": "L0.neuron[1]", "value": 1.0}],
    [CLAMP | {"extra": 1}],
    [CLAMP | {"site": "L0.nothing"}],
    [CLAMP | {"site": 7}],
    [CLAMP | {"value": "NaN"}],
    [CLAMP | {"value": 10**400}],
    [CLAMP | {"value": None}],
    [CLAMP | {"unit": "1"}],
    [CLAMP | {"unit": -1}],
    [CLAMP | {"unit": 10**400}],
    [CLAMP] * (MAX_CLAMPS + 1),
    [{"kind": "control", "of": CLAMP}],
    [{"kind": "control", "of": CLAMP, "seed": "x"}],
    [{"kind": "add", "site": "L0.resid_post", "direction": [[1]], "coefficient": 1}],
    [{"kind": "add", "site": "L0.resid_post", "direction": "text", "coefficient": 1}],
    [{"kind": "add", "site": "L0.resid_post", "direction": "f32:!!", "coefficient": 1}],
    [{"kind": "add", "site": "L0.resid_post", "direction": "f32:AAA=", "coefficient": 1}],
    [{"kind": "add", "site": "L0.resid_post", "direction": "f32:AADAfw==", "coefficient": 1}],
    [{"kind": "add", "site": "L0.resid_post", "direction": "12", "coefficient": 1}],
    [{"kind": "add", "site": "L0.neuron[1]", "direction": [1], "keep_norm": True}],
    [{"kind": "add", "site": "L0.resid_post", "direction": [1], "keep_norm": "yes"}],
    [{"kind": "limit", "site": "L0.neuron[1]"}],
    [{"kind": "limit", "site": "L0.neuron[1]", "low": 2, "high": 1}],
    [{"kind": "limit", "site": "L0.neuron[1]", "low": "x"}],
    [{"kind": "limit", "site": "L0.resid_post", "low": 0, "direction": [0, 0]}],
    [{"kind": "erase", "site": "L0.resid_post", "left": [[1]], "right": [[1]], "mean": [1, 2]}],
    [{"kind": "erase", "site": "L0.resid_post", "left": [], "right": [], "mean": [1]}],
    [{"kind": "erase", "site": "L0.resid_post", "left": 3, "right": [[1]], "mean": [1]}],
    [{"kind": "erase", "site": "L0.resid_post", "left": ["ab"], "right": [[1]], "mean": [1]}],
    [CLAMP | {"where": "7-3"}],
    [CLAMP | {"where": 7}],
    [CLAMP | {"where": "x" * 10_000}],
    [CLAMP | {"where": ",".join(map(str, range(0, 2000, 2)))}],
    [CLAMP | {"site": "L0.neuron[1]@2", "where": "prompt"}],
    [{"kind": "ablate", "site": "L0.head[1]", "to": "ash"}],
    [{"kind": "ablate", "site": "L0.pattern"}],
    [{"kind": "patch", "site": "L0.resid_post", "source": 5}],
    b'[{"kind": "clamp", "site": "L0.neuron[1]", "value": NaN}]',
    b"[" * 200_000,
    b"\xff\xfe",
]


@pytest.mark.parametrize("plain", BAD_TRAYS, ids=lambda p: str(p)[:40])
def test_bad_clamps_in_an_address_are_one_sentence(plain):
    with pytest.raises(Error) as caught:
        from_query({"w": _packed(plain)})
    assert len(str(caught.value)) < 300


def test_a_short_address_cannot_unfold_into_gigabytes():
    bomb = zlib.compress(b" " * 50_000_000, 9)
    text = "1." + base64.urlsafe_b64encode(bomb).decode()
    with pytest.raises(Error, match="cannot be read"):
        from_query({"w": text})


def test_damaged_addresses_are_read_or_refused_never_a_fault():
    whole = to_query(FULL)["w"]
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        at = rng.randrange(2, len(whole))
        damaged = whole[:at] + rng.choice("ABCxyz019-_") + whole[at + rng.randrange(3) :]
        try:
            from_query({"w": damaged})
        except Error:
            refused += 1
    assert refused > 350


GOOD = json.loads(to_session(FULL))
BAD_SESSIONS = [
    "",
    "not json",
    "[]",
    "7",
    "[" * 200_000,
    json.dumps({}),
    json.dumps(GOOD | {"kind": "other"}),
    json.dumps(GOOD | {"version": 2}),
    json.dumps(GOOD | {"models": []}),
    json.dumps(GOOD | {"models": [[]]}),
    json.dumps(GOOD | {"models": ["abc"]}),
    json.dumps(GOOD | {"models": [["", "", ""]]}),
    json.dumps(GOOD | {"models": 7}),
    json.dumps(GOOD | {"tray": 7}),
    json.dumps(GOOD | {"tray": [CLAMP] * (MAX_CLAMPS + 1)}),
    json.dumps(GOOD | {"selection": []}),
    json.dumps(GOOD | {"selection": {"layer": "x"}}),
    json.dumps(GOOD | {"temperature": None}),
    json.dumps({key: value for key, value in GOOD.items() if key != "seed"}),
]


@pytest.mark.parametrize("text", BAD_SESSIONS, ids=lambda t: t[:40])
def test_a_bad_session_file_is_one_sentence(text):
    with pytest.raises(Error) as caught:
        from_session(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("field", ["prompt", "patch", "model"])
def test_half_a_character_is_refused_with_a_sentence(field):
    """A lone surrogate cannot be sent to a browser, so it may not enter a workspace."""
    half = "a\ud800b"
    work = {
        "prompt": Workspace(prompt=half),
        "patch": Workspace(tray=(TrayItem(Patch(site("L0.resid_post"), half)),)),
        "model": Workspace(models=(ModelRef(half),)),
    }[field]
    with pytest.raises(Error, match="lone surrogate"):
        from_session(to_session(work))
    with pytest.raises(Error, match="lone surrogate"):
        from_query(to_query(work))


def test_choices_about_single_views_stand_in_the_address_by_name():
    work = Workspace().with_choice("lens", "kl").with_choice("find", "/mon|tues/")
    assert to_query(work) == {"lens": "kl", "find": "/mon|tues/"}
    assert from_query(to_query(work)) == work
    assert from_session(to_session(work)) == work
    assert work.with_choice("lens", "probability").with_choice("find", "") == Workspace()


def test_a_choice_that_is_unknown_or_too_long_is_refused():
    with pytest.raises(Error, match="no choice 'colour'"):
        Workspace().with_choice("colour", "red")
    with pytest.raises(Error, match="at most 500"):
        from_query({"find": "x" * 501})


def test_a_session_file_without_choices_still_opens():
    plain = json.loads(to_session(Workspace(prompt="Hello")))
    del plain["choices"]
    assert from_session(json.dumps(plain)) == Workspace(prompt="Hello")


@pytest.mark.parametrize("packed", ["1.abc", "2.x", "1.eJyLjgUAARUAuQ", ""])
def test_a_bad_concept_in_an_address_is_one_sentence_or_none(packed):
    if not packed:
        assert from_query({"own": ""}).own is None
        return
    with pytest.raises(Error):
        from_query({"own": packed})


def test_a_session_file_from_before_concepts_still_opens():
    plain = json.loads(to_session(FULL))
    assert plain["own"]["name"] == "<b>"
    del plain["own"]
    assert from_session(json.dumps(plain)) == replace(FULL, own=None)
    plain["own"] = {"name": "x"}
    with pytest.raises(Error, match="a concept needs positive"):
        from_session(json.dumps(plain))


def test_no_choice_has_a_name_that_an_address_gives_to_something_else():
    # "kept" names a state that is too long for an address and lives in the tab.
    own = {"model", "model_b", "model_c", "text", "token", "layer", "head", "neuron", "feature"}
    own |= {"seed", "new_tokens", "temperature", "own", "w", "kept"}
    assert own & set(CHOICES) == set()
