import hashlib
import json

import numpy as np
import pytest
import torch

from auditkit.compression import export as exporting
from auditkit.compression.export import export
from auditkit.compression.spec import compress
from auditkit.errors import InputError, MissingCapability, ReportError, UnknownName
from auditkit.models.batching import pad
from auditkit.models.weights import weights_sha256
from tests.privacy.tiny_models import TEXTS, char_gpt, classifier, gpt2, masked_bert, sentence_encoder, t5, weights

MAKE = {
    "char-gpt": char_gpt, "causal": gpt2, "masked": masked_bert, "classifier": classifier,
    "sentence-encoder": sentence_encoder,
}  # fmt: skip


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("{}")
    return path


@pytest.mark.parametrize("kind", MAKE)
def test_torch_export_gives_the_same_outputs_and_says_what_it_is(kind, tmp_path, report):
    model = MAKE[kind]()
    before = weights(model)
    found = export(model, tmp_path / "out", format="torch_export", report=report)
    assert found.max_deviation <= 1e-4
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record == found.record
    assert record["file"] == {"name": "model.pt2", "sha256": sha256(found.path)}
    assert record["report"] == {"name": "report.json", "sha256": sha256(report)}
    assert record["weights_sha256"] == weights_sha256(model.module)
    assert record["versions"]["torch"] == torch.__version__
    shapes = record["checked_on"]
    assert len({rows for rows, _ in shapes}) == 2  # one, and all
    assert len({length for _, length in shapes}) >= 3
    assert max(length for _, length in shapes) == model.describe()["context"]
    assert all(torch.equal(before[name], after) for name, after in weights(model).items())


@pytest.mark.parametrize(
    "kind", [pytest.param("char-gpt", marks=pytest.mark.slow), pytest.param("causal", marks=pytest.mark.slow), "masked"]
)
def test_onnx_gives_the_log_probabilities_of_the_model(kind, tmp_path):
    """Of a compressed one, run here by onnxruntime on texts that the export did not see, in a batch of its own size."""
    onnxruntime = pytest.importorskip("onnxruntime")
    model = compress(MAKE[kind](), [{"magnitude": {"ratio": 0.5}}, {"low_rank": {"rank": 3}}])
    found = export(model, tmp_path)
    assert found.max_deviation <= 1e-4
    assert found.record["compression"] == model.compression
    assert found.record["report"] is None
    session = onnxruntime.InferenceSession(found.path, providers=["CPUExecutionProvider"])
    ids = exporting._ids(model, TEXTS[:7])
    batch, mask = pad(ids, 0), pad([[1] * len(i) for i in ids], 0)
    inputs = (batch,) if kind == "char-gpt" else (batch, mask)
    names = [i.name for i in session.get_inputs()]
    assert names == found.record["inputs"]
    logits = session.run(["logits"], {n: x.numpy() for n, x in zip(names, inputs, strict=True)})[0]
    for row, alone in enumerate(ids):  # the module itself, each text alone and without padding
        with torch.no_grad():
            out = model.module(torch.tensor([alone]))
        expected = (out if kind == "char-gpt" else out.logits)[0].numpy()
        assert np.abs(logits[row, : len(alone)] - expected).max() < 1e-4


def test_outputs_that_deviate_are_refused_and_nothing_is_left(tmp_path, monkeypatch):
    """As a wrong kernel of another runtime would."""
    real = exporting._to_torch

    def wrong(*args):
        run = real(*args)
        return lambda inputs: run(inputs) + (0.01 if inputs[0].shape[0] > 1 else 0)

    monkeypatch.setattr(exporting, "_to_torch", wrong)
    with pytest.raises(InputError, match=r"deviate by 0\.01 from"):
        export(char_gpt(), tmp_path, format="torch_export")
    assert not list(tmp_path.iterdir())


def test_outputs_that_are_no_numbers_are_refused(tmp_path):
    model = char_gpt()
    torch.nn.init.constant_(model.module.head.bias, float("nan"))
    with pytest.raises(InputError, match="deviate by nan"):
        export(model, tmp_path, format="torch_export")


def test_half_precision_is_checked_with_its_own_tolerance(tmp_path):
    model = char_gpt()
    model.module.bfloat16()
    assert export(model, tmp_path, format="torch_export").max_deviation <= 0.05


def test_samples_of_ones_own(tmp_path):
    found = export(char_gpt(), tmp_path, format="torch_export", texts=["a", "a nurse"])
    assert found.record["checked_on"] == [[2, 8], [1, 32], [1, 2], [1, 8]]  # the newline at the start counts
    with pytest.raises(InputError, match="no sample text"):
        export(char_gpt(), tmp_path, format="torch_export", texts=[])


def test_a_quantised_model_is_refused(tmp_path):
    model = masked_bert()
    model.module.bert.encoder.layer[0].register_buffer("packed", torch.zeros(2, dtype=torch.int8))
    with pytest.raises(InputError, match="cannot leave it; export the unquantised point"):
        export(model, tmp_path)


def test_what_cannot_be_traced_is_one_clear_error(tmp_path):
    model = char_gpt()
    model.module.norm.forward = lambda x: x if float(x.sum()) > 0 else -x
    with pytest.raises(InputError, match="cannot trace this CharTransformer"):
        export(model, tmp_path, format="torch_export")


def test_an_absent_package_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(InputError, match=r'needs onnxruntime; pip install "auditkit-lm\[export\]"'):
        export(char_gpt(), tmp_path)


def test_formats(tmp_path):
    with pytest.raises(InputError, match="deprecated TorchScript; use 'torch_export'"):
        export(char_gpt(), tmp_path, format="torchscript")
    with pytest.raises(UnknownName, match="did you mean 'onnx'"):
        export(char_gpt(), tmp_path, format="onx")


def test_models_without_one_forward_pass(tmp_path):
    with pytest.raises(MissingCapability, match="encoder and decoder"):
        export(t5(), tmp_path)
    with pytest.raises(MissingCapability, match="no module"):
        export(object(), tmp_path, format="torch_export")


def test_a_report_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ReportError, match="audit report"):
        export(char_gpt(), tmp_path / "out", format="torch_export", report=tmp_path / "none.json")
    assert not (tmp_path / "out").exists()
