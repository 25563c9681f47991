"""Attribution side by side with captum, interpreto and inseq, and the areas over the curves with ferret-xai's.

    python benchmarks/explain.py [--repeats 5] [--texts 200] [--peers interpreto inseq ferret-xai]

A GPT-2-shaped model (4 layers, 256 wide) with random weights, prompts of 33 tokens and continuations of 9. All take
turns in one run, captum in this process, the others in environments of their own. Captum and inseq compute the gradient
of each of the 9 tokens apart, even where only their sum is wanted; ours explains the sum with one ("whole", the same
values), and is timed for "each token" too. Captum's uncached path is the reference for the values; the error of its
default path stands beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from captum import attr as captum
from explain_peers import PEERS, running
from peers import PeerError
from timing import seconds
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from auditkit.explain import Continuation, Label, attribute, attribute_each_token
from auditkit.explain.removal import Remover, aopc, curves
from auditkit.models.causal_lm import CausalLM
from auditkit.models.classifier import Classifier

PROMPT, WRITTEN, STEPS = 33, 9, 50
VOCABULARY = 8000
TARGETS = {  # at least so many times faster
    "occlusion / interpreto": 1.7,
    "occlusion / captum, tokens off": 2.5,
    "IG, whole / inseq": 1.7,
    "IG, whole / captum": 1.7,
    "IG, each token / inseq": 1.7,
    "IG, each token / captum": 1.7,
}


def tokenizer(specials: Sequence[str], template: str | None = None) -> Any:
    """One token for each word w0, w1, ..."""
    words = [*specials, *(f"w{i}" for i in range(VOCABULARY - len(specials)))]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=specials[0]))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.decoder = decoders.WordPiece(prefix="##")
    if template:
        known = [(s, words.index(s)) for s in ("[CLS]", "[SEP]")]
        inner.post_processor = processors.TemplateProcessing(single=template, special_tokens=known)
    return inner


def language_model() -> CausalLM:
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(["<unk>", "<s>", "</s>"]), unk_token="<unk>", eos_token="</s>", pad_token="</s>",
        model_max_length=512,
    )  # fmt: skip
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=4, n_embd=256, n_head=8, vocab_size=VOCABULARY, n_positions=512, bos_token_id=2, eos_token_id=2
    )
    return CausalLM(_sharper(transformers.GPT2LMHeadModel(config)), fast, name="gpt2-shaped")


def classifier() -> Classifier:
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"], "[CLS] $A [SEP]"),
        unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        model_max_length=64,
    )  # fmt: skip
    torch.manual_seed(0)
    config = transformers.BertConfig(
        num_hidden_layers=2, hidden_size=64, num_attention_heads=4, intermediate_size=128, vocab_size=VOCABULARY,
        max_position_embeddings=64, pad_token_id=1, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1},
    )  # fmt: skip
    return Classifier(_sharper(transformers.BertForSequenceClassification(config)), fast, name="bert-shaped")


def _sharper(module: Any) -> Any:
    """Predictions that depend on the input: the default initialisation is nearly uniform."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return module.eval()


def save(model: Any, folder: Path) -> None:
    """As transformers 4 can read it too, which calls the tokenizer's class by another name."""
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(config))


