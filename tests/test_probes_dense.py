"""Dense probes, detection, few labels, fine-tuning, kept features: against brute force and known answers."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from helpers import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from minijepa.datasets import ImageData
from minijepa.datasets.shapes.scenes import shape_scenes
from minijepa.probes import (
    TokenFeatures,
    attentive_probe,
    average_precision,
    depth_probe,
    detection_probe,
    features,
    fine_tune,
    knn_probe,
    label_order,
    linear_probe,
    low_shot,
    mean_iou,
    raw_patches,
    ridge_probe,
    segmentation_probe,
    token_features,
)
from minijepa.probes.detection import from_grid, thin_out, to_grid
from minijepa.vit import ViT

# --- frozen features ---


@pytest.fixture(scope="module")
def scenes():
    return shape_scenes(240, seed=1)


@pytest.fixture(scope="module")
def many():
    """Scenes with an easy label, the amount of red in the background, on which probes can differ."""
    data = shape_scenes(1500, seed=2)
    return dataclasses.replace(
        data, labels=torch.bucketize(data.factors["background"][:, 0].contiguous(), torch.tensor([0.4, 0.6]))
    )


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return ViT(32, 4, dim=24, depth=2, heads=3)


def test_token_features_are_the_encoder_s_tokens(encoder, scenes):
    cache = token_features(encoder, scenes, batch_size=50)
    assert cache.tokens.shape == (240, 64, 24) and cache.grid == (8, 8) and len(cache) == 240
    assert not cache.tokens.requires_grad and cache.megabytes == 240 * 64 * 24 * 4 / 1e6
    with torch.no_grad():
        torch.testing.assert_close(cache.tokens[5], encoder(scenes.batch([5]))[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(cache.pooled(), features(encoder, scenes))
    assert torch.equal(cache.flat(), cache.tokens.reshape(240, -1))
    assert torch.equal(cache[3:7].tokens, cache.tokens[3:7]) and cache[3:7].grid == (8, 8)


def test_a_grid_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"grid of \(8, 8\) patches needs tokens \[N, 64, D\]"):
        TokenFeatures(torch.zeros(2, 63, 4), (8, 8))


def test_raw_patches_are_the_pixels(scenes):
    raw, x = raw_patches(scenes), scenes.batch()
    assert raw.tokens.shape == (240, 64, 48) and raw.grid == (8, 8)
    assert torch.equal(raw.tokens[2, 8 + 3], x[2, :, 4:8, 12:16].reshape(-1))
    torch.testing.assert_close(raw.pooled(), x.view(240, 3, 8, 4, 8, 4).mean(dim=(2, 4)).flatten(1))


def test_cached_or_not_and_any_batch_size_the_numbers_are_the_same(encoder, scenes):
    """Features computed in two ways and with two batch sizes, under every kind of probe."""
    train, test = scenes.subset(slice(0, 40)), scenes.subset(slice(40, 60))

    def scores(a, b, tokens, other):
        yield knn_probe(a, train.labels, b, test.labels)
        yield linear_probe(a, train.labels, b, test.labels)
        yield ridge_probe(a, train.counts[:, None].float(), b, test.counts[:, None].float())
        yield segmentation_probe(tokens, train.class_maps, other, test.class_maps).score
        yield detection_probe(tokens, train.boxes, other, test.boxes).score
        depth = [part.depth.masked_fill(part.class_maps == 0, float("nan")) for part in (train, test)]
        yield depth_probe(tokens, depth[0], other, depth[1]).score
        count = [part.counts[:, None].float() for part in (train, test)]
        yield attentive_probe(tokens.tokens, count[0], other.tokens, count[1], steps=20)
        yield from low_shot(ridge_probe, a, count[0], b, count[1]).values()

    reference = None
    for batch_size in (60, 7):
        cached = [token_features(encoder, part, batch_size=batch_size) for part in (train, test)]
        fresh = [features(encoder, part, batch_size=batch_size) for part in (train, test)]
        for a, b in (fresh, (cached[0].pooled(), cached[1].pooled())):
            found = list(scores(a, b, *cached))
            reference = reference or found
            assert found == pytest.approx(reference, abs=2e-4)


# --- independent references for the vector probes ---


def test_linear_probe_agrees_with_a_regression_left_to_converge(encoder, many):
    """scikit-learn's regression with another solver, in float64, with a tolerance 100,000 times smaller."""
    from sklearn.linear_model import LogisticRegression

    x, y = features(encoder, many), many.labels
    mean, std = x[:500].double().mean(dim=0), x[:500].double().std(dim=0, correction=0)
    z = ((x.double() - mean) / std).numpy()
    slow = LogisticRegression(solver="newton-cg", tol=1e-8, max_iter=5000).fit(z[:500], y[:500].numpy())
    expected = slow.score(z[500:], y[500:].numpy())
    assert 0.4 < expected < 0.99
    assert linear_probe(x[:500], y[:500], x[500:], y[500:]) == pytest.approx(expected, abs=0.005)


