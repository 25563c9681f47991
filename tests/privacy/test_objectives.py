"""What each kind of model learns from a record: the right loss, for each record alone, and one that training lowers."""

import numpy as np
import pytest
import torch

from auditkit.errors import DataError, MissingCapability
from auditkit.privacy.losses import IGNORED
from auditkit.privacy.objectives import objective_for
from tests.privacy.tiny_models import (
    KINDS,
    LABELLED,
    SIMILAR,
    TEXTS,
    TRANSLATED,
    char_gpt,
    classifier,
    gpt2,
    masked_bert,
    sentence_encoder,
    t5,
    train,
)

UNEVEN = {
    "char-gpt": ["a nurse", "the doctor was old .", "it"],
    "causal": ["a nurse", "the doctor was old .", "it"],
    "masked": ["a nurse", "the doctor was old .", "it"],
    "classifier": [("a nurse", "good"), ("the doctor was old .", "bad"), ("it", 1)],
    "sentence-encoder": [("a nurse", "she", 0.5), ("the doctor was old .", "he was tired .", -1), ("it", "her", 1)],
    "seq2seq": [("a nurse", "she was old ."), ("the doctor was old .", "he"), ("it", "her sister")],
}


def rng(seed=0):
    return np.random.default_rng(seed)


def losses_of(model, records, examples=None):
    objective = objective_for(model, records)
    with torch.no_grad():
        return objective.losses(
            model.module, objective.batch(range(len(records)) if examples is None else examples, rng())
        )


