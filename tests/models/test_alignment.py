"""Where tokens stand, of tokenizers that do not say so: each way of naming pieces, found in the text again."""

import pytest

from auditkit.errors import ModelError
from auditkit.models.alignment import aligned


class Named:
    """Tokens by name; `?` is unknown."""

    unk_token_id = 0

    def __init__(self, names):
        self.names = names

    def convert_ids_to_tokens(self, ids):
        return [self.names[i - 1] if i else "?" for i in ids]


def places(text, names):
    ids = [0 if name == "?" else i for i, name in enumerate(names, start=1)]
    return [text[a:b] for a, b in aligned(Named(names), text, ids)]


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        pytest.param("The nurses.", ["the", "nurse", "##s", "."], ["The", "nurse", "s", "."], id="WordPiece"),
        pytest.param("The nurses.", ["▁The", "▁", "nurses", "."], ["The", " ", "nurses", "."], id="SentencePiece"),
        pytest.param("The nurses.", ["the</w>", "nur", "ses</w>", "."], ["The", "nur", "ses", "."], id="ends of words"),
        pytest.param("The nurses.", ["the", "nur@@", "ses", "."], ["The", "nur", "ses", "."], id="fastBPE"),
        pytest.param("a  b", ["a", " ", " ", "b"], ["a", " ", " ", "b"], id="characters"),
        pytest.param("é漢", ["Ã", "©", "æ", "¼", "¢"], ["é", "é", "漢", "漢", "漢"], id="bytes"),
        pytest.param("a é b", ["a", "ĠÃ©", "Ġb"], ["a", "é", "b"], id="GPT-2's bytes"),
        pytest.param("Caf\u00e9 cafe\u0301", ["cafe", "cafe"], ["Café", "cafe"], id="accents dropped"),
        pytest.param("\ufeffa\x00b\r\nc", ["ab", "c"], ["a\x00b", "c"], id="what is not seen, dropped"),
        pytest.param("STRASSE straße", ["strasse", "strasse"], ["STRASSE", "straße"], id="case folded"),
        pytest.param("xyz z 漢字", ["?", "z", "?"], ["xyz", "z", "漢字"], id="unknown words"),
        pytest.param("ab漢c", ["a", "b", "?", "c"], ["a", "b", "漢", "c"], id="an unknown character"),
        pytest.param("", [], [], id="nothing"),
    ],
)
def test_tokens_are_found_where_they_stand(text, names, expected):
    assert places(text, names) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("nurses work", ["nurse", "work"], id="a root"),
        pytest.param("work nurse", ["nurse", "work"], id="another order"),
        pytest.param("the nurse", ["the"], id="an end left out"),
        pytest.param("the", ["the", "nurse"], id="more than the text"),
        pytest.param("the", ["the", "?"], id="an unknown token of nothing"),
    ],
)
def test_tokens_that_do_not_spell_the_text_are_refused(text, names):
    with pytest.raises(ModelError, match=r"gives no offsets, and its tokens do not spell .*tokenizer\.json"):
        places(text, names)
