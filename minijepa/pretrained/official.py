"""The official checkpoints, opened in the readable models of this course: I-JEPA, V-JEPA, V-JEPA 2, 2-AC, 2.1.

Each publication has its own names for the same tensors; `official_files.py` reads them under ours. This file takes
every size from the tensors themselves, and refuses a file in which anything is missing, left over or of another shape.
What no tensor tells (heads, sometimes the family or the image size) is taken from the released models or asked for, and
never guessed from what is absent.
Nothing is downloaded here: get the file from its authors first, and mind its licence (I-JEPA's and V-JEPA's weights
are for non-commercial use). Layouts: github.com/facebookresearch/ijepa, /jepa, /vjepa2, and the models that
Hugging Face's transformers call IJepaModel and VJEPA2Model.
"""

from dataclasses import dataclass
from pathlib import Path

from minijepa.planning.ac_predictor import ACPredictor
from minijepa.positions import sincos
from minijepa.predictor import Predictor
from minijepa.pretrained.official_files import read
from minijepa.vit import ViT

POSITIONS = {
    "I-JEPA": "sincos",
    "V-JEPA": "sincos_uniform",
    "V-JEPA 2": "rotary_published",
    "V-JEPA 2.1": "rotary_stretched",
    "V-JEPA 2-AC": "rotary_published",
}
FAMILIES = tuple(POSITIONS)

# (family, width, blocks, hidden units, width of the predictor): attention heads of the encoder and of the predictor.
# No tensor's shape tells them, so they are known for the released sizes alone.
HEADS = {
    ("I-JEPA", 1280, 32, 5120, 384): (16, 16),
    ("I-JEPA", 1408, 40, 6144, 384): (16, 16),
    ("V-JEPA", 1024, 24, 4096, 384): (16, 16),
    ("V-JEPA", 1280, 32, 5120, 384): (16, 16),
    ("V-JEPA 2", 1024, 24, 4096, 384): (16, 12),
    ("V-JEPA 2", 1280, 32, 5120, 384): (16, 12),
    ("V-JEPA 2", 1408, 40, 6144, 384): (22, 12),
    ("V-JEPA 2.1", 768, 12, 3072, 384): (12, 12),
    ("V-JEPA 2.1", 1024, 24, 4096, 384): (16, 12),
    ("V-JEPA 2.1", 1408, 40, 6144, 384): (22, 12),
    ("V-JEPA 2.1", 1664, 48, 8192, 384): (26, 12),
    ("V-JEPA 2-AC", 1408, 40, 6144, 1024): (22, 16),
}
AC_FRAME = (256, 256)  # pixels; the released V-JEPA 2-AC knows no other frames, and no tensor tells


@dataclass
class Official:
    """What a file holds. encoder: the context encoder f_theta. target_encoder: its slow copy f_xi, or None if the file
    has no such part; both are the same module if it holds the copy alone. predictor: g_phi, or None. config: family,
    sizes and heads, as they were found."""

    encoder: ViT
    target_encoder: ViT | None
    predictor: Predictor | ACPredictor | None
    config: dict

    @property
    def default_encoder(self):
        """The encoder to use for features: the target encoder where there is one, since the papers evaluate it."""
        return self.encoder if self.target_encoder is None else self.target_encoder


