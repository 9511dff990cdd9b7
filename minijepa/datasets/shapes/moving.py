"""Moving shapes and moving digits: clips whose every cause is known, so one can ask what a model kept.

A clip shows two objects of one kind that travel together in one direction, bright on a dark ground; what leaves on one
side comes back on the other. One frame does not give the direction away; only the order of the frames does.
"""

import math
from functools import lru_cache

import torch

from minijepa.datasets.clips import ClipData
from minijepa.datasets.shapes.drawing import (
    MOST,
    TRIES,
    apart,
    check_argument,
    check_request,
    one_thread,
    paint,
    pick,
    to_bytes,
)
from minijepa.datasets.shapes.silhouettes import coverage

OUTLINES = ("disk", "square", "triangle", "plus")
DIRECTIONS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
SPEEDS, SIZES = ("slow", "medium", "fast"), ("small", "large")
MEAN, STD = (0.19,), (0.23,)  # measured on the defaults
COUNT, RADIUS = 2, (4.0, 6.0)  # objects in a clip, and their radius in pixels at size 32
GROUND = 0.1  # the background, in the range [0, 1]
CHUNK = 128  # clips drawn at a time: the working memory stays at tens of megabytes


def moving_shapes(n, **settings):
    """Draw n clips of moving shapes: disks, squares, triangles or plus signs, two of one shape in each.

    The same arguments give the same clips on each run; a smaller n gives the first of them.
    n: number of clips, at least 1.
    settings: seed, frames, size, speed and noise, as in `draw_clips`, which also says what is returned and raised.
    Returns ClipData, clips uint8 [n, 1, frames, size, size], with the labels direction, speed, shape and size.
    """

    def cover(kind, x, y, radius):
        out = torch.zeros(torch.broadcast_shapes(x.shape, y.shape))  # [n, T, S, S]
        for number, name in enumerate(OUTLINES):
            rows = kind == number  # [n], J of them
            r = radius[rows]  # [J, 1, 1, 1]
            out[rows] = coverage(name, x[rows] / r, y[rows] / r, r)
        return out

    return draw_clips(n, cover, ("shape", OUTLINES), torch.arange(len(OUTLINES)), "moving shapes", **settings)


def moving_digits(n, *, heldout=False, **settings):
    """Draw n clips of moving handwritten digits, the 1,797 that come with scikit-learn (8x8 pixels, enlarged).

    n: number of clips, at least 1.
    heldout: False: draw from four fifths of the digits; True: from the other fifth.
    settings: seed, frames, size, speed and noise, as in `draw_clips`, which also says what is returned and raised.
    Returns ClipData, clips uint8 [n, 1, frames, size, size], with the labels direction, speed, digit and size.
    """
    pictures, digits = bundled_digits(heldout)  # [K, 8, 8] in [0, 1], [K]

    def cover(kind, x, y, radius):
        place = torch.stack(torch.broadcast_tensors(x / radius, y / radius), -1)  # [n, T, S, S, 2]: -1 to 1 on it
        n, t, s = place.shape[:3]
        ink = torch.nn.functional.grid_sample(pictures[kind][:, None], place.view(n, t * s, s, 2), align_corners=False)
        return ink.view(n, t, s, s)

    return draw_clips(n, cover, ("digit", tuple("0123456789")), digits, "moving digits", **settings)


# --- the pieces ---


