"""The two tracks: what is handed out to a submission, what is kept of it, and how that is scored.

    representation   images of ShapeWorld --> a trained ViT-nano --> every factor of hidden images by a linear probe
    planning         walks through two rooms --> a trained world model --> success of the course's planner

Labels and hidden data are made by the parent alone; what the child gets as labels is random numbers (`handout`).
Models are built from the course's own classes on both sides, so that the scorer never runs code of a submission.
"""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import torch

from minijepa.contest import score
from minijepa.contest.budget import Budget
from minijepa.planning.world_model import Dynamics, FrameEncoder, WorldModel
from minijepa.vit import ViT
from minijepa.worlds.two_rooms import Clip, TwoRooms, window_rows

WORLD = TwoRooms.redrawn()  # a wall that is drawn anew for each episode


def seed_for(purpose, seed):
    """A number from 0 to 2^30 - 1 that follows from the lecturer's seed and cannot be computed back."""
    return int.from_bytes(hashlib.sha256(f"minijepa challenge {purpose} {seed}".encode()).digest()[:8], "big") % 2**30


def false_labels(shape, salt):
    """Random numbers in the place of labels: int64 of that shape. salt: what they follow from."""
    return torch.randint(10, shape, generator=torch.Generator().manual_seed(seed_for("false labels", salt)))


@dataclass(frozen=True)
class Representation:
    """Learn an encoder from images. images: in the pool. labelled, hidden: images that probes learn from and are
    scored on."""

    name: ClassVar[str] = "representation"
    window: ClassVar[int] = 0
    unit: ClassVar[str] = "images"
    main: ClassVar[str] = "skill"
    scaled_with_budget: ClassVar[tuple] = ("images", "labelled", "hidden")
    budget: Budget = Budget(40_000, 4e12)
    images: int = 20_000
    labelled: int = 2_000
    hidden: int = 2_000

    def handout(self, seed, salt):
        """The tensors that a submission gets: {"images": uint8 [N, 3, 32, 32], "labels": false ones, int64 [N]}."""
        data = draw("train", self.images, seed)
        return {"images": data.images, "labels": false_labels((len(data),), salt)}

    def parts(self, seed):
        """What is handed to `model`: a ViT-nano, randomly initialised from the seed; a dict by name."""
        torch.manual_seed(seed)
        return {"encoder": ViT.size("nano", img_size=32, patch_size=4)}

    def kept(self, model, parts):
        """The part of a trained model that is scored: {"encoder": the target encoder, where there is one}."""
        return {"encoder": getattr(model, "target_encoder", parts["encoder"])}

    def data(self, tensors, draw, window):
        """What `fit` learns from, in the child. tensors: of `handout`; draw: told of each batch's samples."""
        return Images(tensors, draw)

    def score(self, parts, seed):
        """(scores, monitors) of an encoder on hidden images, two dicts."""
        data = draw("labelled", self.labelled, seed), draw("hidden", self.hidden, seed)
        return score.encoder(parts["encoder"], *data), score.monitors(parts["encoder"], data[1])

    def baselines(self, seed):
        """{name: scores and monitors} of what needs no training."""
        data = draw("labelled", self.labelled, seed), draw("hidden", self.hidden, seed)
        start = self.score(self.parts(seed_for("run", seed)), seed)
        return {"random-init": start, "raw pixels": (score.pixels(*data), {})}

    def trained(self):
        """{name: file} of the baselines that are trained with the same budget, as a submission is."""
        from minijepa.family import mae
        from minijepa.training import recipe

        return {"I-JEPA, the course's recipe": recipe.__file__, "MAE": mae.__file__}


