"""A user's own files: what is read, and the one clear line when something is wrong."""

import hashlib
import json

import pytest

from auditkit import data
from auditkit.data.loaders import (
    CALISKAN_TESTS,
    parse_bbq,
    parse_occupations,
    parse_stereoset,
    parse_weat,
    parse_winobias,
)
from auditkit.errors import DataError, UnknownName
from auditkit.probes.bbq import bias_of

HEADER = "id,more,less,group,direction,cluster\n"
ROW = "p1,The old man fell.,The young man fell.,age,stereo,falls\n"


@pytest.fixture
def write(tmp_path):
    def _write(content: str | bytes, name: str = "mine.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return _write


def test_pairs_csv(write):
    path = write(HEADER + ROW)
    mine = data.load(path, "pairs")
    expected = data.Pair("p1", "The old man fell.", "The young man fell.", "age", "stereo", "falls")
    assert mine.items == (expected,)
    assert mine.name == "mine"
    assert mine.source == path
    assert mine.sha256 == hashlib.sha256((HEADER + ROW).encode()).hexdigest()


def test_without_a_cluster_column_every_pair_is_its_own_cluster(write):
    path = write("id,more,less,group,direction\np1,A b.,A c.,age,control\n")
    assert data.load(path, "pairs").items[0].cluster == "p1"


def test_crows_pairs_column_names_windows_line_ends_and_byte_order_mark(write):
    text = ',sent_more,sent_less,stereo_antistereo,bias_type\r\n7,"A, b.","A, c.",antistereo,age\r\n'
    (pair,) = data.load(write(text.encode("utf-8-sig")), "pairs").items
    assert pair == data.Pair("7", "A, b.", "A, c.", "age", "antistereo", "7")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"mine.csv is empty"),
        (HEADER, r"the dataset is empty"),
        ("id,more,less,group\n", r"missing column 'direction'; found 'id', 'more', 'less', 'group'"),
        ("id;more;less\n", r"missing column .*found 'id;more;less'; columns are separated by commas"),
        (HEADER + ROW + "p2,A b.,A c.,age,pro,x\n", r"line 3: direction 'pro'; expected one of stereo, antistereo"),
        (HEADER + ROW + ROW, r"line 3: id 'p1' appears twice"),
        (HEADER + "p1,Same.,Same.,age,stereo,x\n", r"line 2: the two sentences are the same"),
        (HEADER + "p1,,A c.,age,stereo,x\n", r"line 2: column 'more' is empty"),
        (HEADER + "p1,A b.\n", r"line 2: column 'less' is empty"),
        (HEADER + "p1,A, b.,A, c.,age,stereo,x\n", r"line 2: more cells than columns; put quotation marks"),
        (HEADER + 'p1,"A" b.,A c.,age,stereo,x\n', r"not valid csv"),
        (HEADER.encode() + b"p1,Caf\xe9,A c.,age,stereo,x\n", r"byte 0xe9 at offset 43, line 2, is not UTF-8"),
        ((HEADER + ROW).encode("utf-16"), r"byte 0xff at offset 0, line 1, is not UTF-8; save the file as UTF-8"),
    ],
)
def test_bad_pairs_get_one_clear_line(write, content, message):
    with pytest.raises(DataError, match=message) as error:
        data.load(write(content), "pairs")
    assert "\n" not in str(error.value)


def test_no_such_file():
    with pytest.raises(DataError, match=r"no such file: some/pairs\.csv"):
        data.load("some/pairs.csv", "pairs")


def test_a_path_needs_a_kind_that_exists(write):
    path = write(HEADER + ROW)
    with pytest.raises(DataError, match="say what it holds with kind="):
        data.load(path)
    with pytest.raises(UnknownName, match="did you mean 'pairs'"):
        data.load(path, "pair")


def test_a_named_dataset_must_be_of_the_kind_asked_for():
    with pytest.raises(DataError, match=r"of kind 'pairs', but 'weat' was asked for"):
        data.load("builtin_pairs", "weat")


