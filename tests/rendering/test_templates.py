"""The templates must be found wherever auditkit lives: a checkout, an editable install, a built wheel."""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from auditkit.errors import ReportError
from auditkit.rendering import templates

ROOT = Path(__file__).parents[2]
BUILDS = all(find_spec(name) for name in ("build", "hatchling", "editables"))
RENDER = """
import sys
from auditkit.rendering import html, templates
from auditkit.report import AuditReport
import auditkit
report = AuditReport(subject={"name": "m"}, environment={}, config={}, seed=0, runs=(), measurements=())
assert "Nothing was measured." in html.render(report)
print(auditkit.__file__)
print(templates.directory())
assert "torch" not in sys.modules
"""

needs_build = pytest.mark.skipif(not BUILDS, reason="needs build, hatchling and editables: pip install them")


def run(code, *, path, cwd):
    """Run `code` elsewhere, seeing auditkit only through `path`; returns (auditkit's file, the templates)."""
    env = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


def built(kind, out):
    """Build a wheel, or an editable wheel, of this project without touching the network."""
    hook = "build_editable" if kind == "editable" else "build_wheel"
    code = f"import hatchling.build as b; print(b.{hook}({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.split()[-1]


def test_checkout(tmp_path):
    package, found = run(RENDER, path=ROOT, cwd=tmp_path)
    assert package == ROOT / "auditkit" / "__init__.py"
    assert found == ROOT / "reports" / "templates"


@needs_build
def test_wheel(tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(built("wheel", tmp_path)) as wheel:
        wheel.extractall(site)
    package, found = run(RENDER, path=site, cwd=tmp_path)
    assert package == site / "auditkit" / "__init__.py"
    assert found == site / "auditkit" / "rendering" / "templates"


@needs_build
def test_editable_install(tmp_path):
    """An editable wheel holds a .pth file that leads back to the checkout; `site` reads it as pip's would be."""
    site = tmp_path / "site"
    with zipfile.ZipFile(built("editable", tmp_path)) as wheel:
        wheel.extractall(site)
    assert not (site / "auditkit" / "__init__.py").exists()
    code = f"import site; site.addsitedir({str(site)!r})\n{RENDER}"
    package, found = run(code, path=tmp_path / "nowhere", cwd=tmp_path)
    assert package == ROOT / "auditkit" / "__init__.py"
    assert found == ROOT / "reports" / "templates"


def test_incomplete_installation(monkeypatch, tmp_path):
    monkeypatch.setattr(templates, "_INSTALLED", tmp_path / "a")
    monkeypatch.setattr(templates, "_CHECKOUT", tmp_path / "b")
    with pytest.raises(ReportError, match="install auditkit again"):
        templates.directory()


def test_a_template_cannot_print_what_nobody_passed():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        templates.environment().from_string("{{ missing }}").render()


def test_whatever_a_template_prints_is_escaped():
    assert templates.environment().from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
