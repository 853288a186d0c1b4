"""The Triton programs of `kernels.head_stats.triton`. Importing this imports triton, so
that nobody does but `run` there, when it is first called.

Every program takes the rule of the scores first:

q, k    (pointer, and the steps over row, head, token, width)
mask    (pointer, steps over row, head, query, key; what is above the last entry is seen)
bias    (pointer, steps over row, head, query, key)
rule    (pointer to the weights of keys, scaling, cap, heads, heads per key head, tokens, d_head)
HOW     (causal, capped, mask: 0 none 1 bool 2 added, biased, weighed)

Tiles are [query, key]; query and key numbers come in shapes that spread to the tile, or as pairs.
"""

from typing import Any

import triton
import triton.language as tl

_jit: Any = triton.jit  # annotations below are quoted: Triton reads them and knows no Any
_LOW = tl.constexpr(-1e30)  # score of a key that is not seen


def _ruled(
    score: "Any",
    seen: "Any",
    row: "Any",
    head: "Any",
    query: "Any",
    key: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    HOW: tl.constexpr,
) -> "Any":
    """(score, seen) of products: capped, biased, weighed, and low where nothing is seen."""
    if HOW[1]:  # cap tanh(score / cap)
        score = rule[2] * (2.0 / (1.0 + tl.exp(-2.0 * score / rule[2])) - 1.0)
    if HOW[0]:
        seen = seen & (key <= query)
    query = query.to(tl.int64)  # a text's length squared may not fit 32 bits
    if HOW[3]:
        place = row * bias[1] + head * bias[2] + query * bias[3] + key * bias[4]
        score += tl.load(bias[0] + place, mask=seen, other=0.0).to(tl.float32)
    if HOW[2] != 0:
        place = row * mask[1] + head * mask[2] + query * mask[3] + key * mask[4]
        held = tl.load(mask[0] + place, mask=seen, other=0).to(tl.float32)
        seen = seen & (held > mask[5])
        if HOW[2] == 2:
            score += held
    if HOW[4]:
        place = (row * rule[3] + head) * rule[5] + key
        score += tl.load(rule[0] + place, mask=seen, other=0.0)
    return tl.where(seen, score, _LOW), seen


ruled = _jit(_ruled)


def _tile(
    q: "Any",
    k: "Any",
    row: "Any",
    head: "Any",
    query: "Any",
    key: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    HOW: tl.constexpr,
    WIDTH: tl.constexpr,
) -> "Any":
    """(score, seen) of a tile of queries [query] and keys [key]."""
    width = tl.arange(0, WIDTH)
    there, real = width < rule[6], query < rule[5]
    place = row * q[1] + head * q[2] + query[:, None] * q[3] + width[None, :] * q[4]
    held = tl.load(q[0] + place, mask=real[:, None] & there[None, :], other=0.0)
    place = row * k[1] + head // rule[4] * k[2] + key[None, :] * k[3] + width[:, None] * k[4]
    keys = tl.load(k[0] + place, mask=(key < rule[5])[None, :] & there[:, None], other=0.0)
    score = tl.dot(held, keys, input_precision="ieee") * rule[1]
    seen = real[:, None] & (key < rule[5])[None, :]
    return ruled(score, seen, row, head, query[:, None], key[None, :], mask, bias, rule, HOW)


tile = _jit(_tile)


def _weight(
    q: "Any",
    k: "Any",
    row: "Any",
    head: "Any",
    query: "Any",
    key: "Any",
    ok: "Any",
    log_sum: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    HOW: tl.constexpr,
    WIDTH: tl.constexpr,
) -> "Any":
    """Attention of (query, key) pairs, 0 where not ok or not seen."""
    width = tl.arange(0, WIDTH)
    inside = ok[:, None] & (width < rule[6])[None, :]
    place = row * q[1] + head * q[2] + query[:, None] * q[3] + width[None, :] * q[4]
    held = tl.load(q[0] + place, mask=inside, other=0.0).to(tl.float32)
    place = row * k[1] + head // rule[4] * k[2] + key[:, None] * k[3] + width[None, :] * k[4]
    keys = tl.load(k[0] + place, mask=inside, other=0.0).to(tl.float32)
    score = tl.sum(held * keys, 1) * rule[1]
    score, seen = ruled(score, ok, row, head, query, key, mask, bias, rule, HOW)
    place = (row * rule[3] + head) * rule[5] + query
    return tl.where(seen, tl.exp(score - tl.load(log_sum + place, mask=ok, other=0.0)), 0.0)


