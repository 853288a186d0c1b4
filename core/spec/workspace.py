"""Everything one visitor has chosen, as one frozen object with undo.

Widgets show it and never own it; a change makes a new `Workspace`.
"""

from dataclasses import dataclass, field, replace

from core.spec.concept import Concept
from core.spec.concept_set import ConceptSet
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.request import ModelRef

MAX_MODELS = 3
MAX_CLAMPS = 32
MAX_HISTORY = 50
DEFAULT_PROMPT = "Yesterday Tom walked. Then"
MAX_CHOICE = 500  # characters

# What a visitor chose about single views, by its name in links, with what it is at first.
CHOICES: dict[str, str] = {
    "lens": "probability",  # what colours the logit lens
    "order": "all",  # which of the strongest neurons are listed
    "swept": "",  # number of the active clamp whose dose-response is shown; "": the last one
    "find": "",  # what is searched for among the neurons
    "by": "out",  # where it is searched: what neurons write, read, or fire on
    "map": "z",  # what colours the map of all neurons
    "about": "neuron",  # which question the neurons page answers below the map
    "heads": "role",  # what colours the map of all heads
    "beside": "effect",  # the score it is compared with
    "scored": "repeated",  # what heads are scored on: repeated tokens, the prompt or a corpus
    "ranked": "prompt",  # what heads are ranked for: the prompt's answer or a concept
    "answer": "",  # the token they are ranked for; "": the most probable one
    "versus": "",  # the token it is compared with; "": the mean of the vocabulary
    "ranking": "bars",  # how the ranking is shown
    "task": "retrieval",  # which task heads are tried on
    "examples": "categories",  # what labelled examples are about: things and kinds, random words
    "shown": "",  # how it is shown; "": the first way
    "pictured": "this layer",  # whose patterns are drawn small
    "source": "",  # the tokens a head is asked about; "": those it writes most for
    "through": "k",  # how the later of two heads reads: queries, keys or values
    "looked": "pattern",  # which question the heads page answers below the map
    "pairs": "top",  # which of a head's pairs of tokens are listed
    "other": "",  # the head that the chosen one is compared with, as "L4.head[2]"; "": none yet
    "picks": "head",  # which of the two a click chooses: "head" or "other"
    "tried": "",  # the tasks whose heads are compared, by commas; "": the first two
    "typed": "depth",  # how the types of heads are shown below the map
    "dictionary": "",  # whose features are looked at; "": the first that the model has
    "study": "dictionary_report",  # which question is asked about the dictionary as a whole
    "second": "",  # the dictionary it is compared with; "": none yet
    "against_text": "",  # the text that its text is compared with; "": the first other one
    "features": "wall",  # how features are looked for: all cards, a text, a pattern, a concept ...
    "sorted": "contribution",  # the order of the cards
    "which": "",  # which kinds of features have cards; "": all
    "seek": "",  # what cards are searched for
    "seeks": "text",  # where: in the cards, or among the tokens that features fire on
    "regex": "",  # the pattern that features are looked for by
    "pooled": "max",  # what the values of a feature in a text come to
    "asks": "writes",  # which question is answered about the chosen feature
    "banded": "top",  # which of its texts are listed
    "under": "clean",  # what texts do to features: as they are, or "clamped"
    "named": "",  # the label of it that is tested; "": none yet
    "drawn": "",  # how features to choose from are shown; "": the first way
    "seen": "",  # how the answer about the chosen feature is shown; "": the first way
    "corpus": "built-in",  # the text that neurons and heads are looked at on
    "texts": "top",  # which of a neuron's texts are listed
    "panel": "",  # which selected unit stands in the clamp panel of Steer; "": none
    "kind": "set",  # what the clamp panel does to its unit
    "part": "neuron",  # where it takes hold of a neuron: the neuron itself, its up or its gate
    "where": "",  # at which tokens
    "concept": "gender",  # the built-in concept directions are built for; "": the visitor's own
    "method": "difference",  # how its direction is built
    "read": "last",  # which state of a text counts
    "like": "",  # the token or the neuron whose direction is taken
    "at": "",  # the layer whose direction is looked at; "": the one that separates best
    "push": "0.25",  # how far the stream is pushed, in mean lengths of it
    "further": "made",  # which question the directions page answers below the curve
    "judged": "",  # words by which guided texts are judged; "": by a probe
    "watched": "",  # tokens whose probability a removal is about; "": found by themselves
    "labelled": "gender carried",  # the labelled texts of the depth page, or a table's path
    "probe": "logistic",  # what reads them at every layer
    "split": "groups",  # what is held out: whole groups of texts, or texts at random
    "metric": "accuracy",  # the score that is drawn
    "fresh": "",  # "yes": fresh weights are probed as well
    "depths": "one",  # one set of texts, many beside each other, probes, transfer or the lens
    "viewed": "",  # how what these three say is shown; "": the first way
    "family": "lda",  # the probe whose direction is followed through layers or taken elsewhere
    "sets": "",  # the sets between which probes are taken, by commas; "": four of two topics
    "learned": "",  # the one of them whose probe is followed; "": the first
    "lensed": "French word",  # the task whose prompts the lens reads
    "drew": "agreement",  # the minimal pairs; "own": those that were typed
    "meant": "months",  # the texts whose words are given other meanings
    "nine": "",  # the folder in which the data sets of the Concept Depth paper lie
    "gathered": "levels",  # which of the sets: one of each level, or those of a topic
    "depth": "",  # the layer that is looked into, 0 the embedding; "": the onset
    "towards": "",  # of three or more classes the one its direction leads to; "": the last
    "probed": "which",  # the question about probes: which, or a check of them
    "claim": "",  # the explanation that is tested on the chosen neuron; "": none yet
    "claimed": "score",  # how a tested claim is shown: scores, or string by string
    "subject": "",  # the subject whose neuron is looked for and tested with noise; "": none yet
    "group": "spot",  # which group of neurons is asked for
    "grouped": "",  # how it is shown; "": the first way
    "concepts": "embedded: kinds of things",  # the set of concepts geometry is about; "": one's own
    "geometry": "map",  # which question is asked about it
    "furthest": "local_map",  # which of the questions behind "more"
    "prepare": "zscore",  # what is done to states before they are measured
    "stands": "last",  # which state of a word counts: of its last piece, or the mean of its pieces
    "mapped": "",  # how the axes of the map are made; "": from class means where there are classes
    "dims": "2",  # of the map
    "word": "",  # the word of the map whose neighbours are named; "": none yet
    "row": "",  # the depth that is drawn, 0 the embedding; "": the one the method finds best
    "side": "unembedding",  # vectors of words: rows of the unembedding, or states in the stream
    "focus": "",  # the category that is looked at closely; "": the first that fits
    "solid": "",  # what of it is drawn; "": the first way
    "measured": "",  # the measure that is drawn; "": the first
    "comparing": "summary",  # which question is asked about two models
    "against_model": "",  # the model that A is compared with, of two; "": the first
    "compared_on": "",  # the texts they are compared on; "": sentences of many kinds
    "unit": "neuron",  # whose counterparts are looked for
    "matched": "activation",  # by what
    "stages": "",  # checkpoints by folder or "@" and revision, by commas; "": those of the model
    "moment": "",  # the checkpoint that is looked at; "": the last
    "grown": "",  # the concepts followed through training, by commas; "": several
    "needed": "repeated_tokens",  # the task whose circuit is followed
    "came": "previous_token",  # what colours the heads of a checkpoint
    "grew": "concepts",  # what else of a training run is drawn
    "grows": "",  # the concept whose layers are drawn over training; "": the best layer of each
    "differing": "",  # the question whose answers are subtracted; "": the first
    "without": "",  # what is taken out of vectors first, by commas
    "relation": "",  # the relation whose pairs make a parallelogram; "": the first
    "pair": "",  # the first word of one of its pairs; "": the first
    "pair_b": "",  # and of the other
    "contrast": "",  # the contrast that is pushed; "": the first
    "contrast_b": "",  # the one it is drawn against
    "pushed": "linear",  # on paper, in a run, or a random push
    "forms": "forms",  # the pairs of two forms of one meaning
    "described": "",  # whose descriptions are asked about; "": the first that fit the model
    "cluster": "",  # rank of the cluster of features whose tokens are drawn; "": the first
    "nats": "2",  # how far, in nats of its own pairs
    "cloud": "states",  # whose dimensions are counted: states of text, or the rows of a matrix
    "contexts": "",  # what words stand in, by bars; "": the set's own, else neutral ones
    "apart": "asked",  # whose map to the answer is taken apart: the asked token's, the strongest
    "graph": "grid",  # the graph whose walks are read
    "nodes": "",  # the words on its nodes, by commas; "": built-in ones
    "walked": "250",  # words of a walk
    "after": "",  # words seen when the words of a walk are drawn; "": all of them
    "silenced": "",  # "yes": walks are read without their heads for repeats as well
    "several": "",  # the texts whose last tokens are followed, one a line; "": the prompt's tokens
    "times": "1",  # how strongly: a factor, or steps of the unit's 99.9th percentile
}


