"""Signatures: ed25519 keys, and the DSSE envelope (github.com/secure-systems-lab/dsse, version 1) that in-toto uses."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditkit.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def create_key(path: Path) -> Path:
    """Write a new private key to `path`, readable by its owner only, and its public key beside it.

    Returns:
        The path of the public key: `key.pem` has `key.pub.pem`.

    Raises:
        InputError: one of the two files exists (a key is never overwritten), or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, public = Ed25519PrivateKey.generate(), path.with_suffix(".pub.pem")
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    shared = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    if public.exists():
        raise InputError(f"{public} exists, and a key is never overwritten; name another file")
    for file, content, mode in ((path, secret, 0o600), (public, shared, 0o644)):
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as f:
                f.write(content)
        except FileExistsError as e:
            raise InputError(f"{file} exists, and a key is never overwritten; name another file") from e
        except OSError as e:
            raise InputError(f"cannot write {file}: {e.strerror}") from e
    return public


def read_private(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file.

    Raises:
        InputError: no such file, or not an unencrypted ed25519 private key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    fix = "expected an unencrypted ed25519 private key in PEM; `auditkit keygen` makes one"
    try:
        key = load_pem_private_key(_key_bytes(path), password=None)
    except (ValueError, TypeError) as e:
        raise InputError(f"{path} is not a private key that can be used: {fix}") from e
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path} holds a key of another kind: {fix}")
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file.

    Raises:
        InputError: no such file, or not an ed25519 public key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_key_bytes(path))
    except ValueError as e:
        raise InputError(f"{path} is not a public key: expected ed25519 in PEM, e.g. key.pub.pem") from e
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path} holds a key of another kind: expected ed25519")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """sha256 of the public key in DER: a hint at the key, never a proof."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def seal(payload: bytes, key: Ed25519PrivateKey) -> dict[str, Any]:
    """The envelope around a signed payload."""
    signature = key.sign(_pre_authentication_encoding(payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def payload_of(envelope: Any) -> bytes:
    """What an envelope holds, whoever signed it.

    Raises:
        InputError: not an envelope of an in-toto statement.
    """
    try:
        kind, payload, signatures = (envelope[key] for key in ("payloadType", "payload", "signatures"))
        if not signatures:
            raise ValueError("no signature in it")
        content = _decoded(payload)
        for signature in signatures:
            _decoded(signature["sig"])
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise InputError(f"damaged signature envelope ({type(e).__name__}: {e}); sign the report again") from e
    if kind != PAYLOAD_TYPE:
        raise InputError(f"envelope of type {kind!r}; expected {PAYLOAD_TYPE!r}")
    return content


def is_signed_by(envelope: Any, key: Ed25519PublicKey) -> bool:
    """Whether `key` signed the payload; the key id in the envelope plays no part.

    Raises:
        InputError: not an envelope of an in-toto statement.
    """
    from cryptography.exceptions import InvalidSignature

    message = _pre_authentication_encoding(payload_of(envelope))
    for signature in envelope["signatures"]:
        try:
            key.verify(_decoded(signature["sig"]), message)
        except InvalidSignature:
            continue
        return True
    return False


def _pre_authentication_encoding(payload: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _decoded(text: str) -> bytes:
    """Base64, standard or for URLs: a verifier of DSSE must take both."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as e:
        raise ValueError(f"no base64: {e}") from e


def _key_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise InputError(f"cannot read the key {path}: {e.strerror}") from e