def test_knn_agrees_exactly_with_scikit_learn_s(encoder, many):
    from sklearn.neighbors import KNeighborsClassifier

    f, y = features(encoder, many), many.labels
    z = (f - f[:500].mean(dim=0)).numpy()
    cosine = KNeighborsClassifier(n_neighbors=20, metric="cosine", algorithm="brute").fit(z[:500], y[:500].numpy())
    expected = cosine.score(z[500:], y[500:].numpy())
    assert 0.4 < expected < 0.99
    assert knn_probe(f[:500], y[:500], f[500:], y[500:]) == expected


def test_ridge_probe_is_the_closed_form():
    x, test = torch.randn(80, 5, generator=seeded(0)), torch.randn(60, 5, generator=seeded(1))
    w = torch.randn(5, 2, generator=seeded(2))
    y, test_y = (part @ w + torch.randn(len(part), 2, generator=seeded(3)) for part in (x, test))
    a = ((x - x.mean(0)) / x.std(0, correction=0)).double()
    b = ((test - x.mean(0)) / x.std(0, correction=0)).double()
    weights = torch.linalg.solve(a.T @ a + 10 * torch.eye(5), a.T @ (y - y.mean(0)).double())
    error = (b @ weights + y.mean(0) - test_y).square().sum(0)
    r2 = 1 - error / (test_y - test_y.mean(0)).double().square().sum(0)
    assert ridge_probe(x, y, test, test_y) == pytest.approx(r2.mean().item(), abs=1e-4)


# --- segmentation and depth ---


def test_tokens_that_hold_the_truth_give_it_back(scenes):
    """Tokens made of the classes and depths of their patch: the readings are perfect and at the right positions."""
    from einops import rearrange

    truth = torch.nn.functional.one_hot(scenes.class_maps, 6).float()  # [N, H, W, 6]
    tokens = TokenFeatures(rearrange(truth, "n (r p) (s q) c -> n (r s) (p q c)", p=4, q=4), (8, 8))
    reading = segmentation_probe(tokens[:160], scenes.class_maps[:160], tokens[160:], scenes.class_maps[160:])
    assert reading.score > 0.99 and (reading.prediction == scenes.class_maps[160:]).float().mean() > 0.999
    tokens = TokenFeatures(rearrange(scenes.depth, "n (r p) (s q) -> n (r s) (p q)", p=4, q=4), (8, 8))
    reading = depth_probe(tokens[:160], scenes.depth[:160], tokens[160:], scenes.depth[160:])
    assert reading.score > 0.99
    assert (reading.prediction - scenes.depth[160:]).abs().mean() < 0.02


def test_noise_tokens_predict_nothing(scenes):
    noise = TokenFeatures(torch.randn(240, 64, 8, generator=seeded(0)), (8, 8))
    maps = scenes.class_maps
    assert segmentation_probe(noise[:160], maps[:160], noise[160:], maps[160:]).score < 1 / 6
    assert abs(depth_probe(noise[:160], scenes.depth[:160], noise[160:], scenes.depth[160:]).score) < 0.05


