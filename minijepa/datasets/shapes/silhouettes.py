"""Ten shapes as signed distances: negative inside, positive outside, zero on the outline.

One formula draws a distance without jagged edges, coverage = clamp(1/2 - distance in pixels, 0, 1), at any size and
angle, for a whole batch at once. Union is `minimum`, intersection `maximum`, difference max(a, -b); off the corners
these are bounds of the distance, which is all that the one-pixel edge needs.

Coordinates: x to the right and y down, as in an image; the centroid is at the origin and each shape lies
within a circle of radius about 1.1.
"""

import math

import torch


def coverage(name, x, y, radius):
    """How much of a pixel at (x, y) a shape covers, in [0, 1].

    x, y: [...], distances of the pixel's centre from that of the shape, in units of its radius (in pixels).
    """
    return (0.5 - radius * DISTANCES[name](x, y)).clamp_(0, 1)


def _disk(x, y):
    return torch.hypot(x, y) - 0.92


def _ring(x, y):
    return (torch.hypot(x, y) - 0.76).abs() - 0.24


def _rectangle(x, y, half_width, half_height):
    return torch.maximum(x.abs() - half_width, y.abs() - half_height)


def _square(x, y):
    return _rectangle(x, y, 0.8, 0.8)


def _triangle(x, y):
    # Equilateral, tip up: a floor and two slanted sides, all at 0.56 from the centroid.
    return torch.maximum(y, math.sqrt(0.75) * x.abs() - 0.5 * y) - 0.56


def _plus(x, y):
    return torch.minimum(_rectangle(x, y, 1.0, 0.3), _rectangle(x, y, 0.3, 1.0))


def _star(x, y):
    # Five-fold symmetry: fold the plane into half of one arm, whose edge is then a single straight line.
    arm = 2 * math.pi / 5
    angle = torch.remainder(torch.atan2(x, -y) + arm / 2, arm) - arm / 2  # 0 at the nearest tip
    radius = torch.hypot(x, y)
    u, v = radius * angle.cos(), radius * angle.sin().abs()  # along the arm, away from its axis
    tip, notch = 1.1, 0.42  # radii of the tips and of the notches between them
    nu, nv = notch * math.cos(arm / 2), notch * math.sin(arm / 2)
    length = math.hypot(tip - nu, nv)
    return (nv * (u - tip) + (tip - nu) * v) / length


def _heart(x, y):
    # A square on its corner and a disk on each of its two upper sides.
    s, y = 0.84, y - 0.263
    square = (x.abs() + y.abs() - s) * math.sqrt(0.5)
    disk = torch.hypot(x.abs() - s / 2, y + s / 2) - s * math.sqrt(0.5)
    return torch.minimum(square, disk)


def _crescent(x, y):
    # Open to the right.
    x = x - 0.4
    return torch.maximum(torch.hypot(x, y) - 0.96, 0.8 - torch.hypot(x - 0.47, y))


def _bar(x, y):
    return _rectangle(x, y, 1.05, 0.3)


def _tee(x, y):
    return torch.minimum(_rectangle(x, y + 0.33, 0.95, 0.27), _rectangle(x, y - 0.26, 0.27, 0.86))


DISTANCES = {
    "disk": _disk,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "plus": _plus,
    "star": _star,
    "heart": _heart,
    "crescent": _crescent,
    "bar": _bar,
    "T": _tee,
}
