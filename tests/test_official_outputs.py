"""What `load_official` gives equals what the original code gave, in each published layout, to 1e-4.

The recordings lie in tests/official/*.safetensors: a small checkpoint with random weights, laid out as the authors'
training scripts save it, and what the authors' own classes made of it on a CPU (Linux, float32, torch 2.15.0).
None of their code is here. How each was made, once:

- ijepa: github.com/facebookresearch/ijepa, commit 52c1ae9. VisionTransformer(img_size=[10], patch_size=2,
  embed_dim=24, depth=2, num_heads=3, mlp_ratio=0.5, LayerNorm eps 1e-6), vit_predictor(num_patches=25, width 12,
  depth 2, num_heads=3), saved through DistributedDataParallel (`module.`). Seeds 1 (encoder), 2 (target encoder),
  3 (predictor), 4 (images), 5 (masks: one context, three targets).
- vjepa: github.com/facebookresearch/jepa, from an index that holds the repository's forks too; the classes'
  arithmetic was read in four stored versions (files at 0ec248e, 0a2ae56, b258fca, 0261dee) and is the same in all.
  MultiMaskWrapper(VisionTransformer(img_size=6, patch_size=2, num_frames=4, tubelet_size=2, embed_dim=20, depth=2,
  num_heads=2, mlp_ratio=0.5, uniform_power=True)), PredictorMultiMaskWrapper(vit_predictor(width 16, depth 2,
  num_heads=2, use_mask_tokens=True)): prefix `module.backbone.`. Seeds 11-16; two sets of masks, a token each.
- vjepa2: github.com/facebookresearch/vjepa2, same remark: encoder and attention as stored at 073e524, predictor as
  in two copies of the repository that agree. MultiSeqWrapper(VisionTransformer(img_size=6, patch_size=2,
  num_frames=6, tubelet_size=2, embed_dim=28, depth=2, num_heads=2, mlp_ratio=0.5, use_rope=True)),
  PredictorMultiSeqWrapper(vit_predictor(width 24, depth 2, num_heads=2, num_mask_tokens=10, use_rope=True)).
  Seeds 21-26; two sets of masks, both asked by token 0 as the wrapper does, the first one also by token 7.
- vjepa21: github.com/facebookresearch/vjepa2, app/vjepa_2_1/models as stored at be434e4 (encoder, predictor) and
  16de6c8 (attention), what a clip passes through typed off without the options that are off.
  VisionTransformer(img_size=(48, 48), patch_size=16, num_frames=4, tubelet_size=2, in_chans=1, embed_dim=20, depth=12,
  num_heads=2, mlp_ratio=0.5, interpolate_rope=True), saved as `ema_encoder`, and VisionTransformerPredictor(width 16,
  depth 2, num_heads=2, num_mask_tokens=3, teacher_embed_dim=24, n_output_distillation=1). Seeds 51-53.
- vjepa2ac: github.com/facebookresearch/vjepa2, attention and block as stored at 073e524, predictor as in two copies of
  the repository that agree, typed off in the same way.
  VisionTransformerPredictorAC(img_size=(6, 6), patch_size=2, num_frames=6, tubelet_size=2,
  embed_dim=20, width 42, depth 2, num_heads=3), without and with use_extrinsics; prefix `module.`. Seeds 31 and 33
  (inputs). The encoder (seed 32) is there to make the file whole; its outputs are not recorded.

Matrices were drawn from N(0, 1/inputs), biases N(0, .04), norms N(1, .09), mask tokens N(0, 1); tables of positions
are the authors'. In vjepa2 the patch embedding is 50 times smaller, so that the LayerNorms' eps counts.
"""

import json
from pathlib import Path

import pytest
import torch
from helpers import planted
from safetensors import safe_open

import minijepa.pretrained.official as official
import minijepa.pretrained.official_files as official_files
from minijepa.masking.sampling import Masks
from minijepa.positions import sincos
from minijepa.pretrained.official import load_official

HERE = Path(__file__).parent / "official"
HEADS = {"ijepa": 3, "vjepa": 2, "vjepa2": 2}
FAMILIES = {"ijepa": "I-JEPA", "vjepa": "V-JEPA", "vjepa2": "V-JEPA 2"}


