"""Files as people bring them: wrapped names, other formats, and what is no checkpoint at all; which family is it?"""

import io
import json
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_official import LAYOUTS, SIZE, published, seeded

from minijepa.pretrained.official import load_official
from minijepa.pretrained.official_files import kind_of

PATCH, TABLE = "patch_embed.proj.weight", "pos_embed"


def saved(content, path, **how):
    torch.save(content, path, **how)
    return path


def opened(path, layout="I-JEPA", **more):
    return load_official(path, heads=2, img_size=LAYOUTS[layout][0], **more)


def same_features(found, modules, family, part="encoder"):
    x = torch.randn(2, 3, *LAYOUTS[family][0], generator=seeded(0))
    return torch.equal(getattr(found, part)(x), modules[part](x))


# --- which family ---


def variant(family, predictor, table):
    """A checkpoint of this family with or without predictor and tables, and the modules it was made from."""
    content, modules = published(family)
    prefix = LAYOUTS[family][2]
    for part in ("encoder", "target_encoder", "predictor"):
        name = prefix + ("predictor_" if part == "predictor" else "") + TABLE
        width = 24 if part == "predictor" else SIZE["dim"]
        if not table:
            content[part].pop(name, None)
        elif name not in content[part]:  # released rotary files carry tables that nobody uses
            tokens = modules["encoder"].grid
            content[part][name] = torch.randn(1, torch.tensor(tokens).prod(), width, generator=seeded(8))
    if not predictor:
        del content["predictor"]
    return content, modules


DECIDED = {  # (family, predictor, table): does the file itself tell? The others are alike but for what is absent
    ("I-JEPA", True, True): True,
    ("I-JEPA", False, True): True,
    ("I-JEPA", True, False): False,  # no table: it cannot be opened at all
    ("I-JEPA", False, False): False,
    ("V-JEPA", True, True): True,
    ("V-JEPA", False, True): False,
    ("V-JEPA", True, False): False,
    ("V-JEPA", False, False): False,
    ("V-JEPA 2", True, True): True,
    ("V-JEPA 2", False, True): False,
    ("V-JEPA 2", True, False): True,
    ("V-JEPA 2", False, False): False,
}


@pytest.mark.parametrize("family, predictor, table", DECIDED)
def test_each_file_opens_as_itself_or_is_refused(family, predictor, table, tmp_path):
    content, modules = variant(family, predictor, table)
    path = saved(content, tmp_path / "jepa.pt")
    if DECIDED[family, predictor, table]:
        found = opened(path, family)
        assert found.config["family"] == family and same_features(found, modules, family)
    elif family == "I-JEPA":
        with pytest.raises(ValueError, match="pos_embed is missing"):
            opened(path, family)
    else:
        with pytest.raises(ValueError, match='family="V-JEPA" or family="V-JEPA 2"'):
            opened(path, family)
    if table or family == "V-JEPA 2":  # told, each is opened
        found = opened(path, family, family=family)
        assert found.config["family"] == family and same_features(found, modules, family)
    elif family == "V-JEPA":
        with pytest.raises(ValueError, match="pos_embed is missing"):
            opened(path, family, family=family)


def test_only_one_of_the_two_tables_is_no_evidence(tmp_path):
    for part, name in (("encoder", "pos_embed"), ("predictor", "predictor_pos_embed")):
        content, _ = published("V-JEPA")
        del content[part]["module.backbone." + name]
        with pytest.raises(ValueError, match="family="):
            opened(saved(content, tmp_path / "a.pt"), "V-JEPA")


def test_a_family_that_the_tensors_exclude_is_refused(tmp_path):
    path = saved(published("I-JEPA")[0], tmp_path / "a.pt")
    with pytest.raises(ValueError, match="patches of two sides.*I-JEPA.*'V-JEPA'"):
        opened(path, family="V-JEPA")
    with pytest.raises(ValueError, match="'vjepa3'.*I-JEPA, V-JEPA, V-JEPA 2"):
        opened(path, family="vjepa3")
    path = saved(published("V-JEPA")[0], tmp_path / "b.pt")
    with pytest.raises(ValueError, match="'I-JEPA'"):
        load_official(path, heads=2, img_size=(4, 12, 16), family="I-JEPA")