def test_occupations_are_percentages(write):
    assert data.load(write('{"nurse": 85}', "o.json"), "occupations").items == (data.Occupation("nurse", 0.85),)
    with pytest.raises(DataError, match="'nurse' has 850; expected a percentage"):
        data.load(write('{"nurse": 850}', "o.json"), "occupations")
    with pytest.raises(DataError, match=r"o\.json: not valid JSON"):
        data.load(write("nurse: 85", "o.json"), "occupations")
    with pytest.raises(DataError, match=r"o\.json: not in the expected format"):
        data.load(write('["nurse"]', "o.json"), "occupations")


def test_a_folder_of_files_is_one_dataset(write, tmp_path):
    write('{"nurse": 85}', "a.json")
    write('{"pilot": 10}', "b.json")
    assert [o.title for o in data.load(str(tmp_path), "occupations").items] == ["nurse", "pilot"]


def test_titles_of_the_published_occupations_become_those_of_a_sentence():
    text = json.dumps({"female_percent": {"construction_worker": 2, "ceo": 39, "hairdressers": 92}})
    found = {o.title: o.female_share for o in parse_occupations({"o.json": text})}
    assert found == {"construction worker": 0.02, "CEO": 0.39, "hairdresser": 0.92}


def test_word_sets_alone_give_the_ten_tests_of_caliskan_et_al():
    names = {test[part] for test in CALISKAN_TESTS for part in "xyab"}
    tests = {t.id: t for t in parse_weat({"w.json": json.dumps({name: [name, f"{name} too"] for name in names})})}
    assert list(tests) == [f"WEAT{i}" for i in range(1, 11)]
    assert [words[0] for words in (tests["WEAT6"].X, tests["WEAT6"].Y, tests["WEAT6"].A, tests["WEAT6"].B)] == [
        *("male_names", "female_names", "career", "family")
    ]
    # The two lists of unpleasant words differ: the first belongs to flowers and instruments, the second to names.
    assert [tests[f"WEAT{i}"].b for i in (1, 2, 3, 4)] == [*("unpleasant_5a",) * 2, *("unpleasant_5b",) * 2]


def test_weat_names_a_missing_or_too_small_set():
    tests = [{"id": "t", "x": "x", "y": "y", "a": "a", "b": "b"}]
    sets = {"x": ["p", "q"], "y": ["r", "s"], "a": ["t", "u"]}
    with pytest.raises(DataError, match="no word set 'b'; found 'x', 'y', 'a'"):
        list(parse_weat({"w.json": json.dumps({"sets": sets, "tests": tests})}))
    with pytest.raises(DataError, match="word set 'b' has 1 words"):
        list(parse_weat({"w.json": json.dumps({"sets": {**sets, "b": ["v"]}, "tests": tests})}))


def test_stereoset_reads_the_official_layout_and_refuses_a_missing_label():
    def item(labels):
        sentences = [{"id": label, "sentence": label, "gold_label": label} for label in labels]
        return {"id": "i", "target": "t", "bias_type": "b", "context": "c BLANK", "sentences": sentences}

    official = {"data": {"intrasentence": [item(["unrelated", "stereotype", "anti-stereotype"])]}}
    (parsed,) = parse_stereoset({"dev.json": json.dumps(official)})
    assert (parsed.id, parsed.target, parsed.bias_type, parsed.context) == ("i", "t", "b", "c BLANK")
    for candidate, label in (("stereotype",) * 2, ("anti_stereotype", "anti-stereotype"), ("unrelated",) * 2):
        assert getattr(parsed, candidate) == (label, label)
    with pytest.raises(DataError, match="item i has the labels unrelated, stereotype, stereotype"):
        list(parse_stereoset({"dev.json": json.dumps([item(["unrelated", "stereotype", "stereotype"])])}))


def test_winobias_needs_its_lists_and_says_which_line_is_wrong():
    lists = {"male_occupations.txt": "cook\n", "female_occupations.txt": "nurse\n"}
    name = "pro_stereotyped_type2.txt.dev"
    with pytest.raises(DataError, match=r"needs male_occupations\.txt and female_occupations\.txt"):
        list(parse_winobias({name: ""}))
    (item,) = parse_winobias({**lists, name: "1 The nurse saw the [the cook] and thanked [him] for [his] help.\n"})
    assert item.sentence == "The nurse saw the cook and thanked him for his help."
    assert (item.referent, item.other, item.pronoun, item.pro, item.kind) == ("cook", "nurse", "him", True, 2)
    with pytest.raises(DataError, match=r"type2\.txt\.dev, line 1: not in the expected format"):
        list(parse_winobias({**lists, name: "1 The nurse saw [the cook].\n"}))


