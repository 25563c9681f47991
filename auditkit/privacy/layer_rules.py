"""How each kind of use of a parameter gives per-example gradients.

Three layers have a rule of their own: affine maps, look-ups of rows, and the affine part of a normalisation. All
arithmetic that broadcasts (a bias added, an RMSNorm's weight multiplied, a position embedding on [1, T]) has one rule:
give every example its own copy of the operand, without memory, and let autograd keep the copies' gradients apart.
Shapes: B examples, n = B times something, the leading dimension of a batched tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from auditkit.privacy import layout
from auditkit.privacy.gradient_factors import Dense, Outer, Rows

if TYPE_CHECKING:
    from auditkit.privacy.tape import Tape

FIX = "write it with linear layers, embeddings, layer norms and broadcasting arithmetic, or freeze it"

BROADCASTING = {
    *("add", "iadd", "sub", "rsub", "isub", "subtract", "mul", "imul", "multiply", "div", "rdiv", "idiv", "divide"),
    *("true_divide", "pow", "where", "maximum", "minimum", "addcmul", "addcdiv", "lerp", "bmm"),
    "scaled_dot_product_attention",
}
METADATA = {"type_as", "expand_as", "view_as", "reshape_as", "to"}
JOINING = {"cat", "concat", "stack"}


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rows of a table chosen by ids that do not come from the data; rows = weight[ids]."""

    rows: torch.Tensor
    weight: torch.Tensor
    ids: torch.Tensor
    padding_idx: int | None

    def used_by_all(self, gradients: torch.Tensor) -> Rows:
        """The table's factor, given the per-example gradients (B, *ids.shape, D) of the rows."""
        return rows(self.ids.flatten().expand(len(gradients), -1), gradients, self.padding_idx)

    def used_in_parts(self, batch: int, gradients: torch.Tensor) -> Rows:
        """The table's factor where example b used slice b of the rows alone; gradients (*ids.shape, D)."""
        return rows(self.ids.reshape(batch, -1), gradients, self.padding_idx)


def rows(ids: torch.Tensor, gradients: torch.Tensor, padding_idx: int | None) -> Rows:
    """The factor of rows ids (B, T) with these gradients; the row `padding_idx` learns nothing."""
    gradients = gradients.reshape(*ids.shape, -1)
    if padding_idx is not None:
        gradients = gradients.masked_fill((ids == padding_idx)[..., None], 0)
    return Rows(ids, gradients)


def reads_metadata(func: Any) -> bool:
    """Whether all operands of `func` but the first only lend it a shape, dtype or device."""
    return name_of(func) in METADATA