def test_unknown_depths_are_neither_learned_from_nor_scored(scenes):
    raw = raw_patches(scenes)
    known = scenes.depth.masked_fill(scenes.class_maps == 0, float("nan"))
    spoiled = known.clone()
    spoiled[:160][scenes.class_maps[:160] == 0] = float("nan")
    a = depth_probe(raw[:160], known[:160], raw[160:], known[160:])
    everything = depth_probe(raw[:160], scenes.depth[:160], raw[160:], scenes.depth[160:])
    assert a.score != everything.score and a.prediction.isfinite().all()
    on_objects = scenes.class_maps[160:] > 0
    assert a.prediction[on_objects].mean() < 2.2 < everything.prediction[~on_objects].mean()


def test_mean_iou_by_hand():
    truth = torch.tensor([[[0, 0], [1, 1]]])
    prediction = torch.tensor([[[0, 1], [1, 1]]])
    assert mean_iou(prediction, truth) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert mean_iou(truth, truth) == 1.0
    assert mean_iou(truth * 3, truth * 3) == 1.0  # classes 1 and 2 are in neither and do not count


CLASSES = st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True)


@given(st.integers(0, 10_000), CLASSES, CLASSES)
@settings(max_examples=60)
def test_mean_iou_by_counting(seed, predicted, true):
    """Also with classes that are in the prediction alone (they count as 0), in the truth alone, or in neither."""
    g = seeded(seed)
    a, b = (torch.tensor(each)[torch.randint(len(each), (3, 5, 5), generator=g)] for each in (predicted, true))
    ious = [((a == c) & (b == c)).sum() / ((a == c) | (b == c)).sum() for c in range(6) if ((a == c) | (b == c)).any()]
    assert mean_iou(a, b) == pytest.approx(float(sum(ious) / len(ious)))


# --- detection ---


def slow_iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def slow_average_precision(boxes, confidence, truth):
    """All detections in order of confidence, precision and recall after each, the area by its definition."""
    made = [(-float(c), i, k) for i, row in enumerate(confidence) for k, c in enumerate(row) if c > 0]
    real = {(i, g) for i, row in enumerate(truth) for g, b in enumerate(row) if b[2] > b[0] and b[3] > b[1]}
    if not made or not real:
        return 0.0
    taken, hits, points = set(), 0, []
    for count, (_, i, k) in enumerate(sorted(made), start=1):
        free = [(slow_iou(boxes[i][k], truth[i][g]), -g) for j, g in sorted(real - taken) if j == i]
        if free and max(free)[0] >= 0.5:
            taken.add((i, -max(free)[1]))
            hits += 1
        points.append((hits / len(real), hits / count))
    area, before = 0.0, 0.0
    for recall, _ in points:
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area


@given(st.integers(0, 100_000))
@settings(max_examples=60)
def test_average_precision_equals_brute_force(seed):
    g = seeded(seed)
    corner = torch.randint(0, 20, (4, 3, 2), generator=g).float()
    truth = torch.cat([corner, corner + torch.randint(2, 12, (4, 3, 2), generator=g)], 2)
    truth[torch.rand(4, 3, generator=g) < 0.3] = 0
    source = truth[:, torch.randint(3, (5,), generator=g)]  # detections near true boxes, several on some
    boxes = source + torch.randn(4, 5, 4, generator=g) * 1.5
    boxes[..., 2:] = torch.maximum(boxes[..., 2:], boxes[..., :2] + 0.5)
    confidence = torch.rand(4, 5, generator=g).masked_fill(torch.rand(4, 5, generator=g) < 0.2, 0)
    expected = slow_average_precision(boxes.tolist(), confidence.tolist(), truth.tolist())
    assert average_precision(boxes, confidence, truth) == pytest.approx(expected, abs=1e-5)


def test_average_precision_by_hand():
    box, other = [0.0, 0, 4, 4], [8.0, 8, 12, 12]
    truth = torch.tensor([[box, other]])
    sure = torch.tensor([[0.9, 0.8]])
    assert average_precision(truth, sure, truth) == 1.0
    assert average_precision(torch.tensor([[box, box]]), sure, truth) == 0.5  # one duplicate, one box is missed
    late = torch.tensor([[[20.0, 20, 24, 24], box]])
    assert average_precision(late, sure, truth) == 0.25  # one of two found, at precision 1/2
    assert average_precision(truth, torch.zeros(1, 2), truth) == 0.0
    assert average_precision(truth, sure, torch.zeros(1, 2, 4)) == 0.0


