"""ViT against timm's, against a slow reference for kept tokens, and against a convolution for clips."""

import itertools

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from minijepa.patches import gather_tokens
from minijepa.positions import sincos
from minijepa.vit import SIZES, Attention, ViT, count_parameters, pool

# (image, patch, width, blocks, heads, MLP ratio, channels)
CONFIGURATIONS = [
    ((32, 32), (4, 4), 96, 3, 3, 4, 3),
    ((24, 40), (8, 8), 64, 2, 8, 4, 3),
    ((12, 18), (4, 6), 48, 2, 2, 48 / 11, 1),
    ((28, 28), (7, 7), 32, 1, 1, 2, 4),
]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def shake(module, seed=0):
    """Give every parameter, biases and norms too, a value that is neither 0 nor 1, so none can hide."""
    generator = seeded(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.1)
    return module


def ours(image, patch, dim, depth, heads, ratio, channels):
    return shake(ViT(image, patch, dim, depth, heads, ratio, channels))


def timm_copy(vit, image, patch, dim, depth, heads, ratio, channels):
    """timm's ViT with our weights. Its patch embedding is a strided convolution: our matrix, reshaped."""
    other = VisionTransformer(
        img_size=image, patch_size=patch, in_chans=channels, num_classes=0, global_pool="", embed_dim=dim,
        depth=depth, num_heads=heads, mlp_ratio=ratio, qkv_bias=True, class_token=False, norm_layer=LN6,
    )  # fmt: skip
    weights = vit.state_dict()
    weights["pos_embed"] = weights["pos_embed"][None]  # [1, N, D]
    weights["patch_embed.proj.weight"] = weights["patch_embed.proj.weight"].reshape(dim, channels, *patch)
    other.load_state_dict(weights, strict=True)
    return other


def LN6(dim, **kwargs):
    return nn.LayerNorm(dim, eps=1e-6, **kwargs)


def rounded(dim, ratio):
    """timm cuts the MLP's width to a whole number, we round: give it the ratio that makes the two agree."""
    return (round(dim * ratio) + 0.5) / dim


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_equals_timm_forward_and_gradients(configuration):
    image, patch, dim, depth, heads, ratio, channels = configuration
    a = ours(*configuration)
    b = timm_copy(a, image, patch, dim, depth, heads, rounded(dim, ratio), channels)
    x = torch.randn(3, channels, *image, generator=seeded(1))
    x_a, x_b = x.clone().requires_grad_(), x.clone().requires_grad_()
    out_a, out_b = a(x_a), b.forward_features(x_b)
    torch.testing.assert_close(out_a, out_b, atol=1e-5, rtol=1e-5)
    direction = torch.randn(out_a.shape, generator=seeded(2)) / out_a.numel() ** 0.5
    (out_a * direction).sum().backward()
    (out_b * direction).sum().backward()
    torch.testing.assert_close(x_a.grad, x_b.grad, atol=1e-5, rtol=1e-5)
    gradients = dict(b.named_parameters())
    for name, p in a.named_parameters():
        other = gradients.pop(name).grad
        assert p.grad.abs().max() > 0, f"no gradient reaches {name}"
        torch.testing.assert_close(p.grad, other.reshape(p.shape), atol=1e-5, rtol=1e-5, msg=name)
    assert set(gradients) == {"pos_embed"}  # timm learns its positions; ours are fixed


def slow_forward(vit, x, keep):
    """Kept tokens the long way: embed the whole image, add all positions, gather, run the blocks."""
    tokens = torch.stack([vit.patch_embed.proj(patch) for patch in vit.patch_embed.patches(x).unbind(1)], dim=1)
    tokens = tokens + vit.pos_embed
    tokens = torch.stack([tokens[b][keep[b]] for b in range(len(x))])  # [B, K, D]
    for block in vit.blocks:
        tokens = block(tokens)
    return vit.norm(tokens)


