"""audit.yaml: the short and the long form mean the same; a wrong file is refused with all its problems at once."""

from pathlib import Path

import pytest

from auditkit.config import Config, load, load_rules, parse
from auditkit.errors import ConfigError

MODEL = "auditkit.testing:FakeMaskedLM"


@pytest.fixture(autouse=True)
def _sample_probes(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "audit.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def problems(source, **options):
    """The problems found in a file or in plain data."""
    with pytest.raises(ConfigError) as caught:
        load(source, **options) if isinstance(source, Path) else parse(source)
    return caught.value.problems


def test_short_and_long_forms_mean_the_same(write):
    short = load(write(f"model: {MODEL}\nprobes: [sample_probes:Mean, {{sample_probes:Mean: {{id: b}}}}]\n"))
    long = load(
        write(
            f"model: {{spec: '{MODEL}', device: auto}}\n"
            "probes:\n  - sample_probes:Mean:\n  - sample_probes:Mean: {id: b}\n"
        )
    )
    assert short == long
    assert [p.id for p in short.build_probes()] == ["mean", "b"]
    assert (short.seed, short.out, short.model.device) == (0, "audit-out", "auto")


def test_a_config_survives_dumping():
    config = parse(
        {"model": MODEL, "probes": [{"sample_probes:Mean": {"n": 3}}], "gate": [{"measurement": "a", "max": 1}]}
    )
    assert parse(config.model_dump()) == config


def test_options_are_converted_to_the_types_of_the_probe():
    config = parse({"model": MODEL, "probes": [{"sample_probes:Mean": {"shift": 1}}]})
    (probe,) = config.build_probes()
    assert probe.shift == 1.0


def test_rules_are_parsed():
    rule = {"measurement": "mean/*", "max": 60, "on_inconclusive": "warn"}
    (parsed,) = parse({"model": MODEL, "probes": ["sample_probes:Mean"], "gate": [rule]}).rules()
    assert (parsed.measurement, parsed.max, parsed.on_inconclusive) == ("mean/*", 60, "warn")


def test_all_problems_are_reported_at_once():
    found = problems(
        {
            "modle": "x",
            "model": {"spec": MODEL, "devise": "cpu"},
            "seed": -1,
            "probes": [
                {"sample_probes:Mean": {"methds": [], "n": "many", "fail": "sometimes"}},
                "crow_pairs",
                ["not", "a", "name"],
                {"sample_probes:Picky": {"n": 1}},
            ],
            "gate": [{"measurement": "a", "maxx": 1}],
        }
    )
    assert found[:3] == [
        "model.devise: unknown key; did you mean 'device'?",
        "seed: input should be greater than or equal to 0, got -1",
        "modle: unknown key; did you mean 'model'?",
    ]
    text = "\n".join(found)
    assert "probes[0].sample_probes:Mean.methds: unknown option; known: fail, id, n, shift" in text
    assert "probes[0].sample_probes:Mean.n: input should be a valid integer, unable to parse" in text
    assert "probes[0].sample_probes:Mean.fail: input should be '', 'crash', " in text
    assert "probes[1]: unknown probe 'crow_pairs'; did you mean 'crows_pairs'" in text
    assert "probes[2]: expected a probe's name or `name: {options}`, got ['not', 'a', 'name']" in text
    assert "probes[3]: sample_probes:Picky: n=1; expected at least 2" in text
    assert "gate[0]: unknown key 'maxx'; did you mean 'max'" in text
    assert all("\n" not in p for p in found)


def test_an_option_close_to_a_known_one_is_suggested():
    (found,) = problems({"model": MODEL, "probes": [{"sample_probes:Mean": {"shft": 1}}]})
    assert found == "probes[0].sample_probes:Mean.shft: unknown option; did you mean 'shift'?"


def test_an_unknown_model_is_found_before_anything_is_loaded():
    (found,) = problems({"model": "minilm-mlmm", "probes": ["sample_probes:Mean"]})
    assert found == "model: unknown model 'minilm-mlmm'; did you mean 'minilm-mlm'?"


def test_two_probes_may_not_share_an_id():
    (found,) = problems({"model": MODEL, "probes": ["sample_probes:Mean", {"sample_probes:Mean": {"n": 2}}]})
    assert found == "probes[1]: id 'mean' is taken by probes[0]; give one of them another id"


def test_an_id_that_would_break_measurement_ids_is_refused():
    (found,) = problems({"model": MODEL, "probes": [{"sample_probes:Mean": {"id": "a/b"}}]})
    assert found.startswith("probes[0]: id 'a/b'; expected letters")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"probes": ["sample_probes:Mean"]}, "model: missing"),
        ({"model": MODEL}, "probes: missing"),
        ({"model": 3, "probes": ["sample_probes:Mean"]}, "model: expected a name or a mapping, got 3"),
        ({"model": MODEL, "probes": []}, "probes: list should have at least 1 item"),
        ({"model": MODEL, "probes": "sample_probes:Mean"}, "probes: input should be a valid list"),
        ({"model": MODEL, "probes": ["no_such_module:X"]}, "probes[0]: cannot import 'no_such_module'"),
        ({"model": MODEL, "probes": ["sample_probes:Meen"]}, "did you mean 'Mean'"),
        ({"model": MODEL, "probes": ["sample_probes:NotAProbe"]}, "is not a probe"),
        ({"model": MODEL, "probes": ["sample_probes:Mean"], "seed": "one"}, "seed: input should be a valid integer"),
        ({"model": MODEL, "probes": ["sample_probes:Mean"], "gate": {"max": 1}}, "gate: input should be a valid list"),
    ],
)
def test_each_mistake_is_named(data, problem):
    (found,) = problems(data)
    assert problem in found


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("- a\n- b\n", "found a list"),
        ("model: x\nprobes: [a, b\nseed: 1\n", "line 3, column 5"),
        ("model: x\n\tseed: 1\n", "line 2"),
        ("model: x\nmodel: y\nprobes: [a]\n", "line 2, column 1: duplicate key 'model'"),
        ("model: x\nprobes:\n  - p: {n: 1, n: 2}\n", "line 3, column 15: duplicate key 'n'"),
        ("model: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        (b"model: caf\xe9\n", "not UTF-8 text (byte 10)"),
    ],
)
def test_unreadable_files(write, content, problem):
    (found,) = problems(write(content))
    assert problem in found


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")


