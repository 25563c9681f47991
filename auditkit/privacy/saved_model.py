"""The trained model on disk: a folder that `load_model` reads, with low-rank adapters apart from it in `adapter/`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from auditkit.models.saving import refuse_occupied, whole_folder
from auditkit.privacy.adapters import AdapterWeights

ADAPTER = "adapter"


def write_model(model: Any, adapters: AdapterWeights | None, folder: Path, *, replace: bool = False) -> Path:
    """Write a model, and the adapters that were merged into it, whole or not at all.

    Args:
        model: the adapter of a trained module.
        adapters: as they were before merging.
        folder: where to.
        replace: whether `folder` may be there, being an earlier copy of the same model.

    Raises:
        InputError: the folder holds files, or is one, and is not to be replaced.
        ModelError: no file of this module could be loaded.
        ReportError: it cannot be written (disk full, no permission).
    """
    if not replace:
        refuse_occupied(folder)
    with whole_folder(folder) as new:
        model.save(new)
        if adapters is not None:
            adapters.save(new / ADAPTER)
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
            for left in folder.parent.glob(f".{folder.name}.*"):  # by a run that was killed while it wrote
                if left != new.parent:
                    shutil.rmtree(left)
    return folder
