"""Images and clips in memory: CIFAR-10, procedural shapes with every factor as a label, folders of your own.

Everything here ends in an `ImageData` or a `ClipData`: one uint8 tensor, its labels, the constants that normalise it.
`course_data()` is what the notebooks call, `load()` what the command line calls.
"""

from .cifar import cifar10, find_cifar10
from .clips import ClipData, shuffle_frames
from .course import course_data, load
from .folder import image_folder
from .images import DataCorrupt, DataUnavailable, ImageData, denormalise, normalise
from .moving import moving_digits, moving_shapes
from .scenes import SceneData, shape_scenes
from .shapeworld import SHAPES, shapeworld
from .video_folder import video_folder

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
    "shape_scenes",
    "SceneData",
    "image_folder",
    "ClipData",
    "shuffle_frames",
    "moving_shapes",
    "moving_digits",
    "video_folder",
]