def test_grid_and_back(scenes):
    present, sides = to_grid(scenes.boxes, (8, 8), 32)
    boxes = from_grid(sides, (8, 8), 32)
    found = 0
    for i, j in itertools.product(range(40), range(4)):
        box = scenes.boxes[i, j]
        if box[2] <= box[0]:
            continue
        x, y = (box[:2] + box[2:]) / 2
        cell = min(7, int(y) // 4) * 8 + min(7, int(x) // 4)
        assert present[i, cell]
        found += int(torch.allclose(boxes[i, cell], box, atol=1e-5))
    assert found > 0.9 * (scenes.boxes[:40, :, 2] > 0).sum()  # the others have a cell in common
    assert present.sum() <= (scenes.boxes[..., 2] > 0).sum()
    wide, _ = to_grid(torch.tensor([[[30.0, 28, 32, 32]]]), (4, 8), 32)
    assert wide[0, 31]  # rows and columns are not swapped


def test_thin_out_keeps_the_most_confident():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30]]])
    kept, sure = thin_out(boxes, torch.tensor([[0.5, 0.9, 0.7]]), most=3)
    assert torch.equal(kept[0, :2], boxes[0, 1:]) and sure[0].tolist() == pytest.approx([0.9, 0.7, 0.0])


def test_detection_from_tokens_that_hold_the_truth_and_from_noise(scenes):
    present, sides = to_grid(scenes.boxes, (8, 8), 32)
    tokens = TokenFeatures(torch.cat([present.unsqueeze(2).float(), sides], dim=2), (8, 8))
    found = detection_probe(tokens[:160], scenes.boxes[:160], tokens[160:], scenes.boxes[160:])
    assert found.score > 0.9 and found.boxes.shape == (80, 8, 4)
    noise = TokenFeatures(torch.randn(240, 64, 5, generator=seeded(0)), (8, 8))
    assert detection_probe(noise[:160], scenes.boxes[:160], noise[160:], scenes.boxes[160:]).score < 0.05


# --- few labels ---


def test_every_prefix_of_the_order_is_balanced():
    truth = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    order = label_order(truth, seed=3)
    assert torch.equal(order.sort().values, torch.arange(100))
    for n in (10, 20, 50):
        counts = truth[order[:n]].bincount(minlength=3)
        assert (counts - n * torch.tensor([0.6, 0.3, 0.1])).abs().max() <= 1
    assert truth[order[:3]].unique().numel() == 3
    assert not torch.equal(order, label_order(truth, seed=4)) and torch.equal(order, label_order(truth, seed=3))


def test_low_shot_uses_nested_sets_of_labels():
    seen = []

    def spy(train, truth, test, test_truth, k):
        seen.append(train[:, 0].long())
        return k

    x, y = torch.arange(200.0)[:, None], torch.arange(200) % 4
    scores = low_shot(spy, x, y, x, y, k=7)
    assert scores == {4: 7, 10: 7, 40: 7, 200: 7}  # at least one image of each class
    for small, large in itertools.pairwise(seen):
        assert np.isin(small, large).all()


# --- fine-tuning ---


def test_fine_tuning_learns_and_leaves_the_encoder_alone():
    labels = torch.arange(120) % 2
    images = torch.randint(0, 120, (120, 3, 8, 8), generator=seeded(0), dtype=torch.uint8)
    images[labels == 1, 0] += 120  # one class is redder
    data = ImageData(images, labels, ("dark", "red"), "reds", (0.5,) * 3, (0.25,) * 3)
    torch.manual_seed(0)
    encoder = ViT(8, 4, dim=16, depth=1, heads=2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    train, test = data.subset(slice(0, 80)), data.subset(slice(80, 120))
    accuracy, tuned = fine_tune(encoder, train, test, steps=40, batch_size=16)
    assert accuracy > 0.95
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert any(not torch.equal(value, before[name]) for name, value in tuned.state_dict().items())
    again, twin = fine_tune(encoder.requires_grad_(False), train, test, steps=40, batch_size=16)  # like a teacher
    assert again == accuracy and all(
        torch.equal(a, b) for a, b in zip(tuned.parameters(), twin.parameters(), strict=True)
    )