def recording(name):
    """(the checkpoint as the authors save it, {name: recorded tensor})."""
    with safe_open(HERE / f"{name}.safetensors", "pt") as file:
        checkpoint, recorded = json.loads(file.metadata()["checkpoint"]), {}
        for key in file.keys():
            where, _, rest = key.partition("/")
            if where == "recorded":
                recorded[rest] = file.get_tensor(key)
            else:
                part, _, tensor = rest.partition("/")
                checkpoint.setdefault(part, {})[tensor] = file.get_tensor(key)
    return checkpoint, recorded


def opened(name, folder):
    """(what load_official makes of the recorded checkpoint, {name: recorded tensor})."""
    checkpoint, recorded = recording(name)
    torch.save(checkpoint, folder / "jepa.pth.tar")
    size = tuple(recorded["x"].shape[2:])
    return load_official(folder / "jepa.pth.tar", heads=HEADS[name], img_size=size), recorded


def same(ours, recorded):
    torch.testing.assert_close(ours, recorded, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", HEADS)
def test_both_encoders_on_all_tokens(name, tmp_path):
    found, recorded = opened(name, tmp_path)
    assert found.config["family"] == FAMILIES[name]
    same(found.encoder(recorded["x"]), recorded["full"])
    same(found.target_encoder(recorded["x"]), recorded["target"])
    assert (recorded["full"] - recorded["target"]).abs().max() > 0.5  # to take one for the other would be seen


def test_ijepa_context_and_three_targets(tmp_path):
    found, recorded = opened("ijepa", tmp_path)
    masks = Masks(recorded["context"], recorded["targets"])  # [B, K_c], [B, M, K_t]
    context = found.encoder(recorded["x"], masks.context)
    same(context, recorded["masked"])
    same(found.predictor(context, masks), recorded["predicted"])  # [B, M, K_t, D]


@pytest.mark.parametrize("name", ["vjepa", "vjepa2"])
def test_clips_two_sets_of_masks(name, tmp_path):
    found, recorded = opened(name, tmp_path)
    assert len(found.predictor.mask_tokens) == {"vjepa": 2, "vjepa2": 10}[name]
    for i in range(2):
        masks = Masks(recorded[f"context{i}"], recorded[f"targets{i}"][:, None])  # [B, K_c], [B, 1, K_t]
        context = found.encoder(recorded["x"], masks.context)
        same(context, recorded[f"masked{i}"])
        token = i if name == "vjepa" else 0
        same(found.predictor(context, masks, token)[:, 0], recorded[f"predicted{i}"])


def test_vjepa2_later_mask_token(tmp_path):
    found, recorded = opened("vjepa2", tmp_path)
    masks = Masks(recorded["context0"], recorded["targets0"][:, None])
    predicted = found.predictor(found.encoder(recorded["x"], masks.context), masks, token=7)
    same(predicted[:, 0], recorded["predicted_token7"])
    assert (recorded["predicted_token7"] - recorded["predicted0"]).abs().max() > 0.1


def test_tables_of_positions():
    """V-JEPA's are ours, cut at the end as the release does; I-JEPA's have the column first, as positions.py says."""
    clips = recording("vjepa")[0]
    same(sincos((2, 3, 3), 20, uniform=True), clips["encoder"]["module.backbone.pos_embed"][0])
    same(sincos((2, 3, 3), 16, uniform=True), clips["predictor"]["module.backbone.predictor_pos_embed"][0])
    rows, columns = sincos((5, 5), 24).chunk(2, dim=1)
    same(torch.cat([columns, rows], dim=1), recording("ijepa")[0]["encoder"]["module.pos_embed"][0])


def test_vjepa2_ac_whole_step_by_step_and_with_the_camera(tmp_path):
    checkpoint, recorded = recording("vjepa2ac")
    torch.save(checkpoint, tmp_path / "vjepa2-ac.pt")
    found = load_official(tmp_path / "vjepa2-ac.pt", heads=(2, 3), img_size=(6, 6))
    assert found.config["family"] == "V-JEPA 2-AC"
    z, actions, states = recorded["z"], recorded["actions"], recorded["states"]  # [B, T N, D], [B, T, 7], [B, T, 7]
    for t in range(1, 4):
        same(found.predictor(z[:, : 9 * t], actions[:, :t], states[:, :t]), recorded[f"predicted{t}"])
        same(found.predictor(z, actions, states)[:, : 9 * t], recorded[f"predicted{t}"])
    same(found.predictor(z, actions, states, recorded["extrinsics"]), recorded["predicted_extrinsics"])
    assert (recorded["predicted_extrinsics"] - recorded["predicted3"]).abs().max() > 0.1
    assert (found.predictor(z, states, actions) - recorded["predicted3"]).abs().max() > 0.1  # not to be swapped


def opened_21(folder, spoil=None):
    checkpoint, recorded = recording("vjepa21")
    if spoil:
        spoil(checkpoint)
    torch.save(checkpoint, folder / "vjepa2_1.pt")
    return load_official(folder / "vjepa2_1.pt", heads=2, img_size=tuple(recorded["x"].shape[2:])), recorded


def check_vjepa21(folder):
    found, recorded = opened_21(folder)
    assert found.config["family"] == "V-JEPA 2.1" and found.encoder is found.target_encoder
    masks = Masks(recorded["context"], recorded["targets"][:, None])  # [B, K_c], [B, 1, K_t]
    same(found.encoder(recorded["x"]), recorded["full"])
    same(found.encoder(recorded["x"], masks.context), recorded["masked"])
    for token in (0, 2):
        same(found.predictor(recorded["masked"], masks, token)[:, 0], recorded[f"predicted{token}"])
    assert found.config["predictor"]["out_dim"] == 24


def test_vjepa21_clips_whole_masked_and_predicted(tmp_path):
    check_vjepa21(tmp_path)
    recorded = recording("vjepa21")[1]
    assert (recorded["predicted0"] - recorded["predicted2"]).abs().max() > 0.1


BUGS = {  # all in official_files.of_clips, the rest is common to the families
    "the clip's vector forgotten in the encoder": (r"patch_embed\.proj\.bias|embed", "embed"),
    "the clip's vector forgotten in the predictor": (r"|embed\.bias|", "|"),
    "the clip's vector forgotten in the mask tokens": (r"|mask_tokens\.\d+", ""),
    "the image's vector": ('tensors["video_mod_embed"]', 'tensors["img_mod_embed"]'),
    "the norm of an earlier block": ("norms[-2:]", "norms[-4:-2]"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_recording_finds_a_planted_bug(bug, tmp_path, monkeypatch):
    monkeypatch.setattr(official, "read", planted(official_files, *BUGS[bug]).read)
    with pytest.raises(AssertionError):
        check_vjepa21(tmp_path)


def test_vjepa21_whose_predictor_hears_four_blocks_opens_without_it(tmp_path):
    def four(checkpoint):
        checkpoint["predictor"]["module.backbone.predictor_embed.0.weight"] = torch.zeros(20, 80)

    found, recorded = opened_21(tmp_path, four)
    assert found.predictor is None
    same(found.encoder(recorded["x"]), recorded["full"])


def test_vjepa21_is_no_other_family(tmp_path):
    opened_21(tmp_path)
    for family in ("V-JEPA", "V-JEPA 2"):
        with pytest.raises(ValueError, match=f"a norms_block, as only V-JEPA 2.1's, but family is '{family}'"):
            load_official(tmp_path / "vjepa2_1.pt", heads=2, img_size=(4, 48, 48), family=family)
    opened("vjepa2", tmp_path)
    with pytest.raises(ValueError, match="no norms_block, as V-JEPA 2.1's, but family is 'V-JEPA 2.1'"):
        load_official(tmp_path / "jepa.pth.tar", heads=2, img_size=(6, 6, 6), family="V-JEPA 2.1")
    with pytest.raises(ValueError, match="2.1's encoder and a predictor that hears actions are no released pair"):
        opened_21(
            tmp_path, lambda checkpoint: checkpoint["predictor"].update({"action_encoder.weight": torch.zeros(1, 7)})
        )
    with pytest.raises(ValueError, match=r"encoder.*blocks.3.norm1.bias is missing"):
        opened_21(tmp_path, lambda checkpoint: checkpoint["ema_encoder"].pop("module.backbone.blocks.3.norm1.bias"))
