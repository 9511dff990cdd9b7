"""Procedural shapes, every factor known: single shapes, scenes of several, and clips of moving ones."""

from minijepa.datasets.shapes.moving import moving_digits, moving_shapes
from minijepa.datasets.shapes.scenes import SceneData, shape_scenes
from minijepa.datasets.shapes.shapeworld import SHAPES, shapeworld
from minijepa.datasets.shapes.single import single_shapes
from minijepa.datasets.shapes.textures import TEXTURES, gratings, scratched, surfaces, textured

__all__ = [
    "shapeworld",
    "SHAPES",
    "shape_scenes",
    "SceneData",
    "single_shapes",
    "moving_shapes",
    "moving_digits",
    "TEXTURES",
    "gratings",
    "textured",
    "scratched",
    "surfaces",
]
