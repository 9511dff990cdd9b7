"""The predictor of V-JEPA 2-AC against the published arithmetic, written out here token by token; its mask, its loss.

`published` is that arithmetic: plain loops over the raw tensors, under the names of the released checkpoint, in
float64. It was written from the description of the layout and shares no code with the package.
"""

import math

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

import minijepa.planning.ac_predictor as ac_predictor
import minijepa.planning.ac_world_model as ac_world_model
from minijepa import fit
from minijepa.planning import ACPredictor, ACWorldModel, Trajectories, Trajectory, encode_frames
from minijepa.vit import Attention, Block, ViT

DIM, GRID, HEADS, STEPS = 10, (2, 2), 3, 3


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def same(ours, expected):
    torch.testing.assert_close(ours.double(), expected.double(), atol=1e-4, rtol=1e-4)


# --- the published arithmetic ---


def linear(tensors, name, x):
    return tensors[f"{name}.weight"].double() @ x + tensors[f"{name}.bias"].double()


def layer_norm(tensors, name, x):
    centred = x - x.mean()
    scaled = centred / (centred.square().mean() + 1e-6).sqrt()
    return scaled * tensors[f"{name}.weight"].double() + tensors[f"{name}.bias"].double()


def turned(x, place):
    """One axis of a query or key, as released: frequencies tiled (w_0 w_1 ... w_0 w_1 ...), neighbours turned."""
    half, out = len(x) // 2, torch.empty_like(x)
    for i in range(len(x)):
        angle = place * 10_000.0 ** (-(i % half) / half)
        partner = -x[i + 1] if i % 2 == 0 else x[i - 1]
        out[i] = x[i] * math.cos(angle) + partner * math.sin(angle)
    return out


