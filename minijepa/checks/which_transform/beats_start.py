"""Assignment 11, exercise 4: does a trained encoder beat the encoder that it was before?"""

import copy
from functools import lru_cache
from itertools import islice

import torch
from torch.nn import functional as F

from minijepa.checks.curves import line_and_yours
from minijepa.checks.report import CheckFailed, call, fail, passed, patience
from minijepa.checks.values import describe
from minijepa.checks.which_transform.barlow_twins import WEIGHT, correlations, loss_of
from minijepa.checks.which_transform.stripes import SIZE, stripes
from minijepa.datasets.shapes.drawing import one_thread
from minijepa.family.two_views import TwoViews, two_views
from minijepa.probes import features, knn_probe
from minijepa.training.fit import fit
from minijepa.vit import ViT

NAME = "beats_start"
LEARNS, DOUBTFUL = "40 steps of Barlow Twins", "10 steps of Barlow Twins, 100 test images"
SECONDS = 120.0  # of computing, for a few seconds of training
SETTINGS = {"batch_size": 48, "optimizer": "muon", "lr": 3e-3, "weight_decay": (0.05, 0.05)}
LONG, SHORT = {"steps": 40, **SETTINGS}, {"steps": 10, **SETTINGS}


def spec_beats_start(encoder, loss, train, test, settings):
    """Count, train, count again. Returns (accuracy before, accuracy after, whether the gain is above two errors).

    encoder: a ViT, trained in place; train, test: ImageData, images [N, 3, H, W]; settings: for `fit`.
    """
    before = right(encoder, train, test)
    fit(TwoViews(encoder, loss), train, augment=two_views, **settings)
    return verdict(before, right(encoder, train, test))


def verdict(before, after):
    """The answer for two results, bool [M] each; the standard error of the gain is computed image by image."""
    gains = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
    m, gain = len(gains), sum(gains) / len(gains)
    error = (sum((one - gain) ** 2 for one in gains) / (m - 1) / m) ** 0.5
    return sum(map(int, before)) / m, sum(map(int, after)) / m, gain > 2 * error


def right(encoder, train, test):
    """Whether the kNN probe is right on each test image, bool [M]."""
    probe = features(encoder, train), train.labels, features(encoder, test), test.labels
    return knn_probe(*probe, each=True)


def twins(first, second):
    """Barlow Twins' loss with its usual weight. first, second: [B, D] -> scalar."""
    return loss_of(correlations(first, second), WEIGHT)


def small_encoder():
    """A randomly initialised encoder for the stripes, the same each time, and the seed of what follows set."""
    torch.manual_seed(0)
    return ViT(img_size=SIZE, patch_size=4, dim=32, depth=2, heads=2)


@lru_cache(maxsize=1)
def data():
    """Stripes to train on, and others to score."""
    return stripes(400, seed=0), stripes(300, seed=1)


@lru_cache(maxsize=1)
def rehearsal():
    """Two runs of the specification: the answer and the encoder of a longer one; answer and test set of a shorter one.

    Of that test set's 100 images, the shorter run gains 8 and loses 4: more are right, but by little more than one
    standard error. (As far as it has such images; the check compares with what the student's own run does, whatever
    that is.)
    """
    train, test = data()
    encoder, short = small_encoder(), small_encoder()
    torch.manual_seed(0)  # of the projector
    answer = spec_beats_start(encoder, twins, train, test, LONG)
    before = right(short, train, test)
    torch.manual_seed(0)
    fit(TwoViews(short, twins), train, augment=two_views, **SHORT)
    after = right(short, train, test)
    change = after.int() - before.int()  # [M]
    rows = [(change == value).nonzero().flatten()[:count] for value, count in ((1, 8), (-1, 4), (0, 88))]
    rows = torch.cat(rows)  # [100]
    return answer, encoder, verdict(before[rows], after[rows]), test.subset(rows)


def runs():
    """What the check trains, one after another: (words, encoder, loss, test set, settings)."""
    _, trained, _, few = rehearsal()
    yield DOUBTFUL, small_encoder(), twins, few, SHORT
    yield LEARNS, small_encoder(), twins, data()[1], LONG
    words = "a trained encoder, 10 steps of agreement alone at a high learning rate"
    yield words, copy.deepcopy(trained), F.mse_loss, data()[1], {**SHORT, "lr": 1.0}


class Watched:
    """A loss that remembers the sizes of the views that it was given, and how often they were equal."""

    def __init__(self, loss):
        self.loss, self.sizes, self.equal = loss, [], 0

    def __call__(self, first, second):
        self.sizes.append(len(first))
        self.equal += bool(torch.allclose(first, second, atol=1e-6))
        return self.loss(first, second)


