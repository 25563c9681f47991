"""Files of llama.cpp: their head is parsed once while a model is loaded, and the library is left as it was."""

import gguf
import pytest

from auditkit.errors import ModelError
from auditkit.models import gguf_files
from auditkit.models.load_options import LoadOptions


@pytest.fixture
def file(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_block_count(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "m.gguf"


def test_the_head_is_parsed_once(file):
    made = gguf.GGUFReader
    with gguf_files.read_once():
        gguf_files.refuse_damaged(file, "m", LoadOptions())
        first, second = gguf.GGUFReader(str(file)), gguf.GGUFReader(str(file))
        assert first is second
        assert first.fields["llama.block_count"].contents() == 2
    assert gguf.GGUFReader is made


def test_the_library_is_left_as_it_was_after_a_damaged_file(tmp_path):
    made = {name: getattr(gguf, name) for name in gguf_files.ASKED_AGAIN}
    (tmp_path / "m.gguf").write_bytes(b"not gguf")
    with pytest.raises(ValueError, match="GGUF"), gguf_files.read_once():
        gguf_files.refuse_damaged(tmp_path / "m.gguf", "m", LoadOptions())
    assert {name: getattr(gguf, name) for name in gguf_files.ASKED_AGAIN} == made


def test_what_such_a_file_cannot_be(tmp_path):
    with pytest.raises(ModelError, match="expected a"):
        gguf_files.refuse_damaged(tmp_path / "m.bin", "m", LoadOptions())