def published(tensors, z, actions, states, extrinsics=None, heads=HEADS, grid=GRID):
    """z [T N, D], actions [T, A], states [T, S], extrinsics [T, E] or None -> [T N, D], of one sequence."""
    rows, columns = grid
    tokens, places = [], []  # places: (step, row, column), None for what is not rotated
    for t in range(len(actions)):
        tokens += [linear(tensors, "action_encoder", actions[t]), linear(tensors, "state_encoder", states[t])]
        if extrinsics is not None:
            tokens.append(linear(tensors, "extrinsics_encoder", extrinsics[t]))
        places += [(t, None, None)] * (2 if extrinsics is None else 3)
        for n in range(rows * columns):
            tokens.append(linear(tensors, "predictor_embed", z[t * rows * columns + n]))
            places.append((t, n // columns, n % columns))
    head = len(tokens[0]) // heads
    axis = 2 * ((head // 3) // 2)
    depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("predictor_blocks."))
    for block in (f"predictor_blocks.{i}" for i in range(depth)):
        triples = [linear(tensors, f"{block}.attn.qkv", layer_norm(tensors, f"{block}.norm1", x)) for x in tokens]
        mixed = [[] for _ in tokens]
        for h in range(heads):
            q, k, v = ([triple.view(3, heads, head)[which, h].clone() for triple in triples] for which in range(3))
            for i, place in enumerate(places):
                for number, at in enumerate(place):
                    if at is not None:
                        part = slice(number * axis, (number + 1) * axis)
                        q[i][part], k[i][part] = turned(q[i][part], at), turned(k[i][part], at)
            for i in range(len(tokens)):
                visible = [j for j in range(len(tokens)) if places[j][0] <= places[i][0]]
                scores = torch.stack([q[i] @ k[j] / math.sqrt(head) for j in visible])
                weights = scores.exp() / scores.exp().sum()
                mixed[i].append(sum(w * v[j] for w, j in zip(weights, visible, strict=True)))
        tokens = [x + linear(tensors, f"{block}.attn.proj", torch.cat(m)) for x, m in zip(tokens, mixed, strict=True)]
        for i, x in enumerate(tokens):
            hidden = linear(tensors, f"{block}.mlp.fc1", layer_norm(tensors, f"{block}.norm2", x))
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))  # GELU
            tokens[i] = x + linear(tensors, f"{block}.mlp.fc2", hidden)
    patches = [x for x, (_, row, _) in zip(tokens, places, strict=True) if row is not None]
    return torch.stack([linear(tensors, "predictor_proj", layer_norm(tensors, "predictor_norm", x)) for x in patches])


def drawn(dim=DIM, width=42, depth=2, seed=0):
    """Random tensors in the published layout. The shapes are those of the release, made small.

    A head has 14 channels: two frequencies on each of three axes, and two channels that are not rotated.
    """
    shapes = {"predictor_embed": (width, dim), "action_encoder": (width, 7), "state_encoder": (width, 7)}
    shapes |= {"extrinsics_encoder": (width, 6), "predictor_proj": (dim, width)}
    for i in range(depth):
        block = f"predictor_blocks.{i}"
        shapes |= {f"{block}.attn.qkv": (3 * width, width), f"{block}.attn.proj": (width, width)}
        shapes |= {f"{block}.mlp.fc1": (4 * width, width), f"{block}.mlp.fc2": (width, 4 * width)}
    tensors, generator = {}, seeded(seed)
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = 1.5 * torch.randn(shape, generator=generator) * shape[1] ** -0.5
        tensors[f"{name}.bias"] = 0.2 * torch.randn(shape[0], generator=generator)
    norms = [f"predictor_blocks.{i}.norm{n}" for i in range(depth) for n in (1, 2)]
    for name in (*norms, "predictor_norm"):
        tensors[f"{name}.weight"] = 1 + 0.3 * torch.randn(width, generator=generator)
        tensors[f"{name}.bias"] = 0.2 * torch.randn(width, generator=generator)
    return tensors


def inputs(steps=STEPS, seed=1):
    """One sequence of T steps: z, actions, states, extrinsics, in float64."""
    n = GRID[0] * GRID[1]
    return (normal(steps * n, DIM, seed=seed), normal(steps, 7, seed=seed + 1), normal(steps, 7, seed=seed + 2),
            normal(steps, 6, seed=seed + 3))  # fmt: skip


def ours(module=ac_predictor, **changes):
    """An ACPredictor with the tensors that `drawn` gives."""
    settings = dict(width=42, depth=2, heads=HEADS, extrinsics_dim=6, positions="rotary_published") | changes
    model = module.ACPredictor(DIM, GRID, **settings)
    model.load_state_dict({name.removeprefix("predictor_"): tensor for name, tensor in drawn().items()})
    return model.double().eval().requires_grad_(False)


# --- predictor and mask ---


def check_mask(module=ac_predictor):
    for steps, tokens in ((1, 3), (2, 1), (3, 4)):
        mask = module.block_causal_mask(steps, tokens)
        assert mask.dtype == torch.bool and mask.shape == (steps * tokens, steps * tokens)
        for i in range(steps * tokens):
            for j in range(steps * tokens):
                assert mask[i, j] == (j // tokens <= i // tokens), (steps, tokens, i, j)


def check_published(module=ac_predictor):
    """The whole sequence and each beginning of it, without and with the camera's token."""
    model, (z, actions, states, camera) = ours(module), inputs()
    n = GRID[0] * GRID[1]
    whole = model(z[None], actions[None], states[None])[0]
    for t in range(1, STEPS + 1):
        expected = published(drawn(), z[: t * n], actions[:t], states[:t])
        same(model(z[None, : t * n], actions[None, :t], states[None, :t])[0], expected)
        same(whole[: t * n], expected)  # what comes later changes nothing
    expected = published(drawn(), z, actions, states, camera)
    same(model(z[None], actions[None], states[None], camera[None])[0], expected)
    assert (expected - whole).abs().max() > 0.1  # the camera is heard


def test_the_mask_is_the_double_loop():
    check_mask()


def test_equal_to_the_published_arithmetic_full_and_step_by_step():
    check_published()


def test_each_of_a_batch_is_predicted_as_if_alone():
    model, a, b = ours(), inputs(seed=1), inputs(seed=11)
    both = model(*(torch.stack(pair) for pair in zip(a[:3], b[:3], strict=True)))
    same(both[1], model(*(x[None] for x in b[:3]))[0])


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 4), st.data())
def test_nothing_of_the_future_is_heard_and_all_of_the_past_is(steps, data):
    t = data.draw(st.integers(0, steps - 1))
    rows, columns = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    torch.manual_seed(0)
    model, n = ACPredictor(5, (rows, columns), width=18, heads=3, action_dim=2, state_dim=1).double(), rows * columns
    z, actions, states = normal(1, steps * n, 5), normal(1, steps, 2, seed=1), normal(1, steps, 1, seed=2)
    before = model(z, actions, states).view(steps, n, 5)
    for which in range(3):
        changed = [z.clone(), actions.clone(), states.clone()]
        changed[which].view(steps, -1)[t] += 1
        difference = (model(*changed).view(steps, n, 5) - before).abs().amax(dim=2)  # [T, N]
        assert difference[:t].eq(0).all() and (difference[t:] > 1e-9).all()


