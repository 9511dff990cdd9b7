"""The bouncing body against a slow loop, and matched pairs: equal until the event, different from it on."""

import pytest
import torch
from helpers import planted
from hypothesis import given, settings
from hypothesis import strategies as st

from minijepa.worlds import HIDDEN, LESS_MOTION, OUTCOMES, VIOLATIONS, Clips, Physics, physics


def bounce(place, speed, low, up):
    """The slow way: a hundred small steps that turn round at the ends, in one dimension."""
    small = speed / 100
    for _ in range(100):
        if not low <= place + small <= up:
            small = -small
        place += small
    return place, small * 100


def check_dynamics(module):
    """Against small steps: positions up to what a hundredth of a step can change, velocities exactly."""
    world = module.Physics()
    clips = world.clips(12, seed=3)
    turned = 0
    walls, places, speeds = clips.wall.tolist(), clips.position.tolist(), clips.velocity.tolist()
    for n in range(12):
        for t in range(15):
            for axis, up in ((0, walls[n] - world.radius), (1, 1 - world.radius)):
                place, speed = places[n][t][axis], speeds[n][t][axis]
                wanted, after = bounce(place, speed, world.radius, up)
                assert abs(places[n][t + 1][axis] - wanted) < 2.1 * abs(speed) / 100 + 1e-5, (n, t, axis)
                assert abs(speeds[n][t + 1][axis] - after) < 1e-5, (n, t, axis)
                turned += after * speed < 0
    assert turned > 5


def check_picture(module):
    """Pixel by pixel: who covers whom."""
    world = module.Physics(size=12)
    clips = world.clips(3, seed=1)
    clips.present[0] = False
    images = clips.frames()
    for n in range(3):
        left, right = clips.occluder[n].tolist()
        for t in (0, 4, 9):
            for row in range(12):
                for column in range(12):
                    x, y = (column + 0.5) / 12, 1 - (row + 0.5) / 12
                    away = ((x - clips.position[n, t, 0]) ** 2 + (y - clips.position[n, t, 1]) ** 2) ** 0.5
                    body = min(max(float(world.radius - away) * 12 + 0.5, 0), 1) * float(clips.present[n, t])
                    colour = [0.0, 0.0, 0.0]
                    if abs(x - clips.wall[n]) <= 0.5 / 12:
                        colour = [1.0, 1.0, 1.0]
                    elif left <= x <= right:
                        colour = [0.0, 1.0, 0.0]
                    else:
                        colour[2 if clips.colour[n, t] else 0] = body
                    got = images[n, t, :, row, column]
                    assert torch.allclose(got, torch.tensor(colour), atol=1e-4), (n, t, row, column)


def check_hidden(module):
    """`hidden` says what the picture says: no red pixel and no blue one beyond those of the wall."""
    clips = module.Physics().clips(60, seed=2)
    red, green, blue = clips.frames().unbind(dim=2)
    body = ((red + blue > 0) & (green == 0)).flatten(2).any(dim=2)
    assert not body[clips.hidden()].any() and clips.hidden().any()


def motion(clips):
    return (clips.frames().diff(dim=1)).abs().sum(dim=(1, 2, 3, 4))


