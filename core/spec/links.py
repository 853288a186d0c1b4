"""A workspace as an address, and as a session file.

Plain choices are readable parameters; the tray is one short versioned one, `w`:
"1." + base64url(zlib(JSON)). Whatever an address holds is checked before it is used.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

from core.spec import concept as concepts
from core.spec import concept_set as sets
from core.spec.errors import Error
from core.spec.floats import packed, unpacked
from core.spec.interventions import Change, Patch, from_plain, to_plain
from core.spec.request import ModelRef
from core.spec.workspace import (
    CHOICES,
    MAX_CLAMPS,
    MAX_MODELS,
    Selection,
    TrayItem,
    Workspace,
)

VERSION = 1
MAX_LINK = 8_000
MAX_TRAY_BYTES = 4_000_000
SESSION_KIND = "eidoscope-session"
_MODEL_KEYS = ("model", "model_b", "model_c")


def to_query(work: Workspace) -> dict[str, str]:
    """The address parameters of a workspace; what is at its default is left out."""
    default = Workspace()
    query: dict[str, str] = {}
    if work.models != default.models:
        for key, model in zip(_MODEL_KEYS, work.models, strict=False):
            query[key] = _model_text(model)
    if work.prompt != default.prompt:
        query["text"] = work.prompt
    chosen, unset = work.selection, default.selection
    for name in ("token", "layer", "head", "neuron", "feature"):
        if getattr(chosen, name) != getattr(unset, name):
            query[name] = str(getattr(chosen, name))
    for name in ("seed", "new_tokens", "temperature"):
        if getattr(work, name) != getattr(default, name):
            query[name] = str(getattr(work, name))
    query |= dict(work.choices)
    if work.own:
        query["own"] = _pack(concepts.plain(work.own))
    if work.own_set:
        query["set"] = _pack(sets.plain(work.own_set))
    if work.tray:
        query["w"] = _pack([packed(_item_plain(item)) for item in work.tray])
    return query


def from_query(query: Mapping[str, str]) -> Workspace:
    """The workspace of an address. Raises `Error` with a sentence when it cannot be read."""
    work = Workspace()
    first, *others = (query.get(key, "") for key in _MODEL_KEYS)
    models = (_model(first) if first else work.models[0], *(_model(o) for o in others if o))
    work = replace(work, models=models)
    if "text" in query:
        work = replace(work, prompt=_whole_text(query["text"], "text"))
    chosen = {
        name: _whole(query[name], name)
        for name in ("token", "layer", "head", "neuron", "feature")
        if name in query
    }
    work = replace(
        work,
        selection=Selection(**chosen),
        seed=_whole(query.get("seed", "0"), "seed"),
        new_tokens=min(400, max(1, _whole(query.get("new_tokens", "40"), "new_tokens"))),
        temperature=_temperature(query.get("temperature", "0")),
    )
    for name in CHOICES:
        if name in query:
            work = work.with_choice(name, _whole_text(query[name], name))
    if query.get("own"):
        work = replace(work, own=concepts.from_plain(_unpack(query["own"])))
    if query.get("set"):
        work = replace(work, own_set=sets.from_plain(_unpack(query["set"])))
    if query.get("w"):
        work = replace(work, tray=_tray(_unpack(query["w"])))
    return work


def link(page: str, work: Workspace) -> str:
    """The address, from `/`, of a page in this state. Too long for a browser: `Error`."""
    query = urlencode(to_query(work), errors="surrogatepass")
    address = "/" + ("" if page in ("", "start") else page) + (f"?{query}" if query else "")
    if len(address) > MAX_LINK:
        raise Error(
            f"this state needs a link of {len(address)} characters, browsers take {MAX_LINK}; "
            "save a session file instead"
        )
    return address


def to_session(work: Workspace) -> str:
    """The whole workspace as a JSON session file."""
    plain = {
        "kind": SESSION_KIND,
        "version": VERSION,
        "models": [[m.name, m.revision, m.dtype] for m in work.models],
        "prompt": work.prompt,
        "selection": {
            "token": work.selection.token,
            "layer": work.selection.layer,
            "head": work.selection.head,
            "neuron": work.selection.neuron,
            "feature": work.selection.feature,
        },
        "choices": dict(work.choices),
        "own": concepts.plain(work.own) if work.own else None,
        "own_set": sets.plain(work.own_set) if work.own_set else None,
        "seed": work.seed,
        "temperature": work.temperature,
        "new_tokens": work.new_tokens,
        "tray": [_item_plain(item) for item in work.tray],
    }
    return json.dumps(plain, indent=1)


def from_session(text: str) -> Workspace:
    """Read a session file. Raises `Error` on anything else, unknown versions included."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise Error("this is not a session file: it is not JSON") from None
    if not isinstance(plain, dict) or plain.get("kind") != SESSION_KIND:
        raise Error("this is not an Eidoscope session file")
    if plain.get("version") != VERSION:
        raise Error(f"session version {plain.get('version')!r}; this Eidoscope reads {VERSION}")
    try:
        models = tuple(_model_plain(model) for model in plain["models"])[:MAX_MODELS]
        query = {"text": str(plain["prompt"]), "temperature": str(plain["temperature"])}
        for name in ("seed", "new_tokens"):
            query[name] = str(plain[name])
        for name, value in plain["selection"].items():
            if value is not None:
                query[str(name)] = str(value)
        query |= {str(name): str(value) for name, value in plain.get("choices", {}).items()}
        work = from_query({key: value for key, value in query.items() if key != "w"})
        tray = _tray(plain["tray"])
        own = concepts.from_plain(plain["own"]) if plain.get("own") else None
        own_set = sets.from_plain(plain["own_set"]) if plain.get("own_set") else None
    except (KeyError, TypeError, AttributeError):
        raise Error("the session file is damaged: a field is missing or of another kind") from None
    if not models:
        raise Error("the session file names no model")
    return replace(work, models=models, tray=tray, own=own, own_set=own_set)


