"""Watches a forward and a backward pass, and notes every use of a trainable parameter as per-example factors.

A *use* is a function call in which something computed from the data meets something computed from parameters alone.
Whether that happens inside a layer, in a tied head or in bare arithmetic makes no difference, so no layer type is
special, and nothing is missed: a gradient that reaches a parameter by another way stops the pass.

Tensors are of three kinds. *Batched*: computed from the data, batch outermost. *Shared*: a trainable parameter, or
computed from parameters and constants alone (`wpe` looked up at positions [1, T], relative position biases, `W.T`),
hence the same for all examples. Everything else is constant.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from auditkit.errors import InputError
from auditkit.privacy import layer_rules, layout
from auditkit.privacy.gradient_factors import Dense, Factor, Outer, accumulate, combine
from auditkit.privacy.workspace import Workspace


class UnsupportedModel(InputError):
    """Per-example gradients of this model cannot be had exactly. `problems` lists every reason, each with its fix."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(dict.fromkeys(problems))
        super().__init__("no exact per-example gradients:\n" + "\n".join(f"- {p}" for p in self.problems))


class Tape(TorchFunctionMode):
    """The record of one pass over one physical batch.

    Attributes:
        parameters: name -> trainable parameter.
        batch_size: B, the length of the first tensor given to the module in examples; None until the module is called.
        factors: name -> per-example gradients, one factor for each use; filled by the backward pass.
        squares: name -> (B,) squared norms of the gradients of parameters used once: known at once, while what they
            are computed from is in the cache. Where that was too large to be kept, there are no factors.
        problems: uses that have no exact rule.

    Args:
        parameters: see above.
        rows_per_example: how many consecutive rows of the input are one example.
        workspace: buffers for gradients that are written out.
        held_at_most: bytes of output gradients that may be kept; those beyond it are computed a second time.
    """

    def __init__(
        self, parameters: dict[str, nn.Parameter], *, rows_per_example: int, workspace: Workspace, held_at_most: float
    ) -> None:
        super().__init__()
        self.parameters = parameters
        self.batch_size: int | None = None
        self.factors: defaultdict[str, list[Factor]] = defaultdict(list)
        self.squares: dict[str, torch.Tensor] = {}
        self.problems: list[str] = []
        self._rows_per_example, self._workspace, self._held_at_most = rows_per_example, workspace, held_at_most
        self._touches: Counter[str] = Counter()
        self._to_hold: Counter[str] = Counter()
        self._passing: frozenset[str] = frozenset()
        self._sums: dict[str, torch.Tensor] | None = None
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
            self.batch_size, left_over = divmod(len(tensors[0]), self._rows_per_example)
            if left_over:
                raise InputError(
                    f"{len(tensors[0])} rows of input, which is no multiple of {self._rows_per_example} rows an example"
                )
        for tensor in tensors:
            if len(tensor) == (self.batch_size or 0) * self._rows_per_example:
                self._mark(tensor, self._batched)

    def backward(self, losses: torch.Tensor) -> None:
        """Fill `factors` and `squares` with the gradients of `losses` (B,)."""
        self._passing = self._too_large()
        self._run_engine(losses.sum(), again=bool(self._passing))
        with self.asleep():
            self._pull_back()

    def weighted_sums(self, losses: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        """For what was too large to be kept, the sums of weights[b] times the gradient of b, by a second backward."""
        self._sums = {}
        if self._passing:
            with self.asleep():
                total = losses @ weights.to(losses.dtype)
            self._run_engine(total, again=False)
            self._pending.clear()
        return self._sums

    def _run_engine(self, total: torch.Tensor, *, again: bool) -> None:
        """`total.backward()`, which itself would put this mode to sleep: what a checkpoint runs again must be seen."""
        engine = torch.autograd.Variable._execution_engine
        self._running_backward = True
        try:
            engine.run_backward((total,), (torch.ones_like(total),), again, False, (), True, True)
        finally:
            self._running_backward = False

    def _too_large(self) -> frozenset[str]:
        """Parameters whose output gradients are beyond what may be held, the largest first.

        Only of those used once: the norm of a sum needs all its terms at the same time.
        """
        excess = sum(self._to_hold.values()) - self._held_at_most
        chosen = set()
        for name, size in self._to_hold.most_common():
            if excess > 0 and self._touches[name] == 1:
                chosen.add(name)
                excess -= size
        return frozenset(chosen)

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

    def expect(self, weight: torch.Tensor, output: torch.Tensor) -> None:
        """Announce that the gradient of `output` will be held for `weight`, unless there is no room for it."""
        name = self._names.get(id(weight))
        if name is not None:
            self._to_hold[name] += output.numel() * output.element_size()

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
            self._keep(name, factor, shared.shape)
        elif id(shared) in self._lookups:
            lookup = self._lookups[id(shared)]
            self.credit(lookup.weight, lookup.used_by_all(factor.dense(shared.shape)))
        else:
            self._pending.append((shared, factor.dense(shared.shape)))

    def _keep(self, name: str, factor: Factor, shape: torch.Size) -> None:
        if self._sums is not None:
            if name in self._passing and isinstance(factor, Outer):
                self._sums[name] = factor.weighted_sum(factor.right.new_ones(self.batch_size), shape)
        elif name in self._passing:
            self.squares[name] = combine([factor], shape)[0]
        else:
            accumulate(self.factors[name], factor, shape, self._workspace)
            if name in self._to_hold and self._touches[name] == 1:  # no other use follows
                self.squares[name] = combine(self.factors[name], shape)[0]

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
        if shared and not self._running_backward:
            self._touches.update(self._names[id(t)] for t in operands if id(t) in self._names)
        if shared and torch.is_grad_enabled():
            result = layer_rules.apply(self, func, args, kwargs, batched=batched)
        else:
            result = func(*args, **kwargs)
        kind = self._batched if batched else self._shared if shared else self._constant
        changed = args[0] if args and layer_rules.changes_first(func) else None
        for tensor in _tensors((result, changed)):
            if batched or tensor.requires_grad:
                self._mark(tensor, kind)
        if batched:
            moving = [t for t in operands if self.is_batched(t)]
            results = list(_tensors((result, changed)))
            layout.follow(self.batch_size or 1, layer_rules.name_of(func), func, (args, kwargs), moving, results)
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
            raise InputError(
                "backward() was called on a plain loss; call engine.backward(losses) with the loss per example, or "
                "backward() of the loss that the private criterion returns"
            )
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
