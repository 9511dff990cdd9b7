"""The drawing engine of all procedural data: random factors of many pictures at once, and pixels from factors.

Images and clips are drawn in the same three steps. Uniform random numbers become factors (`draw_objects`, `apart`); the
signed distance to each outline becomes coverage, how much of each pixel an object covers (silhouettes.py); `paint` puts
the objects over the background, one after the other.
"""

import contextlib
import math

import torch

from minijepa.datasets.shapes.silhouettes import coverage

MOST = 4  # objects in a picture
TRIES = 16  # places tried for each object, so that the objects stand apart
CHUNK = 256  # images of 32x32 drawn at a time: the working memory stays at tens of megabytes
ROTATION = 0.35  # radians: each object is rotated by up to so much either way
COLOURS = ("contrast", "grey")


def draw_objects(n, shapes, count, colour, generator):
    """Random factors of n images but for size and place, and the uniform numbers u [n, K, 12] that are left for those.

    shapes: names of outlines; the objects of an image have the same. count: (least, most) objects per image, K = most.
    colour: "contrast" or "grey", as in `shapeworld`. Returns (factors, u): count [n]; background [n, 3] in [0, 1];
    shape [n, K] int64, an index into shapes; rotation in radians, red, green and blue in [0, 1], [n, K] float32.
    An object that is not there has shape -1 and nan in the others.
    """
    u = torch.rand(n, MOST, 12, generator=generator)  # one row per object
    v = torch.rand(n, 4 + MOST, generator=generator)  # one row per image
    torch.rand(n, MOST, TRIES, 2, generator=generator)  # unused, but drawn: the images of a seed stay the same
    least, k = count
    u = u[:, :k]
    count = least + pick(v[:, 0], k - least + 1)  # [n]
    ground, side, strength = v[:, 1:4], u[..., 3:6], u[..., 6:9]  # [n, 3], [n, K, 3] each
    if colour == "grey":
        ground, side, strength = (values[..., :1].expand_as(values) for values in (ground, side, strength))
    background = 0.25 + 0.5 * ground
    contrast = torch.where(side < 0.5, -1.0, 1.0) * (0.25 + 0.35 * strength)
    red, green, blue = (background[:, None] + contrast).clamp(0, 1).unbind(-1)  # [n, K] each
    shape = pick(u[:, :1, 10], len(shapes)).expand(n, k)
    objects = {"shape": shape, "rotation": ROTATION * (2 * u[..., 11] - 1), "red": red, "green": green, "blue": blue}
    absent = torch.arange(k) >= count[:, None]  # [n, K]
    return {**without(objects, absent), "count": count, "background": background}, u


def without(objects, absent):
    """The factors of objects [n, K], with -1 (whole numbers) or nan where absent, bool [n, K], is true."""
    return {
        name: values.masked_fill(absent, math.nan if values.is_floating_point() else -1)
        for name, values in objects.items()
    }


def pick(u, choices):
    """A whole number 0 ... choices - 1 from each u, uniform on [0, 1)."""
    return (u * choices).long().clamp_(max=choices - 1)


def apart(tries, radius):
    """For each object the first of its places to try that is clear of the objects before it, else the best.

    tries: [n, K, T, 2]; radius: [n, K]. Returns x and y, [n, K] each.
    """
    chosen = tries[:, :1, 0]  # [n, 1, 2]
    for i in range(1, tries.shape[1]):
        distance = torch.cdist(tries[:, i], chosen)  # [n, T, i]
        clear = distance - (radius[:, :i] + radius[:, i : i + 1])[:, None]  # [n, T, i]
        # Being clear counts as 0, and a small price per try makes the first of equals win.
        score = clear.amin(2).clamp_(max=0) - 1e-4 * torch.arange(tries.shape[2])  # [n, T]
        best = score.argmax(1)[:, None, None].expand(-1, 1, 2)  # [n, 1, 2]
        chosen = torch.cat([chosen, tries[:, i].gather(1, best)], 1)  # [n, i + 1, 2]
    return chosen.unbind(-1)


def cover_image(scene, shapes, size):
    """How much of each pixel each object covers, float32 [n, K, size, size] in [0, 1]; an absent object covers nothing.

    scene: factors shape, x, y, size (the radius in pixels) and rotation, [n, K] each.
    """
    grid = torch.arange(size) + 0.5
    cover = torch.zeros(*scene["shape"].shape, size, size)
    for number, name in enumerate(shapes):
        rows = scene["shape"] == number  # [n, K], J of them
        x, y, radius, angle = (scene[key][rows][:, None, None] for key in ("x", "y", "size", "rotation"))
        right, down = grid - x, grid[:, None] - y  # [J, 1, S], [J, S, 1]
        # into the object's own frame: rotated back, in units of its radius
        along = (angle.cos() * right + angle.sin() * down) / radius  # [J, S, S]
        across = (angle.cos() * down - angle.sin() * right) / radius  # [J, S, S]
        cover[rows] = coverage(name, along, across, radius)
    return cover


def paint(background, colour, cover):
    """Paint objects 0, 1, ... over the background, each where it covers.

    background: [n, C]; colour: [n, K, C]; cover: [n, K, ..., S, S] in [0, 1]. Returns float32 [n, C, ..., S, S].
    """
    everywhere = (..., *[None] * (cover.ndim - 2))
    picture = background[everywhere].expand(-1, -1, *cover.shape[2:])  # [n, C, ..., S, S]
    for i in range(cover.shape[1]):
        # an absent object covers nothing, but nan times 0 would still be nan
        own = colour[:, i][everywhere].nan_to_num()
        picture = torch.lerp(picture, own.expand_as(picture), cover[:, i : i + 1])
    return picture


def paint_image(scene, cover):
    """The pictures of scenes without noise, float32 [n, 3, S, S]; cover: [n, K, S, S], from `cover_image`."""
    return paint(scene["background"], torch.stack([scene["red"], scene["green"], scene["blue"]], 2), cover)


def to_bytes(picture):
    """Values around [0, 1] as uint8, rounded, what lies outside clipped."""
    return picture.clamp(0, 1).mul_(255).round_().to(torch.uint8)


@contextlib.contextmanager
def one_thread():
    """These tensors are so small that a second thread gains nothing, and waits whenever its core is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def check_argument(name, value, holds, expected):
    """The value of an argument must satisfy what is expected of it."""
    if not holds:
        raise ValueError(f"{name} is {value!r}; expected {expected}")


def check_request(n, seed, size=32):
    """A whole number of pictures, a seed and a size that can be drawn."""
    check_argument("n", n, isinstance(n, int) and n >= 1, "a whole number of pictures, at least 1")
    check_argument("seed", seed, isinstance(seed, int) and 0 <= seed < 2**31, "a whole number, 0 to 2^31 - 1")
    check_argument("size", size, isinstance(size, int) and 16 <= size <= 128, "a whole number of pixels, 16 to 128")