def load_official(path, heads=None, img_size=None, family=None):
    """Open an official checkpoint as ViT and Predictor, on the CPU, in float32, in evaluation mode.

    path: a `.pth.tar`, `.pt` or `.safetensors` file, or a folder of safetensors files with their config.json.
    heads: attention heads, a number or (encoder, predictor); None: those of the released sizes (table HEADS).
    img_size: pixels, (H, W) or (T, H, W); None: as the file's position table has it, or the config.json next to it.
    Of V-JEPA 2-AC it is one square frame, None: the release's; its encoder takes clips of one tubelet, as
    `planning.encode_frames` makes them, and its predictor is an ACPredictor. Of V-JEPA 2.1 the encoder of clips is
    opened, not that of images, and the predictor of the distilled models (see official_files.of_clips).
    family: one of FAMILIES; needed where the tensors of one could be another's (see find_family).
    Returns Official. Where a file has two encoders, take `default_encoder`, the target encoder: the papers'
    numbers are its numbers. The Hugging Face files hold one encoder only: for I-JEPA, by their converter, the *context*
    encoder. Tables of positions in a file are used as they are, whatever order their axes have.
    Raises ValueError if the file is no known layout, if a tensor is missing, left over or of another shape (by
    name), or if heads, img_size or family must be given; FileNotFoundError if there is no file.
    """
    parts, hints = read(Path(path).expanduser())
    encoder, predictor = parts["encoder"], parts.get("predictor")
    family, tokens = find_family(path, encoder, predictor, hints, family), None
    if family in ("V-JEPA 2", "V-JEPA 2-AC"):  # released files still carry tables that the rotary models do not use
        tables = [part.pop("pos_embed", None) for part in parts.values()]  # [1, N, D] each
        tokens = next((table.shape[-2] for table in tables if table is not None), None)
    weight = encoder["patch_embed.proj.weight"]  # [D, C, (frames,) p, q]
    dim, channels, *patch_size = weight.shape
    depth, hidden = count_blocks(encoder), len(encoder["blocks.0.mlp.fc1.weight"])
    for key, value in {"hidden_size": dim, "num_hidden_layers": depth}.items():
        if hints.get("config", {}).get(key, value) != value:
            said = hints["config"][key]
            raise ValueError(f"{path}: config.json says {key} {said}, the tensors {value}: it is another model's")
    width = len(predictor["embed.weight"]) if predictor else None
    released = HEADS.get((family, dim, depth, hidden, width or 384))
    found = heads if heads is not None else hints.get("heads", released)
    if found is None:
        raise ValueError(
            f"{path}: {family} of width {dim} with {depth} blocks, {hidden} hidden units and "
            f"{f'a predictor of width {width}' if width else 'no predictor'} is no released size: give heads=..."
        )
    encoder_heads, predictor_heads = (found, found) if isinstance(found, int) else found
    if family == "V-JEPA 2-AC":
        img_size = find_frame(path, img_size or (released and AC_FRAME), patch_size)
    img_size = tuple(img_size or hints.get("img_size") or find_size(path, encoder.get("pos_embed"), tokens, patch_size))
    positions = POSITIONS[family]
    config = dict(
        img_size=img_size, patch_size=tuple(patch_size), dim=dim, depth=depth, heads=encoder_heads,
        mlp_ratio=hidden / dim, in_chans=channels, positions=positions,
    )  # fmt: skip
    result = Official(fill(ViT(**config), encoder, "encoder", path), None, None, {"family": family, **config})
    if parts.get("target_encoder") is encoder:
        result.target_encoder = result.encoder
    elif "target_encoder" in parts:
        result.target_encoder = fill(ViT(**config), parts["target_encoder"], "target_encoder", path)
    if predictor is not None:
        sizes, grid = dict(width=width, depth=count_blocks(predictor), heads=predictor_heads), result.encoder.grid
        if family == "V-JEPA 2-AC":
            sizes |= condition_sizes(predictor)
            module = ACPredictor(dim, grid[1:], **sizes, positions=positions)
        else:
            sizes["mask_tokens"] = max(1, sum("mask_token" in name for name in predictor))
            if family == "V-JEPA 2.1" and "proj.weight" in predictor:  # its teacher may be wider than its encoder
                sizes["out_dim"] = len(predictor["proj.weight"])
            module = Predictor(dim, grid, **sizes, positions=positions)
        result.predictor = fill(module, predictor, "predictor", path)
        result.config["predictor"] = sizes
    return result


# --- the pieces ---


