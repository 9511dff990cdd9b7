"""Assignment 06, exercise 2: a split that keeps groups together."""

import torch

from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import call, fail, passed, patience
from minijepa.checks.values import describe


def spec_group_split(groups, share, generator):
    """Draw one group after another until enough are held out, then sort the images. groups: [N]. Two int64 tensors."""
    names, out = sorted(set(groups.tolist())), set()
    for _ in range(max(1, round(share * len(names)))):
        left = [name for name in names if name not in out]
        out.add(left[int(torch.randint(len(left), (1,), generator=generator))])
    heldout = [i for i, name in enumerate(groups.tolist()) if name in out]
    train = [i for i, name in enumerate(groups.tolist()) if name not in out]
    return torch.tensor(train, dtype=torch.int64), torch.tensor(heldout, dtype=torch.int64)


def show_group_split(student):
    """Draw which crops of 8 photographs are held out, a row per photograph: target and answer."""

    def as_map(answer, groups, share, generator):
        out = torch.zeros(len(groups)).scatter(0, answer[1], 1.0)  # [N]
        return out[groups.argsort(stable=True)].view(len(groups.unique()), -1)  # [photographs, crops]

    groups = torch.arange(40) % 8 * 3 + 2
    cases = {
        "share 0.25": (groups, 0.25, torch.Generator().manual_seed(0)),
        "share 0.5": (groups, 0.5, torch.Generator().manual_seed(1)),
    }
    see = "each row is a photograph, held out (bright) as a whole or not at all; which ones is random."
    target_and_yours("group_split", student, spec_group_split, cases, as_map, see, limits=(0, 1))


def check_split(name, case, got, groups):
    """The contract of exercise 2 for one split. groups: int64 [N]."""
    if not isinstance(got, tuple) or len(got) != 2 or not all(isinstance(x, torch.Tensor) for x in got):
        fail(name, case, describe(got), "(train, heldout), two int64 tensors", "return both sets of indices")
    train, heldout = got
    both = torch.cat([train, heldout])
    if both.dtype != torch.int64:
        fail(name, case, f"{both.dtype}", "torch.int64", "return indices, not masks: `mask.nonzero().flatten()`")
    if not torch.equal(both.sort().values, torch.arange(len(groups))):
        hint = "every image must be in exactly one set"
        fail(name, case, f"{len(both)} indices", f"each of 0 to {len(groups) - 1} once", hint)
    if not torch.equal(train, train.sort().values) or not torch.equal(heldout, heldout.sort().values):
        fail(name, case, "indices that do not rise", "rising indices", "sort both tensors")
    shared = set(groups[train].tolist()) & set(groups[heldout].tolist())
    if shared:
        hint = "this is a leak, since images of one group are nearly alike: draw GROUPS, and take all images of each"
        fail(name, case, f"group {min(shared)} is in both sets", "each group in one set only", hint)
    count = len(groups.unique())
    wanted = max(1, round(0.25 * count))
    if len(groups[heldout].unique()) != wanted:
        hint = "`share` is a fraction of the groups: max(1, round(share * number of groups))"
        fail(name, case, f"{len(groups[heldout].unique())} of {count} groups held out", f"{wanted}", hint)


def group_split(student):
    """Check exercise 2, `group_split(groups, share, generator)`, by what it must satisfy. Raises CheckFailed."""
    name = "group_split"
    sets = {
        "40 photographs, 5 crops each": torch.arange(200) % 40,
        "30 groups of 1 to 8": torch.repeat_interleave(torch.arange(30) * 7, torch.arange(30) % 8 + 1),
        "two groups": torch.tensor([4, 4, 9]),
    }
    with patience(name):
        for words, groups in sets.items():
            case, drawn = f"{words}, share=0.25", set()
            for seed in range(12):
                got = call(name, student, (groups, 0.25, torch.Generator().manual_seed(seed)), case)
                check_split(name, case, got, groups)
                drawn.add(tuple(sorted(set(groups[got[1]].tolist()))))
            if len(drawn) == 1:
                hint = "draw the held-out groups at random, from the generator"
                fail(name, case, "the same split from every seed", "another seed, another split", hint)
            two = [call(name, student, (groups, 0.25, torch.Generator().manual_seed(3)), case) for _ in range(2)]
            if not torch.equal(two[0][1], two[1][1]):
                hint = "give `generator=generator` to torch.randperm"
                fail(name, case, "two splits from one seed", "the same split from the same seed", hint)
    passed(name, "the sets hold whole groups, are disjoint, complete and random")
