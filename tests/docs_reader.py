"""What a reader of the documentation does with a page: how its blocks of code are treated."""

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from auditkit import config
from auditkit.cli import main
from auditkit.gate import Rule

ROOT = Path(__file__).parents[1]
PAGES = {str(p.relative_to(ROOT)): p for p in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
STAND_INS = {"minilm-mlm": "auditkit.testing:FakeMaskedLM"}
FENCE = re.compile(
    r"^<!-- test:(?P<hidden>.*?)-->$|^```(?P<language>\w+)(?P<attributes>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S
)
# What README.md takes as given: it may not hold comments for tests.
GIVEN = {
    "README.md": {
        "result = ak.privacy.train(": 'texts = [f"note {i}: seen by the nurse on day {i % 7}." for i in range(80)]',
        "model: ./my-model": "import pathlib; pathlib.Path('my-model').mkdir()",
        'texts="texts.txt"': "import pathlib; pathlib.Path('texts.txt').write_text('the nurse went home.\\n' * 12)",
    }
}
README_STAND_INS = {
    "epochs=3": "epochs=1",
    'load_model("minilm-mlm")': 'load_model("char-gpt")',
    "delta=1e-5": "delta=1e-3",
    '"minilm-mlm", ["int8", {"magnitude": {"ratio": 0.5}}], ["stereotype_pairs"]': (
        '"char-gpt", ["int8"], [{"stereotype_pairs": {"groups": ["age"], "null_items": 2}}]'
    ),
    "hiring_task()": "hiring_task(limit=400)",
    ', "adversarial"]': "]",
}


@dataclass(frozen=True)
class Block:
    """One piece of a page, or what runs unseen between two of them (language "hidden")."""

    language: str
    text: str
    title: str = ""
    exit_code: int = 0
    no_run: str | None = None


def blocks(page: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(PAGES[page].read_text(encoding="utf-8")):
        if match["hidden"] is not None:
            found.append(Block("hidden", match["hidden"]))
            continue
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', match["attributes"]))
        unknown = given.keys() - {"title", "exit", "no-run"}
        assert not unknown, f"{page}: {unknown}"
        exit_code = int(given.get("exit", 0))
        found.append(Block(match["language"], match["text"], given.get("title", ""), exit_code, given.get("no-run")))
    return found


class Reader:
    """Does what a reader of one page would do, in an empty folder."""

    def __init__(self, page: str, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.namespace = {"__name__": page}
        self.output = ""

    def read(self, block: Block) -> None:
        for start, setup in GIVEN.get(self.page, {}).items():
            if start in block.text:
                exec(setup, self.namespace)
        do = getattr(self, f"_{block.language}", None)
        assert do or block.title, f"{self.page}: nobody knows what to do with {block.language!r}; see {__file__}"
        if block.title and block.title != "output":
            (self.folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / block.title).write_text(stood_in(block.text), encoding="utf-8")
        if do:
            do(block)

    def _hidden(self, block: Block) -> None:
        exec(compile(block.text.strip(), f"{self.page} (hidden)", "exec"), self.namespace)

    def _python(self, block: Block) -> None:
        text = stood_in(block.text, README_STAND_INS if self.page == "README.md" else {})
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, f"{self.page} (python)", "exec", dont_inherit=True), self._names(block))
        self.output = out.getvalue()

    def _names(self, block: Block) -> dict:
        """The page's namespace; a block that is a file runs as a module of that name."""
        if not block.title:
            return self.namespace
        spec = importlib.util.spec_from_file_location(Path(block.title).stem, self.folder / block.title)
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        return vars(sys.modules[spec.name])

    def _console(self, block: Block) -> None:
        commands = re.sub(r"\\\n\s*", "", block.text).splitlines()
        assert all(line.startswith("$ ") for line in commands), f"{self.page}: {block.text}; expected `$ command` lines"
        codes = [self._command(stood_in(line.removeprefix("$ "))) for line in commands]
        assert codes[-1] == block.exit_code, f"{block.text}exited with {codes[-1]}: {self.output}"
        assert not any(codes[:-1]), block.text

    def _command(self, line: str) -> int:
        name, *arguments = shlex.split(line, comments=True)
        if name == "auditkit":
            return self._auditkit(arguments)
        assert name == "pytest", f"{self.page}: {line}: give it a no-run, or teach {__file__} to run it"
        done = subprocess.run([sys.executable, "-m", *shlex.split(line)], capture_output=True, text=True, check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def _auditkit(self, arguments: list[str]) -> int:
        out, code = io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            sys.stdout.reconfigure = sys.stderr.reconfigure = lambda **_: None
            try:
                main(arguments)
            except SystemExit as e:
                code = e.code or 0
        self.output = out.getvalue()
        return code

    def _yaml(self, block: Block) -> None:
        content = yaml.safe_load(stood_in(block.text))
        if "jobs" in content:
            check_workflow(block.text)
        elif content.keys() == {"gate"}:
            assert [Rule.from_mapping(rule) for rule in content["gate"]]
        else:
            assert config.parse(content).build_probes()

    def _text(self, block: Block) -> None:
        assert block.title == "output", f"{self.page}: a text block must be the output of the block before it"
        printed = squeeze(self.output)
        for line in filter(str.strip, block.text.splitlines()):
            parts = (re.escape(squeeze(part)) for part in line.split("..."))
            assert re.search(".*".join(parts), printed), f"{self.page}: {line!r} is not in\n{self.output}"


def stood_in(text: str, more: dict[str, str] | None = None) -> str:
    for name, stand_in in {**(more or {}), **STAND_INS}.items():
        text = text.replace(name, stand_in)
    return text


def squeeze(text: str) -> str:
    return " ".join(text.split())


def check_workflow(text: str) -> None:
    """Every option of the `auditkit` commands in a workflow exists."""
    from typer.testing import CliRunner

    from auditkit.cli import app

    lines = re.findall(r"(?:run: |- )auditkit (\w+)(.*)", text)
    assert lines
    for command, rest in lines:
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
        assert all(option in shown for option in re.findall(r"--[\w-]+", rest))
