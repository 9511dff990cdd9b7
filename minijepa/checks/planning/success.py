"""Assignment 16, exercise 6: success at the end, success at any moment, and a standard error."""

import torch

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import compare
from minijepa.checks.values import normal


def spec_success(distance, reach):
    """Episode by episode: is the last distance within reach, and is any? Two fractions, and the error of the first.

    distance: [E, T + 1], to the goal, at the start and after each step. reach: the largest distance that counts.
    The error is sqrt(p (1 - p) / E), where a p below that of half an episode, or above 1 minus it, is set to it.
    Returns three floats: at the end, at any moment, standard error of the first.
    """
    count = at_end = ever = 0
    for row in distance.tolist():
        count += 1
        at_end += row[-1] <= reach
        ever += any(value <= reach for value in row)
    p = min(max(at_end / count, 0.5 / count), 1 - 0.5 / count)
    return at_end / count, ever / count, (p * (1 - p) / count) ** 0.5


def runs(episodes, moments, seed):
    """Distances [episodes, moments] between 0 and 1 that tend to fall."""
    return torch.rand(episodes, moments, generator=torch.Generator().manual_seed(seed)) * torch.linspace(
        1, 0.5, moments
    )


CASES = [
    (torch.tensor([[2.0, 0.5, 2.0], [2.0, 1.0, 0.0], [0.5, 2.0, 2.0], [3.0, 2.0, 2.0]]), 0.5),
    (torch.tensor([[1.0, 0.25], [0.75, 1.0], [1.0, 0.5], [0.125, 0.75], [1.0, 0.125]]), 0.25),
    (runs(20, 6, 0), 0.2),
    (runs(7, 4, 1), 0.0),
    (runs(8, 5, 2), 2.0),
    (1 - normal(10, 3, seed=4, dtype=torch.float64).abs() / 3, 0.8),
]


def error(p, count, half=True):
    """The binomial standard error of a fraction p of `count`; half: of none and of all, that of half an episode."""
    if half:
        p = min(max(p, 0.5 / count), 1 - 0.5 / count)
    return (p * (1 - p) / count) ** 0.5


def share(solved):
    """The fraction of True in solved, bool [...]."""
    return solved.double().mean().item()


def answer(d, reach, end=None, ever=None, wrong_error=None):
    """The right answer for d [E, T + 1], with other functions of `solved`, bool [E, T + 1], in the place of a part."""
    solved = d <= reach
    p = (end or (lambda s: share(s[:, -1])))(solved)
    q = (ever or (lambda s: share(s.any(dim=1))))(solved)
    right = share(solved[:, -1])
    return p, q, (wrong_error or (lambda s: error(right, len(s))))(solved)


def from_end(function):
    """An error that is a function of the fraction at the end and the number of episodes."""
    return lambda d, reach: answer(d, reach, wrong_error=lambda s: function(share(s[:, -1]), len(s)))


def strictly(d, reach):
    """The answer if a distance equal to reach does not count: d [E, T + 1] -> three floats."""
    solved = d < reach
    return share(solved[:, -1]), share(solved.any(dim=1)), error(share(solved[:, -1]), len(d))


MISTAKES = [
    (strictly, "a distance that equals `reach` counts: compare with <="),
    (
        lambda d, r: answer(d, r, end=lambda s: share(s.any(dim=1)), wrong_error=None),
        "the first number is about the END of each episode: look at distance[:, -1] alone",
    ),
    (
        lambda d, r: answer(d, r, end=lambda s: share(s[:, 0])),
        "this looks at the START of the episodes: the end is distance[:, -1]",
    ),
    (
        lambda d, r: answer(d, r, end=lambda s: share(s[-1])),
        "distance[-1] is the last EPISODE: the end of each one is distance[:, -1]",
    ),
    (
        lambda d, r: (answer(d, r)[1], answer(d, r)[0], answer(d, r)[2]),
        "the two fractions are swapped: at the end comes first, then at any moment",
    ),
    (
        lambda d, r: answer(d, r, ever=share),
        "this is the fraction of all MOMENTS within reach: ask of each episode whether there is one, any(dim=1)",
    ),
    (
        lambda d, r: answer(d, r, ever=lambda s: share(s.all(dim=1))),
        "`all` asks for every moment: one is enough, any(dim=1)",
    ),
    (
        lambda d, r: answer(d, r, ever=lambda s: share(s.any(dim=0))),
        "this asks of each moment whether SOME episode is within reach: any(dim=1) asks each episode",
    ),
    (
        lambda d, r: answer(d, r, ever=lambda s: share(s[:, 1:].any(dim=1))),
        "the start is a moment, too: an episode that begins within reach was within reach",
    ),
    (
        lambda d, r: answer(d, r, ever=lambda s: share(s[:, :-1].any(dim=1))),
        "the end is a moment, too: the second fraction is never below the first",
    ),
    (
        from_end(lambda p, count: error(p, count, half=False)),
        "after none or all of E successes the error is not 0: bring p to 0.5 / E at least and 1 - 0.5 / E at most",
    ),
    (from_end(lambda p, count: error(p, count) ** 2), "this is the variance: take the root"),
    (
        from_end(lambda p, count: error(p, count) * count**0.5),
        "this is the spread of one episode: the fraction is a mean of E, so divide by E under the root",
    ),
    (
        from_end(lambda p, count: error(p, count) * (count / (count - 1)) ** 0.5),
        "divide by E, not by E - 1",
    ),
    (
        lambda d, r: answer(d, r, wrong_error=lambda s: error(share(s.any(dim=1)), len(s))),
        "this is the error of the second fraction: take that of the success at the end",
    ),
    (
        lambda d, r: answer(d, r, wrong_error=lambda s: error(share(s[:, -1]), s.numel())),
        "divide by the number of EPISODES: the moments of one episode are not independent",
    ),
    (
        lambda d, r: (min(max(answer(d, r)[0], 0.5 / len(d)), 1 - 0.5 / len(d)), *answer(d, r)[1:]),
        "only the error uses the p that was brought inside: report the fraction itself as it is",
    ),
    (
        lambda d, r: ((d[:, -1] <= r).sum().item(), (d <= r).any(dim=1).sum().item(), answer(d, r)[2]),
        "these are numbers of episodes: divide by E, so that they become fractions",
    ),
]

ADVICE = "solved = distance <= reach; the mean of its last column; the mean of any(dim=1); sqrt(p (1 - p) / E)"


def show_success(student):
    """Draw the three numbers against the radius that counts as success: target and answer."""
    distance = runs(25, 10, 5)
    parts = ("at the end", "at any moment", "standard error at the end")

    def part_of(function):
        def one(reach, part):
            return function(distance.clone(), reach)[part]

        return one

    radii = [i / 20 for i in range(0, 15, 2)]
    cases = {name: [(r, (r, part)) for r in radii] for part, name in enumerate(parts)}
    labels = [("reach", "fraction"), ("reach", "fraction"), ("reach", "error")]
    see = "by chance alone, some moment is within reach far more often than the end; the error is never 0."
    line_and_yours("success", part_of(student), part_of(spec_success), cases, labels, see)


def success(student):
    """Check exercise 6, `success(distance, reach)`. Raises CheckFailed."""
    compare("success", student, spec_success, CASES, MISTAKES, ADVICE)