# --- heads and sizes ---


def test_a_released_width_with_another_mlp_or_predictor_has_no_known_heads(tmp_path, monkeypatch):
    from minijepa.pretrained import official

    content, _ = published("I-JEPA")
    path = saved(content, tmp_path / "a.pt")
    monkeypatch.setitem(official.HEADS, ("I-JEPA", 48, 2, 192, 24), (2, 2))  # as if it were a released size
    assert load_official(path).config["heads"] == 2
    monkeypatch.delitem(official.HEADS, ("I-JEPA", 48, 2, 192, 24))
    monkeypatch.setitem(official.HEADS, ("I-JEPA", 48, 2, 96, 24), (2, 2))
    with pytest.raises(ValueError, match="192 hidden units.*heads="):
        load_official(path)
    monkeypatch.setitem(official.HEADS, ("I-JEPA", 48, 2, 192, 384), (2, 2))
    with pytest.raises(ValueError, match="predictor of width 24.*heads="):
        load_official(path)


def test_the_grid_comes_from_the_table_itself_not_from_sixteen_frames(tmp_path):
    """32 tokens are 8 × 2 × 2, and 2 × 4 × 4 as well: only the numbers in the table can tell."""
    from minijepa.positions import sincos

    content, _ = published("V-JEPA")
    for grid, size in (((8, 2, 2), (16, 8, 8)), ((2, 4, 4), (4, 16, 16))):
        for part, name, width in (("encoder", "pos_embed", 48), ("target_encoder", "pos_embed", 48),
                                  ("predictor", "predictor_pos_embed", 24)):  # fmt: skip
            content[part]["module.backbone." + name] = sincos(grid, width, uniform=True)[None]
        assert load_official(saved(content, tmp_path / "a.pt"), heads=2).config["img_size"] == size
    content["encoder"]["module.backbone.pos_embed"] = torch.randn(1, 32, 48, generator=seeded(1))
    with pytest.raises(ValueError, match="32 tokens.*give img_size"):
        load_official(saved(content, tmp_path / "a.pt"), heads=2)


@pytest.mark.parametrize(
    "config, words",
    [
        ("{", "config.json.*JSON"),
        ("version https://git-lfs.github.com/spec/v1\n", "config.json.*JSON"),
        ("[]", "config.json.*num_attention_heads"),
        ('{"model_type": "bert", "num_attention_heads": 2}', "config.json.*image_size"),
        ('{"model_type": "ijepa", "image_size": 24}', "config.json.*num_attention_heads"),
        ('{"image_size": 24, "num_attention_heads": 2, "hidden_size": 64}', "hidden_size 64.*48"),
        ('{"image_size": 24, "num_attention_heads": 2, "num_hidden_layers": 12}', "num_hidden_layers 12.*2"),
        ('{"image_size": 24, "num_attention_heads": 2, "model_type": "vjepa2"}', "config.json is 'V-JEPA 2'"),
    ],
)
def test_a_config_that_is_not_this_models_is_refused(config, words, tmp_path):
    content, _ = published("I-JEPA")
    names = {name.removeprefix("module."): tensor for name, tensor in content["encoder"].items()}
    save_file({name: tensor.contiguous() for name, tensor in names.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        load_official(tmp_path)


# --- names in wrappers ---


def renamed(content, change):
    """The three parts under other names; change: (part, name) -> name in a flat state dict."""
    parts = ("encoder", "target_encoder", "predictor")
    return {change(part, name.removeprefix("module.")): t for part in parts for name, t in content[part].items()}


WRAPPED = {
    "compiled": lambda part, name: f"{part}._orig_mod.{name}",
    "compiled, then distributed": lambda part, name: f"{part}.module._orig_mod.{name}",
    "blocks compiled": lambda part, name: f"{part}.{name.replace('.attn.', '._orig_mod.attn.')}",
    "one model": lambda part, name: f"model.{part}.{name}",
    "one compiled model": lambda part, name: f"_orig_mod.{part}.{name}",
    "ema": lambda part, name: f"{part.replace('target_', 'ema_')}.{name}",
    "context": lambda part, name: f"{'context_' * (part == 'encoder')}{part}.{name}",
    "student and teacher": lambda part, name: (
        f"{ {'encoder': 'student', 'target_encoder': 'teacher'}.get(part, part) }.{name}"
    ),
    "student and teacher, with backbones": lambda part, name: (
        f"{ {'encoder': 'student', 'target_encoder': 'teacher'}.get(part, part) }.backbone.{name}"
    ),
}


@pytest.mark.parametrize("how", WRAPPED)
@pytest.mark.parametrize("outer", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state}])
def test_wrappers_are_taken_off(how, outer, tmp_path):
    content, modules = published("I-JEPA")
    flat = renamed(content, WRAPPED[how])
    found = opened(saved(outer(flat), tmp_path / "a.pt"))
    assert same_features(found, modules, "I-JEPA") and same_features(found, modules, "I-JEPA", "target_encoder")
    assert found.predictor is not None
    save_file({name: tensor.contiguous() for name, tensor in flat.items()}, tmp_path / "a.safetensors")
    assert same_features(opened(tmp_path / "a.safetensors"), modules, "I-JEPA", "target_encoder")


