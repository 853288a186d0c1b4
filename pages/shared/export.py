"""Taking an answer away: Python, CSV, JSON, HTML, SVG."""

import html
import json
import math
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.figures import table
from core.figures.theme import with_title
from core.figures.wording import escaped
from core.results.base import Result
from core.results.feature_card import FeatureCard
from core.results.neuronpedia import batch_json, feature_json
from pages.shared.clicks import svg_button

# A spreadsheet reads a cell that begins so as a formula; tokens and file names may begin so.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@st.fragment
def export_row(
    result: Result, *, key: str, python: str, fig: go.Figure | None = None, chart: str = ""
) -> None:
    """A popover "Export": the Python lines, CSV, JSON, and with a figure HTML and SVG.

    `chart` is the key of the figure on the page, whose SVG the browser makes; "" where there
    is none. The files are made when the popover is opened. (Streamlit's own deferred downloads
    fail now and then beside a fragment that polls: the file is cleared before it is fetched.)
    """
    box = st.popover("Export", type="tertiary", key=f"{key}_export", on_change="rerun")
    if not box.open:
        return
    with box:
        st.html("<b>Copy as Python</b>")
        st.code(python, language="python", wrap_lines=True)
        with st.container(horizontal=True, gap="small"):
            for name, (data, mime) in _files(result, fig).items():
                st.download_button(
                    name,
                    data,
                    file_name=f"eidoscope-{result.name}.{name.lower()}",
                    mime=mime,
                    key=f"{key}_{name.lower()}",
                    on_click="ignore",
                )
            if chart:
                title = escaped(table.title(result))
                svg_button(chart, name=f"eidoscope-{result.name}", title=title, key=f"{key}_svg")
        st.caption("CSV: the numbers as a table. JSON: labels and arrays, with the question.")


def _files(result: Result, fig: go.Figure | None) -> dict[str, tuple[bytes, str]]:
    """Ending -> (contents, media type)."""
    files = {
        "CSV": (csv(result), "text/csv"),
        "JSON": (as_json(result), "application/json"),
    }
    if fig is not None:
        files["HTML"] = (html_page(fig, result), "text/html")
    if isinstance(result, FeatureCard):
        data = batch_json(str(result.request.get("model", [""])[0]), result, [feature_json(result)])
        files["Neuronpedia.json"] = (data, "application/json")
    return files


def csv(result: Result) -> bytes:
    """The table of the answer in UTF-8; text that a spreadsheet would compute gets a ' before."""
    frame = result.to_frame()
    frame.columns = [safe_cell(str(name)) for name in frame.columns]
    for name in frame.columns:
        if frame[name].dtype.kind not in "biufc":
            frame[name] = [safe_cell(value) for value in frame[name]]
    return frame.to_csv(index=False).encode("utf-8", "backslashreplace")


def safe_cell(value: Any) -> Any:
    """Text that begins like a formula, with a ' before it; everything else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def as_json(result: Result) -> bytes:
    """Labels and arrays (shape, dtype, values row by row); NaN and infinity are null."""
    arrays = {
        name: {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "values": _plain(array.tolist()),
        }
        for name, array in result.arrays().items()
    }
    plain = {"analysis": result.name, "labels": _plain(result.labels()), "arrays": arrays}
    return json.dumps(plain, ensure_ascii=True, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def html_page(fig: go.Figure, result: Result) -> bytes:
    """The figure as one file that needs nothing else, with its title and its caption."""
    whole = with_title(fig, table.title(result))
    ink, paper = whole.layout.font.color, whole.layout.paper_bgcolor
    style = f"body{{margin:16px;background:{paper};color:{ink};font:14px/1.5 sans-serif}}"
    caption = html.escape(table.caption(result), quote=True)
    text = str(whole.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False}))
    text = text.replace("</head>", f"<style>{style}</style></head>", 1)
    head, body, tail = text.rpartition("</body>")
    return f"{head}<p>{caption}</p>{body}{tail}".encode("utf-8", "backslashreplace")
