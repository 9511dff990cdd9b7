"""Data in memory: CIFAR-10, procedural shapes with every factor as a label, spoken words, folders of your own.

Everything here ends in an `ImageData` or a `ClipData`, one uint8 tensor, its labels, the constants that normalise it,
or in a `SignalData` of floats. `course_data()` and `course_sound()` are what the notebooks call, `load()` what the
command line calls.
"""

from minijepa.datasets.audio import (
    VOWELS,
    WORDS,
    at_random_times,
    formant_filter,
    pulses,
    say,
    synthetic_words,
    with_noise,
)
from minijepa.datasets.augment import crop_flip
from minijepa.datasets.captions import VOCABULARY, CaptionedImages, captioned, describe, to_tokens, to_words
from minijepa.datasets.cifar import cifar10, find_cifar10
from minijepa.datasets.clips import ClipData, shuffle_frames
from minijepa.datasets.course import course_data, course_sound, load
from minijepa.datasets.folder import image_folder
from minijepa.datasets.images import DataCorrupt, DataUnavailable, ImageData, denormalise, normalise
from minijepa.datasets.load_clips import load_clips
from minijepa.datasets.mel import frames, log_mel, log_mel_data, mel_filters, overlap_add, without
from minijepa.datasets.questions import QuestionData, StreamData, question_scenes, scene_streams
from minijepa.datasets.senses import (
    MODALITIES,
    Senses,
    SensesData,
    contents,
    recall_ceiling,
    senses,
    shared,
    shared_key,
)
from minijepa.datasets.series import arrow_series, course_record, event_series, heart_record, pulse
from minijepa.datasets.shapes.moving import moving_digits, moving_shapes
from minijepa.datasets.shapes.scenes import SceneData, shape_scenes
from minijepa.datasets.shapes.shapeworld import SHAPES, shapeworld
from minijepa.datasets.shapes.single import single_shapes
from minijepa.datasets.signals import SignalData
from minijepa.datasets.spoken_digits import SPEAKERS, find_spoken_digits, spoken_digits
from minijepa.datasets.tones import loudness, tones
from minijepa.datasets.trajectories import (
    City,
    by_order,
    city_trips,
    distorted,
    odd_even,
    points_at,
    straight_lines,
    thinned,
)
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
    "tones",
    "loudness",
    "senses",
    "Senses",
    "SensesData",
    "MODALITIES",
    "contents",
    "shared",
    "shared_key",
    "recall_ceiling",
    "event_series",
    "arrow_series",
    "course_record",
    "heart_record",
    "pulse",
    "City",
    "city_trips",
    "points_at",
    "thinned",
    "odd_even",
    "distorted",
    "by_order",
    "straight_lines",
    "course_sound",
    "spoken_digits",
    "find_spoken_digits",
    "SPEAKERS",
    "synthetic_words",
    "at_random_times",
    "with_noise",
    "say",
    "VOWELS",
    "WORDS",
    "pulses",
    "formant_filter",
    "frames",
    "overlap_add",
    "mel_filters",
    "log_mel",
    "log_mel_data",
    "without",
    "ClipData",
    "shuffle_frames",
    "moving_shapes",
    "moving_digits",
    "video_folder",
    "crop_flip",
]
