"""Two keys of the whole page: `/` goes to the search (or the prompt), `?` opens how to read it."""

import streamlit as st

_JS = r"""
const FIELDS = ["find", "seek", "regex", "prompt", "prompt_area"];    // the first that the page has

export default function (component) {
  const { parentElement } = component;
  parentElement.eidoscopeStop?.();                   // called again on every run
  const typing = (target) =>
    target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
  const onKey = (event) => {
    // Inside a component the event's own target is hidden behind its host.
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || typing(target)) return;
    if (event.key === "/") {
      const field = FIELDS.map((name) => document.querySelector(
        `.st-key-${name} :is(input, textarea)`)).find(Boolean);
      if (!field) return;
      field.focus();
      field.select();
    } else if (event.key === "?") {
      document.querySelector(".st-key-guide button")?.click();
    } else {
      return;
    }
    event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
  parentElement.eidoscopeStop = () => document.removeEventListener("keydown", onKey);
  return parentElement.eidoscopeStop;
}
"""

_keys = st.components.v2.component("eidoscope_keys", html="<span></span>", js=_JS)


def draw() -> None:
    """Listen to the keys of the page; nothing is seen of it."""
    _keys(key="keys", data={})
