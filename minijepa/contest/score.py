"""The scores, computed in the parent from weights alone: every factor of hidden images, success in hidden tasks.

skill of a factor    0 at chance, 1 perfect: (accuracy - chance) / (1 - chance) of the shape, R^2 of all others,
                     both clipped to [0, 1]
skill                the mean over the factors: what the leaderboard sorts by
success              the fraction of episodes that end within reach of the goal, and its binomial error
"""

import torch

from minijepa import collapse
from minijepa.diagnosis import diagnose
from minijepa.planning.mpc import Oracle, Planner, RandomPolicy, run_episodes
from minijepa.probes.features import raw_pixels, token_features
from minijepa.probes.linear import linear_probe, ridge_probe

FACTORS = {"background": ("background",), "colour": ("red", "green", "blue"), "position": ("x", "y"),
           "size": ("size",), "rotation": ("rotation",)}  # fmt: skip


def quarters(tokens, grid):
    """The mean token of each quarter of the image: tokens [N, L, D] -> [N, 4 D]. grid: (rows, columns)."""
    rows, columns = grid
    x = tokens.unflatten(1, (2, rows // 2, 2, columns // 2))  # [N, 2, rows / 2, 2, columns / 2, D]
    return x.mean(dim=(2, 4)).flatten(1)  # [N, 4 D]


def encoder(model, labelled, hidden):
    """Skills of a frozen ViT: {"skill": mean, "shape": ..., ...}. labelled, hidden: ImageData of ShapeWorld."""
    vectors = [quarters((f := token_features(model, data)).tokens, f.grid) for data in (labelled, hidden)]
    return skills(vectors, labelled, hidden)


def pixels(labelled, hidden):
    """The same skills read from raw pixels, averaged to 16 x 16 pixels. labelled, hidden: ImageData of ShapeWorld."""
    return skills([raw_pixels(data, size=16) for data in (labelled, hidden)], labelled, hidden)


def skills(vectors, labelled, hidden):
    """Skills that a linear probe reads from vectors. vectors: two tensors, [N, D] of `labelled` and [M, D] of `hidden`.

    Each probe learns from the labelled images and is scored on the hidden ones; row i of both belongs to image i.
    """
    train, test = vectors
    accuracy = linear_probe(train, labelled.labels, test, hidden.labels, c=0.1)
    chance = 1 / len(hidden.classes)
    found = {"shape": (accuracy - chance) / (1 - chance)}
    for name, columns in FACTORS.items():
        truth = [torch.cat([data.factors[each].flatten(1) for each in columns], dim=1) for data in (labelled, hidden)]
        found[name] = ridge_probe(train, truth[0], test, truth[1])
    found = {name: min(1.0, max(0.0, value)) for name, value in found.items()}
    return {"skill": sum(found.values()) / len(found), **found}


def monitors(model, hidden, count=256):
    """The collapse monitors of an encoder, by name, and their verdict. hidden: ImageData; count: of its images."""
    found = diagnose(model, hidden.batch(slice(0, count)), views=0)
    names = ("position_std", "content_share", "rankme_centred")
    return {"verdict": found.verdict, **{name: getattr(found, name) for name in names}}


def planned(world, tasks, model):
    """Success of the course's planner with a world model, which sees images. tasks: Tasks of the world."""
    return outcome(run_episodes(world, tasks, Planner(model)))


def oracle(world, tasks):
    """Success of the same planner with the exact dynamics."""
    model = Oracle(world)
    return outcome(run_episodes(world, tasks, Planner(model), observe=model.observe))


def random_steps(world, tasks):
    """Success of random steps."""
    return outcome(run_episodes(world, tasks, RandomPolicy(world)))


def outcome(episodes):
    """Success at the end, its error, and success at any moment. episodes: Episodes."""
    return {"success": episodes.success, "error": episodes.error, "at any moment": episodes.ever}


@torch.no_grad()
def latents(model, walks):
    """The collapse monitors of a world model: how its vectors of the walks' last frames differ."""
    last = model.encode(walks.world.render(walks.positions[:, -1], walks.wall))  # [N, D]
    verdict = "complete" if last.std(dim=0).mean() < 1e-3 else "healthy"
    rank = collapse.rankme(last, centred=True)
    verdict = "dimensional" if verdict == "healthy" and rank < 2.5 else verdict
    return {"verdict": verdict, "position_std": last.std(dim=0).mean().item(), "rankme_centred": rank}
