"""The other side of memaudit_demo.py: runs memaudit in its own environment, one JSON request and answer a line."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memaudit
import torch
from memaudit import demo, scoring, stats
from transformers import AutoModelForCausalLM, AutoTokenizer


class Answers:
    """One method for each request; the models of the last `demo` or `load` are the ones that score."""

    def demo(self, folder: str, repetitions: int = demo.DEMO_REPS[0], **sizes: int) -> dict[str, Any]:
        """Train and audit as its command `memaudit demo` does, and keep in `folder` what the audit was given."""

        def keep(**given: Any) -> dict[str, Any]:
            self.given = given | {"output_path": None}
            return memaudit.run_audit(**given)

        demo.run_audit = keep
        demo.DEMO_REPS = (repetitions,)
        report = demo.run_demo(folder, **sizes)
        canaries = self.given["manifest"]["canaries"]
        self.models, self.tokenizer, self.head = [self.given["model"], self.given["ref"]], self.given["tokenizer"], []
        torch.save((self.models, self.tokenizer), Path(folder) / "models.pt")
        return {
            "site": str(Path(memaudit.__file__).parents[1]),
            "texts": [f"{memaudit.injection.TEXT_PREFIX}{c['secret']}" for c in canaries],
            "members": [c["included"] for c in canaries],
            "start": canaries[0]["secret_span"][0],
            "membership": report["membership"],
        }

    def load(self, folder: str, file: str) -> None:
        """Load a language model from a GGUF file; its texts begin with its start token."""
        self.models = [AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()]
        self.tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
        self.head = [self.tokenizer.bos_token_id]

    def audit(self, generation: bool) -> dict[str, Any]:
        """Process time of the audit of the last demo, with or without the search for regurgitated secrets."""
        return timed(lambda: memaudit.run_audit(**self.given | {"skip_generation": not generation}))[0]

    def score(self, texts: list[str], start: int) -> dict[str, Any]:
        """Process time, and each text's score by every attack, of the tokens from the one numbered `start` on."""

        def each(text: str) -> dict[str, Any]:
            ids = self.head + self.tokenizer.encode(text, add_special_tokens=False)
            found = [scoring.score_sequence(m, ids, span=(start, len(ids))) for m in self.models]
            return scoring.combine_ft_ref(found[0], found[1] if found[1:] else None)

        took, rows = timed(lambda: [each(text) for text in texts])
        names = ("membership_loss", "min_k", "min_k_plus_plus", "headline_score")
        return took | {name: [row[name] for row in rows] for name in names}

    def rates(self, draws: list[list[list[float]]]) -> list[list[float]]:
        """TPR at 1 % FPR, both ends of its interval, and the threshold, from the scores of members and controls."""
        found = [stats.tpr_at_fpr(members, controls) for members, controls in draws]
        return [[f["tpr"], f["ci_low"], f["ci_high"], f["threshold"]] for f in found]


def timed(run: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    start = time.process_time()
    found = run()
    return {"seconds": time.process_time() - start}, found


def main() -> None:
    torch.set_num_threads(1)
    answers, out = Answers(), sys.stdout
    print(json.dumps("ready"), flush=True)
    with contextlib.redirect_stdout(sys.stderr):  # the demo prints its findings
        for line in sys.stdin:
            request = json.loads(line)
            answer = getattr(answers, request.pop("do"))(**request)
            print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
