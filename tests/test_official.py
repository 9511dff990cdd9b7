"""Official checkpoints: Hugging Face's own models are the oracle of their two formats, the original layouts are
rebuilt from our weights by a converter written apart from the loader.

No original code is run here: for the three `.pth.tar`/`.pt` layouts the tests prove that names, shapes and order are
read as published, and that a model comes back bit for bit.
"""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from minijepa.masking.sampling import Masks
from minijepa.patches import gather_tokens
from minijepa.predictor import Predictor
from minijepa.pretrained.official import load_official
from minijepa.vit import ViT

SIZE = dict(dim=48, depth=2, heads=2)
PREDICTOR = dict(width=24, depth=2, heads=2)
WITHOUT_TRANSFORMERS = (
    "compares with transformers; `make test` installs it where it can be had, or pip install -e '.[oracles]'"
)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def shaken(module, seed):
    """Every number its own, so that no tensor can be taken for another."""
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.add_(0.2 * torch.randn(p.shape, generator=seeded(100 * seed + i)))
    return module.eval()


def masks_for(grid, batch=2):
    n = torch.tensor(grid).prod().item()
    order = torch.rand(batch, n, generator=seeded(9)).argsort(dim=1)
    context = order[:, : n // 2].sort(dim=1).values
    return Masks(context, order[:, n // 2 : n // 2 + 3].sort(dim=1).values[:, None])


# --- the original layouts: an independent converter, name by name as the releases have them ---


def original_encoder(vit, prefix, patch_size, table=True):
    state = {"pos_embed": vit.pos_embed[None].clone()} if table else {}
    weight = vit.patch_embed.proj.weight
    state["patch_embed.proj.weight"] = weight.reshape(len(weight), -1, *patch_size)
    state["patch_embed.proj.bias"] = vit.patch_embed.proj.bias
    for i, block in enumerate(vit.blocks):
        state |= block_tensors(block, f"blocks.{i}")
    state |= {"norm.weight": vit.norm.weight, "norm.bias": vit.norm.bias}
    return {prefix + name: tensor.detach().clone() for name, tensor in state.items()}


def block_tensors(block, name):
    parts = {"norm1": block.norm1, "attn.qkv": block.attn.qkv, "attn.proj": block.attn.proj, "norm2": block.norm2}
    parts |= {"mlp.fc1": block.mlp.fc1, "mlp.fc2": block.mlp.fc2}
    return {f"{name}.{part}.{kind}": getattr(m, kind) for part, m in parts.items() for kind in ("weight", "bias")}


def original_predictor(predictor, prefix, many_tokens, table=True):
    state = {"predictor_pos_embed": predictor.pos_embed[None].clone()} if table else {}
    tokens = [token[None, None] for token in predictor.mask_tokens]  # [1, 1, width] each
    if many_tokens:
        state |= {f"mask_tokens.{i}": token for i, token in enumerate(tokens)}
    else:
        state["mask_token"] = tokens[0]
    state |= {"predictor_embed.weight": predictor.embed.weight, "predictor_embed.bias": predictor.embed.bias}
    for i, block in enumerate(predictor.blocks):
        state |= block_tensors(block, f"predictor_blocks.{i}")
    for theirs, ours in (("predictor_norm", predictor.norm), ("predictor_proj", predictor.proj)):
        state |= {f"{theirs}.weight": ours.weight, f"{theirs}.bias": ours.bias}
    return {prefix + name: tensor.detach().clone() for name, tensor in state.items()}


LAYOUTS = {
    # family: image, patch, prefix, positions, mask tokens
    "I-JEPA": ((24, 24), (4, 4), "module.", "sincos", 1),
    "V-JEPA": ((4, 12, 16), (2, 4, 4), "module.backbone.", "sincos_uniform", 2),
    "V-JEPA 2": ((4, 12, 12), (2, 4, 4), "module.backbone.", "rotary_published", 10),
}


def published(family, **changes):
    """A small checkpoint in the layout of the release, and the modules that it was made from."""
    img, patch, prefix, positions, tokens = LAYOUTS[family]
    modules = {}
    for seed, part in enumerate(("encoder", "target_encoder")):
        modules[part] = shaken(ViT(img, patch, **SIZE, positions=positions), seed)
    modules["predictor"] = shaken(
        Predictor(SIZE["dim"], modules["encoder"].grid, **PREDICTOR, mask_tokens=tokens, positions=positions), 5
    )
    table = positions != "rotary_published"
    if table:  # tables that are not ours must be used as they are
        for module in modules.values():
            module.pos_embed.add_(0.1 * torch.randn(module.pos_embed.shape, generator=seeded(7)))
    content = {part: original_encoder(modules[part], prefix, patch, table) for part in ("encoder", "target_encoder")}
    content["predictor"] = original_predictor(modules["predictor"], prefix, tokens > 1, table)
    content |= {"opt": {"state": {}, "param_groups": []}, "scaler": None, "epoch": 3, "loss": 0.5, "lr": 1e-3}
    content |= {"batch_size": 8, "world_size": 1}
    return content | changes, modules


@pytest.mark.parametrize("family", LAYOUTS)
def test_original_layouts_come_back_bit_for_bit(family, tmp_path):
    content, modules = published(family)
    torch.save(content, tmp_path / "jepa.pth.tar")
    found = load_official(tmp_path / "jepa.pth.tar", heads=2, img_size=LAYOUTS[family][0])
    assert found.config["family"] == family and found.config["heads"] == 2
    assert found.default_encoder is found.target_encoder is not found.encoder
    x = torch.randn(2, 3, *LAYOUTS[family][0], generator=seeded(0))
    masks = masks_for(found.encoder.grid)
    for part in ("encoder", "target_encoder", "predictor"):
        weights = modules[part].state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in getattr(found, part).state_dict().items())
    # equal weights at other places in memory may be multiplied in another order: outputs agree to the last bits only
    close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5)
    for part in ("encoder", "target_encoder"):
        close(getattr(found, part)(x), modules[part](x))
        close(getattr(found, part)(x, masks.context), modules[part](x, masks.context))
    context = found.encoder(x, masks.context)
    for token in range(LAYOUTS[family][-1]):
        close(found.predictor(context, masks, token), modules["predictor"](context, masks, token))
    assert not any(p.requires_grad for p in found.encoder.parameters()) and not found.encoder.training


def test_released_rotary_files_carry_tables_that_nobody_uses(tmp_path):
    content, modules = published("V-JEPA 2")
    n = 2 * 3 * 3
    for part, width in (("encoder", 48), ("target_encoder", 48)):
        content[part]["module.backbone.pos_embed"] = torch.randn(1, n, width)
    content["predictor"]["module.backbone.predictor_pos_embed"] = torch.randn(1, n, 24)
    torch.save(content, tmp_path / "vitl.pt")
    found = load_official(tmp_path / "vitl.pt", heads=(2, 2), img_size=(4, 12, 12))
    x = torch.randn(1, 3, 4, 12, 12, generator=seeded(0))
    assert torch.equal(found.target_encoder(x), modules["target_encoder"](x))


def test_the_table_that_nobody_uses_still_tells_the_size(tmp_path):
    content, _ = published("V-JEPA 2")
    for n, size in ((8 * 3 * 3, (16, 12, 12)), (8 * 5 * 5, (16, 20, 20))):
        content["encoder"]["module.backbone.pos_embed"] = torch.randn(1, n, 48)
        content["predictor"]["module.backbone.predictor_pos_embed"] = torch.randn(1, n, 24)
        torch.save(content, tmp_path / "vitl.pt")
        assert load_official(tmp_path / "vitl.pt", heads=2).config["img_size"] == size
    del content["encoder"]["module.backbone.pos_embed"], content["predictor"]["module.backbone.predictor_pos_embed"]
    torch.save(content, tmp_path / "vitl.pt")
    with pytest.raises(ValueError, match="give img_size"):
        load_official(tmp_path / "vitl.pt", heads=2)


def test_sizes_come_from_the_tensors(tmp_path):
    """A square image, and clips of 16 frames, need no img_size; a V-JEPA of a released size needs no heads."""
    content, _ = published("I-JEPA")
    torch.save(content, tmp_path / "a.pth.tar")
    assert load_official(tmp_path / "a.pth.tar", heads=2).config["img_size"] == (24, 24)
    vit = ViT((16, 8, 8), (2, 4, 4), **SIZE, positions="sincos_uniform")
    torch.save({"encoder": original_encoder(vit, "module.backbone.", (2, 4, 4))}, tmp_path / "b.pth.tar")
    found = load_official(tmp_path / "b.pth.tar", heads=2, family="V-JEPA")
    assert found.config["img_size"] == (16, 8, 8) and found.config["family"] == "V-JEPA"
    assert found.target_encoder is None and found.predictor is None and found.default_encoder is found.encoder
    with pytest.raises(ValueError, match="width 48 with 2 blocks.*heads"):
        load_official(tmp_path / "a.pth.tar")
    other = ViT((16, 8, 12), (2, 4, 4), **SIZE, positions="sincos_uniform")
    torch.save({"encoder": original_encoder(other, "module.backbone.", (2, 4, 4))}, tmp_path / "c.pth.tar")
    with pytest.raises(ValueError, match="48 tokens are no grid of square frames.*img_size"):
        load_official(tmp_path / "c.pth.tar", heads=2, family="V-JEPA")


FAULTS = {
    "missing": (
        lambda c: c["predictor"].pop("module.predictor_blocks.1.mlp.fc1.bias"),
        "predictor.*blocks.1.mlp.fc1.bias is missing",
    ),
    "extra": (
        lambda c: c["target_encoder"].update({"module.cls_token": torch.zeros(1, 1, 48)}),
        "target_encoder.*cls_token is left over",
    ),
    "misshapen": (
        lambda c: c["encoder"].update({"module.norm.weight": torch.zeros(49)}),
        r"encoder.*norm.weight is \[49\], expected \[48\]",
    ),
    "table": (
        lambda c: c["encoder"].update({"module.pos_embed": torch.zeros(1, 25, 48)}),
        r"pos_embed is \[1, 25, 48\], expected \[36, 48\]",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_named(fault, tmp_path):
    content, _ = published("I-JEPA")
    spoil, named = FAULTS[fault]
    spoil(content)
    torch.save(content, tmp_path / "a.pth.tar")
    with pytest.raises(ValueError, match=named):
        load_official(tmp_path / "a.pth.tar", heads=2, img_size=(24, 24))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.pt"):
        load_official(tmp_path / "gone.pt")
    with pytest.raises(ValueError, match="no \\*.safetensors"):
        load_official(tmp_path)
    torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="no encoder with patches.*keys: model"):
        load_official(tmp_path / "a.pt")
    save_file({"classifier.weight": torch.zeros(2, 2)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="no encoder with patches"):
        load_official(tmp_path / "b.safetensors")


def test_nothing_but_tensors_is_unpickled(tmp_path):
    class Sly:
        def __reduce__(self):
            return (print, ("run by the loader",))

    torch.save({"encoder": {}, "sly": Sly()}, tmp_path / "sly.pt")
    with pytest.raises(Exception, match="(?i)weights_only|unsupported"):
        load_official(tmp_path / "sly.pt")


# --- Hugging Face's own models ---


def hugging_face(name, folder, **config):
    transformers = pytest.importorskip("transformers", reason=WITHOUT_TRANSFORMERS)
    torch.manual_seed(0)
    made = getattr(transformers, f"{name}Config")(**config)
    model = shaken(getattr(transformers, f"{name}Model")(made), 3)
    model.save_pretrained(folder)
    return model


def test_hugging_face_ijepa(tmp_path):
    model = hugging_face(
        "IJepa", tmp_path, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96,
        image_size=24, patch_size=6,
    )  # fmt: skip
    found = load_official(tmp_path)
    assert found.config["family"] == "I-JEPA" and found.config["heads"] == 4 and found.predictor is None
    x = torch.randn(3, 3, 24, 24, generator=seeded(1))
    with torch.no_grad():
        expected = model(pixel_values=x).last_hidden_state
    torch.testing.assert_close(found.encoder(x), expected, atol=1e-4, rtol=1e-4)
    # masked: their model has no way to drop tokens; embeddings and layers, called one after the other, have
    keep = masks_for(found.encoder.grid, 3).context
    with torch.no_grad():
        tokens = gather_tokens(model.embeddings(x), keep)
        for layer in model.layers if hasattr(model, "layers") else model.encoder.layer:
            tokens = layer(tokens)
            tokens = tokens[0] if isinstance(tokens, tuple) else tokens
        expected = model.layernorm(tokens)
    torch.testing.assert_close(found.encoder(x, keep), expected, atol=1e-4, rtol=1e-4)


@pytest.fixture
def vjepa2(tmp_path):
    model = hugging_face(
        "VJEPA2", tmp_path, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=48 / 16,
        crop_size=16, patch_size=4, frames_per_clip=6, tubelet_size=2, pred_hidden_size=48,
        pred_num_attention_heads=2, pred_num_hidden_layers=2,
    )  # fmt: skip
    return model, load_official(tmp_path), torch.randn(2, 3, 6, 16, 16, generator=seeded(1))


def test_hugging_face_vjepa2_whole_clips(vjepa2):
    model, found, x = vjepa2
    assert found.config["family"] == "V-JEPA 2" and found.config["img_size"] == (6, 16, 16)
    with torch.no_grad():
        expected = model(pixel_values_videos=x.transpose(1, 2), skip_predictor=True).last_hidden_state
    torch.testing.assert_close(found.encoder(x), expected, atol=1e-4, rtol=1e-4)


def test_hugging_face_vjepa2_masked_prediction(vjepa2):
    """Their encoder sees all and drops afterwards; the same is done here with ours, then both predictors predict."""
    model, found, x = vjepa2
    masks = masks_for(found.encoder.grid)
    with torch.no_grad():
        out = model(x.transpose(1, 2), context_mask=[masks.context], target_mask=[masks.targets[:, 0]])
    seen = gather_tokens(found.encoder(x), masks.context)
    expected = out.predictor_output.last_hidden_state
    torch.testing.assert_close(found.predictor(seen, masks, token=1)[:, 0], expected, atol=1e-4, rtol=1e-4)
    assert (found.predictor(seen, masks, token=0)[:, 0] - expected).abs().max() > 1e-3
    # a context that never saw the hidden tokens: our encoder drops them first, layer by layer as theirs would
    position = masks.context
    with torch.no_grad():
        tokens = gather_tokens(model.encoder.embeddings(x.transpose(1, 2)), position)
        for layer in model.encoder.layer:
            tokens = layer(tokens, position)
            tokens = tokens[0] if isinstance(tokens, tuple) else tokens
        kept = model.encoder.layernorm(tokens)
    torch.testing.assert_close(found.encoder(x, position), kept, atol=1e-4, rtol=1e-4)
    assert (kept - seen).abs().max() > 1e-2  # and that is not what their call does


def test_the_published_reading_is_needed(vjepa2):
    """With corrected rotary positions the released weights give other outputs: the test above would see it."""
    model, found, x = vjepa2
    settings = {k: v for k, v in found.config.items() if k not in ("family", "predictor")}
    corrected = ViT(**{**settings, "positions": "rotary"}).eval()
    corrected.load_state_dict(found.encoder.state_dict())
    assert (corrected(x) - found.encoder(x)).abs().max() > 1e-3


def test_names_of_older_hugging_face_files(tmp_path):
    """The files on the hub keep the names of the first release: encoder.layer.i.attention.attention.query and so on."""
    vit = shaken(ViT((12, 12), (4, 4), **SIZE), 2)
    old = {"embeddings.position_embeddings": vit.pos_embed[None]}
    old["embeddings.patch_embeddings.projection.weight"] = vit.patch_embed.proj.weight.reshape(48, 3, 4, 4)
    old["embeddings.patch_embeddings.projection.bias"] = vit.patch_embed.proj.bias
    for i, block in enumerate(vit.blocks):
        layer = f"encoder.layer.{i}."
        for third, name in enumerate(("query", "key", "value")):
            for kind in ("weight", "bias"):
                old[f"{layer}attention.attention.{name}.{kind}"] = getattr(block.attn.qkv, kind).chunk(3)[third]
        names = {"attention.output.dense": block.attn.proj, "layernorm_before": block.norm1}
        names |= {"layernorm_after": block.norm2, "intermediate.dense": block.mlp.fc1, "output.dense": block.mlp.fc2}
        for name, module in names.items():
            old |= {f"{layer}{name}.{kind}": getattr(module, kind) for kind in ("weight", "bias")}
    old |= {"layernorm.weight": vit.norm.weight, "layernorm.bias": vit.norm.bias}
    save_file({name: t.detach().clone().contiguous() for name, t in old.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"image_size": 12, "num_attention_heads": 2}))
    found = load_official(tmp_path)
    x = torch.randn(2, 3, 12, 12, generator=seeded(0))
    assert torch.equal(found.encoder(x), vit(x))
