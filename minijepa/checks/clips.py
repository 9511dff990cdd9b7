"""Assignment 08: tubelets, tubes, and the leak through time that random masks leave open."""

import torch

from minijepa.checks.contract import check_generator, check_index_tensor
from minijepa.checks.pictures.clips import (  # noqa: F401 (notebooks find them here)
    show_clip_loss,
    show_leak,
    show_tube_indices,
    show_tube_masks,
    show_tubelets,
)
from minijepa.checks.report import call, compare, fail, passed, patience
from minijepa.checks.specs.clips import (
    CLIP_LOSSES,
    CLIPS,
    LEAKS,
    TUBES,
    spec_clip_loss,
    spec_leak,
    spec_tube_indices,
    spec_tubelets,
)
from minijepa.checks.values import describe
from minijepa.masking.sampling import Masks

# --- 1: tubelets ------------------------------------------------------------------------------------------


def cut(clips, o, p):
    """Tubelets with all axes apart: [B, times, rows, columns, C, o, p, p]. clips: [B, C, T, H, W]."""
    b, c, t, h, w = clips.shape
    return clips.view(b, c, t // o, o, h // p, p, w // p, p).permute(0, 2, 4, 6, 1, 3, 5, 7)


def tubelets(student):
    """Check exercise 1, `tubelets(clips, o, p)`. Raises CheckFailed."""

    def ordered(x, o, p, *axes):
        return cut(x, o, p).permute(*axes).reshape(x.shape[0], -1, x.shape[1] * o * p * p)

    mistakes = [
        (
            lambda x, o, p: x.reshape(x.shape[0], -1, x.shape[1] * o * p * p),
            "`view` alone never makes boxes: give time, rows and columns two axes each, then permute",
        ),
        (
            lambda x, o, p: ordered(x, o, p, 0, 2, 3, 1, 4, 5, 6, 7),
            "the tubelets are numbered place by place; time comes first, then rows, then columns",
        ),
        (
            lambda x, o, p: ordered(x, o, p, 0, 1, 3, 2, 4, 5, 6, 7),
            "within one time the tubelets are numbered along the columns; it should be along the rows",
        ),
        (
            lambda x, o, p: ordered(x, o, p, 0, 1, 2, 3, 5, 4, 6, 7),
            "within a tubelet the channel comes first (C, o, p, p); you list the frames first",
        ),
        (
            lambda x, o, p: ordered(x, o, p, 0, 1, 2, 3, 5, 6, 7, 4),
            "within a tubelet the channel comes first (C, o, p, p); you list it last",
        ),
    ]
    advice = "cut boxes of o frames and p by p pixels, time first; flatten each as (C, o, p, p)"
    compare("tubelets", student, spec_tubelets, CLIPS, mistakes, advice)


# --- 2: a tube --------------------------------------------------------------------------------------------


def tube_indices(student):
    """Check exercise 2, `tube_indices(places, grid)`. Raises CheckFailed."""

    def table(places, grid, step):
        return torch.arange(grid[0])[:, None] * step + places.sort().values

    mistakes = [
        (
            lambda p, g: table(p, g, g[1] * g[2]).T.flatten(),
            "the right tokens in the wrong order: all places of the first time, then of the second; sort them",
        ),
        (
            lambda p, g: (torch.arange(g[0])[:, None] * g[1] * g[2] + p).flatten(),
            "the indices must rise: the places that you are given may come in any order",
        ),
        (lambda p, g: table(p, g, g[2]).flatten(), "one time further is rows * columns tokens further, not one row"),
        (lambda p, g: table(p, g, g[0]).flatten(), "one time further is rows * columns tokens further"),
        (lambda p, g: p.sort().values, "these are the places at the first time only: a tube runs through all times"),
        (
            lambda p, g: (p.sort().values[:, None] * g[0] + torch.arange(g[0])).flatten(),
            "tokens are numbered time first: index = time * rows * columns + place",
        ),
    ]
    compare("tube_indices", student, spec_tube_indices, TUBES, mistakes, "index = time * rows * columns + place")


# --- 3: masks of tubes ------------------------------------------------------------------------------------


def tube_masks(student):
    """Check exercise 3, `tube_masks(batch, grid, hidden, generator)`, by what it must satisfy. Raises CheckFailed."""
    name, settings = "tube_masks", [(200, (4, 3, 4), 5), (100, (2, 4, 4), 12), (3, (6, 2, 2), 1)]
    with patience(name):
        for batch, grid, hidden in settings:
            case = f"tube_masks({batch}, {grid}, hidden={hidden}, generator)"

            def run(seed, setting=(batch, grid, hidden), case=case):
                masks = call(name, student, (*setting, torch.Generator().manual_seed(seed)), case)
                if not isinstance(masks, Masks):
                    fail(name, case, describe(masks), "Masks", "return Masks(context, targets)")
                return masks

            check_tubes(name, case, run(0), batch, grid, hidden)
            check_generator(name, case, run, lambda masks: masks.context)
    passed(name, f"tubes without a leak in {len(settings)} settings")


def check_tubes(name, case, masks, batch, grid, hidden):
    """The contract of exercise 3. masks: context [B, K_c], targets [B, 1, K_t]."""
    places = grid[1] * grid[2]
    for what, index, shape in (
        ("targets", masks.targets, (batch, 1, grid[0] * hidden)),
        ("context", masks.context, (batch, grid[0] * (places - hidden))),
    ):
        check_index_tensor(name, f"{case}.{what}", index, shape)
        if (index.diff(dim=-1) <= 0).any():
            fail(name, case, f"{what} that do not rise", "rising indices, none twice", "sort the last axis")
    for i, (seen, asked) in enumerate(zip(masks.context.tolist(), masks.targets[:, 0].tolist(), strict=True)):
        if set(seen) & set(asked):
            hint = "the context is all that is in no tube"
            fail(
                name, case, f"clip {i}: context and targets share {sorted(set(seen) & set(asked))[:5]}", "nothing", hint
            )
        if len({token % places for token in asked}) != hidden:
            hint = "a leak through time: the same places must be hidden at ALL times, so draw places, not tokens"
            shown = f"clip {i}: {len({token % places for token in asked})} places are hidden at some time"
            fail(name, case, shown, f"{hidden} places, hidden at all times", hint)
    if batch > 50 and (masks.targets == masks.targets[:1]).all():
        fail(name, case, "the same tubes in every clip", "places drawn for each clip", "one permutation per clip")
    if batch > 50:
        share = torch.bincount(masks.targets.flatten() % places, minlength=places) / (batch * grid[0])
        if (share - hidden / places).abs().max() > 0.25:
            hint = "every place must have the same chance to be hidden"
            fail(
                name,
                case,
                f"hidden in {share.min():.0%} to {share.max():.0%} of the clips",
                f"{hidden / places:.0%}",
                hint,
            )


# --- 4: the leak ------------------------------------------------------------------------------------------


def leak(student):
    """Check exercise 4, `leak(context, target, grid)`. Raises CheckFailed."""

    def near(context, target, steps):
        return torch.stack([torch.isin(target + step, context) for step in steps]).any(dim=0).double().mean().item()

    mistakes = [
        (lambda c, t, g: near(c, t, (g[1] * g[2],)), "a neighbour in time may also be EARLIER: look both ways"),
        (lambda c, t, g: near(c, t, (-g[1] * g[2],)), "a neighbour in time may also be LATER: look both ways"),
        (
            lambda c, t, g: near(c, t, (1, -1)),
            "these are neighbours in space: one time further is rows * columns further",
        ),
        (
            lambda c, t, g: near(c, t, (g[2], -g[2])),
            "these are neighbours in space: one time further is rows * columns",
        ),
        (lambda c, t, g: 1 - spec_leak(c, t, g), "this is the share that does NOT leak"),
        (lambda c, t, g: spec_leak(c, t, g) * len(t), "this is how many leak: divide by the number of targets"),
        (
            lambda c, t, g: torch.isin(t % (g[1] * g[2]), c % (g[1] * g[2])).double().mean().item(),
            "this counts a place that is seen at ANY time: only one step earlier or later counts",
        ),
    ]
    advice = "of the targets, the share whose token plus or minus rows * columns is in the context"
    compare("leak", student, spec_leak, LEAKS, mistakes, advice)


# --- 5: the loss over several masks -----------------------------------------------------------------------


def clip_loss(student):
    """Check exercise 5, `clip_loss(predictions, targets)`. Raises CheckFailed."""

    def each(p, t, function):
        return torch.stack([function(a, b) for a, b in zip(p, t, strict=True)])

    functional = torch.nn.functional
    mistakes = [
        (
            lambda p, t: functional.l1_loss(torch.cat(p, dim=2), torch.cat(t, dim=2)),
            "all tokens in one mean lets the larger set outvote the smaller: the mean of each set, then over the sets",
        ),
        (lambda p, t: each(p, t, functional.l1_loss).sum(), "the mean over the sets, not the sum"),
        (lambda p, t: each(p, t, functional.mse_loss).mean(), "V-JEPA's distance is L1, |d|, not the square"),
        (
            lambda p, t: each(p, t, functional.smooth_l1_loss).mean(),
            "V-JEPA's distance is L1, |d| everywhere, not smooth L1",
        ),
        (lambda p, t: functional.l1_loss(p[0], t[0]), "this is the first set only"),
    ]
    advice = "for each set the mean of |d|; then the mean over the sets"
    compare("clip_loss", student, spec_clip_loss, CLIP_LOSSES, mistakes, advice)
