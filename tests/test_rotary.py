"""Rotary positions: scores depend only on distances in the corrected reading, and not in the published one."""

import math

import pytest
import torch

from minijepa.jepa import JEPA
from minijepa.masking.sampling import Masks
from minijepa.masking.tubes import tube_masks
from minijepa.positions import places, rotate, rotation, sincos_1d, sincos_3d
from minijepa.predictor import Predictor
from minijepa.vit import Attention, ViT

GRIDS = [(4, 3, 5), (2, 6), (8, 14, 14)]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def scores(grid, dim, published=False):
    """<R_i q, R_j k> for one q and one k, the same at all places: [tokens, tokens]."""
    q, k = torch.randn(2, 1, 1, 1, dim, generator=seeded(0), dtype=torch.float64)
    turn = rotation(grid, dim, published).double()
    n = turn.shape[1]
    return (rotate(q.expand(1, 1, n, dim), turn)[0, 0] @ rotate(k.expand(1, 1, n, dim), turn)[0, 0].T) / dim**0.5


def offsets(grid):
    """For each pair of tokens a number that names how far apart they are along each axis: [tokens, tokens]."""
    code = sum(p * 1000**i for i, p in enumerate(places(grid)))
    return code[:, None] - code[None]


@pytest.mark.parametrize("dim", [12, 32, 64])
@pytest.mark.parametrize("grid", GRIDS)
def test_scores_depend_only_on_distances(grid, dim):
    s, code = scores(grid, dim), offsets(grid)
    values, group = code.flatten().unique(return_inverse=True)
    low = torch.full((len(values),), math.inf, dtype=s.dtype).scatter_reduce(0, group, s.flatten(), "amin")
    high = torch.full((len(values),), -math.inf, dtype=s.dtype).scatter_reduce(0, group, s.flatten(), "amax")
    assert (high - low).max() < 1e-5
    assert (high.max() - low.min()) > 0.1  # and they do depend on those


def test_the_published_reading_is_no_rotation():
    rotated = rotate(torch.ones(1, 1, 8, 24), rotation((8, 1, 1), 24, published=True))
    kept = rotate(torch.ones(1, 1, 8, 24), rotation((8, 1, 1), 24))
    torch.testing.assert_close(kept.norm(dim=-1), torch.full((1, 1, 8), 24**0.5))
    assert (rotated.norm(dim=-1) - 24**0.5).abs().max() > 0.1
    s, code = scores((8, 1, 1), 24, published=True), offsets((8, 1, 1))
    one_apart = s[code == 1]
    assert one_apart.max() - one_apart.min() > 0.01


