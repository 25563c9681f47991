"""What is not installed is one line with the command that installs it."""

import subprocess
import sys

import pytest

import auditkit as ak
from auditkit import extras, plugins
from auditkit.cli import main
from auditkit.errors import MissingExtra


def absent(monkeypatch, *modules):
    """Make these look as if they were not installed."""
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("torch", 'pip install "auditkit-lm[models]"'),
        ("sentence_transformers.models", 'pip install "auditkit-lm[models]"'),
        ("pyarrow", 'pip install "auditkit-lm[parquet]"'),
        ("opacus.accountants", 'pip install "auditkit-lm[privacy]"'),
        ("dp_accounting", 'pip install "auditkit-lm[privacy]"'),
        ("sklearn.linear_model", 'pip install "auditkit-lm[mitigation]"'),
        ("fairlearn", 'pip install "auditkit-lm[mitigation]"'),
        ("captum", 'pip install "auditkit-lm[explain]"'),
        ("torchao", 'pip install "auditkit-lm[compression]"'),
        ("onnxruntime", 'pip install "auditkit-lm[export]"'),
        ("numpy", "pip install auditkit-lm"),
        ("markupsafe", "pip install auditkit-lm"),
        ("yaml", "pip install auditkit-lm"),
        ("vl_convert", "pip install auditkit-lm"),
    ],
)
def test_the_smallest_extra_that_brings_a_library_is_named(module, command):
    error = extras.missing(ModuleNotFoundError(f"No module named {module!r}", name=module))
    root = module.partition(".")[0]
    assert str(error) == f"{root} is not installed and is needed for this: {command}"
    assert error.name == root


@pytest.mark.parametrize("module", ["somebodys_package", "auditkit.no_such_module", "", None])
def test_a_module_of_somebody_else_stays_what_it_is(module):
    assert extras.missing(ModuleNotFoundError("x", name=module)) is None
    with pytest.raises(ModuleNotFoundError) as caught, extras.explained():
        raise ModuleNotFoundError("x", name=module)
    assert not isinstance(caught.value, MissingExtra)


def test_a_library_that_is_there_but_broken_is_not_called_missing():
    assert extras.missing(ImportError("cannot import name 'x' from 'torch'", name="torch")) is None


@pytest.mark.parametrize(
    ("room", "extra"), [("explain", "explain"), ("privacy", "privacy"), ("fairness", "mitigation")]
)
def test_the_room_that_asks_decides_between_extras(monkeypatch, room, extra):
    absent(monkeypatch, "sklearn")
    code = compile("import sklearn", str(extras.HERE / room / "some.py"), "exec")
    with pytest.raises(MissingExtra, match=rf'"auditkit-lm\[{extra}\]"'), extras.explained():
        exec(code)


def test_a_checkout_that_was_not_installed_knows_its_extras(monkeypatch):
    def no_metadata(name):
        raise extras.metadata.PackageNotFoundError(name)

    extras.requirements.cache_clear()
    monkeypatch.setattr(extras.metadata, "requires", no_metadata)
    try:
        found = {(r.name, r.extra) for r in extras.requirements()}
    finally:
        extras.requirements.cache_clear()
    assert {("torch", "models"), ("typer", ""), ("fairlearn", "mitigation"), ("torchao", "compression")} <= found


def test_a_model_without_its_libraries_says_which_extra():
    """In an interpreter of its own, where none of them is loaded yet."""
    code = """
import sys
sys.modules |= dict.fromkeys(["torch", "transformers", "sentence_transformers", "pyarrow"])
import auditkit as ak
from auditkit.errors import MissingExtra
for spec in ("minilm", "char-gpt", "smollm2", "minilm-mlm", "glove"):
    try:
        ak.load_model(spec)
    except MissingExtra as e:
        print(spec, e)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["minilm", "char-gpt", "smollm2", "minilm-mlm", "glove"]
    assert all('pip install "auditkit-lm[models]"' in line for line in lines[:4])
    assert 'pip install "auditkit-lm[parquet]"' in lines[4]


def test_a_plugin_without_its_own_library_is_not_called_an_extra(monkeypatch, tmp_path):
    (tmp_path / "needs_it.py").write_text("import somebodys_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ak.InputError, match=r"cannot import 'needs_it'.*No module named 'somebodys_package'"):
        plugins.load_object("needs_it:Probe")


def test_a_command_ends_with_one_line_and_2(monkeypatch, capsys, tmp_path):
    absent(monkeypatch, "torch")
    monkeypatch.delitem(sys.modules, "auditkit.privacy.validation", raising=False)
    with pytest.raises(SystemExit) as caught:
        main(["validate", "dp"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert 'pip install "auditkit-lm[' in said


def test_a_table_in_parquet_needs_arrow(monkeypatch, tmp_path):
    absent(monkeypatch, "pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r"parquet\]"):
        ak.load_model(str(tmp_path / "t.parquet"))