@dataclass(frozen=True)
class Planning:
    """Learn a world model from walks. walks: how many, of `length` frames each. tasks: hidden episodes."""

    name: ClassVar[str] = "planning"
    window: ClassVar[int] = 5
    unit: ClassVar[str] = "frames"
    main: ClassVar[str] = "success"
    scaled_with_budget: ClassVar[tuple] = ("walks", "tasks")
    budget: Budget = Budget(720_000, 8e11)
    walks: int = 1_500
    length: int = 16
    tasks: int = 100

    def handout(self, seed, salt):
        """{"frames": uint8 [N, T, 2, 28, 28], "actions": [N, T - 1, 2], "labels": false places, int64 [N, T, 2]}."""
        walks = WORLD.walks(self.walks, self.length, seed=seed_for("train", seed))
        frames = torch.cat([
            (255 * WORLD.render(places, wall[:, None])).round().to(torch.uint8)
            for places, wall in zip(walks.positions.split(100), walks.wall.split(100), strict=True)
        ])  # fmt: skip
        return {"frames": frames, "actions": walks.actions, "labels": false_labels(walks.positions.shape, salt)}

    def parts(self, seed):
        """What is handed to `model`: a FrameEncoder and Dynamics, randomly initialised from the seed."""
        torch.manual_seed(seed)
        return {"encoder": FrameEncoder(WORLD.size), "dynamics": Dynamics(scale=WORLD.max_step)}

    def kept(self, model, parts):
        """The parts of a trained model that are scored: those of these names, else those that were handed to it."""
        return {name: getattr(model, name, part) for name, part in parts.items()}

    def data(self, tensors, draw, window):
        """What `fit` learns from, in the child. tensors: of `handout`; draw: told of each batch's samples."""
        return Clips(tensors, draw, window)

    def score(self, parts, seed):
        """(scores, monitors) of encoder and dynamics in hidden tasks, two dicts."""
        model = WorldModel(parts["encoder"], parts["dynamics"], weights={}).eval()
        walks = WORLD.walks(200, self.length, seed=seed_for("hidden", seed))
        return score.planned(WORLD, self.hidden(seed), model), score.latents(model, walks)

    def hidden(self, seed):
        """The tasks that are scored: Tasks of the world."""
        return WORLD.tasks(self.tasks, seed=seed_for("tasks", seed))

    def baselines(self, seed):
        """{name: scores and monitors} of what needs no training."""
        tasks = self.hidden(seed)
        return {
            "random-init": self.score(self.parts(seed_for("run", seed)), seed),
            "random steps": (score.random_steps(WORLD, tasks), {}),
            "oracle, exact dynamics": (score.oracle(WORLD, tasks), {}),
        }

    def trained(self):
        """There are none."""
        return {}


TRACKS = {track.name: track for track in (Representation, Planning)}


def draw(purpose, count, seed):
    """ImageData of ShapeWorld in grey for a purpose: "train", "labelled" or "hidden"."""
    from minijepa.datasets.shapes.shapeworld import shapeworld

    return shapeworld(count, seed=seed_for(purpose, seed), colour="grey")


class Images:
    """In the child: bytes of images that count what is drawn. `labels` are there, and false: nothing may use them."""

    def __init__(self, tensors, draw):
        from minijepa.datasets.shapes.shapeworld import MEAN, STD

        self.images, self.labels = tensors["images"], tensors["labels"]
        self.draw, self.mean, self.std = draw, MEAN, STD

    def __len__(self):
        return len(self.images)

    def batch(self, index=None, device=None):
        """float32 [B, 3, 32, 32], normalised. index: int64 [B]."""
        from minijepa.datasets.images import normalise

        index = torch.arange(len(self)) if index is None else torch.as_tensor(index)
        self.draw(len(index))
        return normalise(self.images[index], self.mean, self.std)


class Clips:
    """In the child: windows of walks, whose frames count. `labels` are there, and false: nothing may use them."""

    def __init__(self, tensors, draw, window):
        self.frames, self.actions, self.labels = (tensors[name] for name in ("frames", "actions", "labels"))
        self.draw, self.window = draw, window

    def __len__(self):
        return len(self.frames) * (self.frames.shape[1] - self.window + 1)

    def batch(self, index, device=None):
        """Clip of frames [B, window, 2, 28, 28] in [0, 1] and actions [B, window - 1, 2]. index: int64 [B]."""
        walk, steps = window_rows(index, self.frames.shape[1], self.window)
        self.draw(steps.numel())
        return Clip(self.frames[walk, steps].float() / 255, self.actions[walk, steps[:, :-1]])
