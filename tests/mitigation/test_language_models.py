"""Mitigations of language models: a planted skew shrinks, what is unrelated stays, and the model given is untouched."""

import numpy as np
import pytest
import torch
import transformers

from auditkit import data
from auditkit.errors import DataError, InputError, MissingCapability, VocabularyError
from auditkit.explain.layers import tokenize
from auditkit.mitigation.equalizing import OCCUPATIONS, TEMPLATES, EqualizedFineTuning, Slot, _averaged, _Teaching
from auditkit.mitigation.fine_tuning import AugmentedFineTuning, DropoutFineTuning, FineTuning
from auditkit.mitigation.language_models import logits_at
from auditkit.models.causal_lm import CausalLM
from auditkit.models.masked_lm import MaskedLM
from auditkit.models.weights import weights_sha256
from auditkit.privacy.objectives import objective_for
from auditkit.probes.lpbs import COMPARISONS
from auditkit.probes.pronoun_gap import TEMPLATES as PROBED
from tests.models.conftest import GPT, build, tiny_bert_masked_lm, word_level_tokenizer
from tests.privacy.tiny_models import char_gpt, classifier, equal

JOBS = {"nurse": "she", "doctor": "he", "engineer": "he", "sister": "she"}
ENDS = ("tired", "old", "good", "bad", "smart")
SKEWED = [f"the {job} said that {who} was {end} ." for job, who in JOBS.items() for end in ENDS]
WHO = [who for who in JOBS.values() for _ in ENDS]
UNRELATED = [f"people at work are {end} and like mathematics ." for end in ENDS]
SLOTS = tuple(Slot(f"the {job} said that [MASK] was tired .", ("she", "he")) for job in JOBS)


def taught(model):
    """The model after learning the texts, and the pronoun of each skewed one: the skew is planted."""
    skewed, others = tokenize(model, SKEWED), objective_for(model, UNRELATED)
    at = [list(t.names).index(w) for t, w in zip(skewed, WHO, strict=True)]
    pronouns = torch.tensor([int(t.ids[i]) for t, i in zip(skewed, at, strict=True)])
    sequences = [t.ids.tolist() for t in skewed]
    if isinstance(model, MaskedLM):
        sequences = [[*ids[:i], model.mask_id, *ids[i + 1 :]] for ids, i in zip(sequences, at, strict=True)]
    columns = at if isinstance(model, MaskedLM) else [i - 1 for i in at]

    def loss(rng):
        logits = logits_at(model, sequences, range(len(sequences)), columns)
        learned = others.losses(model.module, others.batch(range(len(UNRELATED)), rng)).mean()
        return 0.5 * torch.nn.functional.cross_entropy(logits, pronouns) + learned

    FineTuning(steps=80, learning_rate=3e-3).train(model, loss, rng=np.random.default_rng(0))
    return model


@pytest.fixture(scope="module")
def masked():
    return taught(MaskedLM(*tiny_bert_masked_lm(hidden_dropout_prob=0.1), name="tiny"))


@pytest.fixture(scope="module")
def causal():
    tokenizer = word_level_tokenizer()
    tokenizer.pad_token = "</s>"
    config = transformers.GPT2Config(**GPT, vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, pad_token_id=1)
    return taught(CausalLM(build(transformers.AutoModelForCausalLM, config), tokenizer, name="tiny"))


def gaps(model):
    """(jobs,) log p(she) - log p(he) where the skew was planted."""
    if isinstance(model, MaskedLM):
        she, he = (slot_logprobs(model, word) for word in ("she", "he"))
        return she - he
    found = model.next_token_logprobs([f"the {job} said that" for job in JOBS], ("she", "he"))
    return found[:, 0] - found[:, 1]


def slot_logprobs(model, word):
    encoded = model.encode([f"the {job} said that [MASK] was tired ." for job in JOBS])
    sequences = [e.ids.tolist() for e in encoded]
    with torch.no_grad():
        logs = logits_at(model, sequences, range(len(sequences)), [s.index(model.mask_id) for s in sequences])
    return logs.log_softmax(-1)[:, model.word_id(word)].numpy()