def show_beats_start(student):
    """Draw the kNN accuracies of one short run, and the verdicts on two: target and answer."""
    problem, got = None, []
    with one_thread(), torch.random.fork_rng(devices=[]):
        target = rehearsal()[2], rehearsal()[0]
        try:
            with patience(NAME, seconds=SECONDS):
                for words, encoder, loss, test, settings in islice(runs(), 2):
                    torch.manual_seed(0)  # of the projector
                    got.append(call(NAME, student, (encoder, loss, data()[0], test, dict(settings)), words))
        except CheckFailed as error:
            problem = error

    def yours(run, place):
        if problem is not None:
            raise problem
        return got[run][place]

    cases = {
        LEARNS: [("before", (1, 0)), ("after", (1, 1))],
        "does it beat its start?": [("100 test images", (0, 2)), ("300 test images", (1, 2))],
    }
    labels = [("moment", "kNN accuracy"), ("run", "1 yes, 0 no")]
    see = "both runs gain, and on the 100 images the gain is too small for its error: the first verdict is 0."
    line_and_yours(NAME, yours, lambda run, place: target[run][place], cases, labels, see)


def check_training(case, loss, settings, encoder, old):
    """How the student trained: on two views of each image, for all steps, and the encoder that was given."""
    batch, steps = settings["batch_size"], settings["steps"]
    if not loss.sizes:
        fail(NAME, case, "the loss was never computed", "training", "train TwoViews(encoder, loss) with `fit`")
    if loss.sizes[0] != batch or loss.equal:
        hint = (
            "the loss needs two DIFFERENT views of each image: give augment=two_views to `fit`. Without it, TwoViews "
            "takes the first and the second half of the batch, different images, for two views"
        )
        shown = "two equal views" if loss.equal else f"views of {loss.sizes[0]} images"
        fail(NAME, case, shown, f"two different views of {batch} images", hint)
    if len(loss.sizes) != steps:
        hint = "give all settings to `fit`, as in fit(..., **settings), and train once"
        fail(NAME, case, f"{len(loss.sizes)} steps", f"{steps} steps", hint)
    if all(torch.equal(a, b) for a, b in zip(encoder.parameters(), old.parameters(), strict=True)):
        hint = "train the encoder that you were given, not a copy of it: the caller keeps it"
        fail(NAME, case, "the encoder is as it was before", "a trained encoder", hint)


def check_answer(case, answer):
    """Three values: two accuracies and True or False."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 3:
        hint = "is there a `return`?" if answer is None else "return three values: before, after, beats"
        fail(NAME, case, describe(answer), "(before, after, beats)", hint)
    for place, name in enumerate(("before", "after", "beats")):
        value = answer[place]
        if not isinstance(value, (bool, int, float)) and not (isinstance(value, torch.Tensor) and value.numel() == 1):
            hint = "before and after are accuracies, one number each, and beats is True or False"
            fail(NAME, case, f"{name} = {describe(value)}", "a single value", hint)


def check_accuracies(case, answer, encoder, old, train, test):
    """Both accuracies must be those that the encoder had before, and has after. Returns the verdict they allow.

    train, test: ImageData, images [N, 3, H, W].
    """
    truth = verdict(right(old, train, test), right(encoder, train, test))
    for place, model in enumerate((old, encoder)):
        when = ("before", "after")[place]
        mine, wanted = float(answer[place]), truth[place]
        if abs(mine - wanted) < 1e-6:
            continue
        if abs(mine - truth[1 - place]) < 1e-6:
            other = ("after", "before")[place]
            hint = (
                f"this is the accuracy {other} the training: `fit` changes the encoder, so measure before and after it"
            )
        elif abs(mine - right(model, train, train).double().mean().item()) < 1e-6:
            hint = f"`{when}` is the accuracy on the TRAINING images: fit the probe to `train`, score it on `test`"
        else:
            hint = f"`{when}` is the kNN accuracy on `test` of the encoder's features, with the neighbours from `train`"
        fail(NAME, case, f"{when} = {mine:.3f}", f"{wanted:.3f}", hint)
    return truth


def check_verdict(case, answer, truth):
    """The verdict must be what was measured, with an error bar."""
    before, after, beats = truth
    if bool(answer[2]) == beats:
        return
    shown = f"beats = {bool(answer[2])}, with {before:.3f} before and {after:.3f} after"
    if beats:
        hint = "the gain exceeds two standard errors, so the trained encoder does beat its start"
    elif after <= before:
        hint = "the trained encoder is not better here: a change for the worse is no gain, however large"
    else:
        hint = "the gain is less than two standard errors: on so few images it may be luck. Use paired_error"
    fail(NAME, case, shown, f"beats = {beats}", hint)


def beats_start(student):
    """Check exercise 4, `beats_start(encoder, loss, train, test, settings)`, on what its own runs did.

    Raises CheckFailed.
    """
    with one_thread(), torch.random.fork_rng(devices=[]), patience(NAME, seconds=SECONDS):
        if not callable(student):
            fail(NAME, got=describe(student), expected="a function")
        for case, encoder, loss, test, settings in runs():
            train, old, watched = data()[0], copy.deepcopy(encoder), Watched(loss)
            torch.manual_seed(0)  # of the projector
            answer = call(NAME, student, (encoder, watched, train, test, dict(settings)), case)
            check_training(case, watched, settings, encoder, old)
            check_answer(case, answer)
            check_verdict(case, answer, check_accuracies(case, answer, encoder, old, train, test))
    passed(NAME, "what it says agrees with what its three runs measured")
