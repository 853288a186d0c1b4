"""What a notebook imports. The pages use the same engine underneath.

    from core import api
    m = api.load("embedded")
    api.generate(m, "Yesterday Tom walked. Then", interventions=[api.Clamp("L2.neuron[17]", 8.0)])

Every function may be called from any thread. What cannot be done raises `api.Error` with a
sentence that says what to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import concept_sets as _sets
from core import concepts as _concepts
from core import own_sets as _own
from core.analyses.table import ANALYSES, analysis
from core.bar import Bar
from core.dictionaries import shelf as _shelf
from core.dictionaries.notebook import Dictionary
from core.engine.device import fitting_threads
from core.engine.forward import run as _run
from core.engine.generate import continuation
from core.engine.generate import generate as _generate
from core.engine.rows import rows as _rows
from core.models import edited as _edited
from core.models import pool
from core.models.loaded import Loaded
from core.models.tokens import encode, pieces
from core.results.base import Result, read_parts
from core.results.table import result_class
from core.spec import links
from core.spec.concept import Concept
from core.spec.concept_set import ConceptSet, told
from core.spec.errors import Error
from core.spec.interventions import (
    Ablate,
    Add,
    Change,
    Clamp,
    Erase,
    Intervention,
    Limit,
    Patch,
    Project,
    Scale,
    listed,
)
from core.spec.request import ModelRef, ask, model_ref
from core.spec.site import Site, site

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = [
    "Ablate",
    "Add",
    "Clamp",
    "Concept",
    "ConceptSet",
    "Dictionary",
    "Erase",
    "Error",
    "Limit",
    "Patch",
    "Project",
    "Scale",
    "Site",
    "add_dictionary",
    "analyses",
    "concept",
    "concept_set",
    "concept_sets",
    "concepts",
    "dictionary",
    "difference",
    "everywhere",
    "export_edited",
    "export_features",
    "figure",
    "generate",
    "import_labels",
    "link",
    "load",
    "logits",
    "open_result",
    "read_concept_set",
    "remove_dictionary",
    "run",
    "save_concept_set",
    "save_dictionary",
    "tokens",
    "trace",
]


def load(
    name: str | Path,
    *,
    revision: str = "",
    dtype: str = "",
    device: str = "",
    device_map: Any = None,
) -> Loaded:
    """Load an embedded model by name, a folder, or a hub id; a second call returns the same.

    float32 on the CPU whatever the file holds, the stored dtype on a GPU, unless `dtype` says
    otherwise. The load checks run at once; a model whose parts do not add up is refused.
    """
    return pool.get(
        ModelRef(str(name), revision or "", dtype or ""),
        device=device or None,
        device_map=device_map,
    )


def tokens(m: Loaded, text: str) -> list[str]:
    """The text's tokens as shown on screen, special tokens included."""
    return list(pieces(m, encode(m, text)))


def logits(m: Loaded, text: str, interventions: Iterable[Intervention] = ()) -> np.ndarray:
    """Logits [token, d_vocab], float32.

    An encoder-decoder reads the text with its encoder and answers for its first decoder token.
    """
    answer = _run(m, _rows(m, [encode(m, text)]), change=[listed(interventions)]).logits
    assert answer is not None
    return answer[0].float().cpu().numpy()


def trace(
    m: Loaded,
    text: str,
    sites: Sequence[str | Site],
    interventions: Iterable[Intervention] = (),
) -> dict[str, np.ndarray]:
    """{site text: array [token, ...]} of what the sites hold, float32.

    `head` [token, head, d_head], `head[3]` [token, d_head], `neuron` [token, d_mlp], `neuron[5]`
    [token], stream sites [token, d_model], `pattern` [head, query, key]; `@p` keeps the token
    axis with length 1. Interventions act before the reading.
    """
    if isinstance(sites, str | Site):
        raise Error('sites are a list: ["L2.resid_post"]')
    wanted = [site(text_or_site) for text_or_site in sites]
    seen = _run(
        m,
        _rows(m, [encode(m, text)]),
        read=wanted,
        change=[listed(interventions)],
        logits="none",
    )
    return {
        str(asked): seen.values[place][0].float().cpu().numpy()
        for asked, place in zip(sites, wanted, strict=True)
    }