def _model_text(model: ModelRef) -> str:
    text = model.name
    if model.revision or model.dtype:
        text += f"|{model.revision}|{model.dtype}"
    return text


def _model(text: str) -> ModelRef:
    name, _, rest = text.partition("|")
    revision, _, dtype = rest.partition("|")
    if not name or len(text) > 1_000:
        raise Error("the link names no model that can be read")
    return ModelRef(_whole_text(name, "model"), revision, dtype)


def _model_plain(plain: Any) -> ModelRef:
    if not isinstance(plain, list) or not plain or not plain[0]:
        raise Error("the session file names a model that cannot be read")
    return ModelRef(*(_whole_text(str(part), "model") for part in plain))


def _whole_text(text: str, name: str) -> str:
    """The text, unless half of a surrogate pair is in it: that can be sent to no browser."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Error(f"the {name} holds half a character (a lone surrogate); repair it") from None
    return text


def _whole(text: str, name: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise Error(f"the link's {name} should be a whole number, not {text[:40]!r}") from None
    if not 0 <= number < 10**9:
        raise Error(f"the link's {name} is out of range: {text[:40]}")
    return number


def _temperature(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise Error(f"the link's temperature should be a number, not {text[:40]!r}") from None
    if not 0 <= number <= 5:  # NaN fails this too
        raise Error(f"the link's temperature should lie between 0 and 5, not {text[:40]}")
    return number


def _item_plain(item: TrayItem) -> dict[str, Any]:
    plain = to_plain(item.change)
    if not item.on:
        plain["off"] = True
    if item.unit:
        plain["unit"] = item.unit
    return plain


def _tray(plain: Any) -> tuple[TrayItem, ...]:
    if not isinstance(plain, list):
        raise Error("the clamps cannot be read: they are not a list")
    if len(plain) > MAX_CLAMPS:
        raise Error(f"{len(plain)} clamps; the tray holds at most {MAX_CLAMPS}")
    return tuple(_item(item) for item in plain)


def _item(plain: Any) -> TrayItem:
    if not isinstance(plain, dict):
        raise Error("the clamps in this link cannot be read")
    if plain.get("kind") == "control":
        raise Error("a control cannot stand in the tray")
    own = {key: value for key, value in plain.items() if key not in ("off", "unit")}
    # A patch's source is a text of its own, whatever it begins with.
    change = from_plain({k: v if k == "source" else unpacked(v) for k, v in own.items()})
    if isinstance(change, Patch):
        _whole_text(change.source, "source of a patch")
    unit = plain.get("unit", 0.0)
    if isinstance(unit, bool) or not isinstance(unit, int | float) or not 0 <= unit < 1e30:
        raise Error("the clamps in this link cannot be read: a unit is not a number")
    # A control never comes here: its kind was refused above.
    return TrayItem(cast(Change, change), on=not plain.get("off", False), unit=float(unit))


def _pack(plain: Any) -> str:
    raw = json.dumps(plain, separators=(",", ":")).encode()
    return f"{VERSION}." + base64.urlsafe_b64encode(zlib.compress(raw, 9)).decode().rstrip("=")


def _unpack(text: str) -> Any:
    version, _, body = text.partition(".")
    if version != str(VERSION):
        raise Error(f"this link has version {version[:10]!r}; this Eidoscope reads {VERSION}")
    try:
        packed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        # A bounded inflate: a link of a few bytes must not unfold into gigabytes.
        inflate = zlib.decompressobj()
        raw = inflate.decompress(packed, MAX_TRAY_BYTES)
        plain = json.loads(raw)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise Error(
            "the clamps or the concepts in this link cannot be read; part of it may be missing"
        ) from None
    return plain


def workspace_for(
    models: tuple[ModelRef, ...], prompt: str | None, changes: tuple[Change, ...]
) -> Workspace:
    """The workspace a notebook means by a text (None: the default one) and its interventions."""
    tray = tuple(TrayItem(change) for change in changes)
    work = Workspace(models=models, tray=tray)
    return work if prompt is None else replace(work, prompt=prompt)
