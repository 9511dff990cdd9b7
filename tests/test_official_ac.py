"""V-JEPA 2-AC in its published layout: names, sizes, the published arithmetic on the opened file, and what is refused.

The tensors are drawn at random under the names of the release (encoder and predictor in one file, `module.` before the
predictor's names, `module.backbone.` before the encoder's). The arithmetic is that of tests/test_ac_predictor.py.
"""

import pytest
import torch
from helpers import planted, seeded
from test_ac_predictor import DIM, GRID, HEADS, STEPS, drawn, inputs, published, same
from test_official import LAYOUTS, original_encoder, shaken
from test_official import published as other_layout

import minijepa.pretrained.official as official
from minijepa.planning import ACPredictor, ACWorldModel, Trajectory, encode_frames
from minijepa.pretrained.official import HEADS as RELEASED
from minijepa.pretrained.official import load_official
from minijepa.vit import ViT

PATCH, FRAME = (2, 4, 4), (8, 8)  # so GRID is 2 x 2


def encoder(seed=0):
    """A small encoder of single frames, each a clip of one tubelet. Every number is its own."""
    vit = ViT((2, *FRAME), PATCH, dim=DIM, depth=1, heads=1, positions="rotary_published")
    return shaken(vit, seed)


def checkpoint(**changes):
    """A small file as the release has it, and its encoder."""
    vit = encoder()
    content = {"encoder": original_encoder(vit, "module.backbone.", PATCH, table=False)}
    content["predictor"] = {f"module.{name}": tensor for name, tensor in drawn().items()}
    return content | changes, vit


def saved(content, folder):
    torch.save(content, folder / "vjepa2-ac-small.pt")
    return folder / "vjepa2-ac-small.pt"


def opened(content, folder, module=official, **more):
    return module.load_official(saved(content, folder), **({"heads": (1, HEADS), "img_size": FRAME} | more))


def check_opened(folder, module=official):
    """The whole sequence and each beginning of it, without and with the camera's token."""
    found = opened(checkpoint()[0], folder, module)
    z, actions, states, camera = (x.float() for x in inputs())
    n = GRID[0] * GRID[1]
    for t in range(1, STEPS + 1):
        expected = published(drawn(), *(x.double() for x in (z[: t * n], actions[:t], states[:t])))
        same(found.predictor(z[None, : t * n], actions[None, :t], states[None, :t])[0], expected)
        same(found.predictor(z[None], actions[None], states[None])[0, : t * n], expected)
    expected = published(drawn(), *(x.double() for x in (z, actions, states, camera)))
    same(found.predictor(z[None], actions[None], states[None], camera[None])[0], expected)


def test_the_opened_predictor_is_the_published_arithmetic(tmp_path):
    check_opened(tmp_path)


def test_sizes_family_and_encoder_come_from_the_file(tmp_path):
    content, vit = checkpoint()
    found = opened(content, tmp_path)
    assert found.config["family"] == "V-JEPA 2-AC" and found.config["img_size"] == (2, *FRAME)
    assert found.config["predictor"] == dict(
        width=42, depth=2, heads=HEADS, action_dim=7, state_dim=7, extrinsics_dim=6
    )
    assert isinstance(found.predictor, ACPredictor) and not found.predictor.training
    assert not any(p.requires_grad for p in found.predictor.parameters())
    assert found.target_encoder is None and found.default_encoder is found.encoder
    frames = torch.randn(2, 3, 4, *FRAME, generator=seeded(3))
    assert torch.equal(encode_frames(found.default_encoder, frames), encode_frames(vit, frames))
    for size in ((2, *FRAME), FRAME):
        assert opened(content, tmp_path, img_size=size, family="V-JEPA 2-AC").config == found.config


def test_other_numbers_per_action_and_the_target_encoder(tmp_path):
    content, _ = checkpoint(target_encoder=original_encoder(encoder(1), "module.backbone.", PATCH, table=False))
    for name, size in (("action", 4), ("state", 3), ("extrinsics", 5)):
        content["predictor"][f"module.{name}_encoder.weight"] = torch.zeros(42, size)
    content["encoder"]["module.backbone.pos_embed"] = torch.zeros(1, 32, DIM)  # rotary models do not use it
    found = opened(content, tmp_path)
    sizes = {name: found.config["predictor"][name] for name in ("action_dim", "state_dim", "extrinsics_dim")}
    assert sizes == {"action_dim": 4, "state_dim": 3, "extrinsics_dim": 5}
    assert found.default_encoder is found.target_encoder is not found.encoder


def test_an_opened_file_is_a_world_model(tmp_path):
    """Frames in, imagined tokens out, from the parts of the file alone."""
    found = opened(checkpoint()[0], tmp_path)
    model = ACWorldModel(found.predictor, lambda frames: encode_frames(found.default_encoder, frames))
    frames = torch.randn(2, 3, 4, *FRAME, generator=seeded(3))
    actions, states = torch.randn(2, 3, 7, generator=seeded(4)), torch.randn(2, 4, 7, generator=seeded(5))
    output = model(Trajectory(frames, actions, states))
    assert output.forced.shape == (2, 12, DIM) and output.loss > 0
    z = model.tokens(frames[:, :, :1])
    imagined = model.rollout(z, actions, states[:, :-1])
    torch.testing.assert_close(imagined[:, :8], output.rolled, atol=1e-5, rtol=1e-5)