def test_one_encoder_alone(tmp_path):
    content, modules = published("I-JEPA")
    bare = {name.removeprefix("module."): tensor for name, tensor in content["encoder"].items()}
    found = opened(saved(bare, tmp_path / "a.pt"))
    assert same_features(found, modules, "I-JEPA") and found.target_encoder is None
    found = opened(saved({"ema_encoder": content["target_encoder"]}, tmp_path / "b.pt"))
    assert found.encoder is found.target_encoder is found.default_encoder
    assert same_features(found, modules, "I-JEPA", "target_encoder")


def test_two_tensors_for_one_place_are_refused(tmp_path):
    content, _ = published("I-JEPA")
    content["context_encoder"] = content["encoder"]
    with pytest.raises(ValueError, match="two.*encoder.*pos_embed"):
        opened(saved(content, tmp_path / "a.pt"))


def test_no_encoder_lists_what_is_there(tmp_path):
    path = saved({"generator": {"layer.weight": torch.zeros(2)}, "epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt: no encoder.*generator"):
        load_official(path)
    many = {f"decoder.{i}.weight": torch.zeros(2) for i in range(30)}
    with pytest.raises(ValueError, match=r"no encoder.*decoder\.0\.weight.*22 more"):
        load_official(saved(many, tmp_path / "b.pt"))
    for content in (torch.zeros(3), [torch.zeros(3)], {}):
        with pytest.raises(ValueError, match="no encoder"):
            load_official(saved(content, tmp_path / "c.pt"))


def test_this_courses_own_encoder_and_another_predictor_are_refused_by_name(tmp_path):
    content, modules = published("I-JEPA")
    with pytest.raises(ValueError, match="2 axes.*that this course trained"):
        load_official(saved(modules["encoder"].state_dict(), tmp_path / "a.pt"))
    content["predictor"] = {"module.predictor_embed.0.weight": torch.zeros(24, 48)}
    with pytest.raises(ValueError, match=r"predictor is none of.*embed\.0\.weight"):
        opened(saved(content, tmp_path / "b.pt"))


# --- formats ---


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_torchs_old_format(dtype, tmp_path):
    content, _ = published("I-JEPA")
    half = {part: {n: t.to(dtype) for n, t in content[part].items()} for part in ("encoder", "predictor")}
    new = opened(saved(half, tmp_path / "new.pt"))
    old = opened(saved(half, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False))
    x = torch.randn(2, 3, 24, 24, generator=seeded(0))
    assert torch.equal(new.encoder(x), old.encoder(x))
    assert torch.equal(new.encoder.norm.weight, half["encoder"]["module.norm.weight"].float())


def test_what_a_file_is_does_not_hang_on_its_name(tmp_path):
    content, modules = published("I-JEPA")
    save_file({n.removeprefix("module."): t.contiguous() for n, t in content["encoder"].items()}, tmp_path / "a.pt")
    assert same_features(opened(tmp_path / "a.pt"), modules, "I-JEPA")
    saved(content, tmp_path / "b.safetensors")
    assert same_features(opened(tmp_path / "b.safetensors"), modules, "I-JEPA")


def whole(kind):
    """The bytes of a sound checkpoint in each format."""
    content, _ = published("I-JEPA")
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=kind == "new")
    return buffer.getvalue()


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("readme.txt", "hello")
    return buffer.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22\nsize 12345\n"
