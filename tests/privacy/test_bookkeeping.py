import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from auditkit.errors import InputError
from auditkit.privacy import bookkeeping, layer_rules
from auditkit.privacy.bookkeeping import BookKeeping
from auditkit.privacy.gradient_factors import Rows, combine
from auditkit.privacy.losses import next_token_loss, token_loss
from auditkit.privacy.settings import PrivacySettingError
from auditkit.privacy.tape import UnsupportedModel

IDS = torch.tensor([[1, 2, 3, 4, 1], [4, 4, 0, 2, 1], [2, 3, 0, 0, 4]])


class TinyLM(nn.Module):
    """Tied embedding with a padding row, positions, one affine layer, a norm; wide enough for ghost norms."""

    def __init__(self, vocabulary: int = 200, width: int = 6) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=0)
        self.positions = nn.Embedding(9, width)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def body(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1])[None])
        return self.norm(x + self.mix(x).cumsum(1).tanh())

    def forward(self, ids):
        return F.linear(self.body(ids), self.tokens.weight)


def lm_losses(module):
    return lambda ids: next_token_loss(module(ids), ids)


def sums_of(module, losses, batch, max_grad_norm=0.5, mode="auto"):
    module.zero_grad()
    with (engine := BookKeeping(module, max_grad_norm=max_grad_norm, mode=mode)):
        norms = engine.backward(losses(*batch))
    return norms, {name: p.grad for name, p in module.named_parameters()}


def test_norms_and_clipped_sum_computed_by_hand():
    module = nn.Linear(2, 1)
    x = torch.tensor([[3.0, 0.0], [0.0, 0.1]])
    with (engine := BookKeeping(module, max_grad_norm=1.0)):
        norms = engine.backward(module(x)[:, 0])  # gradients: weight x, bias 1
    assert norms.tolist() == pytest.approx([10**0.5, 1.01**0.5])
    assert module.weight.grad.tolist()[0] == pytest.approx([3 / 10**0.5, 0.1 / 1.01**0.5])
    assert module.bias.grad.item() == pytest.approx(1 / 10**0.5 + 1 / 1.01**0.5)


def test_a_small_gradient_is_not_scaled_up():
    module = nn.Linear(2, 1, bias=False)
    with (engine := BookKeeping(module, max_grad_norm=5.0)):
        engine.backward(module(torch.tensor([[0.3, 0.4], [0.0, 0.0]]))[:, 0])
    assert module.weight.grad.tolist()[0] == pytest.approx([0.3, 0.4])


@pytest.mark.parametrize("ids", [IDS, IDS[:1], IDS[:, :-1], IDS.T.contiguous().T])
def test_tied_weights_padding_rows_and_ids_of_any_layout(ids, assert_exact):
    module = TinyLM()
    assert_exact(module, lm_losses(module), (ids,), 1e-5)


def drop_cross_terms(factors, shape):
    """Planted mistake: the tied weight counted as if its uses were different parameters."""
    parts = [combine([factor], shape) for factor in factors]
    return sum(squares for squares, _ in parts), [factor for _, kept in parts for factor in kept]


def averaged_over_the_batch(lookup, gradients, right=layer_rules.Lookup.used_by_all):
    """Planted mistake: a position embedding on [1, T] has the gradient of the mean example."""
    return right(lookup, gradients.mean(0, keepdim=True).expand_as(gradients))


@pytest.mark.parametrize(
    ("where", "name", "mistake"),
    [
        (bookkeeping, "combine", drop_cross_terms),
        (bookkeeping, "_clip_factors", lambda norms, c: torch.ones_like(norms)),
        (bookkeeping, "_clip_factors", lambda norms, c: c / norms),
        (layer_rules, "rows", lambda ids, g, padding_idx: Rows(ids, g.reshape(*ids.shape, -1))),
        (layer_rules.Lookup, "used_by_all", averaged_over_the_batch),
    ],
    ids=["cross terms dropped", "not clipped", "scaled up", "padding learns", "positions averaged over the batch"],
)
def test_a_planted_mistake_makes_the_check_of_exactness_fail(where, name, mistake, monkeypatch, assert_exact):
    module = TinyLM()
    monkeypatch.setattr(where, name, mistake)
    with pytest.raises(AssertionError):
        assert_exact(module, lm_losses(module), (IDS,), 1e-5)