def draw_clips(n, cover, kind, kinds, name, *, seed=0, frames=8, size=32, speed=(1.0, 3.0), noise=0.05):
    """Draw n clips of things that move at constant speed in one of eight directions.

    cover: how much of each pixel an object covers: a function of kind [n], x [n, T, 1, S], y [n, T, S, 1] (pixels from
    its centre) and radius [n, 1, 1, 1] that returns [n, T, S, S] in [0, 1].
    kind: what the kinds are called together, and each of them: ("shape", ("disk", ...)).
    kinds: int64 [K], the class of each thing that can be drawn.
    name: what the data are called.
    seed: what all random choices follow from, 0 to 2^31 - 1.
    frames: T, at least 2. size: side S of the frames in pixels, 16 to 128.
    speed: in pixels per frame at size 32 (it scales with size), a range (slowest, fastest) within 0 to 8.
    noise: standard deviation of Gaussian noise, new in each frame, 0 to 1 of the range [0, 1].
    Returns ClipData, clips uint8 [n, 1, T, S, S]. Labels: direction (8), speed (thirds of the range), the kind, size
    (halves of the range). Factors: angle [n] in radians, clockwise from "right"; velocity [n, 2] in pixels per frame, x
    then y; radius [n, 2] and x, y [n, 2, T] in pixels. Raises ValueError for an argument out of its range.
    """
    slow, fast = speed
    check_request(n, seed, size)
    check_argument("frames", frames, frames >= 2, "at least 2")
    check_argument("speed", speed, 0 < slow <= fast <= 8, "slowest <= fastest, at most 8 pixels per frame at size 32")
    check_argument("noise", noise, 0 <= noise <= 1, "0 to 1, a standard deviation in the range [0, 1]")
    clips, parts = torch.empty(n, 1, frames, size, size, dtype=torch.uint8), []
    with one_thread():
        for number, rows in enumerate(torch.arange(n).split(CHUNK)):
            # whole chunks, each from its own seed, so that a smaller n gives the first clips
            generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
            scene = draw_scene(len(kinds), frames, size, speed, generator)
            picture = paint_clips(scene, cover, size)  # [chunk, 1, T, S, S]
            picture = picture + noise * torch.randn(picture.shape, generator=generator)
            clips[rows] = to_bytes(picture[: len(rows)])
            parts.append({key: values[: len(rows)] for key, values in scene.items()})
    scene = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    large = scene["radius"][:, 0] > sum(RADIUS) / 2 * size / 32
    labels = {"direction": scene["direction"], "speed": scene["speed"], kind[0]: kinds[scene["kind"]]}
    labels["size"] = large.long()
    classes = {"direction": DIRECTIONS, "speed": SPEEDS, kind[0]: kind[1], "size": SIZES}
    factors = {key: scene[key] for key in ("angle", "velocity", "radius", "x", "y")}
    return ClipData(clips, labels, classes, name, MEAN, STD, factors)


def draw_scene(things, frames, size, speed, generator):
    """Random causes of a chunk of clips, and the places of their objects; things: how many kinds there are."""
    u = torch.rand(CHUNK, 16, generator=generator)  # one row per clip
    v = torch.rand(CHUNK, MOST, generator=generator)[:, :COUNT]  # [n, K], one number per object
    tries = torch.rand(CHUNK, MOST, TRIES, 2, generator=generator)[:, :COUNT]
    torch.rand(CHUNK, 13, generator=generator)  # unused, but drawn: the clips of a seed stay the same
    direction, pace = pick(u[:, 1], 8), pick(u[:, 2], 3)  # [n]
    angle = (direction + 0.5 * u[:, 3] - 0.25) * (math.pi / 4)  # the middle half of its bin
    slow, fast = (value * size / 32 for value in speed)
    length = slow + (fast - slow) * (pace + 0.8 * u[:, 4] + 0.1) / 3  # [n], well inside its third
    velocity = torch.stack([angle.cos(), angle.sin()], 1) * length[:, None]  # [n, 2]
    small, large = (value * size / 32 for value in RADIUS)
    radius = (small + (large - small) * u[:, 7:8]).expand(-1, COUNT)  # [n, K]
    start = torch.stack(apart(size * tries, radius), -1)[:, :, None]  # [n, K, 1, 2]
    places = start + torch.arange(frames)[:, None] * velocity[:, None, None]  # [n, K, T, 2]
    x, y = (places % size).unbind(-1)  # [n, K, T] each
    return {
        "direction": direction, "speed": pace, "kind": pick(u[:, 15], things), "angle": angle % (2 * math.pi),
        "velocity": velocity, "radius": radius, "x": x, "y": y, "grey": 0.6 + 0.4 * v,
    }  # fmt: skip


def paint_clips(scene, cover, size):
    """The clips without noise, float32 [n, 1, T, S, S]; `cover` as in `draw_clips`."""
    grid, covers = torch.arange(size) + 0.5, []
    for i in range(COUNT):
        across = grid - scene["x"][:, i, :, None, None]  # [n, T, 1, S]
        down = grid[:, None] - scene["y"][:, i, :, None, None]  # [n, T, S, 1]
        across, down = ((d + size / 2) % size - size / 2 for d in (across, down))  # from the nearest copy of the object
        covers.append(cover(scene["kind"], across, down, scene["radius"][:, i, None, None, None]))  # [n, T, S, S]
    background = torch.full((len(scene["kind"]), 1), GROUND)  # [n, 1]
    grey = background + (scene["grey"] - background)  # [n, K]: rounded so that the clips of a seed stay the same
    return paint(background, grey[..., None], torch.stack(covers, 1))


@lru_cache(maxsize=2)
def bundled_digits(heldout):
    """Pictures [K, 8, 8] in [0, 1] and their digits [K]; every fifth one is held out."""
    from sklearn.datasets import load_digits  # late, as it takes a second to import

    data = load_digits()
    rows = (torch.arange(len(data.target)) % 5 == 0) == heldout
    return torch.tensor(data.images, dtype=torch.float32)[rows] / 16, torch.tensor(data.target, dtype=torch.int64)[rows]
