"""The official checkpoints, opened in the readable models of this course: I-JEPA, V-JEPA and V-JEPA 2.

Each publication has its own names for the same tensors. This file renames them to ours, reads every size from the
tensors themselves, and refuses a file in which anything is missing, left over or of another shape.
Nothing is downloaded here: get the file from its authors first, and mind its licence (I-JEPA's and V-JEPA's weights
are for non-commercial use). Layouts: github.com/facebookresearch/ijepa, /jepa, /vjepa2, and the models that
Hugging Face's transformers call IJepaModel and VJEPA2Model.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from minijepa.predictor import Predictor
from minijepa.vit import ViT

# (family, width, blocks): attention heads of the encoder and of the predictor; no tensor's shape tells them
HEADS = {
    ("I-JEPA", 1280, 32): (16, 16),
    ("I-JEPA", 1408, 40): (16, 16),
    ("V-JEPA", 1024, 24): (16, 16),
    ("V-JEPA", 1280, 32): (16, 16),
    ("V-JEPA 2", 1024, 24): (16, 12),
    ("V-JEPA 2", 1280, 32): (16, 12),
    ("V-JEPA 2", 1408, 40): (22, 12),
}

# patterns of published names and ours, applied in this order to each name
ORIGINAL = [
    (r"^module\.", ""),
    (r"^backbone\.", ""),
    (r"^predictor_", ""),
    (r"^mask_tokens\.0$", "mask_token"),
    (r"^mask_tokens\.(\d+)$", lambda m: f"more_mask_tokens.{int(m[1]) - 1}"),
]
HUGGING_FACE = [
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.(projection|proj)\.", "patch_embed.proj."),
    (r"^embeddings\.predictor_embeddings\.", "embed."),
    (r"^embeddings\.mask_tokens$", "mask_tokens"),
    (r"^(encoder\.)?layers?\.(\d+)\.", r"blocks.\2."),
    (r"\.attention\.attention\.", ".attention."),
    (r"\.attention\.(output\.dense|o_proj|proj)\.", ".attn.proj."),
    (r"\.attention\.(query|q_proj)\.", ".attn.q."),
    (r"\.attention\.(key|k_proj)\.", ".attn.k."),
    (r"\.attention\.(value|v_proj)\.", ".attn.v."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^layernorm\.", "norm."),
]


@dataclass
class Pretrained:
    """What a file holds. encoder: the context encoder f_theta. target_encoder: its slow copy f_xi, or None if the file
    has only one encoder. predictor: g_phi, or None. config: family, sizes and heads, as they were found."""

    encoder: ViT
    target_encoder: ViT | None
    predictor: Predictor | None
    config: dict

    @property
    def default_encoder(self):
        """The encoder to use for features: the target encoder where there is one, since the papers evaluate it."""
        return self.encoder if self.target_encoder is None else self.target_encoder


def load_official(path, heads=None, img_size=None):
    """Open an official checkpoint as ViT and Predictor, on the CPU, in float32, in evaluation mode.

    path: a `.pth.tar`, `.pt` or `.safetensors` file, or a folder of safetensors files with their config.json.
    heads: attention heads, a number or (encoder, predictor); None: those of the released sizes (table HEADS).
    img_size: pixels, (H, W) or (T, H, W); None: as the file's position table has it (clips: 16 frames), or as the
    config.json beside it says. Models with rotary positions (V-JEPA 2) run at any size that patches tile.
    Returns Pretrained. Where a file has two encoders, take `default_encoder`, the target encoder: the papers'
    numbers are its numbers. The Hugging Face files hold one encoder only: for I-JEPA, by their converter, the *context*
    encoder. Tables of positions in a file are used as they are, whatever order their axes have.
    Raises ValueError if the file is no known layout, if a tensor is missing, left over or of another shape (by
    name), or if heads or img_size must be given; FileNotFoundError if there is no file.
    """
    parts, hints = read(Path(path).expanduser())
    encoder, predictor = parts["encoder"], parts.get("predictor")
    family = find_family(encoder, predictor)
    if family == "V-JEPA 2":  # its released files still carry tables that the rotary models do not use
        for part in parts.values():
            table = part.pop("pos_embed", None)  # [1, N, D]
            if table is not None:
                hints.setdefault("tokens", table.shape[-2])
    weight = encoder["patch_embed.proj.weight"]  # [D, C, (frames,) p, q]
    dim, channels, *patch_size = weight.shape
    depth = count_blocks(encoder)
    found = heads if heads is not None else hints.get("heads", HEADS.get((family, dim, depth)))
    if found is None:
        raise ValueError(f"{path}: {family} of width {dim} with {depth} blocks is no released size: give heads=...")
    encoder_heads, predictor_heads = (found, found) if isinstance(found, int) else found
    img_size = tuple(img_size or hints.get("img_size") or guess_size(path, encoder, hints, patch_size))
    positions = {"I-JEPA": "sincos", "V-JEPA": "sincos_uniform", "V-JEPA 2": "rotary_published"}[family]
    config = dict(
        img_size=img_size, patch_size=tuple(patch_size), dim=dim, depth=depth, heads=encoder_heads,
        mlp_ratio=len(encoder["blocks.0.mlp.fc1.weight"]) / dim, in_chans=channels, positions=positions,
    )  # fmt: skip
    result = Pretrained(fill(ViT(**config), encoder, "encoder", path), None, None, {"family": family, **config})
    if "target_encoder" in parts:
        result.target_encoder = fill(ViT(**config), parts["target_encoder"], "target_encoder", path)
    if predictor is not None:
        sizes = dict(
            width=len(predictor["embed.weight"]), depth=count_blocks(predictor), heads=predictor_heads,
            mask_tokens=sum("mask_token" in name for name in predictor),
        )  # fmt: skip
        module = Predictor(dim, result.encoder.grid, **sizes, positions=positions)
        result.predictor = fill(module, predictor, "predictor", path)
        result.config["predictor"] = sizes
    return result


# --- the pieces ---


def read(path):
    """All tensors of a file under our names: ({part: {name: tensor}}, {what its config.json says}).

    Raises FileNotFoundError if there is none, ValueError if it is no known layout.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such checkpoint; download it first, from its authors or Hugging Face")
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: no *.safetensors in this folder; give a checkpoint file or such a folder")
    if files[0].suffix == ".safetensors":
        from safetensors.torch import load_file

        flat = {name: tensor for file in files for name, tensor in load_file(file).items()}
        clips = any(name.startswith("predictor.") for name in flat)  # only VJEPA2Model has parts
        parts = {"encoder": {}, "predictor": {}} if clips else {"encoder": flat}
        if clips:
            for name, tensor in flat.items():
                part, _, rest = name.partition(".")
                parts.setdefault(part, {})[rest] = tensor
        parts = {part: merge(rename(tensors, HUGGING_FACE)) for part, tensors in parts.items()}
        hints = read_config(files[0].parent / "config.json")
    else:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        parts, hints = {}, {}
        for part in ("encoder", "target_encoder", "predictor"):
            if isinstance(content, dict) and isinstance(content.get(part), dict):
                parts[part] = rename(content[part], ORIGINAL)
    if "patch_embed.proj.weight" not in parts.get("encoder", {}) or "blocks.0.mlp.fc1.weight" not in parts["encoder"]:
        raise ValueError(
            f"{path}: no encoder with patches and blocks in this file; expected a published I-JEPA, V-JEPA or "
            f"V-JEPA 2 checkpoint, found {sorted(parts) or 'none of encoder, target_encoder, predictor'}"
        )
    unknown = set(parts) - {"encoder", "target_encoder", "predictor"}
    if unknown:
        raise ValueError(f"{path}: parts {sorted(unknown)} are left over; this file holds more than a JEPA")
    return parts, hints