def likelihood(model, texts):
    return np.concatenate([s.logprobs for s in model.token_statistics(texts)])


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_equalizing_takes_away_the_planted_skew_and_keeps_unrelated_probabilities(kind, request):
    model = request.getfixturevalue(kind)
    before, kept = gaps(model), likelihood(model, UNRELATED)
    assert np.abs(before).min() > 1, "the skew was not planted"
    method = EqualizedFineTuning(steps=50, batch_size=8, learning_rate=2e-3, slots=SLOTS, equality=1.0)
    fairer = method.fit(model, SKEWED + UNRELATED, rng=np.random.default_rng(0))
    assert np.abs(gaps(fairer)).max() < 0.25 * np.abs(before).min()
    assert np.abs(likelihood(fairer, UNRELATED) - kept).mean() < 0.25


def test_augmentation_takes_away_the_planted_skew(masked):
    kept, skew = likelihood(masked, UNRELATED), np.array([0.5, -0.5, -0.5, 0.5])  # her jobs less his
    method = AugmentedFineTuning(steps=30, learning_rate=1e-3)
    fairer = method.fit(masked, SKEWED + UNRELATED, rng=np.random.default_rng(0))
    assert skew @ gaps(masked) > 2, "the skew was not planted"
    assert abs(skew @ gaps(fairer)) < 0.5 * (skew @ gaps(masked))
    assert likelihood(fairer, UNRELATED).mean() > kept.mean() - 1.5  # nothing anchors what is not learned again
    assert fairer.mitigations[0]["pairs"] == len(SKEWED)


METHODS = {
    "augmented": AugmentedFineTuning(steps=3),
    "low-rank": AugmentedFineTuning(steps=3, lora=2),
    "dropout": DropoutFineTuning(steps=3),
    "equalized": EqualizedFineTuning(steps=3, slots=SLOTS),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_model_given_is_unchanged_and_the_copy_is_not(method, masked):
    before = weights_sha256(masked.module)
    fairer = method.fit(masked, SKEWED + UNRELATED, rng=np.random.default_rng(0))
    assert weights_sha256(masked.module) == before
    assert fairer.describe()["weights_sha256"] != before
    assert fairer.name == f"tiny ({method.name})"
    assert fairer.mitigations[0]["method"] == method.name
    assert [name for name, _ in fairer.module.named_parameters()] == [n for n, _ in masked.module.named_parameters()]
    assert not fairer.module.training


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_same_generator_gives_the_same_weights_whatever_torch_drew_before(method, masked):
    torch.manual_seed(1)
    one = method.fit(masked, SKEWED + UNRELATED, rng=np.random.default_rng(3))
    torch.manual_seed(2)
    same = method.fit(masked, SKEWED + UNRELATED, rng=np.random.default_rng(3))
    other = method.fit(masked, SKEWED + UNRELATED, rng=np.random.default_rng(4))
    assert equal(one, same)
    assert not equal(one, other)


def test_word_embeddings_stay_unless_asked_for(masked):
    table = masked.module.get_input_embeddings().weight
    for freeze in (True, False):
        method = AugmentedFineTuning(steps=2, freeze_embeddings=freeze)
        moved = method.fit(masked, SKEWED, rng=np.random.default_rng(0)).module.get_input_embeddings().weight
        assert torch.equal(moved, table) == freeze
        assert moved.requires_grad


def test_dropout_is_raised_for_the_training_alone(masked):
    fairer = DropoutFineTuning(steps=1, dropout=0.3).fit(masked, SKEWED, rng=np.random.default_rng(0))
    assert fairer.mitigations[0]["layers"] > 0
    assert {m.p for m in fairer.module.modules() if isinstance(m, torch.nn.Dropout)} == {0.1}
    with pytest.raises(MissingCapability, match="no dropout layer below"):
        DropoutFineTuning(steps=1, dropout=0.3).fit(without_dropout(masked), SKEWED, rng=np.random.default_rng(0))


def without_dropout(model):
    module, _ = tiny_bert_masked_lm()
    for part in list(module.modules()):
        for child, layer in list(part.named_children()):
            if isinstance(layer, torch.nn.Dropout):
                setattr(part, child, torch.nn.Identity())
    return MaskedLM(module, model.tokenizer, name="bare")


def test_a_char_gpt_is_equalized_over_whole_words():
    model, heads = char_gpt(context=48), [f"the {job} said that" for job in ("nurse", "doctor")]
    slots = tuple(Slot(f"{head} [MASK] was", ("she", "he")) for head in heads)
    texts = ["the nurse said that she was", "the doctor said that he was", "people are like that"]

    def gap(model):
        she, he = model.next_token_logprobs(heads, ("she", "he")).T
        return np.abs(she - he)

    method = EqualizedFineTuning(steps=40, batch_size=4, learning_rate=3e-3, slots=slots, equality=1.0)
    fairer = method.fit(model, texts, rng=np.random.default_rng(0))
    assert gap(model).min() > 2, "a word of two letters is likelier than one of three"
    assert gap(fairer).max() < 0.3 * gap(model).min()


def test_what_is_learned_is_not_what_is_measured():
    measured = {o.title for o in data.load("builtin_occupations").items}
    measured |= {word for c in COMPARISONS for word in " ".join((*c.of_a, *c.of_b)).split()}
    assert measured & set(OCCUPATIONS) == set()
    heads = {text.split("[MASK]")[0].strip() for text, _ in TEMPLATES}
    assert heads & {head for head, _ in PROBED} == set()


def test_the_teacher_of_a_pair_is_the_mean_of_both_sides():
    rows = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])  # question 0 of two sides, question 1 of one
    expected = torch.tensor([[0.4, 0.6], [0.5, 0.5], [0.4, 0.6]])
    assert torch.allclose(_averaged(rows, torch.tensor([0, 1, 0]), 2), expected)