def test_a_predictor_without_states_and_what_it_refuses():
    free = ACPredictor(5, GRID, width=18, heads=3, action_dim=2, state_dim=0)
    z, actions = torch.randn(2, 8, 5), torch.randn(2, 2, 2)
    assert free(z, actions).shape == (2, 8, 5) and torch.equal(free(z, actions), free(z, actions, torch.zeros(2, 2, 0)))
    with pytest.raises(ValueError, match="no encoder of extrinsics.*extrinsics_dim"):
        free(z, actions, extrinsics=torch.randn(2, 2, 6))
    with pytest.raises(ValueError, match="3 actions need the 12 tokens of 3 frames of 4 patches, got 8"):
        free(z, torch.randn(2, 3, 2))
    with pytest.raises(ValueError, match="give states"):
        ACPredictor(5, GRID, width=18, heads=3)(z, torch.randn(2, 2, 7))
    with pytest.raises(ValueError, match='"rotary" or "rotary_published", got \'sincos\''):
        ACPredictor(5, GRID, positions="sincos")


def test_parameters_of_the_released_size():
    """24 blocks of width 1,024 on tokens of 1,408 numbers: counted by hand."""
    with torch.device("meta"):
        model = ACPredictor(1408, (16, 16), width=1024, depth=24, heads=16, extrinsics_dim=6)
    w, d = 1024, 1408
    block = (3 * w * w + 3 * w) + (w * w + w) + (4 * w * w + 4 * w) + (4 * w * w + w) + 4 * w
    ends = (d * w + w) + 2 * (7 * w + w) + (6 * w + w) + 2 * w + (w * d + d)
    assert sum(p.numel() for p in model.parameters()) == 24 * block + ends


def test_a_masked_block_gives_no_weight_to_what_it_may_not_see():
    torch.manual_seed(0)
    attention, block, x = Attention(12, 2), Block(12, 2), torch.randn(2, 5, 12)
    mask = torch.rand(5, 5, generator=seeded(0)) < 0.5
    mask |= torch.eye(5, dtype=torch.bool)
    weights = attention.weights(x, mask=mask)
    assert weights[..., ~mask].eq(0).all() and (weights[..., mask] > 0).all()
    full = attention.weights(x) * mask  # a softmax over fewer is the full one, divided again
    torch.testing.assert_close(weights, full / full.sum(dim=-1, keepdim=True))
    everything = torch.ones(5, 5, dtype=torch.bool)
    assert torch.equal(block(x), block(x, mask=everything)) and not torch.allclose(block(x), block(x, mask=mask))


# --- the objective ---


def trajectory(steps=4, batch=2, seed=0):
    n = GRID[0] * GRID[1]
    return Trajectory(3 + 2 * normal(batch, steps * n, DIM, seed=seed), normal(batch, steps - 1, 7, seed=seed + 1),
                      normal(batch, steps, 7, seed=seed + 2))  # fmt: skip


def centred(x):
    """LayerNorm without parameters, from its definition."""
    x = x - x.mean(dim=-1, keepdim=True)
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()


def slow_loss(predictor, batch, auto_steps, first=1):
    """Both terms, one frame after the other. first: which forced prediction begins the rollout (the frame minus 1)."""
    n, steps = GRID[0] * GRID[1], batch.actions.shape[1]
    frames = [centred(frame) for frame in batch.frames.split(n, dim=1)]

    def after(known):  # the known frames [B, N, D] -> the next one
        t = len(known)
        out = predictor(torch.cat(known, dim=1), batch.actions[:, :t], batch.states[:, :t])
        return centred(out[:, -n:])

    forced = [after(frames[: t + 1]) for t in range(steps)]
    rolled = [frames[0], forced[first - 1]]
    while len(rolled) < 1 + auto_steps:
        rolled.append(after(rolled))
    by_force = sum((a - b).abs().mean() for a, b in zip(forced, frames[1:], strict=True)) / steps
    pairs = list(zip(rolled[1:], frames[1:], strict=False))[:auto_steps]
    return by_force + sum((a - b).abs().mean() for a, b in pairs) / auto_steps


def check_objective(module=ac_world_model):
    for auto_steps, steps in ((1, 3), (2, 4), (3, 4)):
        predictor, batch = ours(), trajectory(steps)
        output = module.ACWorldModel(predictor, auto_steps=auto_steps)(batch)
        same(output.loss, slow_loss(predictor, batch, auto_steps))
        assert abs(output.loss - output.terms["forced"] - output.terms["rolled"]) < 1e-9
        for tokens in (output.forced, output.rolled):  # each predicted token has mean 0 and variance 1
            assert tokens.mean(dim=-1).abs().max() < 1e-6 and (tokens.var(dim=-1, correction=0) - 1).abs().max() < 1e-3
        copied = [centred(x) for x in batch.frames.split(4, dim=1)]
        expected = sum((a - b).abs().mean() for a, b in zip(copied, copied[1:], strict=False)) / (steps - 1)
        same(output.terms["copying"], expected)


