"""The commands keygen, sign and verify: exit code 0 intact, 1 changed, 2 bad input."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from auditkit import integrity
from auditkit.integrity import envelope

WEIGHTS = "ab" * 32


def test_from_the_command_line(tmp_path, cli, make_report):
    path = make_report().save(tmp_path / "report.json")
    key, public = tmp_path / "k.pem", tmp_path / "k.pub.pem"
    assert cli("keygen", "--out", key)[0] == 0
    assert key.stat().st_mode & 0o077 == 0
    code, out, _ = cli("sign", path, "--key", key)
    assert (code, out.strip()) == (0, str(tmp_path / "report.intoto.json"))
    code, out, err = cli("verify", path, "--key", public)
    assert (code, err) == (0, "")
    assert out.startswith("intact:")
    assert WEIGHTS in out
    code, out, err = cli("verify", path)
    assert code == 0
    assert "the signature was not checked" in err
    path.write_text(path.read_text().replace("61.447129", "61.447128"))
    code, out, _ = cli("verify", path, "--key", public)
    assert code == 1
    assert "measurements > p/a/x > value: changed, was 61.447129, now 61.447128" in out
    assert "verdicts > p/a/x > value: changed, was 61.447129, now 61.447128" in out


def test_signing_and_verifying_import_nothing_heavy(signed, keys):
    code = """
import sys
from auditkit.cli import main
try:
    main(sys.argv[1:])
except SystemExit as e:
    heavy = ("torch", "transformers", "pandas", "scipy", "pyarrow", "sklearn")
    print(e.code or 0, [m for m in heavy if m in sys.modules])
"""
    for command in (["sign", signed, "--key", keys[0]], ["verify", signed, "--key", keys[1]]):
        call = [sys.executable, "-c", code, *map(str, command)]
        done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        assert done.stdout.splitlines()[-1] == "0 []"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_key_that_openssl_made_will_do(tmp_path, make_report):
    key, public = tmp_path / "k.pem", tmp_path / "k.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    path = make_report().save(tmp_path / "report.json")
    integrity.sign(path, key)
    assert integrity.verify(path, key=public).intact


def test_a_key_is_never_overwritten(tmp_path, cli):
    assert cli("keygen", "--out", tmp_path / "k.pem")[0] == 0
    before = (tmp_path / "k.pem").read_bytes()
    code, _, err = cli("keygen", "--out", tmp_path / "k.pem")
    assert code == 2
    assert "never overwritten" in err
    assert (tmp_path / "k.pem").read_bytes() == before


def test_bad_input_is_code_2(tmp_path, signed, keys, cli, make_report):
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    other = generate_private_key(SECP256R1())
    (tmp_path / "ec.pem").write_bytes(
        other.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    )
    (tmp_path / "locked.pem").write_bytes(
        envelope.read_private(keys[0]).private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"x")
        )
    )
    (tmp_path / "no.pem").write_text("no key")
    unsigned = make_report().save(tmp_path / "unsigned.json")
    wrong = {
        "another kind": ("sign", signed, "--key", tmp_path / "ec.pem"),
        "unencrypted ed25519 private key in PEM": ("sign", signed, "--key", tmp_path / "locked.pem"),
        "`auditkit keygen` makes one": ("sign", signed, "--key", tmp_path / "no.pem"),
        "cannot read the key": ("sign", signed, "--key", tmp_path / "none.pem"),
        "is not a public key": ("verify", signed, "--key", keys[0]),
        "no signature at": ("verify", unsigned),
        "no file": ("verify", tmp_path / "none.json"),
        "is not a report": ("verify", integrity.signature_path(signed)),
    }
    for message, command in wrong.items():
        code, _, err = cli(*command)
        assert (code, err.count("\n")) == (2, 1), err
        assert message in err
