"""The order of the tests, and which of them may see published data: those marked `data`; the others pass anywhere."""

import copy
import gc
import os
from pathlib import Path

import pytest

from auditkit import data

LONGEST = ("test_examples.py", "test_docs.py", "test_whole_run.py", "test_bad_input.py", "test_training_processes.py")
YOURS = {name: os.environ.get(name) for name in ("AUDITKIT_DATA", "AUDITKIT_CACHE")}
FOLDER = Path(__file__).parent / "fixtures" / "nobodys_data"
NOBODYS = {"AUDITKIT_DATA": str(FOLDER), "AUDITKIT_CACHE": str(FOLDER / "no cache")}
"""What a test without the mark is shown: a folder of datasets without any of their files, and no cache."""


def pytest_collection_modifyitems(items):
    """The longest files first, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish():
    """What the imports have made stays to the end: the garbage collector need not look through it in every test."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before any fixture: some read data once for the whole session
def pytest_runtest_setup(item):
    show(YOURS if item.get_closest_marker("data") else NOBODYS)


def pytest_unconfigure():
    show(YOURS)


def show(variables):
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def published():
    """published("stereoset", "predictions.txt") is where this file of published data lies; fails where it does not."""

    def find(*parts):
        folder = data.root() or data.cache_folder()
        path = folder.joinpath(*parts)
        if not path.exists():
            pytest.fail(f"needs published data: no {'/'.join(parts)} in {folder}; set AUDITKIT_DATA to where it is")
        return path

    return find


@pytest.fixture(autouse=True, scope="session")
def competence_is_found_once():
    """Of the package's own models and fakes, by what identifies them: hundreds of tests audit the same few.

    Models that tests define are asked every time.
    """
    from auditkit.probes import competence

    asked, found = competence.competence, {}

    def remembered(model, seed, sentences=competence.SENTENCES):
        about = model.describe()
        key = type(model), about["weights_sha256"], about.get("subject_sha256"), about["context"], seed, sentences
        if not type(model).__module__.startswith("auditkit.") or sentences != competence.SENTENCES:
            return asked(model, seed, sentences)
        if key not in found:
            found[key] = asked(model, seed, sentences)
        return copy.deepcopy(found[key])

    competence.competence = remembered
    yield
    competence.competence = asked


@pytest.fixture
def believed(monkeypatch):
    """The likelihoods of tiny random models are believed, where a test is about what is made of them."""
    for module in ("auditkit.runner", "auditkit.compression.paired_points"):
        monkeypatch.setattr(f"{module}.competence_of", lambda *args: None)
