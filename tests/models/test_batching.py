import re
from collections import Counter

import numpy as np
import pytest
import torch

from auditkit.errors import ModelError
from auditkit.models.batching import Batcher, pad, plan
from auditkit.models.padding import Company, found_by_trying, trial_rows
from auditkit.progress import listen


def test_batches_hold_every_row_once_longest_first_within_the_budget():
    lengths = np.array([3, 50, 7, 7, 120, 1, 30])
    batches = plan(lengths, budget=60)
    assert sorted(np.concatenate(batches).tolist()) == list(range(7))
    assert all(len(b) == 1 or len(b) * lengths[b].max() <= 60 for b in batches)
    assert lengths[np.concatenate(batches)].tolist() == sorted(lengths, reverse=True)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), RuntimeError("[enforce fail] not enough memory")])
def test_out_of_memory_halves_the_batch_and_every_row_is_still_done_once(error):
    done = []

    def forward(rows):
        if len(rows) > 3:
            raise error
        done.extend(rows.tolist())

    notices = Counter()
    Batcher(100, notices).run([10] * 20, forward)
    assert sorted(done) == list(range(20))
    assert sum(notices.values()) == 2  # 10 rows -> 5 -> 2


def test_the_halved_budget_is_remembered():
    sizes = []

    def forward(rows):
        sizes.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError

    batcher = Batcher(100, Counter())
    batcher.run([10] * 20, forward)
    sizes.clear()
    batcher.run([10] * 20, forward)
    assert max(sizes) <= 3


def test_a_single_row_that_does_not_fit_is_one_clear_error():
    def forward(rows):
        raise torch.OutOfMemoryError

    with pytest.raises(ModelError, match="out of memory on a single text of 9 tokens"):
        Batcher(100, Counter()).run([9, 4], forward)


def test_other_runtime_errors_are_not_mistaken_for_memory():
    def forward(rows):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match=re.escape("shapes do not match")):
        Batcher(100, Counter()).run([9], forward)


def test_progress_reaches_the_total():
    seen = []
    with listen(lambda done, total: seen.append((done, total))):
        Batcher(20, Counter()).run([10] * 5, lambda rows: None)
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_padding_fills_on_the_right():
    assert pad([[1, 2], [3]], 0).tolist() == [[1, 2], [3, 0]]


@pytest.mark.parametrize(
    ("company", "expected"),
    [(Company.ANY, [[5, 3, 3], [2]]), (Company.EQUAL, [[5], [3, 3], [2]]), (Company.ALONE, [[5], [3], [3], [2]])],
    ids=lambda value: value.name.lower() if isinstance(value, Company) else "",
)
def test_rows_share_a_batch_with_those_that_they_may(company, expected):
    lengths = np.array([3, 5, 2, 3])
    assert [lengths[rows].tolist() for rows in plan(lengths, 15, company)] == expected


def test_a_batch_that_the_module_refuses_is_read_row_by_row():
    done = []

    def forward(rows):
        if len(rows) > 1 and 2 in rows:
            raise ValueError("all examples must have the same number of end tokens")
        done.extend(rows.tolist())

    Batcher(20, Counter()).run([10] * 6, forward)
    assert sorted(done) == [*range(6)]


def test_a_row_that_the_module_refuses_alone_is_an_error():
    def forward(rows):
        raise ValueError("no end token")

    with pytest.raises(ValueError, match="no end token"):
        Batcher(20, Counter()).run([10, 10], forward)


@pytest.mark.parametrize(
    ("leak", "company"),
    [
        (lambda rows: torch.zeros(len(rows)), Company.ANY),
        (lambda rows: torch.full((len(rows),), max(map(len, rows))), Company.EQUAL),
        (lambda rows: torch.full((len(rows),), len(rows)), Company.ALONE),
    ],
    ids=["nothing leaks", "the width of the batch leaks", "the number of rows leaks"],
)
def test_company_is_found_by_trying(leak, company):
    def read(rows):
        return torch.tensor([float(sum(row)) for row in rows]) + leak(rows)

    assert found_by_trying(read, trial_rows([1, 5, 6, 7, 2], most=40), "tiny") is company


def test_a_module_that_reads_no_text_is_refused():
    def read(rows):
        raise IndexError("index -1 is out of bounds")

    with pytest.raises(ModelError, match=r"tiny: the module cannot read a short text \(IndexError: index -1"):
        found_by_trying(read, trial_rows([1, 5, 2], most=40), "tiny")