@pytest.mark.parametrize("lora", [None, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_loss(kind, lora):
    make, records = KINDS[kind]
    model = make()
    with torch.no_grad():  # so that what the layers compute is worth adapting
        for p in model.module.parameters():
            p.mul_(4 if p.ndim > 1 else 1)
    before = losses_of(model, records).mean()
    result = train(model, records, epochs=10, learning_rate=2e-2, lora=lora)
    assert losses_of(result.model, records).mean() < 0.9 * before
    assert losses_of(model, records).mean() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_records_loss_does_not_depend_on_its_company(kind):
    model = KINDS[kind][0]()
    together = losses_of(model, UNEVEN[kind])
    alone = torch.cat([losses_of(model, UNEVEN[kind], [i]) for i in range(3)])
    assert together.shape == (3,)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_record_has_a_length_and_as_many_rows_as_promised(kind):
    objective = objective_for(KINDS[kind][0](), UNEVEN[kind])
    batch = objective.batch([2, 0, 0], rng())
    ids = batch["ids"] if "ids" in batch else batch["inputs"]["input_ids"]
    assert len(ids) == 3 * objective.rows
    assert len(objective.lengths) == 3
    assert objective.lengths[1] == max(objective.lengths) > min(objective.lengths) > 0


def test_the_loss_of_a_char_gpt_is_the_mean_over_its_characters():
    model = char_gpt()
    expected = [-scores.mean for scores in model.token_logprobs(UNEVEN["char-gpt"])]
    assert losses_of(model, UNEVEN["char-gpt"]).tolist() == pytest.approx(expected, abs=1e-5)


def test_the_loss_of_a_causal_model_is_that_of_transformers():
    model = gpt2()
    ids = [torch.tensor(model.tokenizer([text])["input_ids"]) for text in UNEVEN["causal"]]
    with torch.no_grad():
        expected = [float(model.module(i, labels=i).loss) for i in ids]
    assert losses_of(model, UNEVEN["causal"]).tolist() == pytest.approx(expected, abs=1e-5)


def test_the_loss_of_a_translation_is_that_of_transformers():
    model = t5()
    expected = []
    for source, target in UNEVEN["seq2seq"]:
        ids, labels = (torch.tensor(model.tokenizer([text])["input_ids"]) for text in (source, target))
        with torch.no_grad():
            expected.append(float(model.module(input_ids=ids, labels=labels).loss))
    assert losses_of(model, UNEVEN["seq2seq"]).tolist() == pytest.approx(expected, abs=1e-5)


def test_the_loss_of_a_pair_is_the_squared_distance_of_its_cosine_from_the_similarity():
    model = sentence_encoder()
    expected = []
    for first, second, similarity in UNEVEN["sentence-encoder"]:
        a, b = model.embed([first, second])
        expected.append((float(a @ b) - similarity) ** 2)
    assert losses_of(model, UNEVEN["sentence-encoder"]).tolist() == pytest.approx(expected, abs=1e-5)


def test_labels_by_name_or_index_and_an_accuracy_in_percent():
    model = classifier()
    by_index = [(text, model.labels.index(label)) for text, label in LABELLED]
    named, numbered = objective_for(model, LABELLED), objective_for(model, by_index)
    assert named.labels == numbered.labels
    batch = named.batch(range(len(LABELLED)), rng())
    probabilities = model.classify([text for text, _ in LABELLED])
    right = probabilities.argmax(1) == [model.labels.index(label) for _, label in LABELLED]
    assert named.score(model.module, batch).tolist() == (100.0 * right).tolist()
    expected = -np.log(probabilities[np.arange(len(LABELLED)), named.labels])
    np.testing.assert_allclose(losses_of(model, LABELLED), expected, atol=1e-5)


def masks(model, texts, seed, examples=None):
    objective = objective_for(model, texts)
    return objective.batch(range(len(texts)) if examples is None else examples, rng(seed))


def test_masks_are_drawn_anew_at_every_step_but_not_by_company():
    model = masked_bert()
    first, second = (masks(model, TEXTS, seed)["labels"] for seed in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(masks(model, TEXTS, 0)["labels"], first)
    alone = masks(model, TEXTS, 0, [5])["labels"][0]
    assert torch.equal(first[5][: len(alone)], alone)


def test_fifteen_percent_are_masked_as_in_bert_and_never_a_special_token():
    model = masked_bert()
    text = " ".join(["nurse", "doctor", "engineer", "sister"] * 8)  # 32 words: 5 masks
    shown, kept, random = 0, 0, 0
    for seed in range(400):
        batch = masks(model, [text], seed)
        labels, inputs = batch["labels"][0], batch["inputs"]["input_ids"][0]
        where = labels != IGNORED
        assert where.sum() == 5
        assert not where[0]
        assert not where[-1]  # [CLS], [SEP]
        original = torch.tensor(model.tokenizer(text)["input_ids"])
        assert torch.equal(labels[where], original[where])
        assert torch.equal(inputs[~where], original[~where])
        shown += int((inputs[where] == model.mask_id).sum())
        kept += int((inputs[where] == labels[where]).sum())
        random += int(((inputs[where] != labels[where]) & (inputs[where] != model.mask_id)).sum())
    for count, share in [(shown, 0.8), (kept, 0.1), (random, 0.1)]:
        assert abs(count - 2000 * share) < 5 * (2000 * share * (1 - share)) ** 0.5 + 2000 * 0.1 / 80
    assert (masks(model, ["it"], 0)["labels"] != IGNORED).sum() == 1  # never none


@pytest.mark.parametrize(
    ("make", "records", "notice"),
    [
        (char_gpt, ["a" * 40, "b"], "texts truncated to 32 characters"),
        (char_gpt, ["a nurse", "A"], "characters outside the vocabulary"),
        (masked_bert, ["the nurse " * 40, "it"], "texts truncated to 40 tokens"),
        (classifier, [("the nurse " * 40, 0), ("it", 1)], "texts truncated to 40 tokens"),
        (sentence_encoder, [("the nurse " * 40, "it", 0), ("it", "it", 1)], "texts truncated to 24 tokens"),
        (t5, [("the nurse " * 40, "it"), ("it", "it")], "texts truncated to 40 tokens"),
        (t5, [("it", "the nurse " * 40), ("it", "it")], "targets truncated to 40 tokens"),
    ],
)
def test_what_is_cut_or_replaced_is_counted(make, records, notice):
    model = make()
    losses_of(model, records)
    assert model.notices == {notice: 1}


@pytest.mark.parametrize(
    ("make", "records", "message"),
    [
        (char_gpt, [], "no records"),
        (char_gpt, "the nurse", "a single text"),
        (char_gpt, ["a", 5], "record 1 is 5; expected a text"),
        (gpt2, ["a", "  "], "record 1 is '  '; expected a text that is not empty"),
        (masked_bert, [("a", "b")], r"record 0 is \('a', 'b'\); expected a text"),
        (classifier, TEXTS, "text, label"),
        (classifier, [("a", 0, 1)], "text, label"),
        (classifier, [("a", "awful")], "label 'awful'; expected one of bad, good, or an index below 2"),
        (classifier, [("a", 2)], "label 2; expected"),
        (classifier, [("a", -1)], "label -1; expected"),
        (sentence_encoder, TRANSLATED, "text, text, similarity"),
        (sentence_encoder, [("a", "b", 1.5)], "similarity 1.5; expected a number from -1 to 1"),
        (sentence_encoder, [("a", "b", "close")], "similarity 'close'"),
        (sentence_encoder, [("a", None, 1.0)], "is None; expected a text"),
        (t5, TEXTS, "source, target"),
        (t5, SIMILAR, "source, target"),
    ],
)
def test_records_of_another_form_are_refused(make, records, message):
    with pytest.raises(DataError, match=message):
        objective_for(make(), records)


def test_a_character_that_nothing_predicts_is_refused():
    with pytest.raises(DataError, match="record 1 has one character"):
        objective_for(char_gpt(vocabulary="abc"), ["ab", "a"])


def test_models_that_cannot_learn_honestly_are_refused():
    with pytest.raises(MissingCapability, match="no causal mask"):
        objective_for(char_gpt(causal=False), TEXTS)
    with pytest.raises(MissingCapability, match="int cannot be trained here"):
        objective_for(5, TEXTS)


def test_a_similarity_may_be_a_number_of_numpy():
    (similarity,) = objective_for(sentence_encoder(), [("a", "b", np.float32(0.5))]).similarities
    assert similarity == 0.5
