"""Sentences and names on the screen: text from people and models, shown as it is.

Streamlit reads its messages and labels as Markdown, in which a name could draw an image from
elsewhere. Sentences therefore go through `html.escape`, names into code spans.
"""

import html

import streamlit as st

from core.figures.wording import visible

_SIGNS = {"error": "Not possible", "warning": "Note", "info": ""}


def sentence(text: str, tone: str = "error") -> None:
    """One sentence in a quiet box; `tone` "error", "warning" or "info" is said in a word too."""
    word = _SIGNS[tone]
    lead = f"<strong>{word}</strong> " if word else ""
    role = "alert" if tone == "error" else "status"
    shown = html.escape(shown_text(text), quote=True)
    st.html(f'<div class="eido-note eido-{tone}" role="{role}">{lead}{shown}</div>')


def small(text: str, *, strong: bool = False, quiet: bool = False) -> str:
    """A line of text as harmless HTML: a heading (`strong`) or a caption (`quiet`)."""
    name = "eido-strong" if strong else "eido-quiet" if quiet else "eido-line"
    return f'<div class="{name}">{html.escape(shown_text(text, 2_000), quote=True)}</div>'


def head(title: str, help: str, shows: str = "") -> str:
    """The head of a framed part as harmless HTML, one element for the browser to place: its title,
    how to read it (folded away), and what is seen in it.
    """
    told = f"<p>{html.escape(shows, quote=True)}</p>" if shows else ""
    return (
        f'<div class="eido-head"><b>{html.escape(title, quote=True)}</b>'
        f"<details><summary>how to read</summary><div>{html.escape(help, quote=True)}</div>"
        f"</details>{told}</div>"
    )


def shown_text(text: str, most: int = 600) -> str:
    """Text of any origin as it may be sent to a browser; control characters become signs."""
    words = " ".join(visible(word) for word in text.split())
    return words if len(words) <= most else words[: most - 1] + "…"


def code(text: str, most: int = 60) -> str:
    """A name inside a label: a code span, in which nothing is read as Markdown."""
    name = shown_text(text, most).replace("`", "ʼ")
    return f"`{name}`" if name else ""
