"""Moving shapes and moving digits: clips whose every cause is known, so one can ask what a model kept.

A clip shows one to four objects of one kind that travel together in one direction. One frame does not give the
direction away; only the order of the frames does.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from minijepa.datasets.clips import ClipData
from minijepa.datasets.shapes.moving_scene import DRAWN_AT_ONCE, Knobs, draw_scene, render
from minijepa.datasets.shapes.shapeworld import SHAPES, _one_thread
from minijepa.datasets.shapes.silhouettes import DISTANCES

DIRECTIONS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
SPEEDS, SIZES, CHANGES = ("slow", "medium", "fast"), ("small", "large"), ("fades", "stays", "brightens")
MOMENTS = {"bright": (0.19, 0.23), "random": (0.5, 0.19)}  # mean and standard deviation, measured on the defaults


def moving_shapes(n: int, *, shapes: tuple[str, ...] = ("disk", "square", "triangle", "plus"), **knobs) -> ClipData:
    """Draw n clips of moving shapes.

    The same arguments give the same clips on each run; a smaller n gives the first of them.

    Args:
        n: number of clips, at least 1.
        shapes: the kinds to draw from, out of `minijepa.datasets.SHAPES`.
        knobs: as in `draw_clips`, which also says what is returned and raised.

    Returns:
        `ClipData` with the labels direction, speed, shape, size, count and change.
    """
    unknown = [name for name in shapes if name not in DISTANCES]
    _demand("shapes", shapes, len(shapes) > 0 and not unknown, f"some of {', '.join(SHAPES)}")

    def cover(kind, x, y, radius):
        out = torch.zeros(torch.broadcast_shapes(x.shape, y.shape))  # [J, T, S, S]
        for number, name in enumerate(shapes):
            rows = kind == number
            r = radius[rows]  # [j, 1, 1, 1]
            out[rows] = (0.5 - r * DISTANCES[name](x[rows] / r, y[rows] / r)).clamp_(0, 1)
        return out

    return draw_clips(n, cover, ("shape", tuple(shapes)), "moving shapes", **knobs)


def moving_digits(n: int, *, heldout: bool = False, **knobs) -> ClipData:
    """Draw n clips of moving handwritten digits, the 1,797 that come with scikit-learn (8×8 pixels, enlarged).

    Args:
        n: number of clips, at least 1.
        heldout: False: draw from four fifths of the digits; True: from the other fifth.
        knobs: as in `draw_clips`, which also says what is returned and raised.

    Returns:
        `ClipData` with the labels direction, speed, digit, size, count and change.
    """
    pictures, digits = _digits(heldout)  # [K, 8, 8] in [0, 1], [K]

    def cover(kind, x, y, radius):
        place = torch.stack(torch.broadcast_tensors(x / radius, y / radius), -1)  # [J, T, S, S, 2], −1…1 on the digit
        j, t, s = place.shape[:3]
        ink = torch.nn.functional.grid_sample(pictures[kind][:, None], place.view(j, t * s, s, 2), align_corners=False)
        return ink.view(j, t, s, s)

    return draw_clips(n, cover, ("digit", tuple("0123456789")), "moving digits", kinds=digits, **knobs)


def draw_clips(
    n: int,
    cover,
    kind: tuple[str, tuple[str, ...]],
    name: str,
    *,
    kinds: Tensor | None = None,
    seed: int = 0,
    frames: int = 8,
    size: int = 32,
    channels: int = 1,
    count: int | tuple[int, int] = 2,
    radius: tuple[float, float] = (4.0, 6.0),
    speed: tuple[float, float] = (1.0, 3.0),
    start: str = "wrap",
    colour: str = "bright",
    change: float = 0.0,
    texture: float = 0.0,
    camera: float = 0.0,
    occluder: float = 0.0,
    noise: float = 0.05,
) -> ClipData:
    """Draw n clips of things that move at constant speed in one of eight directions.

    Args:
        n: number of clips.
        cover: how much of each pixel an object covers: a function of kind [J], x, y [J, T, S, S] (pixels from its
            centre) and radius [J, 1, 1, 1] that returns [J, T, S, S] in [0, 1].
        kind: what the kinds are called together, and each of them: ("shape", ("disk", …)).
        name: what the data are called.
        kinds: int64 [K], the class of each thing that can be drawn; None: each its own.
        seed: what all random choices follow from.
        frames: T, at least 2. size: side S of the frames in pixels, 16 to 128. channels: 1 (grey) or 3 (RGB).
        count: objects in a clip, a number or (least, most), 1 to 4; they move together.
        radius: of the objects, in pixels at size 32 (it scales with size), a range.
        speed: in pixels per frame at size 32, a range.
        start: "wrap": objects start anywhere, and what leaves on one side comes back on the other; "bounce": they
            start anywhere and are reflected at the borders (`direction` is that at the start); "middle": they never
            leave the frame, and at mid-clip are where they may be whatever their direction.
        colour: "bright", bright grey objects on a dark background; "random", background and objects of any grey (or
            colour, with 3 channels), as in ShapeWorld.
        change: 0 to 1: how far an object's contrast may fade or grow during the clip (label "change").
        texture: contrast of a smooth random background, 0 to 0.5 of the range [0, 1].
        camera: largest drift of the camera in pixels per frame at size 32, 0 to 2; it shifts objects and background
            alike, so the direction is that of the objects against the background, which needs a texture.
        occluder: width of an upright bar in front of everything, as a share of the frame, 0 to 0.5.
        noise: standard deviation of Gaussian noise, new in each frame, 0 to 1 of the range [0, 1].

    Returns:
        `ClipData`, clips uint8 [n, channels, frames, size, size]. Labels: direction (8), speed (thirds of the
        range), the kind, size (halves of the range), count, change. Factors: angle [n] in radians, clockwise from
        "right"; velocity [n, 2] in pixels per frame, x then y; camera [n, 2] likewise; radius [n, K] and x, y
        [n, K, T] in pixels, nan for an object that is not there.

    Raises:
        ValueError: a knob out of its range; the message says which range.
    """
    scale = size / 32
    knobs = Knobs(
        frames=frames, size=size, channels=channels, count=(count, count) if isinstance(count, int) else tuple(count),
        radius=tuple(r * scale for r in radius), speed=tuple(v * scale for v in speed), start=start, colour=colour,
        change=change, texture=texture, camera=camera * scale, occluder=occluder, noise=noise,
    )  # fmt: skip
    _demand("n", n, n >= 1, "at least 1 clip")
    _check(knobs)
    kinds = torch.arange(len(kind[1])) if kinds is None else kinds
    clips, parts = torch.empty(n, channels, frames, size, size, dtype=torch.uint8), []
    with _one_thread():
        for number, rows in enumerate(torch.arange(n).split(DRAWN_AT_ONCE)):
            # whole chunks, each from its own seed, so that a smaller n gives the first clips
            generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
            scene = draw_scene(len(kinds), knobs, generator)
            pictures = render(scene, cover, knobs, generator)  # [chunk, C, T, S, S]
            clips[rows] = pictures[: len(rows)].mul_(255).round_().clamp_(0, 255).to(torch.uint8)
            parts.append({key: values[: len(rows)] for key, values in scene.items()})
    scene = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    labels = {
        "direction": scene["direction"],
        "speed": scene["speed"],
        kind[0]: kinds[scene["kind"]],
        "size": (scene["radius"][:, 0] > sum(knobs.radius) / 2).long(),
        "count": scene["count"] - 1,
        "change": scene["change"],
    }
    classes = {"direction": DIRECTIONS, "speed": SPEEDS, kind[0]: kind[1], "size": SIZES}
    classes |= {"count": tuple("1234"), "change": CHANGES}
    factors = {key: scene[key] for key in ("angle", "velocity", "camera", "radius", "x", "y")}
    mean, std = MOMENTS[colour]
    return ClipData(clips, labels, classes, name, (mean,) * channels, (std,) * channels, factors)


@lru_cache(maxsize=2)
def _digits(heldout: bool) -> tuple[Tensor, Tensor]:
    """Pictures [K, 8, 8] in [0, 1] and their digits [K]; every fifth one is held out."""
    from sklearn.datasets import load_digits  # late, as it takes a second to import

    data = load_digits()
    rows = (torch.arange(len(data.target)) % 5 == 0) == heldout
    return torch.tensor(data.images, dtype=torch.float32)[rows] / 16, torch.tensor(data.target, dtype=torch.int64)[rows]


def _demand(name: str, value, holds: bool, expected: str) -> None:
    """Raise ValueError unless the demand on a knob holds."""
    if not holds:
        raise ValueError(f"{name} is {value!r}; expected {expected}")


def _check(knobs: Knobs) -> None:
    """Refuse knobs out of their range (lengths in pixels of this size)."""
    size, (small, large), (slow, fast) = knobs.size, knobs.radius, knobs.speed
    _demand("frames", knobs.frames, knobs.frames >= 2, "at least 2")
    _demand("size", size, 16 <= size <= 128, "16 to 128 pixels")
    _demand("channels", knobs.channels, knobs.channels in (1, 3), "1 or 3")
    _demand("count", knobs.count, 1 <= knobs.count[0] <= knobs.count[1] <= 4, "a number or (least, most), 1 to 4")
    _demand("radius", knobs.radius, 0 < small <= large <= size / 4, f"least ≤ most, at most {size / 4:g} pixels")
    _demand("speed", knobs.speed, 0 < slow <= fast <= size / 4, f"least ≤ most, at most {size / 4:g} pixels per frame")
    _demand("start", knobs.start, knobs.start in ("wrap", "bounce", "middle"), "'wrap', 'bounce' or 'middle'")
    _demand("colour", knobs.colour, knobs.colour in MOMENTS, f"one of {', '.join(MOMENTS)}")
    _demand("camera", knobs.camera, 0 <= knobs.camera <= size / 16, f"0 to {size / 16:g} pixels per frame")
    for name, most in {"change": 1, "texture": 0.5, "occluder": 0.5, "noise": 1}.items():
        _demand(name, getattr(knobs, name), 0 <= getattr(knobs, name) <= most, f"0 to {most:g}")
    if knobs.start == "middle" and knobs.reach > size / 2:
        raise ValueError(
            f"with start='middle' an object may come {knobs.reach:.1f} pixels away from the middle, expected at most "
            f"{size / 2:g}: lower speed, radius, camera or frames, or use start='wrap'"
        )
