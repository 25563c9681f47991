"""The other side of peers.py: runs bias-scope in its own environment, one JSON request and answer a line."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from bias_scope.embeddings_based import WEAT
from bias_scope.probability_based import CrowSPairs
from bias_scope.probability_based.scorers import WordPieceBertScorer


class Recorder(WordPieceBertScorer):
    """The package's scorer, keeping the score of each sentence, of which the package reports only the comparison."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder, device="cpu")
        self.kept: list[float] = []

    def pll_over_positions(self, input_ids: list[int], positions: list[int]) -> float:
        """As the package has it, and kept."""
        self.kept.append(super().pll_over_positions(input_ids, positions))
        return self.kept[-1]


class Answers:
    """One method for each request; the model loaded last is the one that scores."""

    def load(self, folder: str) -> None:
        """Load the masked LM in `folder`."""
        self.scorer = Recorder(folder)

    def crows_pairs(self, pairs: list[list[str]]) -> dict[str, Any]:
        """Per pair, both sentences' scores in nats, and 100 where the package finds the first preferred, else 0."""
        self.scorer.kept.clear()
        found = CrowSPairs().evaluate(pairs, self.scorer, return_details=True)
        return {"preferred": found["per_item"], "sentences": np.reshape(self.scorer.kept, (-1, 2)).tolist()}

    def weat(self, vectors: list[list[list[float]]]) -> dict[str, Any]:
        """Effect size and one-sided p-value from the vectors of X, Y, A and B."""
        x, y, a, b = (np.array(part) for part in vectors)
        found = WEAT().evaluate((x, y), (a, b), return_details=True)
        return {"effect_size": found["effect_size"], "p_value": found["p_value"]}


def main() -> None:
    answers = Answers()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(answers, request.pop("do"))(**request)), flush=True)


if __name__ == "__main__":
    main()