def test_heads_of_the_release_and_no_guess_for_others(tmp_path):
    assert RELEASED["V-JEPA 2-AC", 1408, 40, 6144, 1024] == (22, 16)
    content, _ = checkpoint()
    with pytest.raises(ValueError, match="V-JEPA 2-AC of width 10 with 1 blocks.*predictor of width 42.*give heads"):
        load_official(saved(content, tmp_path), img_size=FRAME)
    with pytest.raises(ValueError, match=r"no tensor tells: give img_size=\(H, W\)"):
        opened(content, tmp_path, img_size=None)


def test_a_released_size_needs_neither_heads_nor_frames(tmp_path, monkeypatch):
    """The table says how many heads; frames are those of the release, 256 pixels: 64 x 64 patches of 4 pixels."""
    monkeypatch.setitem(RELEASED, ("V-JEPA 2-AC", DIM, 1, 4 * DIM, 42), (1, HEADS))
    found = load_official(saved(checkpoint()[0], tmp_path))
    assert found.config["img_size"] == (2, 256, 256) and found.predictor.grid == (64, 64)
    assert found.predictor.blocks[0].attn.heads == HEADS and found.encoder.blocks[0].attn.heads == 1


@pytest.mark.parametrize("size", [(8, 16), (2, 8, 16), (16, 8, 8)])
def test_frames_that_are_not_the_release_s_kind(size, tmp_path):
    with pytest.raises(ValueError, match=r"square frames one by one.*expected \(S, S\) or \(2, S, S\)"):
        opened(checkpoint()[0], tmp_path, img_size=size)


FAULTS = {
    "no action bias": (lambda p: p.pop("module.action_encoder.bias"), "predictor.*action_encoder.bias is missing"),
    "no state encoder": (lambda p: p.pop("module.state_encoder.weight"), "predictor.*state_encoder.weight is missing"),
    "no camera": (lambda p: p.pop("module.extrinsics_encoder.weight"), "extrinsics_encoder.weight is missing"),
    "a mask token": (lambda p: p.update({"module.mask_token": torch.zeros(1, 1, 42)}), "mask_tokens.0 is left over"),
    "another width": (
        lambda p: p.update({"module.state_encoder.weight": torch.zeros(9, 7)}),
        r"state_encoder.weight is \[9, 7\], expected \[42, 7\]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_named(fault, tmp_path):
    content, _ = checkpoint()
    spoil, named = FAULTS[fault]
    spoil(content["predictor"])
    with pytest.raises(ValueError, match=named):
        opened(content, tmp_path)


def test_a_family_that_the_tensors_exclude(tmp_path):
    content, _ = checkpoint()
    for family in ("V-JEPA", "V-JEPA 2"):
        with pytest.raises(ValueError, match=f"has an action_encoder, as only V-JEPA 2-AC's.*family is '{family}'"):
            opened(content, tmp_path, family=family)
    with pytest.raises(ValueError, match="those of V-JEPA, V-JEPA 2, 2.1 or 2-AC, but family is 'I-JEPA'"):
        opened(content, tmp_path, family="I-JEPA")
    del content["predictor"]
    with pytest.raises(ValueError, match="no predictor, only V-JEPA 2's encoder, but family is 'V-JEPA 2-AC'"):
        opened(content, tmp_path, family="V-JEPA 2-AC")
    assert opened(content, tmp_path, family="V-JEPA 2", img_size=(2, *FRAME)).predictor is None
    other, _ = other_layout("V-JEPA 2")
    with pytest.raises(ValueError, match="no action_encoder, as V-JEPA 2-AC's, but family is 'V-JEPA 2-AC'"):
        opened(other, tmp_path, family="V-JEPA 2-AC", heads=2, img_size=LAYOUTS["V-JEPA 2"][0])
    images, _ = other_layout("I-JEPA")
    images["predictor"]["module.action_encoder.weight"] = torch.zeros(24, 7)
    with pytest.raises(ValueError, match="patches of two sides.*hears actions: V-JEPA 2-AC has patches of three"):
        opened(images, tmp_path, heads=2)


BUGS = {
    "the encoder's heads in the predictor": ("heads=predictor_heads)", "heads=encoder_heads)"),
    "rotary positions as they should be, not as released": (
        "ACPredictor(dim, grid[1:], **sizes, positions=positions)", "ACPredictor(dim, grid[1:], **sizes)"
    ),
    "rows of the grid for time": ("ACPredictor(dim, grid[1:],", "ACPredictor(dim, grid[:2],"),
    "weights that are not loaded": ("module.load_state_dict(ready)", "wanted.update(ready)"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_the_checks_find_a_planted_bug(bug, tmp_path):
    with pytest.raises((AssertionError, ValueError)):
        check_opened(tmp_path, planted(official, *BUGS[bug]))