# --- overrides --------------------------------------------------------------------------------------------------

BASE = (
    f"model: {MODEL}\nprobes: [sample_probes:Mean, {{sample_probes:Mean: {{id: b}}}}]\n"
    "gate: [{measurement: a, max: 1}]\n"
)


@pytest.mark.parametrize(
    ("override", "get", "expected"),
    [
        ("seed=7", lambda c: c.seed, 7),
        ("out=elsewhere", lambda c: c.out, "elsewhere"),
        ("model.device=cpu", lambda c: c.model.device, "cpu"),
        ("model=auditkit.testing:FakeCausalLM", lambda c: c.model.spec, "auditkit.testing:FakeCausalLM"),
        ("probes.1.n=9", lambda c: c.probes[1].options, {"id": "b", "n": 9}),
        ("probes.sample_probes:Mean.n=9", lambda c: c.probes[0].options, {"n": 9}),
        ("probes=[sample_probes:Picky]", lambda c: [p.spec for p in c.probes], ["sample_probes:Picky"]),
        ("gate.0.max=2.5", lambda c: c.gate, [{"measurement": "a", "max": 2.5}]),
        ("gate=[]", lambda c: c.gate, []),
    ],
)
def test_an_override_sets_one_entry(write, override, get, expected):
    assert get(load(write(BASE), overrides=[override])) == expected


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("seed", "expected key=value"),
        ("=1", "expected key=value"),
        ("probes.5.n=1", "no entry '5'"),
        ("probes.sample_probes:Maen.n=1", "did you mean 'sample_probes:Mean'?"),
        ("seed.x=1", "'seed.x=1': there is nothing to set at 'x'"),
        ("seed=[1", "line 1"),
        ("model.devise=cpu", "model.devise: unknown key; did you mean 'device'?"),
    ],
)
def test_a_wrong_override_is_named(write, override, problem):
    source = write(BASE if "seed." not in override else BASE + "seed: 1\n")
    (found,) = problems(source, overrides=[override])
    assert problem in found


def test_another_model_keeps_the_device_but_not_the_task(write):
    path = write(BASE.replace(f"model: {MODEL}", f"model: {{spec: '{MODEL}', task: masked-lm, device: cpu}}"))
    model = load(path, model="auditkit.testing:FakeCausalLM").model
    assert (model.spec, model.device, model.task) == ("auditkit.testing:FakeCausalLM", "cpu", None)


def test_a_config_object_can_be_overridden(write):
    config = load(write(BASE))
    assert isinstance(config, Config)
    assert load(config, overrides=["seed=3"]).seed == 3


# --- rules alone ------------------------------------------------------------------------------------------------


def test_rules_are_read_without_looking_at_the_rest(write):
    rules = load_rules(write("model: no such model\nprobes: [nor, such, probes]\ngate: [{measurement: a, max: 1}]\n"))
    assert [r.measurement for r in rules] == ["a"]


def test_a_file_without_rules_cannot_judge(write):
    with pytest.raises(ConfigError, match="gate: no rules"):
        load_rules(write("model: x\n"))


def test_all_wrong_rules_are_named(write):
    with pytest.raises(ConfigError) as caught:
        load_rules(write("gate: [{measurement: a}, {measurement: b, max: 1, mim: 2}]\n"))
    assert [p.split(":")[0] for p in caught.value.problems] == ["gate[0]", "gate[1]"]