@pytest.mark.parametrize(
    ("image", "patch", "kept"), [((16, 16), (4, 4), 5), ((8, 24), (4, 4), 12), ((4, 8, 12), (2, 4, 4), 7)]
)
def test_kept_tokens_equal_the_slow_reference(image, patch, kept):
    vit = shake(ViT(image, patch, dim=48, depth=2, heads=2))
    x = torch.randn(3, 3, *image, generator=seeded(1))
    keep = torch.rand(3, len(vit.pos_embed), generator=seeded(2)).argsort(dim=1)[:, :kept]  # not sorted, on purpose
    x_fast, x_slow = x.clone().requires_grad_(), x.clone().requires_grad_()
    fast, slow = vit(x_fast, keep), slow_forward(vit, x_slow, keep)
    assert fast.shape == (3, kept, 48)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    for out in (fast, slow):
        out.square().sum().backward()
    torch.testing.assert_close(x_fast.grad, x_slow.grad, atol=1e-4, rtol=1e-4)
    hidden = torch.ones(3, len(vit.pos_embed), dtype=torch.bool).scatter_(1, keep, False)
    patch_gradients = vit.patch_embed.patches(x_fast.grad)  # [B, N, values]
    assert (patch_gradients[hidden] == 0).all() and (patch_gradients[~hidden].abs().amax(dim=1) > 0).all()


def test_keeping_everything_equals_keeping_nothing_out():
    vit = shake(ViT(16, 4, dim=48, depth=2, heads=2))
    x = torch.randn(2, 3, 16, 16, generator=seeded(1))
    torch.testing.assert_close(vit(x, torch.arange(16).expand(2, 16)), vit(x), atol=1e-6, rtol=1e-6)


def test_permuting_keep_permutes_the_output():
    vit = shake(ViT(16, 4, dim=48, depth=2, heads=2))
    x = torch.randn(2, 3, 16, 16, generator=seeded(1))
    keep = torch.tensor([[0, 3, 7, 9, 12], [1, 2, 8, 14, 15]])
    order = torch.tensor([3, 0, 4, 1, 2])
    out = vit(x, keep)
    assert (out[:, order] - out).abs().max() > 0.1  # the permutation moves something
    torch.testing.assert_close(vit(x, keep[:, order]), out[:, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("image", "patch"), [((12, 20), (4, 5)), ((6, 4), (3, 1))])
def test_patches_of_an_image_equal_slicing(image, patch):
    vit = ViT(image, patch, dim=16, depth=1, heads=1, in_chans=2)
    x = torch.randn(2, 2, *image, generator=seeded(0))
    expected = [
        x[:, :, r : r + patch[0], c : c + patch[1]].reshape(2, -1)
        for r, c in itertools.product(range(0, image[0], patch[0]), range(0, image[1], patch[1]))
    ]
    assert torch.equal(vit.patch_embed.patches(x), torch.stack(expected, dim=1))


def test_tubelets_of_a_clip_equal_slicing_and_a_convolution():
    image, patch, dim = (4, 6, 10), (2, 3, 5), 16
    vit = shake(ViT(image, patch, dim=dim, depth=1, heads=2))
    x = torch.randn(2, 3, *image, generator=seeded(0))
    starts = itertools.product(*(range(0, s, p) for s, p in zip(image, patch, strict=True)))
    expected = [x[:, :, t : t + 2, r : r + 3, c : c + 5].reshape(2, -1) for t, r, c in starts]
    assert torch.equal(vit.patch_embed.patches(x), torch.stack(expected, dim=1))
    convolution = nn.Conv3d(3, dim, patch, stride=patch)
    with torch.no_grad():
        convolution.weight.copy_(vit.patch_embed.proj.weight.reshape(dim, 3, *patch))
        convolution.bias.copy_(vit.patch_embed.proj.bias)
    torch.testing.assert_close(vit.patch_embed(x), convolution(x).flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-5)
    assert vit.grid == (2, 2, 2) and torch.equal(vit.pos_embed, sincos((2, 2, 2), dim))


def test_layers_are_every_block_and_end_in_forward():
    vit = shake(ViT(16, 4, dim=48, depth=3, heads=2))
    x = torch.randn(2, 3, 16, 16, generator=seeded(1))
    keep = torch.tensor([[0, 5, 6], [2, 9, 15]])
    outputs = vit.layers(x, keep)
    assert len(outputs) == 3
    assert torch.equal(outputs[-1], vit(x, keep))
    tokens = vit.embed(x, keep)
    for block, output in zip(vit.blocks[:-1], outputs[:-1], strict=True):
        tokens = block(tokens)
        torch.testing.assert_close(output, tokens, atol=0, rtol=0)
    assert torch.equal(vit.layers(x)[-1], vit(x))


def test_attention_weights_are_those_of_the_forward_pass():
    attention = shake(Attention(24, 3))
    x = torch.randn(2, 7, 24, generator=seeded(0))
    weights = attention.weights(x)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 7), atol=1e-6, rtol=0)
    value = attention.qkv(x)[..., 48:].reshape(2, 7, 3, 8)  # [B, N, heads, D / heads]
    mixed = torch.stack([weights[:, h] @ value[:, :, h] for h in range(3)], dim=2)  # [B, N, heads, D / heads]
    torch.testing.assert_close(attention(x), attention.proj(mixed.flatten(2)), atol=1e-5, rtol=1e-5)


