"""The pages of Eidoscope: one line each. The menu, the frame and the links read this table."""

from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs" / "pages"


@dataclass(frozen=True, slots=True)
class Entry:
    """One page: its file, its name in links, its title and its icon."""

    path: str
    name: str
    title: str
    icon: str


MENU: tuple[Entry, ...] = (
    Entry("app.py", "start", "Start", ":material/home:"),
    Entry("pages/neurons.py", "neurons", "Neurons", ":material/scatter_plot:"),
    Entry("pages/heads.py", "heads", "Heads", ":material/visibility:"),
    Entry("pages/features.py", "features", "Features", ":material/apps:"),
    Entry("pages/geometry.py", "geometry", "Geometry", ":material/bubble_chart:"),
    Entry("pages/depth.py", "depth", "Depth", ":material/layers:"),
    Entry("pages/directions.py", "directions", "Directions", ":material/explore:"),
    Entry("pages/compare.py", "compare", "Compare", ":material/compare:"),
    Entry("pages/steer.py", "steer", "Steer", ":material/tune:"),
    Entry("pages/status.py", "status", "Status", ":material/monitor_heart:"),
)


def entry(name: str) -> Entry:
    """The page with this name in links."""
    return next(one for one in MENU if one.name == name)


def guide(name: str) -> str:
    """How to read the page: the text of its document, without the heading."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].strip() if text.startswith("# ") else text.strip()