weight_of = _jit(_weight)


def _sweep(
    q: "Any",
    k: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    log_sum: "Any",
    entropy: "Any",
    top: "Any",
    visible: "Any",
    HOW: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
) -> None:
    """A block of queries over all keys: ln of the normaliser, entropy, largest weight, count."""
    row = (tl.program_id(0) // rule[3]).to(tl.int64)
    head = (tl.program_id(0) % rule[3]).to(tl.int64)
    query = tl.program_id(1) * QUERIES + tl.arange(0, QUERIES)
    most = tl.full([QUERIES], -1e30, tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    spread = tl.zeros([QUERIES], tl.float32)  # sum of weight x score, not yet normalised
    count = tl.zeros([QUERIES], tl.float32)
    end = rule[5]
    if HOW[0]:
        end = tl.minimum(end, (tl.program_id(1) + 1) * QUERIES)
    for begin in range(0, end, KEYS):
        key = begin + tl.arange(0, KEYS)
        score, seen = tile(q, k, row, head, query, key, mask, bias, rule, HOW, WIDTH)
        higher = tl.maximum(most, tl.max(score, 1))
        shrink = tl.exp(most - higher)
        weight = tl.where(seen, tl.exp(score - higher[:, None]), 0.0)
        total = total * shrink + tl.sum(weight, 1)
        spread = spread * shrink + tl.sum(tl.where(seen, weight * score, 0.0), 1)
        count += tl.sum(seen.to(tl.float32), 1)
        most = higher
    total = tl.where(total > 0, total, 1.0)
    normaliser = most + tl.log(total)
    place, ok = (row * rule[3] + head) * rule[5] + query, query < rule[5]
    tl.store(log_sum + place, normaliser, mask=ok)
    tl.store(entropy + place, tl.maximum(normaliser - spread / total, 0.0), mask=ok)
    tl.store(top + place, 1.0 / total, mask=ok)
    if head == 0:
        tl.store(visible + row * rule[5] + query, tl.maximum(count, 1.0), mask=ok)


sweep = _jit(_sweep)


def _gather(
    q: "Any",
    k: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    log_sum: "Any",
    visible: "Any",
    groups: "Any",
    n_groups: "Any",
    received: "Any",
    parts: "Any",
    HOW: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    GROUPS: tl.constexpr,
) -> None:
    """A block of keys over all queries that see it: what it receives, how far from uniform.

    groups [group, row, token]; received [row, group, head, key]; parts [row, group, head, block]
    """
    row = (tl.program_id(0) // rule[3]).to(tl.int64)
    head = (tl.program_id(0) % rule[3]).to(tl.int64)
    rows = tl.num_programs(0) // rule[3]
    key, group = tl.program_id(1) * KEYS + tl.arange(0, KEYS), tl.arange(0, GROUPS)
    gathered = tl.zeros([GROUPS, KEYS], tl.float32)
    apart = tl.zeros([GROUPS], tl.float32)
    first = 0
    if HOW[0]:
        first = tl.program_id(1) * KEYS // QUERIES * QUERIES
    for begin in range(first, rule[5], QUERIES):
        query = begin + tl.arange(0, QUERIES)
        ok = query < rule[5]
        score, seen = tile(q, k, row, head, query, key, mask, bias, rule, HOW, WIDTH)
        place = (row * rule[3] + head) * rule[5] + query
        normaliser = tl.load(log_sum + place, mask=ok, other=0.0)
        weight = tl.where(seen, tl.exp(score - normaliser[:, None]), 0.0)
        counted = tl.load(visible + row * rule[5] + query, mask=ok, other=1.0)
        even = tl.where(seen, 1.0 / counted[:, None], 0.0)
        place = (group[:, None] * rows + row) * rule[5] + query[None, :]
        member = tl.load(groups + place, mask=(group < n_groups)[:, None] & ok[None, :], other=0.0)
        gathered += tl.dot(member, weight, input_precision="ieee")
        apart += tl.sum(member * tl.sum(tl.abs(weight - even), 1)[None, :], 1)
    where, there = (row * n_groups + group) * rule[3] + head, group < n_groups
    place = where[:, None] * rule[5] + key[None, :]
    tl.store(received + place, gathered, mask=there[:, None] & (key < rule[5])[None, :])
    tl.store(parts + where * tl.num_programs(1) + tl.program_id(1), apart / 2, mask=there)


gather = _jit(_gather)


def _aimed(
    q: "Any",
    k: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    log_sum: "Any",
    order: "Any",
    first: "Any",
    count: "Any",
    start: "Any",
    visible: "Any",
    step: "Any",
    slots: "Any",
    HOW: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
) -> None:
    """One kind of targets, or its random keys, over all queries; slots [row, 2, kind, head].

    order, first, count, start [kind, row, token] and visible [row, token] as in `Targets`
    """
    row = (tl.program_id(0) // rule[3]).to(tl.int64)
    head = (tl.program_id(0) % rule[3]).to(tl.int64)
    rows, kinds = tl.num_programs(0) // rule[3], tl.num_programs(1) // 2
    kind, random = tl.program_id(1) % kinds, tl.program_id(1) // kinds
    lists = (kind * rows + row) * rule[5]
    found = tl.zeros([QUERIES], tl.float32)
    for begin in range(0, rule[5], QUERIES):
        query = begin + tl.arange(0, QUERIES)
        ok = query < rule[5]
        n = tl.load(count + lists + query, mask=ok, other=0)
        at = tl.load(first + lists + query, mask=ok, other=0)
        drawn = tl.load(start + lists + query, mask=ok, other=0)
        seen = tl.load(visible + row * rule[5] + query, mask=ok, other=1)
        for nth in range(tl.max(n, 0)):
            aims = ok & (nth < n)
            key = (drawn + nth * (step % seen)) % seen
            if random == 0:
                key = tl.load(order + lists + at + nth, mask=aims, other=0)
            found += weight_of(
                q, k, row, head, query, key, aims, log_sum, mask, bias, rule, HOW, WIDTH
            )
    tl.store(slots + ((row * 2 + random) * kinds + kind) * rule[3] + head, tl.sum(found, 0))


aimed = _jit(_aimed)


def _apart(
    q: "Any",
    k: "Any",
    mask: "Any",
    bias: "Any",
    rule: "Any",
    log_sum: "Any",
    groups: "Any",
    n_groups: "Any",
    ahead: "Any",
    lag: "Any",
    HOW: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    GROUPS: tl.constexpr,
) -> None:
    """One distance between query and key over all queries; lag [row, group, head, lag]."""
    row = (tl.program_id(0) // rule[3]).to(tl.int64)
    head = (tl.program_id(0) % rule[3]).to(tl.int64)
    rows, group = tl.num_programs(0) // rule[3], tl.arange(0, GROUPS)
    found = tl.zeros([GROUPS], tl.float32)
    for begin in range(0, rule[5], QUERIES):
        query = begin + tl.arange(0, QUERIES)
        key = query - (tl.program_id(1) - ahead)
        ok = (query < rule[5]) & (key >= 0) & (key < rule[5])
        weight = weight_of(q, k, row, head, query, key, ok, log_sum, mask, bias, rule, HOW, WIDTH)
        place = (group[:, None] * rows + row) * rule[5] + query[None, :]
        wanted = (group < n_groups)[:, None] & (query < rule[5])[None, :]
        found += tl.sum(tl.load(groups + place, mask=wanted, other=0.0) * weight[None, :], 1)
    where = (row * n_groups + group) * rule[3] + head
    tl.store(lag + where * tl.num_programs(1) + tl.program_id(1), found, mask=group < n_groups)


apart = _jit(_apart)
