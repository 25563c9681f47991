"""The catalogue is complete, and true to the files."""

import hashlib
import re

import pytest

from auditkit import data
from auditkit.errors import DataError, UnknownName

ENTRIES = data.entries()
DOWNLOADED = {name: pytest.mark.data for name, entry in ENTRIES.items() if entry.base is not None}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_dataset_states_licence_citation_and_origin(name):
    entry = data.find(name)
    assert entry.licence
    assert entry.title
    assert entry.description.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b|written for this package", entry.citation)
    assert entry.files
    if entry.base is not None:  # pinned to a commit, so that the hashes can stay true
        assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/[0-9a-f]{40}(/[\w.-]+)*", entry.base)


@pytest.mark.parametrize("name", [pytest.param(name, marks=DOWNLOADED.get(name, ())) for name in ENTRIES])
def test_the_hashes_are_those_of_the_files(name):
    entry, folder = data.find(name), data.locate(name)
    for file in entry.files:
        assert hashlib.sha256((folder / file.name).read_bytes()).hexdigest() == file.sha256, file.name


def test_an_unknown_name_suggests_a_known_one():
    with pytest.raises(UnknownName, match=r"unknown dataset 'crow_pairs'; did you mean 'crows_pairs'"):
        data.load("crow_pairs")
    with pytest.raises(UnknownName, match="'winobias'"):
        data.fetch("winobia")


def test_a_dataset_that_is_not_here_says_how_to_get_it(monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="auditkit data fetch crows_pairs"):
        data.load("crows_pairs")
    assert len(data.load("builtin_pairs").items) == 840


def test_a_changed_file_is_not_taken_for_the_published_one(monkeypatch, tmp_path):
    (tmp_path / "occupation_female_pct").mkdir()
    (tmp_path / "occupation_female_pct" / "occupational_female_precentage.json").write_text('{"nurse": 10}')
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path))
    with pytest.raises(DataError, match="is not the published file"):
        data.load("occupation_female_pct")


def test_auditkit_data_must_be_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="AUDITKIT_DATA"):
        data.root()