def test_a_layer_used_twice_has_the_norm_of_the_sum():
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 2.0)
    model = nn.Sequential(module, module)  # w^2 x: gradient 2 w x
    norms, _ = sums_of(model, lambda x: model(x)[:, 0], (torch.tensor([[1.0], [3.0]]),))
    assert norms.tolist() == pytest.approx([4.0, 12.0])


def test_frozen_parameters_are_left_alone(assert_exact):
    module = TinyLM()
    module.tokens.weight.requires_grad_(False)
    module.mix.weight.requires_grad_(False)
    assert_exact(module, lm_losses(module), (IDS,), 1e-5)
    assert module.tokens.weight.grad is None
    assert module.mix.weight.grad is None


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft calls it
@pytest.mark.parametrize("dora", [False, True])
def test_low_rank_adapters(dora, assert_exact):
    import peft
    import transformers as hf

    torch.manual_seed(0)
    config = hf.GPT2Config(vocab_size=9, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    adapters = peft.LoraConfig(
        r=2, target_modules=["c_attn"], fan_in_fan_out=True, use_dora=dora, init_lora_weights=False
    )
    module = peft.get_peft_model(hf.GPT2LMHeadModel(config), adapters).eval()
    trainable = [name for name, p in module.named_parameters() if p.requires_grad]
    assert all("lora" in name for name in trainable)
    assert_exact(module, lambda ids: next_token_loss(module(ids).logits, ids), (IDS,), 1e-5)


def test_physical_batches_add_up_to_the_logical_batch():
    module = TinyLM()
    _, whole = sums_of(module, lm_losses(module), (IDS,))
    module.zero_grad()
    engine = BookKeeping(module, max_grad_norm=0.5)
    for part in (IDS[:2], IDS[2:]):
        with engine:
            engine.backward(lm_losses(module)(part))
    for name, p in module.named_parameters():
        torch.testing.assert_close(p.grad, whole[name])


@pytest.mark.parametrize("mode", ["book_keeping", "ghost"])
def test_several_rows_of_one_example_are_clipped_together(mode, reference):
    module, ids = TinyLM(), torch.tensor([[1, 2, 3], [4, 0, 2], [2, 2, 2], [3, 1, 4]])

    def losses(rows):
        return next_token_loss(module(rows), rows).view(-1, 2).sum(1)

    norms, sums = reference(module, lambda pair: losses(pair.reshape(-1, 3)), (ids.view(2, 2, 3),), 0.5)
    engine = BookKeeping(module, max_grad_norm=0.5, mode=mode)
    engine.rows_per_example = 2
    module.zero_grad()
    with engine:
        assert engine.backward(losses(ids)).tolist() == pytest.approx(norms.tolist())
    for name, p in module.named_parameters():
        torch.testing.assert_close(p.grad, sums[name])


def test_rows_that_make_no_whole_examples_are_refused():
    engine = BookKeeping(module := TinyLM(), max_grad_norm=1.0)
    engine.rows_per_example = 2
    with engine, pytest.raises(InputError, match="3 rows of input, which is no multiple of 2"):
        module(IDS)


def test_ghost_mode_holds_no_gradients_of_affine_layers_until_the_norms_are_known(monkeypatch):
    module, held = TinyLM(), {}
    norms = bookkeeping._norms

    def peek(tape):
        held.update({name: list(factors) for name, factors in tape.factors.items()})
        return norms(tape)

    monkeypatch.setattr(bookkeeping, "_norms", peek)
    sums_of(module, lm_losses(module), (IDS,), mode="ghost")
    assert "mix.weight" not in held
    assert "tokens.weight" in held  # used twice: the norm of the sum needs both uses at once


def test_auto_mode_holds_all_gradients_until_memory_is_short(monkeypatch):
    module, passed = TinyLM(), []
    monkeypatch.setattr(bookkeeping.Tape, "weighted_sums", lambda tape, *_: passed.append(set(tape._passing)) or {})
    sums_of(module, lm_losses(module), (IDS,))
    monkeypatch.setattr(bookkeeping, "_may_be_held", lambda *_: 4.0 * IDS.numel() * 200)  # room for the head's alone
    sums_of(module, lm_losses(module), (IDS,))
    assert passed == [set(), {"mix.weight"}]


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="did you mean 'ghost'"):
        BookKeeping(TinyLM(), max_grad_norm=1.0, mode="gost")


