"""Models that audit.yaml names. They live in a module of their own because the command under test imports them."""

from auditkit.testing import FakeClassifier, FakeEncoder, FakeMaskedLM, FakeWordVectors


class Everything(FakeMaskedLM, FakeEncoder, FakeWordVectors, FakeClassifier):
    """Offers what every built-in probe asks for."""


class ShortContext(FakeMaskedLM):
    """Reads a hundred tokens; the shipped sentences, spelled out, take up to sixty."""

    def __init__(self):
        super().__init__(context=100)


class NoPronouns(FakeMaskedLM):
    """Spells "she", "he" and every other word for a person."""

    def word_id(self, word):
        return None


class Hostile(FakeMaskedLM):
    """Says things that a page would run if it did not escape them."""

    SCRIPT = "<script>alert('model')</script>"

    def __init__(self):
        super().__init__()
        self.name = self.SCRIPT

    def describe(self):
        return super().describe() | {"architecture": self.SCRIPT, "revision": "<img src=x onerror=alert(1)>"}

    def encode(self, texts):
        self.notices[self.SCRIPT] += 1
        return super().encode(texts)

    def fill(self, texts, k=5):
        return [[replace_words(fill) for fill in fills] for fills in super().fill(texts, k)]


def replace_words(fill):
    return fill._replace(words=(Hostile.SCRIPT,) * len(fill.words), text=Hostile.SCRIPT)