def rename(tensors, patterns):
    """Published names to ours. tensors: dict name -> tensor."""
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, ours in patterns:
            name = re.sub(pattern, ours, name)
        renamed[name] = tensor
    return renamed


def merge(tensors):
    """Hugging Face's separate queries, keys and values to one map [3 D, D], its stacked mask tokens to single ones."""
    merged = {}
    for name, tensor in tensors.items():
        if ".attn.q." in name:
            triple = [tensors.get(name.replace(".attn.q.", f".attn.{letter}.")) for letter in "qkv"]
            if all(t is not None for t in triple):
                merged[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(triple)
        elif name == "mask_tokens":
            for number, token in enumerate(tensor):
                merged["mask_token" if number == 0 else f"more_mask_tokens.{number - 1}"] = token
        elif not re.search(r"\.attn\.[kv]\.", name):
            merged[name] = tensor
    return merged


def read_config(file):
    """Heads and image size from a config.json of Hugging Face, if there is one."""
    if not file.exists():
        return {}
    config = json.loads(file.read_text(encoding="utf-8"))
    if "crop_size" in config:
        side = config["crop_size"]
        heads = config["num_attention_heads"], config["pred_num_attention_heads"]
        return {"heads": heads, "img_size": (config["frames_per_clip"], side, side)}
    side = config["image_size"]
    return {"heads": config["num_attention_heads"], "img_size": (side, side) if isinstance(side, int) else tuple(side)}


def find_family(encoder, predictor):
    """Which publication: images have patches of two sides; V-JEPA has two mask tokens, V-JEPA 2 ten and no table."""
    if encoder["patch_embed.proj.weight"].ndim == 4:
        return "I-JEPA"
    tokens = sum("mask_token" in name for name in predictor or {})
    return "V-JEPA 2" if tokens > 2 or "pos_embed" not in encoder else "V-JEPA"


def count_blocks(tensors):
    """How many transformer blocks there are: the highest number in a name, plus one."""
    return 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))