def generate(
    m: Loaded,
    text: str,
    interventions: Iterable[Intervention] = (),
    max_new_tokens: int = 40,
    seed: int = 0,
    temperature: float = 0.0,
) -> str:
    """The continuation alone. Stops before an end token and at the end of the context."""
    ids = encode(m, text)
    written = _generate(
        m,
        _rows(m, [ids]),
        [listed(interventions)],
        max_new_tokens=max_new_tokens,
        seed=seed,
        temperature=temperature,
    )
    return continuation(m, ids, written.ids[0])


def analyses() -> dict[str, str]:
    """Every analysis by name, with one sentence on what it answers."""
    return {name: method.about for name, method in ANALYSES.items()}


def concepts() -> dict[str, Concept]:
    """The built-in concepts by name: everyday contrasts, and what is planted in shipped models."""
    return dict(_concepts.built_in())


def concept(
    name: str, positive: Sequence[str], negative: Sequence[str] = (), *, paired: bool = False
) -> Concept:
    """A concept of your own: texts or words that have it, and some that have not.

    `paired`: text i of both sides belong together. Without negative ones it is told from text of
    any kind. Empty, too long or repeated texts are refused in a sentence.
    """
    return Concept(name, tuple(positive), tuple(negative), paired=paired)


def concept_sets() -> dict[str, str]:
    """Every set of concepts by name, built in and saved, with one sentence on what it holds."""
    return _sets.listed()


def concept_set(
    name: str,
    groups: Mapping[str, Sequence[Any]] | Sequence[Any] = (),
    *,
    kind: str = "",
    contexts: Sequence[str] = (),
) -> ConceptSet:
    """A set of concepts: the one of this name, or one of your own.

    groups    words; or {group: its words}; or (first, second) pairs; or {group: its pairs}
    kind      "categories", "pairs", "cycle" or "line"; "" takes pairs for pairs and words for
              categories
    contexts  texts that end with {}, the place of the word
    """
    return _sets.of_groups(name, groups, kind, contexts) if groups else _sets.named(name)


def read_concept_set(path: str | Path, *, name: str = "", **columns: str) -> ConceptSet:
    """A set from a .csv, .tsv, .txt or .json file; see docs/concept_sets.md.

    `columns` name the columns of a table: item=, target=, group=, parent=.
    """
    return _own.read_file(path, name=name, **columns)


def save_concept_set(one: ConceptSet, path: str | Path | None = None) -> "Path | _own.Version":
    """Keep a version of a set under its name, so that later sessions find it; or, with a path,
    write it as .json or .csv.
    """
    return _sets.save(one) if path is None else _own.write(one, Path(path))


def dictionary(path_or_name: str | Path, m: Loaded, **reading: Any) -> Dictionary:
    """A sparse dictionary of this model: one it has, by name, or any published format, by path.

    `.encode(x)` takes activations [n, d_in] of `.site` and gives float32 [n, n_features];
    `.decode(f)` goes back. `reading` says what the files leave open (site=, subtract=, norm=,
    scale=, center=, k=, see docs/dictionaries.md). A layer or width that does not fit is refused.
    """
    if str(path_or_name) in m.dictionaries and not reading:
        return Dictionary(_shelf.of(m.dictionaries, str(path_or_name)))
    if "/" not in str(path_or_name) and not Path(path_or_name).exists():
        _shelf.of(m.dictionaries, str(path_or_name))  # says which there are
    return Dictionary(_shelf.unkept(m, path_or_name, **reading))


def add_dictionary(m: Loaded, path: str | Path, name: str = "", **reading: Any) -> Dictionary:
    """Keep a dictionary under a name for this model: `L5.resid_post.feature[name:17]` is a site.

    It stays known in later sessions, and the name means the bytes that were there at that time.
    """
    return Dictionary(_shelf.add(m, path, name, **reading))


def remove_dictionary(m: Loaded, name: str) -> None:
    """Let go of a name that was added; the files stay."""
    _shelf.remove(m, name)


def save_dictionary(d: Dictionary, folder: str | Path) -> Dictionary:
    """Write a dictionary in the layout of SAELens into a new folder, and open what was written."""
    from core.dictionaries.save import save

    return Dictionary(save(d.inner, folder))


