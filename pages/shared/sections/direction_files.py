"""Directions to take away, and directions that come from a file."""

import json

import numpy as np
import streamlit as st

from core.figures.wording import count
from core.results.direction import DirectionResult, short
from core.results.directions_file import Directions, about, pack, unpack
from core.spec.errors import Error
from pages.shared import sides, state
from pages.shared.notices import code, small

_HANDED = "_directions"  # the opened file
_VECTORS = "_direction_vectors"  # its directions as they go into questions
MOST_BYTES = 64_000_000


def handed() -> tuple[tuple[float, ...], ...] | None:
    """The directions of the opened file, one per layer; None when none was opened."""
    found: tuple[tuple[float, ...], ...] | None = st.session_state.get(_VECTORS)
    return found


def hand(directions: Directions) -> None:
    """Make these directions, one a layer, those of the page, as if a file had been opened."""
    st.session_state[_HANDED] = directions
    st.session_state[_VECTORS] = tuple(tuple(short(row)) for row in directions.weights)
    state.set_workspace(state.workspace().with_choice("method", "given"))


def draw(found: DirectionResult | None) -> None:
    """Download on the left, upload on the right."""
    left, right = sides.columns(2, gap="large")
    with left:
        st.html(small("Save", strong=True))
        if found is None:
            st.caption("There is no direction to save yet.")
        else:
            _save(found)
    if not sides.first():
        return
    with right:
        st.html(small("Load", strong=True))
        st.file_uploader(
            "Open directions",
            type=["safetensors"],
            key="directions_open",
            max_upload_size=64,
            on_change=state.attempt,
            args=(_open,),
            help="A safetensors file with W [layers, width], such as one saved here or a probe "
            "file of another program. Nothing in it is run.",
        )
        _opened()


def _save(found: DirectionResult) -> None:
    with st.container(horizontal=True, gap="small"):
        for name, data, mime in (
            ("directions.safetensors", pack(found), "application/octet-stream"),
            ("directions.json", json.dumps(about(found), indent=1), "application/json"),
        ):
            st.download_button(
                name,
                data,
                file_name=name,
                mime=mime,
                key=sides.key(f"save_{name}"),
                on_click="ignore",
            )  # fmt: skip
    st.caption(
        "W [layers, width] in float32, of length 1; b; mean_pos, mean_neg. The JSON says what "
        "they are."
    )


def _open() -> None:
    """Read the file and build from it. Raises `Error` with a sentence."""
    file = st.session_state["directions_open"]
    if file is None:
        return
    if file.size > MOST_BYTES:
        raise Error(f"the file has {file.size:,} bytes; at most {MOST_BYTES:,} are read")
    hand(unpack(file.getvalue()))


def _opened() -> None:
    found: Directions | None = st.session_state.get(_HANDED)
    if found is None:
        return
    layers, width = np.shape(found.weights)
    said = f"{count(layers, 'direction')} of width {width:,}"
    what = [f"{name} {code(found.about[name])}" for name in ("concept", "method", "model") if
            found.about.get(name)]  # fmt: skip
    st.caption(" · ".join(["opened: " + said, *what]))