def guess_size(path, encoder, hints, patch_size):
    """The image size from the number of tokens: a square, and 16 frames for clips. Raises ValueError if it is none."""
    tokens = hints.get("tokens") or encoder.get("pos_embed", torch.empty(1, 0)).shape[-2]
    times = 16 // patch_size[0] if len(patch_size) == 3 else 1
    side = round((tokens / times) ** 0.5)
    if tokens == 0 or times * side * side != tokens:
        raise ValueError(
            f"{path}: {tokens} tokens are no square grid{' of 16 frames' if len(patch_size) == 3 else ''}: "
            f"give img_size, (H, W) for images or (T, H, W) for clips"
        )
    size = (side * patch_size[-2], side * patch_size[-1])
    return size if len(patch_size) == 2 else (16, *size)


def fill(module, tensors, part, path):
    """Copy the tensors into the module, each exactly once. Raises ValueError with the names of all that do not fit."""
    wanted = module.state_dict()
    missing = [f"{name} is missing" for name in wanted if name not in tensors]
    extra = [f"{name} is left over" for name in tensors if name not in wanted]
    ready, misshapen = {}, []
    for name in wanted.keys() & tensors.keys():
        tensor = tensors[name]
        squeezed = tensor.flatten(1) if name == "patch_embed.proj.weight" else tensor  # a convolution is a matrix
        while squeezed.ndim > wanted[name].ndim and squeezed.shape[0] == 1:  # [1, N, D], [1, 1, D]
            squeezed = squeezed[0]
        if squeezed.shape != wanted[name].shape:
            misshapen.append(f"{name} is {list(tensor.shape)}, expected {list(wanted[name].shape)}")
        ready[name] = squeezed.float()
    faults = missing + extra + sorted(misshapen)
    if faults:
        shown = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
        raise ValueError(f"{path}: the {part} does not fit: {shown}. Is it a released JEPA, at this img_size?")
    module.load_state_dict(ready)
    return module.eval().requires_grad_(False)
