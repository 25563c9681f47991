"""Finished stacks of shadow models on disk, so that a training that was stopped loses at most one stack.

A stack is a safetensors file of parameters with the shadows along the first axis, and a json file beside it that says
which shadows they are, how they were trained and on what. It is found again only where all of that agrees.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from auditkit import __version__
from auditkit.integrity import canonical
from auditkit.privacy.shadow_records import Bools
from auditkit.report import write_together

Parameters = dict[str, torch.Tensor]


class ShadowStore:
    """The finished stacks under one folder.

    Args:
        folder: where; None keeps nothing.
        settings: how every shadow is trained, as JSON values.
        record_hashes: sha256 of each record.
        membership: (S, n) who is in which shadow.
    """

    def __init__(
        self,
        folder: str | Path | None,
        settings: Mapping[str, Any],
        record_hashes: Sequence[str],
        membership: Bools,
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.membership = membership
        self.origin = {
            "auditkit": __version__,
            "torch": torch.__version__,
            "settings": dict(settings),
            "records": membership.shape[1],
            "records_sha256": hashlib.sha256("".join(record_hashes).encode()).hexdigest(),
        }
        self.key = hashlib.sha256(json.dumps(self.origin, sort_keys=True).encode()).hexdigest()

    def keep(self, shadows: Sequence[int], stacked: Parameters) -> None:
        """Write one finished stack.

        Raises:
            ReportError: it cannot be written (disk full, no permission).
        """
        from safetensors.torch import save

        if self.folder is None:
            return
        weights = save({name: tensor.contiguous() for name, tensor in stacked.items()})
        header = {
            "key": self.key,
            **self.origin,
            "shadows": list(shadows),
            "membership_sha256": [self._row_sha256(s) for s in shadows],
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
        }
        path = self.folder / f"shadows-{self.key[:12]}-{shadows[0]:04d}.json"
        text = json.dumps(header, indent=1)
        write_together({path.with_suffix(".safetensors"): weights, path: f"{text}\n".encode()})

    def find(self) -> dict[int, Parameters]:
        """The finished shadows, each with its parameters. A damaged stack counts as absent: it can be trained again."""
        found: dict[int, Parameters] = {}
        if self.folder is not None:
            for path in sorted(self.folder.glob(f"shadows-{self.key[:12]}-*.json")):
                found |= self._read(path)
        return found

    def _read(self, path: Path) -> dict[int, Parameters]:
        """The shadows of one stack that are wanted and have seen the records that the membership matrix says."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            header = canonical.parse(path.read_text(encoding="utf-8"))
            weights = path.with_suffix(".safetensors").read_bytes()
            if header["key"] != self.key or header["weights_sha256"] != hashlib.sha256(weights).hexdigest():
                return {}
            stacked = load(weights)
            rows = enumerate(zip(header["shadows"], header["membership_sha256"], strict=True))
            fitting = {s: i for i, (s, row) in rows if s < len(self.membership) and row == self._row_sha256(s)}
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError):
            return {}
        return {s: {name: tensor[i] for name, tensor in stacked.items()} for s, i in fitting.items()}

    def _row_sha256(self, shadow: int) -> str:
        return hashlib.sha256(self.membership[shadow].tobytes()).hexdigest()