def texts(n: int, words: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{i}" for i in rng.integers(0, VOCABULARY - 10, words)) for _ in range(n)]


# --- captum, as its documentation shows it ------------------------------------------------------------------------


def of_captum(model: CausalLM, kind: str, prompt: str, written: str, *, each: bool = False) -> np.ndarray:
    words, target = model.tokenizer, model.tokenizer(written)["input_ids"]
    text = captum.TextTokenInput(prompt, words, baselines=words.pad_token_id)
    if kind == "IG":
        layer = captum.LayerIntegratedGradients(model.module, model.module.get_input_embeddings())
        found = captum.LLMGradientAttribution(layer, words).attribute(text, torch.tensor(target), n_steps=STEPS)
        return found.token_attr.numpy() if each else found.seq_attr.numpy()
    wrapped = captum.LLMAttribution(captum.FeatureAblation(model.module), words)
    options: dict[str, Any] = {
        "uncached": {"use_cached_outputs": False}, "default": {}, "tokens off": {"forward_in_tokens": False},
    }[kind]  # fmt: skip
    with torch.no_grad():
        return wrapped.attribute(text, torch.tensor(target), **options).seq_attr.numpy()


# --- ours ---------------------------------------------------------------------------------------------------------


def ours(model: CausalLM, method: str, prompts: Sequence[str], written: str) -> np.ndarray:
    found = attribute(
        model, prompts, target=Continuation(" " + written), method=method, baseline="pad", steps=STEPS, tolerance=None
    )
    return found[0].token_values


def each_token(model: CausalLM, prompt: str, written: str, method: str = "integrated_gradients") -> np.ndarray:
    """Every token of the continuation by itself, given those before it."""
    (found,) = attribute_each_token(
        model, [prompt], Continuation(" " + written), method=method, baseline="pad", steps=STEPS, tolerance=None
    )
    return np.stack([item.token_values for item in found])


# --- measurements -------------------------------------------------------------------------------------------------


def in_turns(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, dict[str, float]]:
    """Least and median seconds of each, the first turn left out."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            spent = run()
            if turn:
                took[name].append(spent)
    return {name: {"min": min(t), "median": float(np.median(t))} for name, t in took.items()}


def timings(folder: Path, repeats: int, many: int, wanted: Sequence[str]) -> dict[str, Any]:
    model, prompt, written = language_model(), texts(1, PROMPT)[0], texts(1, WRITTEN, 1)[0]
    save(model, folder)
    exact = of_captum(model, "uncached", prompt, written)
    values = {
        "occlusion, largest difference from captum uncached": _apart(
            ours(model, "occlusion", [prompt], written), exact
        ),
        "captum default, largest difference from captum uncached": _apart(
            of_captum(model, "default", prompt, written), exact
        ),
        "IG, largest difference from captum": _apart(
            ours(model, "integrated_gradients", [prompt], written), of_captum(model, "IG", prompt, written)
        ),
        "IG of each token, largest difference from captum": _apart(
            each_token(model, prompt, written).T, of_captum(model, "IG", prompt, written, each=True).T
        ),
    }
    runs: dict[str, Callable[[], float]] = {
        "ours, occlusion": lambda: seconds(lambda: ours(model, "occlusion", [prompt], written))[0],
        "ours, IG": lambda: seconds(lambda: ours(model, "integrated_gradients", [prompt], written))[0],
        "ours, IG, each token": lambda: seconds(lambda: each_token(model, prompt, written))[0],
        "captum, occlusion, uncached": lambda: seconds(lambda: of_captum(model, "uncached", prompt, written))[0],
        "captum, occlusion, tokens off": lambda: seconds(lambda: of_captum(model, "tokens off", prompt, written))[0],
        "captum, IG": lambda: seconds(lambda: of_captum(model, "IG", prompt, written))[0],
    }
    prompts, result = texts(many, PROMPT), dict[str, Any]()
    several: dict[str, Callable[[], float]] = {
        "ours, occlusion": lambda: seconds(lambda: ours(model, "occlusion", prompts, written))[0],
    }
    with_peers = [p for p in wanted if p != "ferret-xai"]
    with running(with_peers, folder) as peers:
        for name, ask in peers.items():
            if isinstance(ask, PeerError):
                result[name] = str(ask)
                continue
            for method in PEERS[name].methods:
                request = {"do": method, "prompts": [prompt], "written": written, "steps": STEPS}
                runs[f"{name}, {method}"] = lambda ask=ask, request=request: ask(**request)["seconds"]
                if name == "interpreto" and method == "occlusion":
                    several[f"{name}, {method}"] = lambda ask=ask, r=request: ask(**r | {"prompts": prompts})["seconds"]
        one = in_turns(runs, repeats)
        result |= {"values": values, "one text, s": one, "ratios": _ratios(one)}
        result[f"{many} texts, s"] = in_turns(several, max(1, repeats // 3))
    return result | {"targets": TARGETS}


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a[-len(b) :] - b).max())


def _ratios(one: dict[str, dict[str, float]]) -> dict[str, float]:
    """Their least time over ours."""
    pairs = {
        "occlusion / interpreto": ("interpreto, occlusion", "ours, occlusion"),
        "occlusion / captum, tokens off": ("captum, occlusion, tokens off", "ours, occlusion"),
        "occlusion / inseq": ("inseq, occlusion", "ours, occlusion"),
        "IG, each token / inseq": ("inseq, integrated_gradients", "ours, IG, each token"),
        "IG, each token / captum": ("captum, IG", "ours, IG, each token"),
        "IG, whole / inseq": ("inseq, integrated_gradients", "ours, IG"),
        "IG, whole / captum": ("captum, IG", "ours, IG"),
    }
    return {name: one[a]["min"] / one[b]["min"] for name, (a, b) in pairs.items() if a in one}


def areas(folder: Path, wanted: Sequence[str]) -> dict[str, Any]:
    """Comprehensiveness and sufficiency of the same attributions by ferret-xai and by us; and what ours cost."""
    model, given = classifier(), texts(20, 24)  # of 24 words, the five fractions are five different numbers of words
    save(model, folder)
    found = attribute(model, given, target=Label("yes"), method="occlusion", baseline="mask")
    mine = np.stack(aopc(model, found), axis=1)
    measured = curves(Remover(model, found.questions, "mask"), [item.values for item in found])
    result: dict[str, Any] = {"evaluations of a text for all curves": measured.evaluations}
    with running([p for p in wanted if p == "ferret-xai"], folder) as peers:
        for name, ask in peers.items():
            if isinstance(ask, PeerError):
                return result | {name: str(ask)}
            theirs = ask(do="aopc", texts=given, scores=[item.token_values.tolist() for item in found], target=1)
            result["AOPC, largest difference from ferret-xai"] = float(np.abs(mine - np.array(theirs)).max())
    return result


def measure(repeats: int = 5, many: int = 200, wanted: Sequence[str] = tuple(PEERS)) -> dict[str, Any]:
    """Everything; a peer that does not install or run is named with its reason."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        warnings.simplefilter("ignore")
        return (
            {"threads": torch.get_num_threads()}
            | timings(Path(one), repeats, many, wanted)
            | areas(Path(other), wanted)
        )


def show(result: dict[str, Any]) -> None:
    print(json.dumps(result, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    options = parser.parse_args()
    show(measure(options.repeats, options.texts, options.peers))


if __name__ == "__main__":
    main()
