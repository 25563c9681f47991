"""Watches a forward and a backward pass, and notes every use of a trainable parameter as per-example factors.

A *use* is a function call in which something computed from the data meets something computed from parameters alone.
Whether that happens inside a layer, in a tied head or in bare arithmetic makes no difference, so no layer type is
special, and nothing is missed: a gradient that reaches a parameter by another way stops the pass.

Tensors are of three kinds. *Batched*: computed from the data, batch outermost. *Shared*: a trainable parameter, or
computed from parameters and constants alone (`wpe` looked up at positions [1, T], relative position biases, `W.T`),
hence the same for all examples. Everything else is constant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from auditkit.errors import InputError
from auditkit.privacy import layer_rules
from auditkit.privacy.gradient_factors import Dense, Factor, accumulate


class UnsupportedModel(InputError):
    """Per-example gradients of this model cannot be had exactly. `problems` lists every reason, each with its fix."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(dict.fromkeys(problems))
        super().__init__("no exact per-example gradients:\n" + "\n".join(f"- {p}" for p in self.problems))


class Tape(TorchFunctionMode):
    """The record of one pass over one physical batch.

    Attributes:
        parameters: name -> trainable parameter.
        batch_size: B, the length of the first tensor given to the module; None until the module is called.
        factors: name -> per-example gradients, one factor for each use; filled by the backward pass.
        problems: uses that have no exact rule.
    """

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.parameters = parameters
        self.batch_size: int | None = None
        self.factors: defaultdict[str, list[Factor]] = defaultdict(list)
        self.problems: list[str] = []
        self._names = {id(parameter): name for name, parameter in parameters.items()}
        self._batched, self._shared, self._constant = object(), object(), object()  # those of other passes are void
        self._lookups: dict[int, layer_rules.Lookup] = {}
        self._pending: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._anchor = torch.zeros((), requires_grad=True)
        self._running_backward = False
        self._guards = [parameter.register_hook(self._guard(name)) for name, parameter in parameters.items()]

    def close(self) -> None:
        """Take the hooks off the parameters."""
        for guard in self._guards:
            guard.remove()

    def mark_inputs(self, inputs: Any) -> None:
        """Declare the tensors of `inputs` whose first dimension is that of the first one as the data."""
        tensors = [t for t in _tensors(inputs) if t.ndim]
        if tensors and self.batch_size is None:
            self.batch_size = len(tensors[0])
        for tensor in tensors:
            if len(tensor) == self.batch_size:
                self._mark(tensor, self._batched)

    def backward(self, losses: torch.Tensor) -> None:
        """Fill `factors` with the gradients of `losses` (B,)."""
        self._running_backward = True
        try:
            self._run_engine(losses.sum())
        finally:
            self._running_backward = False
        with self.asleep():
            self._pull_back()

    def _run_engine(self, total: torch.Tensor) -> None:
        """`total.backward()`, which itself would put this mode to sleep: what a checkpoint runs again must be seen."""
        engine = torch.autograd.Variable._execution_engine
        engine.run_backward((total,), (torch.ones_like(total),), False, False, (), True, True)

    def asleep(self) -> Any:
        """A context in which nothing is recorded."""
        return torch._C.DisableTorchFunction()

    # What the rules of `layer_rules` call.

    def is_shared(self, value: Any) -> bool:
        """Whether `value` is a trainable parameter, or computed from parameters and constants alone."""
        return isinstance(value, torch.Tensor) and (id(value) in self._names or self._origin(value) is self._shared)

    def is_batched(self, value: Any) -> bool:
        """Whether `value` is computed from the data, as is what a function that torch hides returns."""
        if not isinstance(value, torch.Tensor) or id(value) in self._names:
            return False
        origin = self._origin(value)
        if origin is self._shared or origin is self._constant:
            return False
        return origin is self._batched or value.grad_fn is not None

    def cut(self, value: Any) -> Any:
        """`value` without its gradient, where it is shared: autograd then skips the sum over the batch."""
        return value.detach() if self.is_shared(value) else value

    def on_gradient(self, output: torch.Tensor, held: torch.Tensor, note: Callable[[torch.Tensor], None]) -> Any:
        """Call `note(g)` with the gradient of `output`; `held` is what `note` needs unchanged until then."""
        version = held._version
        if not output.requires_grad:
            output = _Attach.apply(self._anchor, output)

        def arrive(gradient: torch.Tensor) -> None:
            if held._version != version:
                raise UnsupportedModel([_changed_in_place(held)])
            self._receive(gradient, note)

        output.register_hook(arrive)
        return output

    def stand_in(self, copies: torch.Tensor, note: Callable[[torch.Tensor], None]) -> torch.Tensor:
        """Make `copies` of a shared tensor collect a gradient, for `note`."""

        def arrived(leaf: torch.Tensor) -> None:
            self._receive(leaf.grad, note)
            leaf.grad = None  # frees it: nobody else reads it

        copies.requires_grad_().register_post_accumulate_grad_hook(arrived)
        return copies

    def look_up(self, lookup: layer_rules.Lookup) -> torch.Tensor:
        """A shared tensor of rows of a table, chosen by constant ids."""
        rows = lookup.rows.requires_grad_()
        rows.register_hook(self._guard("a row look-up"))
        self._lookups[id(rows)] = lookup
        return rows

    def credit(self, shared: torch.Tensor, factor: Factor) -> None:
        """Add per-example gradients (B, *shape) of a shared tensor."""
        name = self._names.get(id(shared))
        if name is not None:
            accumulate(self.factors[name], factor, shared.shape)
        elif id(shared) in self._lookups:
            lookup = self._lookups[id(shared)]
            self.credit(lookup.weight, lookup.used_by_all(factor.dense(shared.shape)))
        else:
            self._pending.append((shared, factor.dense(shared.shape)))

    def credit_own_part(self, shared: torch.Tensor, gradient: torch.Tensor) -> None:
        """Add gradients of a shared tensor of which example b used slice b alone; `gradient` has its shape."""
        batch = self.batch_size or 1
        lookup = self._lookups.get(id(shared))
        if lookup is not None:
            self.credit(lookup.weight, lookup.used_in_parts(batch, gradient))
            return
        own = torch.eye(batch, dtype=gradient.dtype, device=gradient.device)
        parts = gradient.reshape(batch, -1)
        self.credit(shared, Dense((own[:, :, None] * parts).reshape(batch, *shared.shape)))

    def refuse(self, what: str, *operands: Any) -> None:
        """Note a use that has no exact rule."""
        names = sorted({name for t in operands if self.is_shared(t) for name in self._sources(t)})
        self.problems.append(f"{', '.join(names) or 'a parameter'}: {what}")

    # How calls are sorted.

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operands = list(_tensors(args[:1] if layer_rules.reads_metadata(func) else (args, kwargs)))
        batched = any(map(self.is_batched, operands))
        shared = any(map(self.is_shared, operands))
        if shared and torch.is_grad_enabled():
            result = layer_rules.apply(self, func, args, kwargs, batched=batched)
        else:
            result = func(*args, **kwargs)
        kind = self._batched if batched else self._shared if shared else self._constant
        changed = args[0] if layer_rules.changes_first(func) else None
        for tensor in _tensors((result, changed)):
            if batched or tensor.requires_grad:
                self._mark(tensor, kind)
        return result

    def _sources(self, shared: torch.Tensor) -> set[str]:
        """Names of the parameters that a shared tensor was computed from."""
        lookup = self._lookups.get(id(shared))
        source = lookup.weight if lookup else shared
        if id(source) in self._names:
            return {self._names[id(source)]}
        found, nodes = set(), [shared.grad_fn]
        while nodes:
            node = nodes.pop()
            if hasattr(node, "variable"):
                found |= self._sources(node.variable)
            nodes += [parent for parent, _ in getattr(node, "next_functions", ()) if parent is not None]
        return found

    def _origin(self, tensor: torch.Tensor) -> object:
        return getattr(tensor, "_auditkit_origin", None)

    def _mark(self, tensor: torch.Tensor, origin: object) -> None:
        if id(tensor) not in self._names:
            tensor._auditkit_origin = origin

    def _receive(self, gradient: torch.Tensor, note: Callable[[torch.Tensor], None]) -> None:
        if not self._running_backward:
            raise InputError("backward() was called on a loss; call engine.backward(losses) with the loss per example")
        with self.asleep(), torch.autocast(gradient.device.type, enabled=False):
            note(gradient)

    def _guard(self, name: str) -> Callable[[torch.Tensor], None]:
        def reached(gradient: torch.Tensor) -> None:
            if self._running_backward:
                fix = "use it through torch functions that are called while the engine records, or freeze it"
                raise UnsupportedModel([f"{name}: used by a function that torch hides (a custom Function, jit); {fix}"])

        return reached

    def _pull_back(self) -> None:
        """Carry the gradients of tensors computed from parameters to these, for all examples at once."""
        roots = [*self.parameters.values(), *(lookup.rows for lookup in self._lookups.values())]
        for shared, gradients in self._pending:
            parts = torch.autograd.grad(
                shared, roots, gradients.to(shared.dtype), retain_graph=True, allow_unused=True, is_grads_batched=True
            )
            for root, part in zip(roots, parts, strict=True):
                if part is not None:
                    self.credit(root, Dense(part))
        self._pending.clear()


class _Attach(torch.autograd.Function):
    """Makes a tensor without gradient part of the graph, without a copy: its gradient can then be watched."""

    @staticmethod
    def forward(ctx: Any, anchor: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, None]:
        return None, None


def _changed_in_place(held: torch.Tensor) -> str:
    return (
        f"a tensor {tuple(held.shape)}: changed in place between its use by a layer and the backward pass; "
        "write `x = x + y` in place of `x += y`"
    )


def _tensors(nest: Any) -> Iterator[torch.Tensor]:
    if isinstance(nest, torch.Tensor):
        yield nest
    elif isinstance(nest, dict):
        for value in nest.values():
            yield from _tensors(value)
    elif isinstance(nest, list | tuple):
        for value in nest:
            yield from _tensors(value)
