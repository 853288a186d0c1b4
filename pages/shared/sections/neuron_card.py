"""The card of one neuron: what it writes, what it reads, of which kind it is, what is near."""

import html
from collections.abc import Iterable

import numpy as np
import streamlit as st

from core.figures.wording import number, visible
from core.jobs import Job
from core.results.neuron_card import NeuronCard
from core.spec.interventions import Clamp
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state, tray
from pages.shared.menu import entry
from pages.shared.panels import answer, asked
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import View, as_code

K = 8
PATIENCE = 0.9  # seconds a clamp waits for the maximum it is set to
HELP = (
    "From the weights alone. Writes: the tokens that its output vector raises and lowers "
    "most, in standard deviations over the vocabulary; the mark is chance: 99 % of random vectors "
    "of the layer stay below it. Reads and gate: the tokens whose directions it looks for. "
    "Both signs count: where activations are signed, a negative one writes the lowered tokens. "
    "In early layers a neuron mostly speaks to later layers, so its tokens may mean little."
)
VERBS = {"out": "writes", "in": "reads", "gate": "opens for"}


def question(view: View, site: Site) -> Request:
    return ask(
        "neuron_card", view.model, layer=site.layer, neuron=site.unit, k=K, stack=view.stack,
        **view.against,
    )  # fmt: skip


def draw(view: View, site: Site, width: int, grace: float) -> None:
    """Name, neighbours and buttons; below them what the weights say."""
    request = question(view, site)
    with framed(f"{site}", HELP, key="card"):
        _buttons(view, site, width)
        found = answer(request, key="card", grace=grace, height=300)
        if isinstance(found, NeuronCard):
            st.html(_weights(found))
            _near(found)
            foot(found, _caption(found), key="card", python=as_code(request))


def _buttons(view: View, site: Site, width: int) -> None:
    """Walking and clamping: once, in A's column."""
    if not sides.first():
        return
    held = any(change.site == site for change in state.workspace().active())
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="card_keys"):
        for label, key, step, about in (
            ("‹", "p", -1, "The neuron before (key p)"),
            ("›", "n", 1, "The next neuron (key n)"),
        ):
            st.button(
                label, key=f"card_{key}", help=about, shortcut=key,
                on_click=_walk, args=(site, step, width),
            )  # fmt: skip
        st.button(
            "in the tray" if held else "+ clamp",
            key="card_clamp",
            shortcut="k",
            disabled=held,
            help="Into the clamp tray at the largest value seen on the reference text (key k)",
            on_click=state.attempt,
            args=(_clamp, view, site),
        )
        st.page_link(
            entry("steer").path, label="open in Steer", icon=entry("steer").icon,
            query_params=state.query(),
        )  # fmt: skip


def _walk(site: Site, step: int, width: int) -> None:
    """One step from where the visitor is by now: keys may come faster than cards."""
    chosen = state.workspace().selection
    there = chosen.neuron if chosen.layer == site.layer else None
    here = int(site.unit or 0) if there is None or there >= width else there
    _select(site.layer, (here + step) % width)


def _select(layer: int, neuron: int) -> None:
    state.select(layer=layer, neuron=neuron)


def _clamp(view: View, site: Site) -> None:
    job = measured(view, site)
    job.wait(PATIENCE)
    unit = largest(job)
    tray.add(Clamp(site, unit or 1.0), unit=unit)


def measured(view: View, site: Site) -> Job:
    """How large the neuron's values get on the reference text; another neuron's is let go."""
    return asked().ask("largest", ask("scale", view.model, at=str(site)))


def largest(job: Job) -> float:
    """Observed maximum of |activation|; 0 while it is being measured."""
    return float(job.result.unit) if job.state == "done" else 0.0


def _weights(found: NeuronCard) -> str:
    """Two columns of bars per vector, and the facts, as HTML; every text in it is escaped."""
    blocks = "".join(_block(found, row) for row in range(len(found.weights)))
    return f'<div class="eido-neuron">{blocks}</div><div class="eido-facts">{_facts(found)}</div>'


def _block(found: NeuronCard, row: int) -> str:
    null = float(found.null_z[row])
    end = max(float(found.top_z[row].max()), -float(found.bottom_z[row].min()), null) * 1.02
    both = (
        _bars(found.read(found.top_ids[row]), found.top_z[row], null, end, "high"),
        _bars(found.read(found.bottom_ids[row]), found.bottom_z[row], null, end, "low"),
    )
    verb = VERBS[found.weights[row]]
    return (
        f'<div><div class="eido-strong">{verb} <span class="eido-quiet" title="99 % of random '
        f'vectors stay below this |z|">chance {number(null)}</span></div>{"".join(both)}</div>'
    )


def _bars(pieces: Iterable[str], values: np.ndarray, null: float, end: float, role: str) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(visible(piece, 12), quote=True)}</code></td>"
        f"<td class=eido-num>{number(z, sign=True)}</td>"
        f'<td class="eido-track eido-{role}" style="--null:{100 * null / end:.1f}%">'
        f'<span style="width:{100 * abs(float(z)) / end:.1f}%"></span></td></tr>'
        for piece, z in zip(pieces, values, strict=True)
    )
    return f'<table class="eido-bars">{rows}</table>'


def _facts(found: NeuronCard) -> str:
    names = ("cos(in, out)", "cos(gate, in)", "cos(gate, out)")
    cosines = " · ".join(
        f"{name} <b>{number(cosine)}</b> (mismatched pairs {number(low)} to {number(high)})"
        for name, cosine, (low, high) in zip(names, found.cosines, found.band, strict=True)
        if not np.isnan(cosine)
    )
    return (
        f"class <b>{html.escape(found.class_name)}</b> · {cosines}<br>"
        f"adds <b>{number(found.write_norm)}</b> stream units per unit of activation, more than "
        f"{int(100 * found.write_percentile)}% of its layer"
    )


def _near(found: NeuronCard) -> None:
    """The neurons that write most alike, each a button."""
    chance = number(found.chance_cosine)
    st.caption(
        f"Writes most alike (cosine; a random vector reaches {chance}, negative: the opposite)"
    )
    prefix = "enc." if found.stack else ""
    with st.container(horizontal=True, gap="small", key=sides.key("card_near")):
        for index, (layer, neuron, cosine, ids) in enumerate(
            zip(
                found.near_layer.tolist(),
                found.near_neuron.tolist(),
                found.near_cosine.tolist(),
                found.near_ids,
                strict=True,
            )
        ):
            words = ", ".join(visible(piece, 16) for piece in found.read(ids))
            st.button(
                f"{prefix}L{layer}.neuron\\[{neuron}\\] {number(cosine, sign=True)}",
                key=sides.key(f"near_{index}"),
                help=f"`{words.replace('`', 'ʼ')}`",
                type="tertiary",
                on_click=sides.bound(_select),
                args=(layer, neuron),
            )


def _caption(found: NeuronCard) -> str:
    return (
        f"controls: {found.n_null:,} random vectors with the covariance of the layer, "
        f"{found.n_chance} for the neighbours; {found.n_vocabulary:,} tokens, "
        f"{found.n_neurons:,} neurons"
    )
