"""Images in memory: CIFAR-10, procedural shapes with every factor as a label, and a folder of your own.

Everything here ends in an `ImageData`: one uint8 tensor, its labels and the constants that normalise it.
`course_data()` is what the notebooks call, `load()` what the command line calls.
"""

from .cifar import cifar10, find_cifar10
from .course import course_data, load
from .folder import image_folder
from .images import DataCorrupt, DataUnavailable, ImageData, denormalise, normalise
from .shapeworld import SHAPES, shapeworld

__all__ = [
    "ImageData",
    "normalise",
    "denormalise",
    "DataUnavailable",
    "DataCorrupt",
    "course_data",
    "load",
    "cifar10",
    "find_cifar10",
    "shapeworld",
    "SHAPES",
    "image_folder",
]