def test_an_empty_batch_adds_zeros_so_that_noise_can_still_be_added():
    module = nn.Linear(2, 1)
    with (engine := BookKeeping(module, max_grad_norm=1.0)):
        assert engine.backward(module(torch.zeros(0, 2))[:, 0]).shape == (0,)
    assert module.weight.grad.tolist() == [[0.0, 0.0]]
    assert module.bias.grad.tolist() == [0.0]


@pytest.mark.parametrize("mode", ["book_keeping", "ghost"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant, mode, reference):
    class Checkpointed(TinyLM):
        def forward(self, ids):
            x = self.tokens(ids)
            x = checkpoint(lambda x: self.norm(x + self.mix(x)), x, use_reentrant=reentrant)
            return F.linear(x, self.tokens.weight)

    module = Checkpointed()
    module.positions.requires_grad_(False)
    plain = TinyLM()
    plain.forward = lambda ids: F.linear(
        plain.norm(plain.tokens(ids) + plain.mix(plain.tokens(ids))), plain.tokens.weight
    )
    norms, sums = reference(plain, lm_losses(plain), (IDS,), 0.5)
    measured, found = sums_of(module, lm_losses(module), (IDS,), mode=mode)
    assert measured.tolist() == pytest.approx(norms.tolist(), rel=1e-5)
    for name in ("tokens.weight", "mix.weight", "norm.bias"):
        torch.testing.assert_close(found[name], sums[name])


def test_bfloat16_autocast_is_exact_to_the_rounding_of_bfloat16(reference):
    module = TinyLM()

    def losses(ids):
        with torch.autocast("cpu", torch.bfloat16):
            return next_token_loss(module(ids).float(), ids)

    norms, sums = reference(module, losses, (IDS,), 0.5)
    measured, found = sums_of(module, losses, (IDS,))
    assert measured.tolist() == pytest.approx(norms.tolist(), rel=0.02)
    for name, expected in sums.items():
        assert found[name].dtype == torch.float32
        assert (found[name] - expected).norm() < 0.02 * expected.norm()


def test_ignored_tokens_do_not_change_the_norm():
    module = TinyLM()
    labels = IDS.masked_fill(IDS == 0, -100)
    short, _ = sums_of(module, lambda ids: token_loss(module(ids)[:, :2], ids[:, :2]), (IDS[2:],))
    masked = labels[2:].clone()
    masked[:, 2:] = -100
    full, _ = sums_of(module, lambda ids: token_loss(module(ids), masked), (IDS[2:],))
    assert full.tolist() == pytest.approx(short.tolist())


def test_outside_the_block_the_model_trains_as_ever_and_nothing_is_kept():
    module = TinyLM()
    losses = lm_losses(module)
    before = torch.autograd.grad(losses(IDS).sum(), module.mix.weight)[0]
    engine = BookKeeping(module, max_grad_norm=1.0)
    with engine:
        kept = module.body(IDS)
        module(IDS)
        ghost = weakref.ref(kept)
    del kept  # without waiting for the garbage collector, so that no step holds the activations of the last one
    assert ghost() is None
    module.zero_grad()
    losses(IDS).sum().backward()
    torch.testing.assert_close(module.mix.weight.grad, before)


def test_a_gradient_that_is_not_finite_adds_nothing():
    module = TinyLM()
    scale = torch.tensor([1.0, float("nan"), 1.0])
    with (
        (engine := BookKeeping(module, max_grad_norm=1.0)),
        pytest.raises(InputError, match="1 of 3 examples have a gradient that is not finite"),
    ):
        engine.backward(lm_losses(module)(IDS) * scale)
    assert module.mix.weight.grad is None


class Uses(nn.Module):
    """A model with one parameter, used by a function of the test."""

    def __init__(self, shape, use) -> None:
        super().__init__()
        self.weight, self.use = nn.Parameter(torch.ones(shape)), use

    def forward(self, x):
        return self.use(x, self.weight)


class HiddenFromTorch(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return g * weight, (g * x).sum(0)


def change_in_place(x, weight):
    y = x * 1
    z = F.linear(y, weight)
    y += 1
    return z


@pytest.mark.parametrize(
    ("shape", "use", "message"),
    [
        ((2, 4, 1), lambda x, w: F.conv1d(x[:, :, None], w).flatten(1), r"weight: used by conv1d\(\), which has no"),
        ((4, 2), lambda x, w: torch.einsum("bi,io->bo", x, w), r"weight: used by einsum\(\)"),
        ((3,), lambda x, w: (x.T * w).T, r"weight: used by mul\(\), which has no exact rule"),
        ((4,), HiddenFromTorch.apply, "weight: used by a function that torch hides"),
        ((4, 4), change_in_place, "changed in place"),
        ((4, 4), lambda x, w: w[:3] @ x.T, r"weight: used by matmul\(\)"),
    ],
    ids=["convolution", "einsum", "batch not first", "custom Function", "in place", "batch on the right"],
)
def test_uses_without_an_exact_rule_are_refused(shape, use, message):
    module = Uses(shape, use)
    x = torch.ones(3, 4, requires_grad=True)
    with (engine := BookKeeping(module, max_grad_norm=1.0)), pytest.raises(UnsupportedModel, match=message):
        engine.backward(module(x).sum(1))
    assert module.weight.grad is None


def test_all_refused_uses_are_told_at_once():
    module = Uses(
        (4, 2), lambda x, w: torch.einsum("bi,io->bo", x, w) + F.conv1d(x[:, :, None], w.T[..., None])[..., 0]
    )
    with (engine := BookKeeping(module, max_grad_norm=1.0)), pytest.raises(UnsupportedModel) as error:
        engine.backward(module(torch.ones(3, 4)).sum(1))
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, m: e.backward(lm_losses(m)(IDS).mean()), r"losses of shape \(\) for 3 examples"),
        (lambda e, m: lm_losses(m)(IDS).mean().backward(), r"call engine.backward\(losses\)"),
        (lambda e, m: e.backward(m.body(IDS).sum((1, 2))), "the model itself was not called"),
        (lambda e, m: e.backward(lm_losses(m)(IDS).detach()), "depend on no trainable parameter"),
        (lambda e, m: e.__enter__(), "recording already"),
    ],
)
def test_misuse_is_told_with_its_fix(call, message):
    module = TinyLM()
    with (engine := BookKeeping(module, max_grad_norm=1.0)), pytest.raises(InputError, match=message):
        call(engine, module)


def test_backward_outside_the_block_is_refused():
    with pytest.raises(InputError, match="in `with engine:`"):
        BookKeeping(TinyLM(), max_grad_norm=1.0).backward(torch.ones(3))


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan"), float("inf")])
def test_a_clipping_norm_that_clips_nothing_is_refused(norm):
    with pytest.raises(PrivacySettingError):
        BookKeeping(TinyLM(), max_grad_norm=norm)