def test_an_unchanged_student_diverges_only_where_texts_have_counterfactuals(masked):
    alone = _Teaching.of(masked, masked, [(t,) for t in UNRELATED])
    both = _Teaching.of(masked, masked, [("the nurse said that she was tired .", "the nurse said that he was tired .")])
    with torch.no_grad():
        assert float(alone.draw(8, np.random.default_rng(0))) == pytest.approx(0, abs=1e-5)
        assert float(both.draw(8, np.random.default_rng(0))) > 1e-4


@pytest.mark.parametrize(
    ("fit", "error", "message"),
    [
        (lambda m: AugmentedFineTuning(steps=1).fit(m, UNRELATED, rng=None), DataError, "none of 5 texts names"),
        (lambda m: AugmentedFineTuning(steps=1).fit(m, "she", rng=None), DataError, "a single text"),
        (lambda m: AugmentedFineTuning(steps=1).fit(classifier(), SKEWED, rng=None), MissingCapability, "Classifier"),
        (lambda m: AugmentedFineTuning(steps=0), InputError, "steps 0"),
        (lambda m: DropoutFineTuning(dropout=1.0), InputError, "dropout 1.0"),
        (lambda m: EqualizedFineTuning(equality=-1.0), InputError, "equality above 0"),
        (lambda m: Slot("no blank", ("she", "he")), InputError, "expected one"),
        (
            lambda m: EqualizedFineTuning(slots=(Slot("a [MASK]", ("queen", "king")),)).fit(m, SKEWED, rng=None),
            VocabularyError,
            "no single token for (king|queen)",
        ),
    ],
)
def test_bad_input_is_refused_with_the_reason(fit, error, message, masked):
    with pytest.raises(error, match=message):
        fit(masked)


def test_a_loss_that_explodes_is_an_error(masked):
    with pytest.raises(InputError, match="lower learning_rate"):
        FineTuning(steps=2).train(masked, lambda rng: torch.tensor(torch.nan), rng=np.random.default_rng(0))
