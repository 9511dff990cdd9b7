"""Two questions about a trained submission: did it use labels, and did it use the seed? Both train it once more.

labels   same seed, same images, other false labels: every weight must be the same, bit for bit
seed     another seed, for a quarter of the steps: the weights must be others. The cosine between the weights of
         two runs that began from independent random numbers is near 0; of weights that come from a file, near 1
"""

import torch

from minijepa.contest.process import train
from minijepa.contest.submission import Refused
from minijepa.contest.tracks import seed_for

MOST_ALIKE = 0.5  # the cosine between the weights of runs with two seeds


def same_bits(one, other):
    """The names of weights that differ between two dicts of tensors, in any bit (so that nan equals nan)."""
    names = sorted(set(one) | set(other))
    return [name for name in names if not (name in one and name in other and bits(one[name]) == bits(other[name]))]


def bits(tensor):
    """Shape, type and bytes of a tensor [...]."""
    return tuple(tensor.shape), tensor.dtype, tensor.contiguous().numpy().tobytes()


def check_labels(first, text, track, seed, salt, limits):
    """Refuse a submission whose weights change when the false labels do. first: its Run with other false labels."""
    second = train(text, track, seed, salt, limits)
    differ = same_bits(first.final, second.final)
    if not differ:
        return
    third = train(text, track, seed, salt, limits)  # as the second: which of two reasons is it?
    if same_bits(second.final, third.final):
        raise Refused(
            f"two runs of the same seed differ ({len(differ)} tensors), also with the same labels: draw every random "
            f"number from torch's, numpy's or Python's default generator, or from the generator that is passed in"
        )
    raise Refused(
        f"the weights depend on the labels: with other labels {len(differ)} of {len(first.final)} tensors changed. A "
        f"submission may use the images alone; labels here are random numbers, so they teach nothing"
    )


def check_seed(first, text, track, seed, salt, limits):
    """Refuse a submission whose weights after a quarter of the steps are alike for two seeds. first: its Run."""
    other = train(text, track, seed + 1, salt, limits, until="quarter")
    alike = cosine(first.quarter, other.quarter, drawn(track, seed))
    if alike > MOST_ALIKE:
        raise Refused(
            f"the seed is ignored: the weights of two seeds have a cosine of {alike:.2f}, expected below {MOST_ALIKE}. "
            f"Train the encoder that `model` is handed, and load or reseed nothing"
        )


def drawn(track, seed):
    """The names of the weights that are drawn at random at the start, and so differ between two seeds."""
    one, other = (named(track.parts(seed_for("run", each))) for each in (seed, seed + 1))
    return [name for name in one if cosine(one, other, [name]) < MOST_ALIKE and one[name].ndim > 1]


def named(parts):
    """All tensors of a dict of modules, by name."""
    return {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}


def cosine(one, other, names):
    """The cosine between two sets of weights, those of `names` as one long vector each; a float from -1 to 1."""
    a, b = (torch.cat([weights[name].double().flatten() for name in names]) for weights in (one, other))
    return float(a @ b / (a.norm() * b.norm()).clamp(min=1e-30))


def rebuilt(run, track, seed):
    """The course's own modules with the weights of a run. Raises Refused if they do not fit, or are no numbers."""
    parts = track.parts(seed_for("run", seed))
    expected = {name: tuple(value.shape) for name, value in named(parts).items()}
    found = {name: tuple(value.shape) for name, value in run.final.items()}
    if found != expected:
        odd = sorted(set(found.items()) ^ set(expected.items()))[0][0]
        raise Refused(
            f"the weights do not fit: {odd} is {found.get(odd)}, expected {expected.get(odd)}. Train the parts that "
            f"`model` is handed, and keep their shapes"
        )
    broken = [name for name, value in run.final.items() if not value.isfinite().all()]
    if broken:
        raise Refused(f"{broken[0]} holds values that are no numbers: lower lr, or lengthen warmup")
    for name, part in parts.items():
        part.load_state_dict({key: run.final[f"{name}.{key}"] for key in part.state_dict()})
        part.eval().requires_grad_(False)
    return parts
