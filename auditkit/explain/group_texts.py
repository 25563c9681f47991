"""Sentences about persons of two groups that differ in nothing but the words for the person."""

from __future__ import annotations

from typing import NamedTuple

FRAMES = (
    "Yesterday {} came home late from the long meeting.",
    "At the station {} was waiting for the next train.",
    "In the morning {} made coffee and read the paper.",
    "The letter that {} wrote arrived on Monday.",
    "Everyone at the table knew {} from the old school.",
    "The new house belongs to {} and has a large garden.",
    "During the summer {} worked in a small shop in town.",
    "The doctor asked {} to come back in two weeks.",
    "After the lunch {} went for a walk along the river.",
    "The company has hired {} for the open position.",
)
"""Sentences around a person that name no group themselves."""


class Groups(NamedTuple):
    """Two groups and the words that name a member of each; in every frame, any of them can stand."""

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...]


GROUPS = (
    Groups(
        "gender",
        ("the woman", "my mother", "my sister", "our aunt", "his wife", "the girl", "Mary", "Susan", "Emma", "Linda"),
        (
            "the man",
            "my father",
            "my brother",
            "our uncle",
            "her husband",
            "the boy",
            "John",
            "Robert",
            "Peter",
            "David",
        ),
    ),
    Groups(
        "origin",
        ("Mohammed", "Fatima", "Ahmed", "Aisha", "Omar", "Leila", "Hassan", "Yasmin", "Ibrahim", "Amina"),
        ("Michael", "Sarah", "Andrew", "Emily", "Simon", "Helen", "Philip", "Alice", "Martin", "Laura"),
    ),
)


class GroupText(NamedTuple):
    """One word in one frame, and the characters [start, end) where the word stands."""

    text: str
    group: str
    word: str
    frame: str
    span: tuple[int, int]


def group_texts(groups: Groups) -> list[GroupText]:
    """Every word of both groups in every frame."""
    members = [("a", word) for word in groups.a] + [("b", word) for word in groups.b]
    return [
        GroupText(frame.format(word), group, word, frame, (frame.index("{"), frame.index("{") + len(word)))
        for frame in FRAMES
        for group, word in members
    ]