def check_gradient(module=ac_world_model):
    """The slope of the loss along a random direction of all parameters against differences, rollout included."""
    predictor, batch = ours().requires_grad_(True), trajectory()
    model, generator = module.ACWorldModel(predictor, auto_steps=3), seeded(5)
    grads = torch.autograd.grad(
        model(batch).loss, [p for name, p in predictor.named_parameters() if "extr" not in name]
    )
    heard = [p for name, p in predictor.named_parameters() if "extr" not in name]
    ways = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in heard]
    slope, losses, size = sum((g * w).sum() for g, w in zip(grads, ways, strict=True)), [], 1e-7
    with torch.no_grad():
        for sign in (1, -2):
            for p, w in zip(heard, ways, strict=True):
                p += sign * size * w
            losses.append(model(batch).loss)
    same(slope, (losses[0] - losses[1]) / (2 * size))


def check_rollout(module=ac_world_model):
    """From one known frame and from two: each further frame comes from what was imagined before."""
    predictor, batch = ours(), trajectory()
    model, n = module.ACWorldModel(predictor), GRID[0] * GRID[1]
    z, actions, states = centred(batch.frames), batch.actions, batch.states[:, :-1]
    for known in (1, 2):
        path = z[:, : known * n]
        for t in range(known, 4):
            path = torch.cat([path, centred(predictor(path, actions[:, :t], states[:, :t])[:, -n:])], dim=1)
        same(model.rollout(z[:, : known * n], actions, states), path[:, known * n :])


def test_the_loss_is_the_one_of_the_loops():
    check_objective()


def test_gradients_flow_through_the_rollout():
    check_gradient()


def test_the_rollout_feeds_itself():
    check_rollout()


def test_the_rollout_of_the_first_release_is_another_one():
    """It began with frame 1 and the forced prediction of frame 3: the loss tells the two from each other."""
    predictor, batch = ours(), trajectory()
    loss = ACWorldModel(predictor)(batch).loss
    same(loss, slow_loss(predictor, batch, 2, first=1))
    assert (loss - slow_loss(predictor, batch, 2, first=2)).abs() > 0.01


def test_what_the_objective_refuses():
    with pytest.raises(ValueError, match="auto_steps must be 1 or more.*got 0"):
        ACWorldModel(ours(), auto_steps=0)
    with pytest.raises(ValueError, match="rollout of 4 frames needs as many actions, got 3: lower auto_steps"):
        ACWorldModel(ours(), auto_steps=4)(trajectory())
    with pytest.raises(ValueError, match=r"frames \[2, 8, 3\], actions \[3, 1, 7\]"):
        Trajectories(torch.zeros(2, 8, 3), torch.zeros(3, 1, 7))


def test_frames_are_encoded_one_by_one():
    torch.manual_seed(0)
    frames = torch.randn(2, 3, 4, 8, 8, generator=seeded(0))
    image = ViT((8, 8), (4, 4), dim=12, depth=1, heads=2).eval()
    clip = ViT((2, 8, 8), (2, 4, 4), dim=12, depth=1, heads=2, positions="rotary").eval()
    by_image, by_clip = encode_frames(image, frames), encode_frames(clip, frames)
    for b in range(2):
        for t in range(4):
            frame = frames[b : b + 1, :, t]
            torch.testing.assert_close(by_image[b, 4 * t : 4 * t + 4], image(frame)[0])
            torch.testing.assert_close(by_clip[b, 4 * t : 4 * t + 4], clip(torch.stack([frame, frame], dim=2))[0])


class Frames(torch.nn.Module):
    """An encoder of frames as `encode` may be."""

    def __init__(self):
        super().__init__()
        self.vit = ViT((8, 8), (4, 4), dim=12, depth=1, heads=2)

    def forward(self, frames):
        return encode_frames(self.vit, frames)