@dataclass(frozen=True, slots=True)
class TrayItem:
    """One line of the clamp tray.

    `unit` is the observed maximum |value| of the site on the reference text, so that the
    slider can speak in multiples of it; 0 where none was measured.
    """

    change: Change
    on: bool = True
    unit: float = 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected, on every page at once. None means nothing yet."""

    token: int | None = None
    layer: int = 0
    head: int | None = None
    neuron: int | None = None
    feature: int | None = None  # of the chosen dictionary


@dataclass(frozen=True, slots=True)
class Workspace:
    """All that one visitor chose. `past` and `future` hold whole trays, newest last."""

    models: tuple[ModelRef, ...] = (ModelRef("embedded"),)
    prompt: str = DEFAULT_PROMPT
    selection: Selection = Selection()
    tray: tuple[TrayItem, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()  # of CHOICES, sorted, without what is at its default
    own: Concept | None = None  # a concept the visitor wrote
    own_set: ConceptSet | None = None  # a set of concepts the visitor wrote or chose in a map
    seed: int = 0
    temperature: float = 0.0
    new_tokens: int = 40
    past: tuple[tuple[TrayItem, ...], ...] = field(default=(), compare=False)
    future: tuple[tuple[TrayItem, ...], ...] = field(default=(), compare=False)

    def active(self) -> tuple[Change, ...]:
        """The changes that are switched on, in tray order."""
        return tuple(item.change for item in self.tray if item.on)

    def choice(self, name: str) -> str:
        """What was chosen about a view, by its name in `CHOICES`."""
        return dict(self.choices).get(name, CHOICES[name])

    def with_choice(self, name: str, value: str) -> "Workspace":
        """Choose `value`; raises `Error` for a name that `CHOICES` has not, or a long value."""
        if name not in CHOICES:
            raise Error(f"there is no choice {name[:40]!r}; there are {', '.join(CHOICES)}")
        if len(value) > MAX_CHOICE:
            raise Error(f"{name} holds {len(value)} characters; at most {MAX_CHOICE} can be kept")
        others = {key: kept for key, kept in self.choices if key != name}
        if value != CHOICES[name]:
            others[name] = value
        return replace(self, choices=tuple(sorted(others.items())))

    def with_tray(self, tray: tuple[TrayItem, ...]) -> "Workspace":
        """A new tray; the old one can be had back by `undo`."""
        if len(tray) > MAX_CLAMPS:
            raise Error(f"the tray holds at most {MAX_CLAMPS} changes; remove one first")
        if tray == self.tray:
            return self
        past = (*self.past, self.tray)[-MAX_HISTORY:]
        return replace(self, tray=tray, past=past, future=())

    def undo(self) -> "Workspace":
        if not self.past:
            return self
        *past, tray = self.past
        return replace(self, tray=tray, past=tuple(past), future=(*self.future, self.tray))

    def redo(self) -> "Workspace":
        if not self.future:
            return self
        *future, tray = self.future
        return replace(self, tray=tray, future=tuple(future), past=(*self.past, self.tray))
