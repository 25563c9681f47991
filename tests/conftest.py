"""Order of the tests: the longest files first, so that no worker is left alone with one of them at the end."""

LONGEST = ("test_examples.py", "test_docs.py", "test_whole_run.py", "test_bad_input.py", "test_training_processes.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)
