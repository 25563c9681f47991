"""Order of the tests: the longest files first, so that no worker is left alone with one of them at the end."""

import gc

LONGEST = ("test_examples.py", "test_docs.py", "test_whole_run.py", "test_bad_input.py", "test_training_processes.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish():
    """What the imports have made stays to the end: the garbage collector need not look through it in every test."""
    gc.freeze()