def test_fit_trains_the_predictor_and_leaves_the_encoder_as_it_is():
    torch.manual_seed(0)
    model = ACWorldModel(ACPredictor(12, GRID, width=18, depth=1, heads=3, action_dim=2, state_dim=1), Frames())
    before = {name: p.clone() for name, p in model.named_parameters()}
    data = Trajectories(torch.randn(6, 3, 4, 8, 8), torch.randn(6, 3, 2), torch.randn(6, 4, 1))
    history = fit(model, data, steps=3, batch_size=3, lr=1e-2)
    assert not model.encode.training and {"forced", "rolled", "copying"} <= set(history.rows[0])
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == name.startswith("encode."), name


def points(episodes, seed, shuffled=False, steps=5):
    """A point that each action displaces, and 4 tokens of 8 numbers, linear in where it is: tokens and actions."""
    look = torch.randn(4, 4, 8, generator=seeded(99))
    actions, start = torch.randn(episodes, steps - 1, 2, generator=seeded(seed)), torch.randn(
        episodes, 1, 2, generator=seeded(seed + 1000))  # fmt: skip
    where = torch.cat([start, start + actions.cumsum(dim=1)], dim=1)  # [E, T, 2]
    z = torch.einsum("etk,knd->etnd", torch.cat([where, torch.ones_like(where)], dim=-1), look).flatten(1, 2)
    return Trajectories(z, actions[torch.randperm(episodes, generator=seeded(7))] if shuffled else actions)


@pytest.mark.parametrize("shuffled", [False, True])
def test_it_learns_what_actions_do_and_needs_the_right_ones(shuffled):
    torch.manual_seed(0)
    model = ACWorldModel(ACPredictor(8, GRID, width=48, depth=2, heads=3, action_dim=2, state_dim=0))
    fit(model, points(512, 1, shuffled), steps=150, batch_size=32, lr=3e-3, seed=0)
    with torch.no_grad():
        terms = model(points(256, 2, shuffled).batch(torch.arange(256))).numbers
    if shuffled:
        assert terms["forced"] > 0.85 * terms["copying"]
    else:
        assert max(terms["forced"], terms["rolled"]) < 0.6 * terms["copying"]


# --- the bugs that these checks catch ---

BUGS = {
    "mask shifted by one token": (
        ac_predictor, "torch.arange(steps).repeat_interleave(tokens)", "(torch.arange(steps * tokens) + 1) // tokens",
        check_mask,
    ),
    "mask: the past is hidden, the future seen": (
        ac_predictor, "step[:, None] >= step[None, :]", "step[:, None] <= step[None, :]", check_published
    ),
    "no mask": (ac_predictor, "x = block(x, rope, mask)", "x = block(x, rope)", check_published),
    "action and state after the patches": (
        ac_predictor, "x = torch.cat([conditions, patches], dim=2)", "x = torch.cat([patches, conditions], dim=2)",
        check_published,
    ),
    "state and action swapped": (
        ac_predictor, "tokens = [self.action_encoder(actions)]",
        "actions, states = states, actions; tokens = [self.action_encoder(actions)]", check_published,
    ),
    "conditions stand at the last patch": (
        ac_predictor, "patches[:, :, :1].expand", "patches[:, :, -1:].expand", check_published
    ),
    "rotary positions as they should be, not as released": (
        ac_predictor, 'published=self.positions == "rotary_published"', "published=False", check_published
    ),
    "the last norm forgotten": (ac_predictor, "self.proj(self.norm(x))", "self.proj(x)", check_published),
    "rollout as in the first release": (
        ac_world_model, "[z[:, :n], forced[:, :n]]", "[z[:, :n], forced[:, n : 2 * n]]",
        check_objective,
    ),
    "rollout from true frames": (
        ac_world_model, "[z[:, :n], forced[:, :n]]", "[z[:, :n], z[:, n : 2 * n]]",
        check_objective,
    ),
    "LayerNorm forgotten after a predicted step": (
        ac_world_model, "return normalised(self.predictor(z, actions, states))",
        "return self.predictor(z, actions, states)", check_objective,
    ),
    "LayerNorm forgotten after the encoder": (
        ac_world_model, "return normalised(frames if", "return (frames if", check_objective
    ),
    "state after the action instead of before it": (
        ac_world_model, "batch.states[:, :-1]", "batch.states[:, 1:]", check_objective
    ),
    "no gradient through the rollout": (ac_world_model, "ahead[:, -n:]]", "ahead[:, -n:].detach()]", check_gradient),
    "rollout continues from the first predicted frame": (
        ac_world_model, "ahead[:, -n:]]", "ahead[:, :n]]", check_rollout
    ),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_the_checks_find_a_planted_bug(bug):
    module, old, new, check = BUGS[bug]
    with pytest.raises(AssertionError):
        check(planted(module, old, new))