def test_winobias_joins_the_lines_of_the_pro_and_the_anti_file():
    lists = {"male_occupations.txt": "cook\n", "female_occupations.txt": "nurse\n"}
    lines = "1 [The cook] met the nurse because {} was late.\n2 The cook met [the nurse] because {} was late.\n"
    pro, anti = (lines.format(*pronouns) for pronouns in (("[he]", "[she]"), ("[she]", "[he]")))
    files = {"pro_stereotyped_type1.txt.test": pro, "anti_stereotyped_type1.txt.test": anti}
    items = list(parse_winobias({**lists, **files}))
    assert [(i.id, i.pair, i.pro, i.referent, i.other, i.pronoun) for i in items] == [
        ("type1-test-1-pro", "type1-test-1", True, "cook", "nurse", "he"),
        ("type1-test-2-pro", "type1-test-2", True, "nurse", "cook", "she"),
        ("type1-test-1-anti", "type1-test-1", False, "cook", "nurse", "she"),
        ("type1-test-2-anti", "type1-test-2", False, "nurse", "cook", "he"),
    ]


def bbq_row(tags, stereotyped, words=("A", "B", "C")):
    return json.dumps(
        {
            "example_id": 0,
            "question_index": "1",
            "question_polarity": "neg",
            "context_condition": "ambig",
            "category": "c",
            "context": "c",
            "question": "q",
            "ans0": "A",
            "ans1": "B",
            "ans2": "C",
            "label": 2,
            "answer_info": {f"ans{i}": [words[i], tags[i]] for i in range(3)},
            "additional_metadata": {"stereotyped_groups": stereotyped},
        }
    )


@pytest.mark.parametrize(
    ("tags", "stereotyped", "words", "target"),
    [
        (("old", "nonOld", "unknown"), ["nonOld"], "ABC", 1),
        (("F-Black", "M-White", "unknown"), ["Black", "African American"], "ABC", 0),
        (("F-Black", "M-Black", "unknown"), ["Black"], "ABC", None),
        (("F-Black", "M-Black", "unknown"), ["F-Black"], "ABC", 0),
        (("M", "woman", "unknown"), ["F"], "ABC", 1),
        (("nonTrans", "trans", "unknown"), ["Transgender women", "Transgender men"], "ABC", 1),
        (("highSES", "lowSES", "unknown"), ["low SES"], "ABC", 1),
        (("Europe", "Africa", "unknown"), ["Nigerian"], ("Danish", "Nigerian", "?"), 1),
        (("Asian", "White", "unknown"), ["Black"], "ABC", None),
        (("nonTrans_F", "trans_M", "unknown"), ["Transgender women", "transgender men", "trans"], "ABC", 1),
        (("trans_F", "nonTrans_F", "unknown"), ["transgender women", "trans"], "ABC", 0),
        (("lowSES-Black", "highSES-White", "unknown"), ["Black", "African American", "Latino", "Hispanic"], "ABC", 0),
        (("highSES-F-Asian", "highSES-M-White", "unknown"), ["Asian"], "ABC", 0),
        (("lowSES-Black", "highSES-Black", "unknown"), ["Black"], "ABC", None),
        (("African", "African American", "unknown"), ["Black", "African American"], "ABC", 1),
        (("old", "nonOld", "unknown"), ["old"], "ABC", 0),
    ],
)
def test_bbq_target_is_the_one_stereotyped_answer(tags, stereotyped, words, target):
    (item,) = parse_bbq({"b.jsonl": bbq_row(tags, stereotyped, words)})
    assert item.target == target
    assert item.unknown == 2


def metadata(*locations, question="1"):
    rows = [f'"c","{question}",{example},{location},"label"' for example, location in enumerate(locations)]
    return "\n".join(['"category","question_index","example_id","target_loc","label_type"', *rows]) + "\n"


def crossed(*tags, polarity="neg", example=0):
    row = json.loads(bbq_row(tags, ["Black", "African American"]))
    return json.dumps({**row, "question_polarity": polarity, "example_id": example})


