"""Assignment 08, exercise 3: masks of whole tubes."""

import torch

from minijepa.checks.clips.tube_indices import spec_tube_indices
from minijepa.checks.contract import check_generator, check_index_tensor, check_rising, masks_from
from minijepa.checks.picture import target_and_yours
from minijepa.checks.report import fail, passed, patience
from minijepa.masking.sampling import Masks


def spec_tube_masks(batch, grid, hidden, generator):
    """Clip by clip: draw one place after another; its tokens at all times are targets, all others are context."""
    contexts, targets = [], []
    for _ in range(batch):
        left, chosen = list(range(grid[1] * grid[2])), []
        for _ in range(hidden):
            chosen.append(left.pop(int(torch.randint(len(left), (1,), generator=generator))))
        contexts.append(spec_tube_indices(torch.tensor(left), grid))
        targets.append(spec_tube_indices(torch.tensor(chosen), grid)[None])
    return Masks(torch.stack(contexts), torch.stack(targets))


def show_tube_masks(student):
    """Draw the mask of one clip, a row per time, a column per place, for two settings: target and answer."""

    def as_map(answer, batch, grid, hidden, generator):
        n = grid[0] * grid[1] * grid[2]
        seen = torch.zeros(n).scatter(0, answer.context[0], 1.0)
        return seen.scatter(0, answer.targets[0].flatten(), 2.0).view(grid[0], -1)  # [times, places]

    cases = {
        "3 of 12 places": (1, (4, 3, 4), 3, torch.Generator().manual_seed(0)),
        "10 of 16 places": (1, (6, 4, 4), 10, torch.Generator().manual_seed(0)),
    }
    see = "the hidden tokens (bright) form columns without a gap, the context is green; which places is random."
    target_and_yours("tube_masks", student, spec_tube_masks, cases, as_map, see, limits=(0, 2))


def check_tubes(name, case, masks, batch, grid, hidden):
    """The contract of exercise 3. masks: context [B, K_c], targets [B, 1, K_t]."""
    places = grid[1] * grid[2]
    for what, index, shape in (
        ("targets", masks.targets, (batch, 1, grid[0] * hidden)),
        ("context", masks.context, (batch, grid[0] * (places - hidden))),
    ):
        check_index_tensor(name, f"{case}.{what}", index, shape)
        check_rising(name, case, what, index)
    for i, (seen, asked) in enumerate(zip(masks.context.tolist(), masks.targets[:, 0].tolist(), strict=True)):
        shared = sorted(set(seen) & set(asked))[:5]
        if shared:
            hint = "the context is everything outside the tubes"
            fail(name, case, f"clip {i}: context and targets share {shared}", "nothing shared", hint)
        if len({token % places for token in asked}) != hidden:
            hint = "this leaks through time: the same places must be hidden at ALL times, so draw places, not tokens"
            shown = f"clip {i}: {len({token % places for token in asked})} places are hidden at some time"
            fail(name, case, shown, f"{hidden} places, hidden at all times", hint)
    if batch > 50 and (masks.targets == masks.targets[:1]).all():
        fail(name, case, "the same tubes in every clip", "places drawn for each clip", "draw one permutation per clip")
    if batch > 50:
        share = torch.bincount(masks.targets.flatten() % places, minlength=places) / (batch * grid[0])
        if (share - hidden / places).abs().max() > 0.25:
            hint = "every place must have the same chance to be hidden"
            shown = f"hidden in {share.min():.0%} to {share.max():.0%} of the clips"
            fail(name, case, shown, f"{hidden / places:.0%}", hint)


def tube_masks(student):
    """Check exercise 3, `tube_masks(batch, grid, hidden, generator)`, by what it must satisfy. Raises CheckFailed."""
    name, settings = "tube_masks", [(200, (4, 3, 4), 5), (100, (2, 4, 4), 12), (3, (6, 2, 2), 1)]
    with patience(name):
        for batch, grid, hidden in settings:
            case = f"tube_masks({batch}, {grid}, hidden={hidden}, generator)"

            def run(seed, setting=(batch, grid, hidden), case=case):
                return masks_from(name, student, setting, seed, case)

            check_tubes(name, case, run(0), batch, grid, hidden)
            check_generator(name, case, run, lambda masks: masks.context)
    passed(name, f"tubes without a leak in {len(settings)} settings")
