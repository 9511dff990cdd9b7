"""Images and clips in memory: CIFAR-10, procedural shapes with every factor as a label, folders of your own.

Everything here ends in an `ImageData` or a `ClipData`: one uint8 tensor, its labels, the constants that normalise it.
`course_data()` is what the notebooks call, `load()` what the command line calls.
"""

from minijepa.datasets.augment import crop_flip
from minijepa.datasets.captions import VOCABULARY, CaptionedImages, captioned, describe, to_tokens, to_words
from minijepa.datasets.cifar import cifar10, find_cifar10
from minijepa.datasets.clips import ClipData, shuffle_frames
from minijepa.datasets.course import course_data, load
from minijepa.datasets.folder import image_folder
from minijepa.datasets.images import DataCorrupt, DataUnavailable, ImageData, denormalise, normalise
from minijepa.datasets.load_clips import load_clips
from minijepa.datasets.questions import QuestionData, StreamData, question_scenes, scene_streams
from minijepa.datasets.shapes.moving import moving_digits, moving_shapes
from minijepa.datasets.shapes.scenes import SceneData, shape_scenes
from minijepa.datasets.shapes.shapeworld import SHAPES, shapeworld
from minijepa.datasets.shapes.single import single_shapes
from minijepa.datasets.signals import SignalData
from minijepa.datasets.video_folder import video_folder
from minijepa.datasets.wordings import (
    ANSWER_WORDS,
    MEANINGS,
    OPENINGS,
    QUESTIONS,
    SYNONYMS,
    answers_of,
    mixed_answers,
    number_words,
    read_words,
    word_edits,
)

__all__ = [
    "ImageData",
    "normalise",
    "denormalise",
    "DataUnavailable",
    "DataCorrupt",
    "course_data",
    "load",
    "load_clips",
    "cifar10",
    "find_cifar10",
    "shapeworld",
    "SHAPES",
    "shape_scenes",
    "SceneData",
    "single_shapes",
    "captioned",
    "CaptionedImages",
    "VOCABULARY",
    "describe",
    "to_tokens",
    "to_words",
    "image_folder",
    "question_scenes",
    "QuestionData",
    "scene_streams",
    "StreamData",
    "QUESTIONS",
    "MEANINGS",
    "OPENINGS",
    "SYNONYMS",
    "ANSWER_WORDS",
    "answers_of",
    "mixed_answers",
    "number_words",
    "read_words",
    "word_edits",
    "SignalData",
    "ClipData",
    "shuffle_frames",
    "moving_shapes",
    "moving_digits",
    "video_folder",
    "crop_flip",
]