def find_family(path, encoder, predictor, hints, asked=None):
    """Which publication it is, by what is there. asked: what the caller says, where the tensors leave it open.

    Patches with two sides are I-JEPA's. For clips: a predictor with an encoder of actions is V-JEPA 2-AC's, and no
    other's; an encoder with a norm for each of four blocks is V-JEPA 2.1's; Hugging Face's names or more than two mask
    tokens are V-JEPA 2's; tables of positions in encoder and predictor, with one or two mask tokens, are V-JEPA's.
    Nothing else tells: an encoder alone may be either, since files of V-JEPA 2 may carry a table that it does not use.
    Raises ValueError if the family must be given, or if the tensors exclude the one that was.
    """
    if asked not in (None, *FAMILIES):
        raise ValueError(f"no family is called {asked!r}; there are {', '.join(FAMILIES)}")
    weight = encoder["patch_embed.proj.weight"]
    images = weight.ndim == 4
    shape = f"{path}: patches of {'two' if images else 'three'} sides (the weight is {list(weight.shape)})"
    named = asked or hints.get("family")
    if named is not None and (named == "I-JEPA") != images:
        other = "I-JEPA" if images else "V-JEPA, V-JEPA 2, 2.1 or 2-AC"
        source = "family" if asked else "the family by config.json"
        raise ValueError(f"{shape} are those of {other}, but {source} is {named!r}: give the right one")
    hears = "action_encoder.weight" in (predictor or {})
    if hears and images:
        raise ValueError(f"{shape}, but the predictor hears actions: V-JEPA 2-AC has patches of three sides")
    if hears and hints.get("family") == "V-JEPA 2.1":
        raise ValueError(f"{path}: V-JEPA 2.1's encoder and a predictor that hears actions are no released pair")
    if asked and (asked == "V-JEPA 2-AC") != hears:
        what = "has an action_encoder, as only V-JEPA 2-AC's" if hears else "has no action_encoder, as V-JEPA 2-AC's"
        what = f"the predictor {what}" if predictor else "there is no predictor, only V-JEPA 2's encoder"
        raise ValueError(f"{path}: {what}, but family is {asked!r}: give the right one")
    if asked and (asked == "V-JEPA 2.1") != (hints.get("family") == "V-JEPA 2.1"):
        what = "no norms_block, as V-JEPA 2.1's" if asked == "V-JEPA 2.1" else "a norms_block, as only V-JEPA 2.1's"
        raise ValueError(f"{path}: the encoder has {what}, but family is {asked!r}: give the right one")
    if images or hears or named:
        return "V-JEPA 2-AC" if hears else named or "I-JEPA"
    tokens = sum("mask_token" in name for name in predictor or {})
    if tokens > 2:
        return "V-JEPA 2"
    if tokens and "pos_embed" in encoder and "pos_embed" in predictor:
        return "V-JEPA"
    raise ValueError(
        f"{path}: this {'file' if predictor else 'encoder without its predictor'} may be a V-JEPA or a V-JEPA 2, whose "
        f'positions differ and nothing in it tells which: give family="V-JEPA" or family="V-JEPA 2"'
    )


def count_blocks(tensors):
    """How many transformer blocks there are: the highest number in a name, plus one."""
    return 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))


def find_frame(path, img_size, patch_size):
    """(frames of a tubelet, H, W) of V-JEPA 2-AC, whose encoder sees each frame alone. img_size: (H, W), or all three.

    Raises ValueError if img_size is None, is another length of clip, or if its frames are not square.
    """
    if img_size is None:
        raise ValueError(f"{path}: V-JEPA 2-AC of this size is not released, and no tensor tells: give img_size=(H, W)")
    size = tuple(img_size) if len(img_size) == 3 else (patch_size[0], *img_size)
    if size[0] != patch_size[0] or size[1] != size[2]:
        raise ValueError(
            f"{path}: V-JEPA 2-AC sees square frames one by one, each as a clip of one tubelet; got img_size "
            f"{tuple(img_size)}, expected (S, S) or ({patch_size[0]}, S, S)"
        )
    return size


def condition_sizes(predictor):
    """How many numbers each action, state and camera has, by the encoders' weights; the release's where one is missing,
    so that `fill` names it."""
    sizes = {"action": 7, "state": 7, "extrinsics": 6}
    for name in sizes:
        if f"{name}_encoder.weight" in predictor:
            sizes[name] = predictor[f"{name}_encoder.weight"].shape[-1]  # [width, numbers]
    return {f"{name}_dim": size for name, size in sizes.items()}


def find_size(path, table, tokens, patch_size):
    """The image size in pixels. Raises ValueError if it must be given.

    table: the positions that the encoder adds, [1, N, D] or None. Images are squares. Of clips of N tokens with square
    frames it is the one whose sine-cosine table this is: 1,568 tokens are 16 frames of 224 pixels, and 4 of 448.
    tokens: without a table (rotary positions, which run at any size) those of one that is not used; 16 frames.
    """
    n = table.shape[-2] if table is not None else tokens or 0
    sides = {times: round((n / times) ** 0.5) for times in range(1, n + 1)}
    grids = [(times, side, side) for times, side in sides.items() if times * side * side == n]
    if len(patch_size) == 2:
        grids = [grid[1:] for grid in grids if grid[0] == 1]
    elif table is None:
        grids = [grid for grid in grids if grid[0] * patch_size[0] == 16]
    else:
        flat = table.reshape(n, -1).float()  # [N, D]
        grids = [g for g in grids if (sincos(g, flat.shape[1], uniform=True) - flat).abs().mean() < 0.01]
    if len(grids) != 1:
        kind = "square grid" if len(patch_size) == 2 else "grid of square frames that is known"
        raise ValueError(f"{path}: {n} tokens are no {kind}: give img_size, (H, W) for images or (T, H, W) for clips")
    return tuple(g * p for g, p in zip(grids[0], patch_size, strict=True))


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
