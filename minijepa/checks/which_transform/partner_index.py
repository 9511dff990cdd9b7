"""Assignment 11, exercise 1: where the other view of each view stands in the batch."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import compare


def spec_partner_index(count):
    """Row by row: image i has its first view in row i, its second in row count + i. Returns int64 [2 count]."""
    places = [("first", image) for image in range(count)] + [("second", image) for image in range(count)]
    other = {"first": "second", "second": "first"}
    return torch.tensor([places.index((other[view], image)) for view, image in places])


CASES = [(3,), (2,), (5,), (1,)]

MISTAKES = [
    (
        lambda count: torch.arange(2 * count),
        "this is each row itself: its partner is the OTHER view of the same image",
    ),
    (
        lambda count: torch.arange(2 * count) ^ 1,
        "this is right if the two views of an image stand side by side: here all first views come before all second "
        "ones",
    ),
    (
        lambda count: torch.arange(2 * count).flip(0),
        "this reverses the batch: the views keep their order, so that row i belongs to row i + count",
    ),
    (
        lambda count: (torch.arange(2 * count) + 1) % (2 * count),
        "this is the next row, a view of another image: row i belongs to row i + count",
    ),
    (
        lambda count: torch.arange(count) + count,
        "these are the partners of the first views alone: the second views need theirs, too, [2 count] in all",
    ),
    (
        lambda count: torch.arange(2 * count) + count,
        "the second views have their partners in the FIRST half: subtract count there, or count modulo 2 count",
    ),
]

ADVICE = "row i < count belongs to row i + count, and row i >= count to row i - count"


def show_partner_index(student):
    """Draw the partner of each row as a bright square, a row per view: target and answer."""

    def as_map(answer, count):
        return torch.nn.functional.one_hot(answer, 2 * count)  # [2 count, 2 count]

    cases = {"2 images": (2,), "4 images": (4,)}
    see = "each row has one bright square, half a batch away from the diagonal."
    target_and_yours("partner_index", student, spec_partner_index, cases, as_map, see)


def partner_index(student):
    """Check exercise 1, `partner_index(count)`. Raises CheckFailed."""
    compare("partner_index", student, spec_partner_index, CASES, MISTAKES, ADVICE)
