"""The built wheel, as a user installs it: alone, and with each extra. Needs a package index; minutes.

Every extra but the base is installed on top of `models`, tried, and what it brought is removed again, so that none can
lean on another.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pandas as pd
import pytest

from auditkit.plugins import BUILTIN_PROBES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[2]
LIGHTEST = ("typer", "rich", "pyyaml", "pydantic")
BASE_MB = 650
LIGHTEST_MB = 75

TABLE = """
import csv, random
random.seed(0)
rows = [(i, random.choice("fm"), random.random()) for i in range(600)]
table = csv.writer(open("people.csv", "w", newline=""))
table.writerow(["id", "sex", "label", "prediction", "score"])
table.writerows((i, sex, int(s > 0.4), int(s > 0.5), round(s, 3)) for i, sex, s in rows)
"""
AUDIT = """
model: people.csv
probes: [{group_fairness: {sensitive: [sex], positive: 1}}]
gate: [{measurement: group_fairness/sex/selection_rate_difference, max: 0.5}]
"""

# What each extra is for, as a program that ends well only where it is installed.
USES = {
    "parquet": """
import auditkit
auditkit.load_model("people.parquet")
""",
    "mitigation": """
import auditkit
task = auditkit.mitigate.hiring_task()
auditkit.mitigate.compare(task, ["reweighing", "reduction"], sensitive="sex", out="mitigated")
""",
    "privacy": """
import auditkit
texts = ["the king is here", "the queen is there", "a horse a horse", "my kingdom"] * 8
model = auditkit.load_model("char-gpt")
result = auditkit.privacy.train(
    model, texts, noise_multiplier=1.0, delta=1e-3, epochs=1, logical_batch_size=8, out="run"
)
assert result.cost.epsilon > 0
auditkit.load_model("run/model")
""",
    "explain": """
import auditkit
report = auditkit.audit("char-gpt", ["introspection"])
assert report.runs[0].status == "ok", report.runs[0].reason
""",
    "compression": """
import auditkit
smaller = auditkit.compress(auditkit.load_model("char-gpt"), {"int8": {"kind": "weight_only", "backend": "torchao"}})
assert smaller.describe()["weights_sha256"]
""",
    "export": """
import auditkit
from auditkit.compression.export import export
export(auditkit.load_model("char-gpt"), "exported", format="onnx")
""",
}
MODELS = """
import auditkit
report = auditkit.audit("minilm-mlm", ["pronoun_gap"], out="out")
assert report.runs[0].status == "ok", report.runs
assert auditkit.load_model("minilm").embed(["a", "b"]).shape == (2, 384)
"""


class Environment:
    """A virtual environment with nothing of this one's in it."""

    def __init__(self, folder):
        venv.create(folder, with_pip=True)
        self.folder, self.bin = folder, folder / "bin"

    def run(self, *command, cwd, code=0):
        """Both outputs of a command, which must end with `code` (or one of them), and not with a traceback."""
        words = [self.bin / command[0], *command[1:]]
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(words, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
        told = f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode in (code if isinstance(code, set) else {code}), told
        assert command[0] != "auditkit" or "Traceback" not in told, told
        return done.stdout + done.stderr

    def pip(self, *words):
        return self.run("python", "-m", "pip", "-qq", *words, cwd=self.folder)

    def packages(self):
        listed = json.loads(self.run("python", "-m", "pip", "list", "--format", "json", cwd=self.folder))
        return {package["name"] for package in listed}

    def megabytes(self):
        return sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file() and not f.is_symlink()) / 1e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    return next(out.glob("auditkit_lm-*.whl"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the programs run: a table of people, its audit.yaml, and the report of it."""
    folder = tmp_path_factory.mktemp("work")
    subprocess.run([sys.executable, "-c", TABLE], cwd=folder, check=True)
    pd.read_csv(folder / "people.csv").to_parquet(folder / "people.parquet")
    (folder / "audit.yaml").write_text(AUDIT)
    return folder


def test_the_base_install_audits_a_table_and_is_light(wheel, folder, tmp_path):
    base = Environment(tmp_path / "base")
    base.pip("install", wheel)
    assert base.megabytes() <= BASE_MB
    assert not base.packages() & {"torch", "transformers", "pyarrow", "scikit-learn"}
    base.run("auditkit", "run", "audit.yaml", "--out", "base", cwd=folder)
    report = folder / "base" / "report.json"
    base.run("auditkit", "keygen", "--out", "key.pem", cwd=folder)
    base.run("auditkit", "sign", report, "--key", "key.pem", cwd=folder)
    for command in (
        ("gate", report, "--rules", "audit.yaml"),
        ("render", report, "--out", "again.html"),
        ("compare", report, report),
        ("history", "base"),
        ("verify", report, "--key", "key.pub.pem"),
        ("doctor",),
    ):
        base.run("auditkit", *command, cwd=folder)
    assert (folder / "again.html").read_bytes() == (folder / "base" / "report.html").read_bytes()
    said = base.run("auditkit", "run", "audit.yaml", "--model", "minilm-mlm", cwd=folder, code=2)
    assert said.count("\n") == 1
    assert 'pip install "auditkit-lm[models]"' in said
    for probe in BUILTIN_PROBES:  # on a table: measured, skipped, or one line; never a traceback
        base.run(
            "auditkit", "run", "audit.yaml", "--set", f"probes=[{probe}]", "--out", "p", cwd=folder, code={0, 1, 2, 3}
        )

    lightest = Environment(tmp_path / "lightest")
    lightest.pip("install", *LIGHTEST)
    lightest.pip("install", "--no-deps", wheel)
    assert lightest.megabytes() <= LIGHTEST_MB
    lightest.run("auditkit", "gate", report, "--rules", "audit.yaml", cwd=folder)
    lightest.run("auditkit", "compare", report, report, cwd=folder)
    lightest.run("auditkit", "verify", report, cwd=folder)
    for command in (
        ["render", report],
        ["history", "base"],
        ["verify", report, "--key", "key.pub.pem"],
        ["list", "datasets"],
    ):
        said = lightest.run("auditkit", *command, cwd=folder, code=2)
        assert said.splitlines()[-1].endswith("pip install auditkit-lm"), said


def test_each_extra_brings_what_its_use_needs(wheel, folder, tmp_path):
    environment = Environment(tmp_path / "extras")
    environment.pip("install", wheel)
    for extra in ("parquet", "mitigation"):  # need no torch
        _tried(environment, wheel, extra, folder)
    environment.pip("install", "torch==2.13.0")
    environment.pip("install", f"{wheel}[models]")
    environment.run("python", "-c", MODELS, cwd=folder)
    for extra in ("privacy", "explain", "compression", "export"):
        _tried(environment, wheel, extra, folder)


def _tried(environment, wheel, extra, folder):
    """Without the extra the program says which one it wants; with it, it ends well."""
    before = environment.packages()
    if extra != "explain":  # Captum is what its users compare with; scikit-learn comes with the models too
        said = environment.run("python", "-c", USES[extra], cwd=folder, code=1)
        assert f'pip install "auditkit-lm[{extra}]"' in said, said
    environment.pip("install", f"{wheel}[{extra}]")
    environment.run("python", "-c", USES[extra], cwd=folder)
    brought = environment.packages() - before
    assert brought, f"{extra} brought nothing"
    environment.pip("uninstall", "-y", *brought)
