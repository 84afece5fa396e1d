"""What every operator of torch's dispatcher is to the count: counted, composite, free, outside the convention, unknown.

The order of the questions matters. A formula comes first. An operator that torch itself takes apart is taken apart,
before any list is read, so that an operator and what it consists of are never both counted. Names and tags are only
believed of torch's own operators: what a user's operator computes has to be said by a formula.
"""

import tomllib
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch._ops import OpOverload

from methods.counting.formulas import forms, formula_of

Kind = Enum("Kind", ["COUNTED", "COMPOSITE", "FREE", "OUTSIDE", "UNKNOWN"])

COMPOSITE_KEY = torch._C.DispatchKey.CompositeImplicitAutograd
_OWN = ("aten", "prim", "prims", "quantized", "torchvision")
"""Namespaces whose schemas and tags are torch's own."""


def kind_of(overload: OpOverload) -> Kind:
    """Sort one overload of an operator; see `Kind`. A formula registered later is seen."""
    if formula_of(overload) is not None:
        return Kind.COUNTED
    return _without_formula(overload)


def is_composite(overload: OpOverload) -> bool:
    """Say whether the dispatcher has a kernel that takes the operator apart into others, with the same bits."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(overload._name, COMPOSITE_KEY))


@cache
def _without_formula(overload: OpOverload) -> Kind:
    if is_composite(overload):
        return Kind.COMPOSITE
    if overload.namespace not in _OWN:
        return Kind.UNKNOWN
    packets = forms(overload)
    names = {packet._qualified_op_name.replace("::", ".").removeprefix("aten.") for packet in packets}
    overloads = [getattr(packet, name) for packet in packets for name in packet.overloads()]  # type: ignore[no-untyped-call]
    if names & _listed("free"):
        return Kind.FREE
    if names & _listed("outside") or any(torch.Tag.pointwise in one.tags for one in overloads):
        return Kind.OUTSIDE
    return Kind.FREE if any(map(_only_rearranges, overloads)) else Kind.UNKNOWN


def _only_rearranges(overload: OpOverload) -> bool:
    """Whether the operator is a view, makes a tensor of no tensor, or answers a question without one."""
    schema = overload._schema
    if any(argument.is_write for argument in schema.arguments):
        return False
    takes = any("Tensor" in str(argument.type) for argument in schema.arguments)
    gives = any("Tensor" in str(returned.type) for returned in schema.returns)
    return overload.is_view or not takes or not gives


@cache
def _listed(kind: str) -> frozenset[str]:
    text = (Path(__file__).parent / "operators.toml").read_text(encoding="utf-8")
    lists: dict[str, Any] = tomllib.loads(text)
    return frozenset(lists[kind])


__all__ = ["COMPOSITE_KEY", "Kind", "is_composite", "kind_of"]
