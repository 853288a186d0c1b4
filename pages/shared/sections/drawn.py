"""Figures drawn once: the same answer in the same look is the same picture.

A page runs again at every click; building its figures anew costs more than all else it does.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go

from core.results.base import Result
from pages.shared.panels import look

MOST = 128
_figures: OrderedDict[tuple[Any, ...], tuple[Result, go.Figure]] = OrderedDict()
_lock = threading.Lock()


def drawn(figure: Callable[..., go.Figure], result: Result, **chosen: Any) -> go.Figure:
    """`figure(result, look(), **chosen)`, from memory where it was drawn before. Not to be edited.

    Answers are shared objects, so their identity is enough; holding them keeps it theirs.
    """
    key = (id(result), figure, look(), tuple(sorted(chosen.items())))
    with _lock:
        found = _figures.get(key)
        if found:
            _figures.move_to_end(key)
            return found[1]
    made = figure(result, look(), **chosen)
    with _lock:
        _figures[key] = (result, made)
        while len(_figures) > MOST:
            _figures.popitem(last=False)
    return made