NO_CHECKPOINTS = {
    "empty": (lambda: b"", "empty.*download it again"),
    "page": (lambda: b"\n<!DOCTYPE html>\n<html><title>404 Not Found</title></html>", "web page.*HTML.*download"),
    "xml": (lambda: b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page.*download"),
    "pointer": (lambda: POINTER, "git-lfs pointer.*git lfs pull"),
    "cut, new": (lambda: whole("new")[:-2000], "cut off.*download it again"),
    "cut, old": (lambda: whole("old")[:-2000], "cut off.*download it again"),
    "cut, safetensors": (None, "cut off.*download it again"),
    "zip": (archive, "zip archive.*unpack"),
    "json": (lambda: b'{"weight_map": {}}', "JSON.*folder"),
    "noise": (lambda: b"\x12\x34" * 600, "no known format"),
    "short": (lambda: b"\x80", "cut off|no known format"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(40), "gzip.*unpack"),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", NO_CHECKPOINTS)
def test_what_is_no_checkpoint_is_named(kind, suffix, tmp_path):
    make, words = NO_CHECKPOINTS[kind]
    path = tmp_path / f"jepa{suffix}"
    if make is None:
        save_file({"norm.weight": torch.zeros(600)}, path)
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.write_bytes(make())
    with pytest.raises(ValueError, match=rf"(?s)jepa\{suffix}: .*({words})"):
        load_official(path)


@pytest.mark.parametrize("first", [b" <", b" [", b" {", b"\n<", b"<!", b"{ "])
def test_safetensors_whose_length_looks_like_a_text_are_safetensors(first, tmp_path):
    """The file begins with the length of its header: 15,392 bytes are a space and a `<`, as in a web page."""
    length = int.from_bytes(first, "little")
    header = b'{"norm.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    path = tmp_path / "jepa.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + header.ljust(length) + bytes(8))
    assert list(load_file(path)) == ["norm.weight"]  # safetensors reads it
    assert kind_of(path) == ("safetensors", "")


def test_a_text_with_a_brace_at_the_ninth_place_is_a_text(tmp_path):
    (tmp_path / "config.json").write_text('{"abc": {"a": 1}}', encoding="utf-8")
    assert kind_of(tmp_path / "config.json")[0] == "a text in JSON"


def test_a_pointer_among_the_shards_of_a_folder_is_named(tmp_path):
    save_file({"norm.weight": torch.zeros(6)}, tmp_path / "model-00001-of-00002.safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(POINTER)
    with pytest.raises(ValueError, match="00002.*git-lfs pointer"):
        load_official(tmp_path)


def test_shards_make_one_model(tmp_path):
    content, modules = published("I-JEPA")
    names = {n.removeprefix("module."): t.contiguous() for n, t in content["encoder"].items()}
    for number in (0, 1):
        save_file(dict(list(names.items())[number::2]), tmp_path / f"model-0000{number + 1}-of-00002.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"image_size": 24, "num_attention_heads": 2}), encoding="utf-8")
    assert same_features(load_official(tmp_path), modules, "I-JEPA")