def check_pairs(module, violation, count=24, seed=0):
    """Equal before the event, different in it; and the violation is the one that is named, and nothing else."""
    world = module.Physics()
    possible, impossible, event = world.pairs(violation, count, seed)
    a, b = possible.frames(), impossible.frames()
    assert len(a) == len(b) == len(event) == count and not torch.equal(a[0], a[1])
    for n in range(count):
        e = int(event[n])
        assert 5 <= e <= 12 and torch.equal(a[n, :e], b[n, :e]) and not torch.equal(a[n, e], b[n, e])
        assert (a[n] - b[n]).abs().max() > 0.2  # and this can be seen
        start = [each[n : n + 1, 0] for each in (possible.position, possible.velocity, possible.colour)]
        again = world.run((*start, possible.occluder[n : n + 1], possible.wall[n : n + 1]))
        assert torch.allclose(again.position[0], possible.position[n], atol=1e-6)  # the possible clip breaks no rule
        assert possible.present[n].all() and (possible.colour[n] == possible.colour[n, 0]).all()
    jumps = impossible.position.diff(dim=1).abs()
    if violation == "vanish":
        assert not impossible.present[:, -1].any()
    else:
        assert impossible.present.all()
    assert (impossible.colour[:, -1] != impossible.colour[:, 0]).all() == (violation == "change")
    if violation == "wall":
        assert (impossible.position[..., 0].amax(dim=1) > impossible.wall).all()
    else:
        assert (impossible.position[..., 0] <= impossible.wall[:, None] - world.radius + 1e-5).all()
    if violation == "freeze":
        assert (impossible.velocity[:, -1] == 0).all()
        assert all(jumps[n, event[n] - 1 :].max() == 0 for n in range(count))
    if violation == "elsewhere":
        assert (jumps[..., 1].amax(dim=1) > 0.2).all() and (jumps[..., 0] < 0.081).all()
    elif violation == "teleport":
        away = (impossible.position - possible.position).norm(dim=-1)
        assert (away[torch.arange(count), event] >= 0.25 - 1e-5).all()
        assert world.is_clear(impossible.position, impossible.occluder[:, None])[torch.arange(count), event].all()
    else:
        assert (jumps < 0.081).all()
    if violation in HIDDEN:  # when it happens the body is out of sight
        changes = {
            "vanish": impossible.present[:, :-1] & ~impossible.present[:, 1:],
            "change": impossible.colour.diff(dim=1) != 0,
            "elsewhere": jumps[..., 1] > 0.2,
        }[violation]  # [N, T - 1]
        covered = world.is_hidden(possible.position, possible.occluder[:, None])
        assert (changes.sum(dim=1) == 1).all() and (covered[:, 1:] & covered[:, :-1])[changes].all()
    if violation in LESS_MOTION:
        assert motion(impossible).mean() < 0.8 * motion(possible).mean()


def check_futures(module):
    world = module.Physics()
    futures = world.futures(3000, seed=4)
    rows = torch.arange(3000)
    for k, turn in enumerate((1, 0, -1)):
        clips = futures.clips[k]
        at_out = clips.position[rows, futures.out]
        assert (((at_out[:, 1] - clips.position[:, 0, 1]) * turn >= 0.1) | (turn == 0)).all()
        assert (at_out[:, 0] - clips.occluder[:, 1] > world.radius / 2 - 1e-6).all()
        assert torch.equal(clips[:20].frames()[:, :3], futures.clips[0][:20].frames()[:, :3])
        fraction = (futures.outcome == k).double().mean()
        assert abs(fraction - OUTCOMES[k]) < 4 * (OUTCOMES[k] * (1 - OUTCOMES[k]) / 3000) ** 0.5
    seen = futures.observed()
    assert all(torch.equal(seen.position[n], futures.clips[int(futures.outcome[n])].position[n]) for n in range(20))
    # what is seen before does not tell the outcome: the mean heights agree
    start = seen.position[:, 0, 1]
    means = [start[futures.outcome == k].mean() for k in range(3)]
    assert max(means) - min(means) < 0.02
    # the turn happens out of sight
    for turn, clips in zip((1, 0, -1), futures.clips, strict=True):
        first = clips.velocity[..., 1].ne(0).to(torch.int8).argmax(dim=1)
        turned = clips.velocity[..., 1].ne(0).any(dim=1)
        assert clips.hidden()[rows, first][turned].all() and (turned == (turn != 0)).all()


def checks():
    """Name -> check of a module."""
    pairs = {v: lambda module, v=v: check_pairs(module, v) for v in VIOLATIONS}
    return {
        "dynamics": check_dynamics,
        "picture": check_picture,
        "hidden": check_hidden,
        **pairs,
        "futures": check_futures,
    }


