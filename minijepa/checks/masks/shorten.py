"""Assignment 03, exercise 3: contexts of different lengths, truncated at random to the shortest."""

import torch

from minijepa.checks.contract import check_generator, check_index_tensor
from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import call, fail, passed, patience


def spec_shorten(contexts, generator):
    """Context by context: remove random patches, one at a time, down to the length of the shortest. int64 [B, K]."""
    shortest, rows = min(len(context) for context in contexts), []
    for context in contexts:
        left = context.tolist()
        while len(left) > shortest:
            left.pop(int(torch.randint(len(left), (1,), generator=generator)))
        rows.append(left)
    return torch.tensor(rows)


def show_shorten(student):
    """Draw 8 truncated contexts, and the mean of 400, from 20 patches to 10: target and answer."""
    contexts = [torch.arange(0, 20, 2)] + [torch.arange(20)] * 400

    def as_map(answer, contexts, generator):
        kept = torch.zeros(len(contexts), 20).scatter(1, answer, 1.0)[1:]  # [400, 20], without the shortest
        return kept[:8] if len(contexts) == 9 else kept.mean(dim=0)

    cases = {
        "8 images, a row each": (contexts[:9], torch.Generator().manual_seed(0)),
        "mean of 400 images": (contexts, torch.Generator().manual_seed(0)),
    }
    see = "the left map is random and may differ; in the right one all patches are about equally bright."
    target_and_yours("shorten", student, spec_shorten, cases, as_map, see, limits=(0, 1))


def shorten(student):
    """Check exercise 3, `shorten(contexts, generator)`, by what it must satisfy. Raises CheckFailed."""
    name, short, long = "shorten", torch.arange(0, 40, 4), torch.arange(1, 21)
    contexts = [short] + [long] * 399  # 10 of the 20 are to be kept in each of 399
    case = "contexts of 10, 20, 20, ... patches (400 images)"

    def run(seed):
        return call(name, student, (contexts, torch.Generator().manual_seed(seed)), case)

    with patience(name):
        got = run(0)
        check_index_tensor(name, case, got, (400, 10))
        for i in (0, 1):
            have, allowed = got[i].tolist(), contexts[i].tolist()
            if not set(have) <= set(allowed):
                hint = "keep patches of the image's own context, not their positions in the list"
                fail(name, case, f"image {i}: {have}", f"some of {allowed}", hint)
        for i, row in enumerate(got.tolist()):
            if len(set(row)) < len(row):
                fail(name, case, f"image {i}: {row}", "no patch twice", "draw without replacement: `torch.randperm`")
            if row != sorted(row):
                fail(name, case, f"image {i}: {row}", "rising indices", "sort each row after the choice")
        if (got[1:] == long[:10]).all():
            hint = "you keep the beginning of each list, which is the top of the image: contexts become top-heavy"
            fail(name, case, "the first 10 of 20, for every image", "10 random ones", hint)
        if (got[1:] == got[1]).all():
            hint = "every image has the same choice: draw one permutation per image"
            fail(name, case, "one choice for 399 images", "a choice per image", hint)
        share = torch.bincount(got[1:].flatten(), minlength=21)[1:] / 399  # each is kept in half of the images
        if (share - 0.5).abs().max() > 0.12:
            hint = "every patch of a context must have the same chance: permute the whole list, then keep the first K"
            shown = f"each patch kept in {share.min():.0%} to {share.max():.0%} of the images"
            fail(name, case, shown, "each of 20 patches in about half of them", hint)
        check_generator(name, case, run)
    passed(name, "400 contexts have one length, and each patch the same chance")