def export_features(
    m: Loaded, dictionary: str, features: int | Sequence[int], path: str | Path, **corpus: Any
) -> Path:
    """Write features of a dictionary as JSON that Neuronpedia reads (a batch of SAEDashboard).

    `corpus` are the options of the gallery the contexts come from (corpus=, window=, ...).
    """
    from core.analyses.neuronpedia import export_features as written

    with fitting_threads(m), Bar("export_features") as bar:
        return written(m, bar, dictionary, features, Path(path), **corpus)


def import_labels(m: Loaded, dictionary: str, path: str | Path) -> int:
    """Labels of a dictionary from a JSON of Neuronpedia or SAEDashboard; how many are new.

    The file must be of a dictionary of this size and layer; labels of your own stay above them.
    """
    from core.analyses.neuronpedia import import_labels as taken

    return taken(m, dictionary, Path(path))


def run(name: str, m: Loaded, /, **options: Any) -> Result:
    """Run an analysis and wait for its answer; long ones show a progress bar.

    Options are the keyword arguments of the analysis; unknown ones are refused.
    """
    method = analysis(name)
    if "interventions" in options:
        options["interventions"] = listed(options["interventions"])
    method.check(name, set(options))
    options = {key: told(value) for key, value in options.items()}
    if "other" in options:
        options["other"] = _other(options["other"])
    with fitting_threads(m), Bar(name) as bar:
        result = method.run(m, bar, **options)
    return replace(result, request=_asked(name, m, options))


def _other(model: Any) -> Loaded:
    """The second model of a comparison: one that is loaded, or its name."""
    return model if isinstance(model, Loaded) else pool.get(model_ref(model))


def _asked(name: str, m: Loaded, options: dict[str, Any]) -> dict[str, Any]:
    """The question as it is kept with the answer; objects that are no plain data by their text."""
    plain = {key: value for key, value in options.items() if key not in ("text", "interventions")}
    if "other" in plain:
        plain["other"] = astuple(plain["other"].ref)
    try:
        request = ask(name, m.ref, **plain)
    except Error:
        texts = {key: str(value) for key, value in plain.items()}
        request = ask(name, m.ref, interventions=(), **texts)
    prompts = (options["text"],) if "text" in options else ()
    return replace(
        request, prompts=prompts, interventions=tuple(options.get("interventions", ()))
    ).plain()


def everywhere(m: Loaded, direction: Iterable[float]) -> list[Change]:
    """The changes that keep a direction out of the whole stream; the whole list goes together."""
    return list(_edited.everywhere(m, [float(number) for number in direction]))


def export_edited(m: Loaded, changes: Iterable[Change], folder: str | Path) -> Result:
    """Write changes into the weights and save them as a plain Hugging Face folder.

    Projections (those of `everywhere`), ablations to zero, scalings, added directions where the
    family keeps a bias. The folder must not exist; a plain name means one below the home. Beside
    the model stand changes.json and REPORT.md; the result holds the same numbers.
    """
    return run("edited", m, interventions=listed(changes), folder=str(folder))


def difference(one: Result, other: Result) -> Result:
    """The second answer minus the first, cell by cell, beside the noise of the difference.

    Both answer one question, of two models of one architecture or of a model with and without
    clamps: heads, head_effect, head_scores, lens, depth, neuron_map.
    """
    from core.difference import difference as apart

    return apart(one, other)


def figure(result: Result) -> "go.Figure":
    """The page's own figure of an answer."""
    from core.figures.table import figure as draw  # plotly only where drawn

    return draw(result)


def open_result(folder: str | Path) -> Result:
    """Open an answer that `.save(folder)` wrote."""
    name, arrays, labels = read_parts(folder)
    return result_class(name).build(arrays, labels)


def link(
    page: str,
    model: "str | Path | Loaded" = "embedded",
    text: str | None = None,
    interventions: Iterable[Change] = (),
) -> str:
    """The address, from `/`, of a page in this state."""
    ref = model.ref if isinstance(model, Loaded) else ModelRef(str(model))
    work = links.workspace_for((ref,), text, tuple(listed(interventions)))  # type: ignore[arg-type]
    return links.link(page, work)