BUGS = {
    "the velocity does not turn": ("dynamics", "torch.where(over | under, -velocity, velocity)", "velocity"),
    "reflected at the wall's middle": ("dynamics", "[high - low,", "[high,"),
    "clamped, not reflected": ("dynamics", "torch.where(over, 2 * up - moved,", "torch.where(over, up,"),
    "the body in front of the occluder": ("picture", " * present * ~front", " * present"),
    "pictures upside down": ("picture", "pixel.flip(0)[:, None]", "pixel[:, None]"),
    "absent bodies are drawn": ("picture", " * present * ~front", " * ~front"),
    "hidden without the radius": ("hidden", "position[..., 0] - reach >= occluder", "position[..., 0] >= occluder"),
    "vanishes in full sight": (
        "vanish",
        "fits[:, 1:-1] = hidden[:, 1:-1] & hidden[:, :-2]",
        "fits[:, 1:-1] = clear[:, 1:-1]",
    ),
    "vanishes for one frame only": ("vanish", "present = present & ~now", "present = ~now"),
    "the body slows down only": (
        "freeze",
        "torch.where(now[:, None], 0.0, velocity)",
        "torch.where(now[:, None], 0.3 * velocity, velocity)",
    ),
    "elsewhere is near": ("elsewhere", "shift = 0.3 +", "shift = 0.05 +"),
    "teleports behind the occluder": ("teleport", "good = self.is_clear(tries, occluder) &", "good ="),
    "the possible clip has the event": (
        "change",
        "possible = self.run(start)\n",
        "possible = self.run(start, 'freeze', torch.full((256,), 13))\n",
    ),
    "every deflection is equally likely": (
        "futures",
        "torch.multinomial(torch.tensor(OUTCOMES)",
        "torch.multinomial(torch.ones(3)",
    ),
    "the outcome is always up": ("futures", "part[torch.arange(len(part)), self.outcome]", "part[:, 0]"),
    "deflected in sight": (
        "futures",
        "met = self.is_hidden(p, occluder) & ~before",
        "met = (p[:, 0] > 0.3) & ~before",
    ),
}


@pytest.mark.parametrize("name", checks())
def test_the_world_is_what_the_loops_say(name):
    checks()[name](physics)


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_planted_into_the_world_is_caught(bug):
    check, old, new = BUGS[bug]
    with pytest.raises((AssertionError, ValueError)):
        checks()[check](planted(physics, old, new))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(VIOLATIONS), st.integers(0, 10_000))
def test_matched_pairs_part_at_the_event(violation, seed):
    possible, impossible, event = Physics().pairs(violation, 6, seed)
    for a, b, e in zip(possible.frames(), impossible.frames(), event.tolist(), strict=True):
        assert torch.equal(a[:e], b[:e]) and not torch.equal(a[e], b[e])


def test_seeds_fix_all_and_streams_are_apart():
    world = Physics()
    first, again = world.pairs("elsewhere", 10, 5), world.pairs("elsewhere", 10, 5)
    assert torch.equal(first.impossible.position, again.impossible.position)
    starts = [world.clips(500, seed).position[:, 0] for seed in range(3)]
    starts += [world.pairs(v, 50, seed).possible.position[:, 0] for seed in range(3) for v in ("vanish", "wall")]
    everything = torch.cat(starts[:3]), torch.cat(starts[3:])
    assert torch.cdist(*everything).min() > 0  # no start of a pair was seen in training, whatever the seeds


def test_a_batch_equals_its_clips_and_stays_in_the_room():
    clips = Physics().clips(20, seed=8)
    batch = clips.batch(torch.tensor([3, 17]))
    assert batch.shape == (2, 16, 3, 24, 24) and 0 <= batch.min() and batch.max() <= 1
    assert torch.equal(batch[1], clips[torch.tensor([17])].frames()[0]) and len(clips) == 20
    assert isinstance(clips[:3], Clips)
    assert (clips.position >= 0.09 - 1e-6).all() and (clips.position[..., 0] <= clips.wall[:, None] - 0.09 + 1e-6).all()


def test_an_unknown_violation_is_named():
    with pytest.raises(ValueError, match="no violation is called 'melt'; there are vanish"):
        Physics().pairs("melt", 2)
    with pytest.raises(ValueError, match="hardly a scene has an occasion for 'vanish' in 6 frames"):
        Physics(length=6).pairs("vanish", 2)


def test_the_world_uses_no_global_randomness():
    state = torch.random.get_rng_state()
    Physics().pairs("teleport", 4)
    Physics().futures(4)
    assert torch.equal(state, torch.random.get_rng_state())