def test_both_readings_by_hand():
    """Facts of the release: 64 channels give 20 to each of three axes and leave 4; w_k = 10000^(-k / 10)."""
    grid, x = (3, 4, 5), torch.randn(1, 1, 60, 64, generator=seeded(1))
    for published in (False, True):
        out = rotate(x, rotation(grid, 64, published))
        expected = x.clone()
        for token, (t, r, c) in enumerate(zip(*(p.tolist() for p in places(grid)), strict=True)):
            for axis, place in enumerate((t, r, c)):
                for i in range(20):
                    k = i % 10 if published else i // 2
                    angle = place * 10_000 ** (-k / 10)
                    own, other = x[0, 0, token, 20 * axis + i], x[0, 0, token, 20 * axis + (i ^ 1)]
                    sign = -1 if i % 2 == 0 else 1
                    expected[0, 0, token, 20 * axis + i] = own * math.cos(angle) + sign * other * math.sin(angle)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
    assert torch.equal(rotate(x, rotation(grid, 64))[..., 60:], x[..., 60:])
    assert [2 * (w // 3 // 2) for w in (64, 80, 32)] == [20, 26, 10]


def test_stretched_places_by_hand():
    """Rows and columns of any grid run from 0 to side - 1; times and a single row stay where they are."""
    turn = rotation((2, 3, 5), 18, side=16)  # [2, tokens, 18]: 6 channels for each axis, the first pair has w_0 = 1
    angles = torch.atan2(turn[1], turn[0])[:, [0, 6, 12]]  # [tokens, 3], in -pi ... pi
    for i in range(30):
        wanted = torch.tensor([i // 15, (i // 5 % 3) * 7.5, (i % 5) * 3.75])
        torch.testing.assert_close(angles[i].cos(), wanted.cos(), atol=1e-5, rtol=0)
        torch.testing.assert_close(angles[i].sin(), wanted.sin(), atol=1e-5, rtol=0)
    torch.testing.assert_close(rotation((2, 16, 16), 18, side=16), rotation((2, 16, 16), 18))
    torch.testing.assert_close(rotation((4, 1, 1), 18, side=16), rotation((4, 1, 1), 18))


def test_attention_of_a_shifted_clip_is_the_same():
    """Two tokens, moved together over the grid: with rotary positions the whole encoder does not notice."""
    vit = ViT((8, 16, 16), (2, 4, 4), dim=48, depth=2, heads=2, in_chans=1, positions="rotary")
    assert vit.pos_embed is None
    patch = torch.randn(1, 2, 32, generator=seeded(0))
    outs = []
    for shift in (0, 1 + 4 + 16):
        tokens = torch.zeros(1, 64, 32)
        keep = torch.tensor([[2, 25]]) + shift
        tokens[0, keep[0]] = patch[0]
        x = tokens.view(1, 4, 4, 4, 2, 4, 4).permute(0, 1, 4, 2, 5, 3, 6).reshape(1, 1, 8, 16, 16)
        outs.append(vit(x, keep))
    torch.testing.assert_close(outs[0], outs[1], atol=1e-5, rtol=0)
    table = ViT((8, 16, 16), (2, 4, 4), dim=48, depth=2, heads=2, in_chans=1)
    assert (table(x, keep) - table(x, keep - shift)).abs().max() > 1e-3


@pytest.mark.parametrize("positions", ["rotary", "rotary_published", "rotary_stretched"])
def test_kept_tokens_are_rotated_by_their_own_place(positions):
    """Keeping all tokens in any order equals keeping none out; attention weights use the same angles."""
    torch.manual_seed(0)
    vit = ViT((4, 8, 8), (2, 4, 4), dim=32, depth=2, heads=2, in_chans=3, positions=positions)
    x = torch.randn(3, 3, 4, 8, 8, generator=seeded(1))
    order = torch.rand(3, 8, generator=seeded(2)).argsort(dim=1)
    whole = vit(x)
    torch.testing.assert_close(vit(x, order), whole.gather(1, order[..., None].expand_as(whole)), atol=1e-5, rtol=0)
    attention, turn = vit.blocks[0].attn, vit.rope_of()
    value = attention.qkv(whole)[..., 64:].view(3, 8, 2, 16).transpose(1, 2)
    mixed = (attention.weights(whole, turn) @ value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(whole, turn), attention.proj(mixed), atol=1e-5, rtol=1e-5)
    assert "rotation" not in vit.state_dict()


def test_predictor_with_rotary_positions_equals_a_loop():
    torch.manual_seed(0)
    grid = (2, 3, 3)
    predictor = Predictor(16, grid, width=24, depth=2, heads=2, positions="rotary")
    masks = Masks(torch.tensor([[0, 4, 9], [1, 2, 17]]), torch.tensor([[[5, 6], [7, 8]], [[3, 4], [15, 16]]]))
    context = torch.randn(2, 3, 16, generator=seeded(1))
    out = predictor(context, masks)
    for b in range(2):
        for m in range(2):
            x = torch.cat([predictor.embed(context[b]), predictor.mask_tokens[0].expand(2, -1)])[None]
            turn = predictor.rope[:, torch.cat([masks.context[b], masks.targets[b, m]])]
            for block in predictor.blocks:
                x = block(x, turn)
            torch.testing.assert_close(out[b, m], predictor.proj(predictor.norm(x))[0, 3:], atol=1e-5, rtol=1e-5)


def test_a_step_with_rotary_positions_learns():
    torch.manual_seed(0)
    vit = ViT((4, 8, 8), (2, 4, 4), dim=24, depth=1, heads=2, in_chans=1, positions="rotary")
    model = JEPA(vit, Predictor(24, vit.grid, width=12, depth=1, heads=2, positions="rotary"))
    masks = tube_masks(2, vit.grid, n_blocks=1, scale=(0.25, 0.25), generator=seeded(0))
    model(torch.randn(2, 1, 4, 8, 8, generator=seeded(1)), masks).loss.backward()
    for name, p in [*model.encoder.named_parameters(), *model.predictor.named_parameters()]:
        assert p.grad is not None and p.grad.abs().max() > 0, name


def test_uniform_table_gives_each_axis_the_same_width():
    """`uniform_power`: widths 342, 342 and 340 at 1,024, as in the released V-JEPA-L."""
    grid, dim = (2, 3, 4), 1024
    table = sincos_3d(grid, dim, uniform=True)
    t, r, c = places(grid)
    expected = torch.cat([sincos_1d(t, 342), sincos_1d(r, 342), sincos_1d(c, 342)[:, :340]], dim=1)
    assert table.shape == (24, dim) and torch.equal(table, expected)
    assert sincos_3d(grid, 50, uniform=True).shape == (24, 50)
    vit = ViT((4, 6, 8), (2, 2, 2), dim=24, depth=1, heads=1, positions="sincos_uniform")
    assert torch.equal(vit.pos_embed, sincos_3d((2, 3, 4), 24, uniform=True))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: rotation((2, 2, 2), 5), "6 channels for 3 axes, got 5"),
        (lambda: sincos_3d((2, 2, 2), 9, uniform=True), "even, got 9"),
        (lambda: ViT(8, 4, dim=24, depth=1, heads=1, positions="learned"), "rotary.*'learned'"),
        (lambda: Attention(24, 5), "24 and 5"),
    ],
)
def test_errors_name_the_number(call, named):
    with pytest.raises(ValueError, match=named):
        call()
