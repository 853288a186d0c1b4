"""Attention heads: what they look at, what they cause, what they are for."""

from core.analyses.head_compare import head_compare
from core.analyses.head_composition import head_composition
from core.analyses.head_consistency import head_consistency
from core.analyses.head_contexts import head_contexts
from core.analyses.head_effect import head_effect
from core.analyses.head_false_induction import head_false_induction
from core.analyses.head_importance import head_importance
from core.analyses.head_overlap import head_overlap
from core.analyses.head_ovqk import head_ovqk
from core.analyses.head_patterns import head_patterns
from core.analyses.head_ranking import head_ranking
from core.analyses.head_scores import head_scores
from core.analyses.head_sources import head_sources
from core.analyses.head_successor import head_successor
from core.analyses.head_types import head_types
from core.analyses.heads import heads
from core.analyses.listed import Analysis
from core.analyses.massive_values import massive_values
from core.analyses.retrieval import retrieval
from core.analyses.sharding import sharding

ANALYSES: dict[str, Analysis] = {
    "head_effect": Analysis(
        head_effect, "What the answer loses when each head is ablated.", version=2
    ),
    "head_importance": Analysis(
        head_importance, "How much a corpus needs each head: all estimated, some checked exactly."
    ),
    "head_ranking": Analysis(
        head_ranking, "Which heads matter for a prompt or a concept, by what they cause."
    ),
    "head_types": Analysis(
        head_types,
        "What each head may be called: labels by rules, with chance beside each.",
        version=2,
    ),
    "head_sources": Analysis(
        head_sources, "What one head takes from each token, and what that says to the answer."
    ),
    "head_patterns": Analysis(head_patterns, "Where all heads look on a text, as small pictures."),
    "head_compare": Analysis(
        head_compare, "Two heads on one text: how alike they are, what each and both cause."
    ),
    "head_contexts": Analysis(
        head_contexts, "Where one head attends most in a corpus, and pairs of every other weight."
    ),
    "heads": Analysis(heads, "What every head looks at: scores, controls and roles."),
    "head_scores": Analysis(
        head_scores,
        "What every head does with a token, by its weights: copy, suppress, count on.",
        version=2,
    ),
    "head_ovqk": Analysis(
        head_ovqk, "One head by its weights: what it writes for a token, what it looks for."
    ),
    "head_successor": Analysis(
        head_successor,
        "Does one head turn an item of an ordered list into the next one?",
        version=2,
    ),
    "head_composition": Analysis(
        head_composition,
        "Which heads read what which earlier heads write, by their weights.",
        version=2,
    ),
    "retrieval": Analysis(
        retrieval, "Which heads fetch what a text says, and does the answer need them?"
    ),
    "head_overlap": Analysis(
        head_overlap, "Which heads tasks share, and what breaks without them."
    ),
    "massive_values": Analysis(
        massive_values, "Where queries and keys are largest, and what goes with that channel."
    ),
    "sharding": Analysis(
        sharding, "How much each head loses when it sees only its shard of the text."
    ),
    "head_consistency": Analysis(
        head_consistency, "Does a head serve one concept, and do tasks need those that do?"
    ),
    "head_false_induction": Analysis(
        head_false_induction, "Which heads follow wrong examples, and what comes back without them."
    ),
}