def test_positions_matter_and_are_not_learned():
    vit = ViT(16, 4, dim=48, depth=2, heads=2)
    x = torch.randn(1, 3, 4, 4, generator=seeded(0)).repeat(1, 1, 4, 4)  # sixteen equal patches
    out = vit(x)[0]
    assert torch.cdist(out, out).add(torch.eye(16)).min() > 1e-3
    assert "pos_embed" in vit.state_dict() and "pos_embed" not in dict(vit.named_parameters())


@pytest.mark.parametrize("name", SIZES)
def test_sizes_have_the_parameters_of_their_formula(name):
    dim, depth, heads, ratio = SIZES[name]
    with torch.device("meta"):  # count without allocating
        vit = ViT.size(name, img_size=224, patch_size=14)
    hidden = round(dim * ratio)
    block = 4 * dim + (dim * 3 * dim + 3 * dim) + (dim * dim + dim) + (dim * hidden + hidden) + (hidden * dim + dim)
    assert count_parameters(vit) == 14 * 14 * 3 * dim + dim + depth * block + 2 * dim
    assert dim % heads == 0


def test_sizes_of_the_paper_and_of_the_docstrings():
    """Millions of parameters: the released I-JEPA's ViT-L, H and g at 224 / 14, ours at 32 / 4."""
    with torch.device("meta"):
        paper = {name: count_parameters(ViT.size(name, img_size=224, patch_size=14)) for name in SIZES}
        small = {name: count_parameters(getattr(ViT, name)()) for name in ("nano", "micro", "tiny", "small", "base")}
    assert {n: round(paper[n] / 1e6) for n in ("large", "huge", "giant")} == {
        "large": 303,
        "huge": 630,
        "giant": 1011,
    }
    for name, promised in {"nano": 0.45, "micro": 1.8, "tiny": 5.4, "small": 21, "base": 85}.items():
        assert abs(small[name] / 1e6 - promised) / promised < 0.03, (name, small[name])


def test_size_passes_other_arguments_on():
    vit = ViT.nano(img_size=(8, 12), patch_size=4, depth=1, in_chans=1)
    assert vit.grid == (2, 3) and len(vit.blocks) == 1
    assert vit(torch.zeros(2, 1, 8, 12)).shape == (2, 6, 96)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"img_size": 30, "patch_size": 4}, r"\(4, 4\).*\(30, 30\)"),
        ({"img_size": (32, 30), "patch_size": 4}, r"\(32, 30\)"),
        ({"img_size": 2, "patch_size": 4}, r"\(4, 4\).*\(2, 2\)"),
        ({"img_size": (4, 32, 32), "patch_size": 4}, r"\(4, 32, 32\)"),
        ({"img_size": (3, 32, 32), "patch_size": (2, 4, 4)}, r"\(3, 32, 32\)"),
        ({"dim": 96, "heads": 5}, "96 and 5"),
        ({"dim": 18, "heads": 3}, "18"),
    ],
)
def test_impossible_sizes_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        ViT(**{"depth": 1, **arguments})


def test_other_errors_name_what_was_given():
    vit = ViT(16, 4, dim=16, depth=1, heads=1)
    with pytest.raises(ValueError, match=r"\(16, 16\).*\(16, 20\)"):
        vit(torch.zeros(1, 3, 16, 20))
    with pytest.raises(ValueError, match=r"\(2, 16, 16\)"):
        vit(torch.zeros(1, 3, 2, 16, 16))
    with pytest.raises(ValueError, match="'milli'.*nano"):
        ViT.size("milli")


def test_gather_and_pool():
    x = torch.randn(2, 5, 3, generator=seeded(0))
    index = torch.tensor([[4, 0, 0], [1, 2, 3]])
    expected = torch.stack([torch.stack([x[b, i] for i in row]) for b, row in enumerate(index.tolist())])
    assert torch.equal(gather_tokens(x, index), expected)
    torch.testing.assert_close(pool(x), sum(x[:, n] for n in range(5)) / 5)
