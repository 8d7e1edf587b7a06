"""Attention: of queries, keys and values as they are, and with their projections in one function.

The library computes :class:`torch.nn.MultiheadAttention` tokens first, (L, n, E). Here samples come
first, so that the projections are linear layers of the book and their gradients come by sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from nas_search.layers import linear
from nas_search.layers.dependence import depends, mark
from nas_search.layers.initial_weights import (
    Constant,
    Distribution,
    Normal,
    Scheme,
    Uniform,
    weight_and_bias,
)
from nas_search.layers.recorder import Recorder
from nas_search.layers.rows import with_rows
from nas_search.layers.rule import LAYERS, LayerRule

Masks = tuple[Tensor | None, Tensor | None]


def per_sample(
    recorder: Recorder,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return ``F.multi_head_attention_forward`` of ``query`` (L, m, E) without dropout.

    Raises:
        InputError: the samples do not lie along the second dimension.
    """
    m, length = query.shape[1], query.shape[0]
    q_in, k_in, v_in = _samples_first(recorder, query, key, value)
    if use_separate_proj_weight:
        weights = [q_proj_weight, k_proj_weight, v_proj_weight]
        biases = [None] * 3 if in_proj_bias is None else list(in_proj_bias.chunk(3))
        q, k, v = _projected(recorder, (q_in, k_in, v_in), weights, biases)
    elif q_in is k_in is v_in:
        assert in_proj_weight is not None
        q, k, v = linear.per_sample(recorder, q_in, in_proj_weight, in_proj_bias).chunk(3, -1)
    else:
        assert in_proj_weight is not None
        biases = [None] * 3 if in_proj_bias is None else list(in_proj_bias.chunk(3))
        q, k, v = _projected(recorder, (q_in, k_in, v_in), list(in_proj_weight.chunk(3)), biases)
    added = 0
    if bias_k is not None and bias_v is not None:
        k, v = (_longer(recorder, t, bias) for t, bias in ((k, bias_k), (v, bias_v)))
        added += 1
    q, k, v = (t.unflatten(-1, (num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    k = k if static_k is None else static_k.unflatten(0, (m, num_heads))
    v = v if static_v is None else static_v.unflatten(0, (m, num_heads))
    if add_zero_attn:
        k, v = (F.pad(t, (0, 0, 0, 1)) for t in (k, v))
        added += 1
    mask = _mask(recorder, (attn_mask, key_padding_mask), m, num_heads, added, q.dtype)
    if need_weights:
        scores = (q * math.sqrt(1 / q.shape[-1])) @ k.mT
        shares = (scores if mask is None else scores + mask).softmax(-1)
        y = shares @ v
    else:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    y = y.transpose(1, 2).reshape(m, length, -1)
    y = linear.per_sample(recorder, y, out_proj_weight, out_proj_bias).transpose(0, 1)
    mark(y, 1)
    if not need_weights:
        return y, None
    shares = shares.mean(1) if average_attn_weights else shares
    mark(shares)
    return y, shares


def _samples_first(recorder: Recorder, *tokens: Tensor) -> list[Tensor]:
    """Return (m, L, E) of each (L, m, E); of one tensor that is given twice, one."""
    found: dict[int, Tensor] = {}
    for each in tokens:
        if id(each) not in found:
            own: Tensor | None = each
            if not depends(each):  # queries that are parameters
                own = with_rows(recorder, each, 3, each.shape[1], axis=1, weight=True)
            assert own is not None
            found[id(each)] = own.transpose(0, 1)
    return [found[id(each)] for each in tokens]


def _projected(
    recorder: Recorder,
    inputs: tuple[Tensor, ...],
    weights: Sequence[Tensor | None],
    biases: Sequence[Tensor | None],
) -> list[Tensor]:
    projected = []
    for x, weight, bias in zip(inputs, weights, biases, strict=True):
        assert weight is not None
        projected.append(linear.per_sample(recorder, x, weight, bias))
    return projected


def _longer(recorder: Recorder, tokens: Tensor, bias: Tensor) -> Tensor:
    """Return ``tokens`` (m, S, E) with the parameter ``bias`` (1, 1, E) as one more."""
    own = with_rows(recorder, bias, 3, len(tokens))
    assert own is not None
    return torch.cat([tokens, own.expand(len(tokens), -1, -1)], 1)


def _mask(
    recorder: Recorder, masks: Masks, m: int, heads: int, added: int, dtype: torch.dtype
) -> Tensor | None:
    """Return what is added to the scores (m, heads, L, S): of attention and of padding."""
    attention, padding = masks
    found: Tensor | None = None
    if attention is not None:
        attention = _as_scores(attention, dtype)
        if not depends(attention) and attention.requires_grad:
            lead = m if attention.dim() == 2 else len(attention)
            attention = attention if attention.dim() == 3 else attention[None]
            own = with_rows(recorder, attention, 3, lead)
            assert own is not None
            attention = own
        if attention.dim() == 3 and len(attention) == m * heads:
            attention = attention.unflatten(0, (m, heads))
        elif attention.dim() == 3:
            attention = attention[:, None]
        found = F.pad(attention, (0, added))
    if padding is not None:
        padding = F.pad(_as_scores(padding, dtype), (0, added))[:, None, None]
        found = padding if found is None else found + padding
    return found


def _as_scores(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)


def initial_weights(module: nn.MultiheadAttention, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of the projections of queries, keys and values.

    ``default`` is torch's own: Xavier's uniform of each tensor, zero biases.
    """
    found: dict[str, Distribution] = {}
    for name, p in module.named_parameters(recurse=False):
        if name == "in_proj_bias":
            found[name] = Constant(0.0)
        elif scheme != "default" and "weight" in name:
            found[name] = weight_and_bias(p.shape[1], module.embed_dim, scheme)["weight"]
        elif "weight" in name:
            found[name] = Uniform(math.sqrt(6 / sum(p.shape)))
        else:  # bias_k and bias_v, (1, 1, E): what torch takes for their fans is E and E
            found[name] = Normal(math.sqrt(1 / module.embed_dim))
    return found


def _output_weights(module: nn.Linear, scheme: Scheme) -> dict[str, Distribution]:
    """Return the distributions of the projection behind the heads: its bias starts at 0."""
    return {**linear.initial_weights(module, scheme), "bias": Constant(0.0)}


def macs(
    output: tuple[Tensor, Tensor | None],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    *_: Any,
    **__: Any,
) -> int:
    """Return those of the four projections, of q k^T and of the weighted values."""
    width = embed_dim_to_check
    tokens = query.numel() // query.shape[-1] * key.shape[0]
    projected = (2 * query.numel() + key.numel() + value.numel()) * width
    return projected + 2 * tokens * width


def saved(
    output: tuple[Tensor, Tensor | None],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *_: Any,
    **__: Any,
) -> int:
    """Return the elements of the inputs, their projections, and the heads' output."""
    inputs = sum(t.numel() for t in {id(t): t for t in (query, key, value)}.values())
    width = output[0].shape[-1]
    projected = sum(t.numel() // t.shape[-1] * width for t in (query, key, value))
    return inputs + projected + output[0].numel()


def product_macs(
    output: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> int:
    """Return those of q k^T and of the weighted values."""
    return (query.numel() + output.numel()) * key.shape[-2]


def product_saved(
    output: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> int:
    """Return the elements of inputs and output."""
    return query.numel() + key.numel() + value.numel() + output.numel()


LAYERS.add(
    LayerRule(
        name="multi_head_attention",
        kinds=(nn.MultiheadAttention,),
        functions=(F.multi_head_attention_forward,),
        samples=("query", "key", "value", "key_padding_mask", "attn_mask", "static_k", "static_v"),
        axis=1,
        per_sample=per_sample,
        initial_weights=initial_weights,
        macs=macs,
        saved=saved,
    )
)
LAYERS.add(
    replace(
        linear.RULE,
        name="attention_output",
        kinds=(NonDynamicallyQuantizableLinear,),
        functions=(),
        initial_weights=_output_weights,
    )
)
LAYERS.add(
    LayerRule(
        name="scaled_dot_product_attention",
        kinds=(),
        functions=(F.scaled_dot_product_attention,),
        samples=("query", "key", "value", "attn_mask"),
        macs=product_macs,
        saved=product_saved,
    )
)