def test_bbq_metadata_say_what_the_tags_leave_open():
    """Both answers are of the stereotyped race: only the metadata know that the stereotype is about its women."""
    rows = [
        crossed("M-Black", "F-Black", "unknown"),
        crossed("M-Black", "unknown", "F-Black", polarity="nonneg", example=1),
        crossed("F-Black", "F-White", "unknown", example=2),
        crossed("M-Black", "F-Black", "unknown", example=3),
    ]
    alone = {"x.jsonl": "\n".join(rows)}
    assert [i.target for i in parse_bbq(alone)] == [None, None, 0, None]
    # Of a non-negative question the published target is the other person.
    found = list(parse_bbq({**alone, "additional_metadata.csv": metadata(1, 0, 0, "NA")}))
    assert [i.target for i in found] == [1, 2, 0, None]
    assert [bias_of(i, 0) for i in found[:3]] == [-1, 1, 1]


def test_bbq_metadata_that_are_of_other_questions_are_refused():
    rows = [crossed("F-Black", "F-White", "unknown", polarity=p, example=i) for i, p in enumerate(("neg", "nonneg"))]
    texts = {"x.jsonl": "\n".join(rows)}
    with pytest.raises(DataError, match="has a row for none of the 2 questions"):
        list(parse_bbq({**texts, "additional_metadata.csv": metadata(0, 1, question="7")}))
    with pytest.raises(DataError, match="contradicts the tags of the answers in 1 of 2 questions"):
        list(parse_bbq({**texts, "additional_metadata.csv": metadata(0, 0)}))  # not turned for the second
    with pytest.raises(DataError, match=r"additional_metadata\.csv: not in the expected format"):
        list(parse_bbq({**texts, "additional_metadata.csv": metadata("first", 1)}))
    with pytest.raises(DataError, match="missing column 'target_loc'"):
        list(parse_bbq({**texts, "additional_metadata.csv": "category,question_index,example_id\n"}))


def test_what_is_read_of_a_bbq_row():
    row = json.loads(bbq_row(("old", "nonOld", "unknown"), ["old"]))
    clear = row | {"context_condition": "disambig", "question_polarity": "nonneg", "label": 1, "example_id": 7}
    ambiguous, disambiguated = parse_bbq({"b.jsonl": "\n".join(map(json.dumps, (row, clear)))})
    assert ambiguous == data.BBQItem(
        id="c/1/0", category="c", ambiguous=True, negative=True, context="c", question="q", answers=("A", "B", "C"),
        label=2, unknown=2, target=0,
    )  # fmt: skip
    assert (disambiguated.id, disambiguated.ambiguous, disambiguated.negative) == ("c/1/7", False, False)
    assert (disambiguated.label, disambiguated.unknown, disambiguated.target) == (1, 2, 0)


def test_bbq_needs_exactly_one_unknown_answer():
    with pytest.raises(DataError, match=r"b\.jsonl, line 1: not in the expected format"):
        list(parse_bbq({"b.jsonl": bbq_row(("old", "nonOld", "old"), ["old"])}))


def test_a_word_counts_once_in_its_set(write):
    sets = {"x": ["rose", "lily", "rose"], "y": ["ant", "bee"], "a": ["good", "nice"], "b": ["bad", "vile"]}
    text = json.dumps({"sets": sets, "tests": [{"id": "t", "x": "x", "y": "y", "a": "a", "b": "b"}]})
    with pytest.raises(DataError, match="word set 'x' holds 'rose' twice"):
        data.load(write(text, "w.json"), "weat")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("The cat sat on it.\nNo no no no no.\n", r"line 2: 'No no no no no.'; expected 4 different words"),
        ("The cat sat on it.\n\nThe  cat sat on it.\n", r"line 3: 'The cat sat on it.' stands there twice"),
    ],
)
def test_bad_sentences_get_one_clear_line(write, text, message):
    with pytest.raises(DataError, match=message):
        data.load(write(text, "s.txt"), "sentences")


def test_a_sentence_without_spaces_is_made_of_characters(write):
    from auditkit.data.loaders import units

    assert data.load(write("今天天气很好。\n", "s.txt"), "sentences").items == ("今天天气很好。",)
    assert units("今天天气很好。") == (list("今天天气很好"), "", "。")
    assert units("It is raining!") == (["It", "is", "raining"], " ", "!")
