"""What lies in a checkpoint file: its format by its first bytes, its tensors by part, their names as ours.

`official.py` builds models from it. A file that is no checkpoint (an error page, a pointer of git-lfs, half a download)
is called what it is.
"""

import json
import re
import zipfile
from pathlib import Path

import safetensors.torch
import torch

# published names of the three parts, and what wrappers put in front of names: DDP, torch.compile, FSDP, ...
PARTS = {
    "encoder": ("encoder", "context_encoder", "student", "online_encoder"),
    "target_encoder": ("target_encoder", "ema_encoder", "teacher", "momentum_encoder", "model_ema", "ema_model", "ema"),
    "predictor": ("predictor",),
}
WRAPPERS = {"module", "model", "backbone", "net", "state_dict", "model_state_dict", "ijepa", "vjepa2"}
ANYWHERE = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}

# patterns of published names and ours, applied in this order to each name: the authors' own, then Hugging Face's
NAMES = [
    (r"^predictor_", ""),
    (r"^mask_token$", "mask_tokens.0"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.(projection|proj)\.", "patch_embed.proj."),
    (r"^embeddings\.predictor_embeddings\.", "embed."),
    (r"^embeddings\.mask_tokens$", "mask_tokens"),  # all in one; `merge` takes them apart
    (r"^layers?\.(\d+)\.", r"blocks.\1."),
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


def read(path):
    """All tensors of a file or folder under our names: ({part: {name: tensor}}, {what is known besides their shapes}).

    Raises FileNotFoundError if there is none, ValueError if it is no checkpoint or holds no encoder.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such checkpoint; download it first, from its authors or Hugging Face")
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: no *.safetensors in this folder; give a checkpoint file or such a folder")
    contents, parts = [load(file) for file in files], {}
    for name, tensor in (pair for content in contents for pair in tensors_of(content)):
        part, ours = place_of(name)
        if ours in parts.setdefault(part, {}):
            raise ValueError(f"{path}: two tensors are the {part}'s {ours}; give a file that holds one model")
        parts[part][ours] = tensor
    patches = [tensors.get("embeddings.patch_embeddings.proj.weight") for tensors in parts.values()]
    clips = any(weight is not None and weight.ndim == 5 for weight in patches)
    hints = {"family": "V-JEPA 2"} if clips else {}  # Hugging Face calls its patches so, and has no V-JEPA
    if files[0].suffix == ".safetensors":
        hints |= read_config(files[0].parent / "config.json")
    parts = {part: merge({new_name(name): t for name, t in tensors.items()}) for part, tensors in parts.items()}
    parts.setdefault("encoder", parts.get("target_encoder", {}))
    if "norms_block.0.weight" in parts["encoder"]:
        hints["family"], parts = "V-JEPA 2.1", of_clips(parts)
    if "patch_embed.proj.weight" not in parts["encoder"] or "blocks.0.mlp.fc1.weight" not in parts["encoder"]:
        keys = [str(key) for content in contents if isinstance(content, dict) for key in content]
        shown = ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "") if keys else "none"
        raise ValueError(
            f"{path}: no encoder with patches and blocks in this file; expected a published I-JEPA, V-JEPA, "
            f"V-JEPA 2, V-JEPA 2.1 or V-JEPA 2-AC checkpoint, found these keys: {shown}"
        )
    axes = parts["encoder"]["patch_embed.proj.weight"].ndim
    if axes not in (4, 5):
        raise ValueError(
            f"{path}: the patches' weight has {axes} axes, expected the 4 of an image's or the 5 of a clip's "
            f"convolution; encoders that this course trained have 2, and are no official checkpoints"
        )
    if "predictor" in parts and not {"embed.weight", "blocks.0.norm1.weight"} <= parts["predictor"].keys():
        names = ", ".join(list(parts["predictor"])[:8])
        raise ValueError(
            f"{path}: the predictor is none of the released ones, from I-JEPA to V-JEPA 2.1; its tensors: {names}"
        )
    return parts, hints


def load(path):
    """The content of one file, whatever its name ends in: safetensors, or what torch.save wrote, in both its formats.

    Nothing but tensors is unpickled. Raises ValueError that says what the file is, if it cannot be read.
    """
    kind, remedy = kind_of(path)
    if remedy:
        raise ValueError(f"{path}: this is {kind}, no checkpoint; {remedy}")
    try:
        if kind == "safetensors":
            return safetensors.torch.load_file(path)
        with open(path, "rb") as file:  # only the newer format, a zip archive, can be mapped into memory, by its path
            mapped = kind == "zip" and path.suffix != ".safetensors"  # whose name torch.load would believe
            return torch.load(path if mapped else file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # each reader has its own kinds of errors
        reason = str(error).strip() or type(error).__name__
        sly = "weights_only" in reason or "Unsupported" in reason
        what = "holds more than tensors, which is not opened" if sly else "is damaged or cut off; download it again"
        raise ValueError(f"{path}: {what} ({reason})") from error


def kind_of(path):
    """(what the first bytes say that this file is, what to do about it; '' where it can be read)."""
    with open(path, "rb") as file:
        head = file.read(512)
    again = "download it again, from a link that gives the file itself"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return "an empty file", again
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**30:  # before texts: 15,392 is a space and a "<"
        return "safetensors", ""
    if text.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer, a few lines in place of the file", "fetch the file: `git lfs pull`, or download it"
    if text.startswith(b"<"):
        return "a web page (HTML or XML), perhaps an error message or a login", again
    if text.startswith((b"{", b"[")):
        return "a text in JSON", "give the checkpoint file, or the folder that holds *.safetensors and config.json"
    if head.startswith(b"\x1f\x8b"):
        return "a gzip archive", "unpack it first"
    if head.startswith(b"PK"):
        if not zipfile.is_zipfile(path):
            return "the beginning of a zip archive, cut off", "download it again, and compare its size"
        with zipfile.ZipFile(path) as file:
            ours = any(name.endswith("data.pkl") for name in file.namelist())
        return ("zip", "") if ours else ("a zip archive", "unpack it, and give the checkpoint inside")
    if head.startswith(b"\x80"):
        return "torch's old format", ""
    return f"in no known format (it starts with {head[:8]!r})", again


def tensors_of(content, prefix=""):
    """(name, tensor) of all that a model's state can be: through wrappers and parts, not into an optimiser's state."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, torch.Tensor) and value.ndim:  # numbers, as a loss or an epoch, are no weights
            yield name, value
        elif isinstance(value, dict) and place_of(f"{name}.")[1] == "":
            yield from tensors_of(value, f"{name}.")


def place_of(name):
    """(part, rest of the name) of a published name: wrappers off, the encoder where no part is named."""
    words, part = [word for word in name.split(".") if word not in ANYWHERE], "encoder"
    while words:
        named = next((ours for ours, theirs in PARTS.items() if words[0] in theirs), None)
        if named is None and words[0] not in WRAPPERS:
            break
        part = named if named not in (None, "encoder") else part
        words = words[1:]
    return part, ".".join(words)


def new_name(name):
    """A published name, as ours."""
    for pattern, ours in NAMES:
        name = re.sub(pattern, ours, name)
    return name


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
                merged[f"mask_tokens.{number}"] = token
        elif not re.search(r"\.attn\.[kv]\.", name):
            merged[name] = tensor
    return merged


def of_clips(parts):
    """V-JEPA 2.1's tensors as those of a model of clips alone, which gives the same. parts: {part: {name: tensor}}.

    It adds one learned vector to all tokens of a clip, another to those of an image. The clip's is added here to what
    is added anyway: the bias of the patches and, in the predictor, the bias of the first map and the mask tokens.
    Left out are: the patches and vectors of images; the norms of earlier blocks than the last, which only the training
    uses; the second head, which predicts the visible patches; and a predictor that hears four blocks at once.
    """
    left_out = ("patch_embed_img.", "img_mod_embed", "video_mod_embed", "norms_block.", "proj_context.")
    shifted = re.compile(r"patch_embed\.proj\.bias|embed\.bias|mask_tokens\.\d+")
    folded = {}
    for part, tensors in parts.items():
        if "embed.0.weight" in tensors:  # that predictor
            continue
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(left_out)}
        norms = sorted(name for name in tensors if re.fullmatch(r"norms_block\.\d\.(weight|bias)", name))
        kept |= {f"norm.{name.split('.')[-1]}": tensors[name] for name in norms[-2:]}  # the last block's
        if "video_mod_embed" in tensors:
            vector = tensors["video_mod_embed"].flatten()  # [1, 1, D] -> [D]
            kept |= {name: tensor + vector for name, tensor in kept.items() if shifted.fullmatch(name)}
        folded[part] = kept
    if parts["encoder"] is parts.get("target_encoder"):
        folded["encoder"] = folded["target_encoder"]
    return folded


def read_config(file):
    """What a config.json of Hugging Face says: family, heads, image size, and its sizes to compare; {} without one.

    Raises ValueError, with the file's name, if it is no JSON, of another kind of model, or lacks one of these.
    """
    if not Path(file).exists():
        return {}
    remedy = "get the config.json that belongs to these weights, or move it away and give heads and img_size"
    try:
        config = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{file}: is no JSON ({error}); {remedy}") from error
    families = {"ijepa": "I-JEPA", "vjepa2": "V-JEPA 2"}
    try:
        hints = {"config": {key: config[key] for key in ("hidden_size", "num_hidden_layers") if key in config}}
        heads = config["num_attention_heads"]
        if "crop_size" in config:
            hints["heads"] = heads, config.get("pred_num_attention_heads", heads)
            hints["img_size"] = (config["frames_per_clip"], config["crop_size"], config["crop_size"])
        else:
            side = config["image_size"]
            hints["heads"], hints["img_size"] = heads, (side, side) if isinstance(side, int) else tuple(side)
    except (KeyError, TypeError) as error:
        wanted = "num_attention_heads, image_size (I-JEPA) or crop_size and frames_per_clip (V-JEPA 2)"
        raise ValueError(f"{file}: lacks one of {wanted} ({error}); {remedy}") from error
    if "model_type" in config:
        if config["model_type"] not in families:
            raise ValueError(f"{file}: model_type {config['model_type']!r} is none of {', '.join(families)}; {remedy}")
        hints["family"] = families[config["model_type"]]
    return hints
