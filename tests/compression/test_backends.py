"""The kernel is chosen by measurement, and what cannot be had is refused in words that help."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import auditkit as ak
from auditkit.compression import backends
from auditkit.compression.backends import Candidate
from auditkit.compression.quantization import Cast, Int4, Int8
from auditkit.compression.spec import compress
from auditkit.errors import InputError, MissingCapability
from tests.compression.conftest import TEXTS, tiny

INT8 = {"kind": "dynamic", "backend": "int_mm"}


def choose_among(monkeypatch, *candidates):
    monkeypatch.setattr(backends, "_tried", lambda *_: candidates)
    return backends.choose("auto", "auto", {(8, 8): 1}, torch.device("cpu"))


def candidate(backend, ratio, note="", kind="dynamic"):
    return Candidate(kind, backend, {12: ratio, 96: ratio + 1}, 0.01, note)


def test_the_fastest_candidate_is_taken(monkeypatch):
    choice = choose_among(monkeypatch, candidate("engine", 1.2), candidate("int_mm", 2.0))
    assert choice.backend == "int_mm"
    assert "2.00 times as fast" in choice.why


def test_a_tie_is_decided_by_order_so_that_noise_decides_less(monkeypatch):
    assert choose_among(monkeypatch, candidate("engine", 1.9), candidate("int_mm", 2.0)).backend == "engine"


def test_of_a_tie_the_more_exact_candidate_is_taken(monkeypatch):
    rough = candidate("engine", 2.0)
    exact = replace(candidate("engine", 1.9, kind="weight_only"), error=0.004)
    choice = choose_among(monkeypatch, rough, exact)
    assert choice.kind == "weight_only"
    assert "with the smaller error" in choice.why
    assert choose_among(monkeypatch, replace(rough, speedup={12: 3.0, 96: 3.0}), exact).kind == "dynamic"


@pytest.mark.parametrize(
    ("in_place", "packed", "kernel"),
    [(2.0, 3.0, "int_mm"), (0.2, 3.0, "engine"), (0.2, 0.5, "int_mm")],
)  # fmt: skip
def test_the_word_table_is_copied_for_the_engine_only_where_that_is_what_makes_it_fast(
    monkeypatch, in_place, packed, kernel
):
    monkeypatch.setattr(backends, "engine_works", lambda: True)
    monkeypatch.setattr(backends, "_tried", lambda *_: (candidate("int_mm", in_place), candidate("engine", packed)))
    assert backends.choose_for_table(30522, 384, torch.device("cpu")) == kernel
    assert backends.choose_for_table(30522, 384, torch.device("cuda")) == "int_mm"


def test_a_candidate_that_yields_nan_is_never_taken(monkeypatch):
    choice = choose_among(monkeypatch, candidate("engine", 9.0, "NaN"), candidate("int_mm", 0.5, "slower than float32"))
    assert choice.backend == "int_mm"
    assert "none of 2 candidates is faster than float32" in choice.why
    assert choice.candidates[0].to_json()["note"] == "NaN"
    with pytest.raises(InputError, match="no int8 kernel works"):
        choose_among(monkeypatch, candidate("engine", 9.0, "NaN"))


def test_a_kernel_that_answers_nan_or_fails_is_found_out(monkeypatch):
    class Broken(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) * torch.nan

    monkeypatch.setattr(backends, "builder", lambda *_: lambda w, b: Broken(*w.T.shape))
    found = backends._try("dynamic", "int_mm", [((8, 8), 1)], torch.device("cpu"))
    assert (found.note, found.error, found.fast) == ("NaN", None, 0.0)

    def fails(weight, bias):
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(backends, "builder", lambda *_: fails)
    found = backends._try("dynamic", "int_mm", [((8, 8), 1)], torch.device("cpu"))
    assert (found.speedup, found.note) == (None, "failed: no such operator")


def test_a_real_choice_lists_what_was_tried_and_is_made_once():
    first, again = (compress(tiny("char-gpt"), "int8").compression[0] for _ in range(2))
    tried = {(c["kind"], c["backend"]) for c in first["candidates"]}
    assert {("dynamic", "int_mm"), ("weight_only", "int_mm"), ("weight_only", "dequantize")} <= tried
    assert all(c["error"] < 0.02 for c in first["candidates"])
    assert first == again


def test_without_the_quantized_engine_another_kernel_is_found(monkeypatch):
    monkeypatch.setattr(backends, "engine_works", lambda: False)
    kinds = backends._possible(torch.device("cpu"))
    assert ("dynamic", "int_mm") in kinds
    assert all(backend != "engine" for _, backend in kinds)
    with pytest.raises(InputError, match="no quantized engine any more; use backend: int_mm"):
        backends.require("engine", torch.device("cpu"))


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [{"int8": INT8}, "int4", {"cast": {"dtype": "float16"}}], ids=str)
@pytest.mark.parametrize("first", [{"int8": INT8}, {"int8": {"backend": "engine"}}, {"int4": {"group": 4}}], ids=str)
def test_quantising_twice_is_refused(first, second):
    with pytest.raises(InputError, match="already quantised"):
        compress(tiny("char-gpt"), [first, second])


def test_a_model_in_which_nothing_is_linear_is_refused():
    model = tiny("char-gpt")
    model.module.blocks = torch.nn.ModuleList()
    with pytest.raises(InputError, match="no stack of blocks with linear maps"):
        compress(model, "int8")


def test_a_layer_that_shares_its_weight_is_refused():
    with pytest.raises(InputError, match=r"lm_head shares its weight with the word table; use int8 with embeddings"):
        compress(tiny("causal"), {"int8": INT8 | {"layers": ["lm_head"]}})


def test_an_absent_backend_names_what_to_install(monkeypatch):
    monkeypatch.setattr(backends, "torchao_installed", lambda: False)
    with pytest.raises(InputError, match=r'pip install "auditkit-lm\[compression\]"'):
        compress(tiny("char-gpt"), {"int8": {"backend": "torchao"}})


def test_a_step_for_cuda_names_the_device_it_needs():
    with pytest.raises(InputError, match=r"computes on CUDA and the model is on cpu; load it with device='cuda'"):
        compress(tiny("char-gpt"), {"int4": {"backend": "torchao"}})


def test_the_engine_is_refused_off_the_cpu():
    with pytest.raises(InputError, match="computes on a CPU and the model is on cuda"):
        backends.require("engine", torch.device("cuda", 0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Int8(kind="static"), "int8 kind 'static': expected auto, dynamic, weight_only"),
        (lambda: Int8(backend="fbgemm"), "int8 backend 'fbgemm': expected auto, engine"),
        (lambda: Int4(group=3), "int4 group 3: expected an even number"),
        (lambda: Int4(backend="gptq"), "int4 backend 'gptq'"),
        (lambda: Cast(dtype="float8"), "cast to 'float8'"),
        (lambda: compress(tiny("char-gpt"), {"int4": {"group": 32}}), "16 inputs, which groups of 32 do not divide"),
        (
            lambda: compress(tiny("char-gpt"), {"int8": {"kind": "dynamic", "backend": "dequantize"}}),
            "does not compute",
        ),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("spec", [{"int8": INT8}, {"int8": {"backend": "engine", "embeddings": True}}], ids=str)
def test_explanations_by_gradient_are_refused_and_by_occlusion_are_given(spec):
    small = compress(tiny("classifier"), spec)
    target = ak.explain.Label()
    with pytest.raises(MissingCapability, match=r"has no gradients: .* is quantized"):
        ak.explain.attribute(small, TEXTS[:1], target=target, method="integrated_gradients")
    (found,) = ak.explain.attribute(small, TEXTS[:1], target=target, method="occlusion")
    assert np.isfinite(found.values).all()