def changes_first(func: Any) -> bool:
    """Whether `func` writes into its first operand: `add_`, `__setitem__`."""
    name = getattr(func, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


def apply(tape: Tape, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, batched: bool) -> Any:
    """The result of a call with at least one shared operand, its uses of parameters noted on the tape."""
    if func is F.embedding:
        return _embedding(tape, *args, **kwargs)
    if not batched:
        return func(*args, **kwargs)
    rule = _RULES.get(func)
    if rule is not None:
        return rule(tape, *args, **kwargs)
    name, in_place = name_of(func), changes_first(func) and tape.is_shared(args[0])
    if in_place:
        return _unknown(tape, func, args, kwargs)
    if name in BROADCASTING or (name in JOINING and _joins_within_examples(args, kwargs)):
        return _spread(tape, func, args, kwargs)
    return _unknown(tape, func, args, kwargs)


def _linear(tape: Tape, input: Any, weight: Any, bias: Any = None) -> Any:
    output = F.linear(input, tape.cut(weight), tape.cut(bias))
    return _affine(tape, output, input, weight, bias, F.linear)


def _addmm(tape: Tape, bias: Any, input: Any, weight: Any, **scale: Any) -> Any:
    """GPT-2's Conv1D; its weight is stored (d, p)."""
    if scale:
        return _unknown(tape, torch.addmm, (bias, input, weight), scale)
    output = torch.addmm(tape.cut(bias), input, tape.cut(weight))
    return _affine(tape, output, input, weight, bias, torch.addmm)


def _matmul(tape: Tape, left: Any, right: Any) -> Any:
    if tape.is_batched(left) and left.ndim >= 2 and right.ndim == 2:
        return _affine(tape, left @ tape.cut(right), left, right, None, torch.matmul)
    if min(left.ndim, right.ndim) >= 2 and max(left.ndim, right.ndim) >= 3:
        return _spread(tape, torch.matmul, (left, right), {})
    return _unknown(tape, torch.matmul, (left, right), {})


def _affine(tape: Tape, output: Any, input: Any, weight: Any, bias: Any, func: Any) -> Any:
    """Note the weight and bias of output = input @ weight (+ bias), any number of leading dimensions."""
    if not (tape.is_batched(input) and _batch_is_outermost(tape, input) and not tape.is_batched(weight)):
        tape.refuse(f"the input of {name_of(func)}() is not batched in its first dimension; {FIX}", weight, bias)
        return output
    held, batch = input.detach(), tape.batch_size
    tape.expect(weight, output)

    def note(gradient: torch.Tensor) -> None:
        a, g = (x.reshape(batch, -1, x.shape[-1]) for x in (held, gradient))
        if tape.is_shared(weight):
            tape.credit(weight, Outer(g, a) if func is F.linear else Outer(a, g))
        if tape.is_shared(bias):
            tape.credit(bias, Dense(g.sum(1)))

    return tape.on_gradient(output, held, note)


def _embedding(
    tape: Tape,
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    if max_norm is not None or scale_grad_by_freq:
        tape.refuse(
            "max_norm and scale_grad_by_freq of an embedding let examples act on each other; unset them", weight
        )
    ids, output = input.detach(), F.embedding(input, weight.detach())
    if padding_idx is not None and padding_idx < 0:
        padding_idx += len(weight)
    if not tape.is_batched(input):
        return tape.look_up(Lookup(output, weight, ids, padding_idx))
    if not _batch_is_outermost(tape, input):
        tape.refuse(f"the ids of an embedding are not batched in their first dimension; {FIX}", weight)
        return output

    def note(gradient: torch.Tensor) -> None:
        tape.credit(weight, rows(ids.reshape(tape.batch_size, -1), gradient, padding_idx))

    return tape.on_gradient(output, ids, note)


def _layer_norm(
    tape: Tape, input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    def normalise(x: Any, weight: Any = None, bias: Any = None) -> Any:
        return F.layer_norm(x, normalized_shape, weight, bias, eps)

    output = normalise(input, tape.cut(weight), tape.cut(bias))
    return _normalised(tape, output, input, weight, bias, normalise)


def _rms_norm(tape: Tape, input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    def normalise(x: Any, weight: Any = None) -> Any:
        return F.rms_norm(x, normalized_shape, weight, eps)

    return _normalised(tape, normalise(input, tape.cut(weight)), input, weight, None, normalise)


def _normalised(tape: Tape, output: Any, input: Any, weight: Any, bias: Any, normalise: Callable[[Any], Any]) -> Any:
    """Note the weight and bias of output = normalise(input) * weight (+ bias)."""
    if not (tape.is_batched(input) and _batch_is_outermost(tape, input)):
        tape.refuse(f"the input of a normalisation is not batched in its first dimension; {FIX}", weight, bias)
        return output
    held, batch = input.detach(), tape.batch_size

    def note(gradient: torch.Tensor) -> None:
        if tape.is_shared(weight):
            scaled = gradient * normalise(held)
            tape.credit(weight, Dense(scaled.reshape(batch, -1, *weight.shape).sum(1)))
        if tape.is_shared(bias):
            tape.credit(bias, Dense(gradient.reshape(batch, -1, *bias.shape).sum(1)))

    return tape.on_gradient(output, held, note)


def _spread(tape: Tape, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A broadcasting call, each shared operand replaced by one copy for each example."""
    lead = max((t for t in _flat((args, kwargs)) if tape.is_batched(t)), key=lambda t: t.ndim)
    shared = [t for t in _flat((args, kwargs)) if tape.is_shared(t)]
    if not all(_fits(tape, t, lead) for t in shared):
        return _unknown(tape, func, args, kwargs)
    copies = {id(t): _copy_for_each(tape, t, lead) for t in shared}
    args, kwargs = _replaced((args, kwargs), copies)
    return func(*args, **kwargs)


def _fits(tape: Tape, shared: Any, lead: Any) -> bool:
    if lead.ndim == 0 or not _batch_is_outermost(tape, lead) or shared.ndim > lead.ndim:
        return False
    return shared.ndim < lead.ndim or shared.shape[0] in (1, lead.shape[0])


def _copy_for_each(tape: Tape, shared: torch.Tensor, lead: torch.Tensor) -> torch.Tensor:
    """`shared` with the leading dimension n of `lead`, so that its gradient (n, ...) is one of each example."""
    n, batch = lead.shape[0], tape.batch_size or 1
    if shared.ndim == lead.ndim and shared.shape[0] == n > 1:
        return tape.stand_in(shared.detach(), lambda g: tape.credit_own_part(shared, g))
    aligned = shared.detach().reshape((1,) * (lead.ndim - shared.ndim) + shared.shape)

    def note(gradient: torch.Tensor) -> None:
        tape.credit(shared, Dense(gradient.reshape(batch, n // batch, *shared.shape).sum(1)))

    return tape.stand_in(aligned.expand(n, *aligned.shape[1:]), note)


def _unknown(tape: Tape, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call without a rule: harmless where nothing of it has a gradient (a comparison), else refused."""
    result = func(*args, **kwargs)
    changed = args[0] if changes_first(func) else None
    if any(t.requires_grad for t in _flat((result, changed))):
        tape.refuse(f"used by {name_of(func)}(), which has no exact rule; {FIX}", *_flat((args, kwargs)))
    return result


def _batch_is_outermost(tape: Tape, tensor: Any) -> bool:
    divisible = tensor.ndim > 0 and bool(tape.batch_size) and tensor.shape[0] % tape.batch_size == 0
    return divisible and not layout.is_moved(tensor)


def _joins_within_examples(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    return dim not in (0, -args[0][0].ndim)


def name_of(func: Any) -> str:
    """The name of a function, in place or not."""
    return str(getattr(func, "__name__", func)).strip("_")


def _flat(nest: Any) -> list[Any]:
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, list | tuple):
        return [leaf for part in nest for leaf in _flat(part)]
    return [nest] if isinstance(nest, torch.Tensor) else []


def _replaced(nest: Any, copies: dict[int, torch.Tensor]) -> Any:
    """`nest` with the tensors that have a copy replaced by it."""
    if isinstance(nest, dict):
        return {key: _replaced(value, copies) for key, value in nest.items()}
    if isinstance(nest, list | tuple):
        return type(nest)(_replaced(part, copies) for part in nest)
    return copies.get(id(nest), nest)


_RULES: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    torch.addmm: _addmm,
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
    torch.matmul: _matmul,
    torch.mm: _matmul,
    torch.Tensor.matmul: _matmul,
    torch.Tensor.__matmul__: _matmul,
    torch.Tensor.mm: _matmul,
}
