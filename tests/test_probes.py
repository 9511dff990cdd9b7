"""The probes, evaluated on features whose answer is known, against brute force, and with meaningless labels."""

import math

import pytest
import torch
from helpers import seeded

from minijepa.probes import KNNDuring, features, knn_probe, linear_probe, paired_error, raw_pixels
from minijepa.vit import ViT


class Images:
    """Noise with labels, which has a length and `batch`."""

    def __init__(self, count=7, classes=3):
        self.pixels = torch.randn(count, 3, 8, 8, generator=seeded(0))
        self.labels = torch.arange(count) % classes

    def __len__(self):
        return len(self.pixels)

    def batch(self, index=None, device=None):
        return (self.pixels if index is None else self.pixels[index]).to(device)


def clusters(count, spread, classes=4, dim=6, seed=0):
    """Points around one centre per class: (features [N, D], labels [N]). Every seed has the same centres."""
    centres = 3 * torch.randn(classes, dim, generator=seeded(99))
    labels = torch.randint(classes, (count,), generator=seeded(seed))
    return centres[labels] + spread * torch.randn(count, dim, generator=seeded(seed + 1)), labels


PROBES = [knn_probe, linear_probe]


@pytest.mark.parametrize("probe", PROBES)
def test_separable_features_are_classified(probe):
    assert probe(*clusters(300, 0.1), *clusters(200, 0.1, seed=5)) == 1.0


@pytest.mark.parametrize("probe", PROBES)
def test_features_without_content_give_chance(probe):
    train, test = torch.randn(600, 5, generator=seeded(0)), torch.randn(900, 5, generator=seeded(1))
    labels = [torch.randint(3, (n,), generator=seeded(s)) for n, s in ((600, 2), (900, 3))]
    assert abs(probe(train, labels[0], test, labels[1]) - 1 / 3) < 4.5 * math.sqrt(2 / 9 / 900)


@pytest.mark.parametrize("probe", PROBES)
def test_shuffled_labels_give_chance(probe):
    """Good features and shuffled training labels: a probe that still scores has seen the test labels."""
    (x, y), (test, test_y) = clusters(800, 0.5), clusters(600, 0.5, seed=5)
    assert probe(x, y, test, test_y) > 0.95
    wrong = [probe(x, y[torch.randperm(800, generator=seeded(s))], test, test_y) for s in range(8)]
    assert abs(sum(wrong) / 8 - 0.25) < 0.12  # whole clusters change their label together, so single runs vary much
    # each test image is scored on its own, without the help of the others
    singles = [probe(x, y, test[i : i + 60], test_y[i : i + 60]) for i in range(0, 600, 60)]
    assert sum(singles) / 10 == pytest.approx(probe(x, y, test, test_y))


def slow_knn(train, train_labels, test, test_labels, k):
    """Cosine similarity of features centred on the training mean, plain vote, the lowest label wins a tie."""
    mean = train.double().mean(dim=0)
    a, b = (torch.nn.functional.normalize(x.double() - mean, dim=1) for x in (train, test))
    right = 0
    for row, label in zip(b, test_labels, strict=True):
        nearest = (a @ row).topk(k).indices
        right += int(torch.bincount(train_labels[nearest]).argmax() == label)
    return right / len(test)


@pytest.mark.parametrize("k", [1, 7, 20])
@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_knn_equals_brute_force(k, offset):
    (x, y), (test, test_y) = clusters(200, 4.0), clusters(150, 4.0, seed=5)
    x, test = x + offset, test + offset
    expected = slow_knn(x, y, test, test_y, k)
    assert 0.3 < expected < 0.95  # hard enough to distinguish two rules
    assert knn_probe(x, y, test, test_y, k=k) == pytest.approx(expected, abs=1e-9)
    each = knn_probe(x, y, test, test_y, k=k, each=True)  # for each image, as paired comparisons need it
    assert each.dtype == torch.bool and each.shape == test_y.shape and each.double().mean().item() == expected


def test_knn_looks_at_directions_from_the_mean():
    """Two classes on two opposite rays: the lengths differ more than the directions, but must not matter."""
    lengths = torch.rand(200, 1, generator=seeded(0)) * 100 + 0.1
    labels = torch.arange(200) % 2
    x = lengths * torch.tensor([[1.0, 0.2], [-1.0, -0.2]])[labels] + 1e-2 * torch.randn(200, 2, generator=seeded(1))
    assert knn_probe(x[:100], labels[:100], x[100:], labels[100:], k=5) == 1.0


def pairs(both, only_a, only_b, neither):
    """Two bool vectors with these counts of images, shuffled together."""
    a = torch.tensor([1] * both + [1] * only_a + [0] * only_b + [0] * neither).bool()
    b = torch.tensor([1] * both + [0] * only_a + [1] * only_b + [0] * neither).bool()
    order = torch.randperm(len(a), generator=seeded(3))
    return a[order], b[order]


@pytest.mark.parametrize("counts", [(300, 60, 40, 100), (0, 9, 1, 0), (450, 3, 0, 47), (5, 0, 0, 5)])
def test_paired_error_counts_the_images_that_only_one_gets_right(counts):
    _, first, second, _ = counts
    n = sum(counts)
    expected = math.sqrt(((first + second) / n - ((first - second) / n) ** 2) / (n - 1))
    a, b = pairs(*counts)
    assert paired_error(a, b) == paired_error(b, a) == pytest.approx(expected, abs=1e-12)


def test_paired_error_is_what_other_test_images_would_show():
    """A bootstrap, without a formula: draw the same images for both encoders, many times."""
    a, b = pairs(300, 60, 40, 100)
    drawn = torch.randint(500, (20_000, 500), generator=seeded(4))
    differences = a.double()[drawn].mean(dim=1) - b.double()[drawn].mean(dim=1)  # [20000]
    assert paired_error(a, b) == pytest.approx(differences.std().item(), rel=0.03)
    unpaired = math.sqrt(a.double().var().item() / 500 + b.double().var().item() / 500)
    assert paired_error(a, b) < 0.8 * unpaired, "as if on different images"


def test_paired_error_refuses_what_is_not_image_by_image():
    right = torch.tensor([True, False, True])
    with pytest.raises(TypeError, match="float32.*each=True"):
        paired_error(right, torch.rand(3))
    for other in (right[:2], right[:, None], right[:1]):
        with pytest.raises(ValueError, match="the same images"):
            paired_error(right, other)
    with pytest.raises(ValueError, match="2 or more"):
        paired_error(right[:1], right[:1])


def fitted_accuracy(x, y, test, test_y, c):
    """The same convex problem, which has a single solution, solved by torch's LBFGS in float64 until it converges."""
    mean, std = x.double().mean(dim=0), x.double().std(dim=0, correction=0)
    x, test = (x.double() - mean) / std, (test.double() - mean) / std
    weight = torch.zeros(int(y.max()) + 1, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(weight), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y, reduction="sum")
        loss = loss + weight.square().sum() / (2 * c)
        loss.backward()
        return loss

    solver.step(closure)
    return ((test @ weight.T + bias).argmax(dim=1) == test_y).double().mean().item()


@pytest.mark.parametrize("c", [1.0, 1e-3])
def test_linear_probe_equals_the_converged_solution(c):
    (x, y), (test, test_y) = clusters(500, 5.0, dim=20), clusters(1000, 5.0, dim=20, seed=5)
    scales = torch.logspace(-2, 2, 20)  # features of unequal size, as in a real encoder
    x, test = x * scales + 3, test * scales + 3
    expected = fitted_accuracy(x, y, test, test_y, c)
    assert 0.4 < expected < 0.95
    assert linear_probe(x, y, test, test_y, c=c) == pytest.approx(expected, abs=0.006)
    each = linear_probe(x, y, test, test_y, c=c, each=True)
    assert each.dtype == torch.bool and each.shape == test_y.shape
    assert each.double().mean().item() == pytest.approx(linear_probe(x, y, test, test_y, c=c), abs=1e-12)


def test_linear_probe_is_blind_to_scale_and_offset():
    (x, y), (test, test_y) = clusters(300, 3.0), clusters(300, 3.0, seed=5)
    a, b = 10 ** torch.randn(2, 6, generator=seeded(3))
    accuracy = linear_probe(x, y, test, test_y)
    assert linear_probe(a * x + b, y, a * test + b, test_y) == pytest.approx(accuracy, abs=0.01)


def test_linear_probe_survives_a_feature_that_never_changes():
    (x, y), (test, test_y) = clusters(300, 0.1), clusters(200, 0.1, seed=5)
    x, test = (torch.cat([part, torch.full((len(part), 1), 2.0)], dim=1) for part in (x, test))
    assert linear_probe(x, y, test, test_y) == 1.0


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_linear_probe_refuses_to_stop_early():
    x, y = clusters(300, 3.0)
    with pytest.raises(RuntimeError, match="max_iter = 1 "):
        linear_probe(x, y, x, y, max_iter=1)


# --- features ---


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ViT(8, 4, dim=16, depth=3, heads=2)


@pytest.mark.parametrize("batch_size", [500, 3, 7, 1])
def test_features_are_the_means_over_tokens(encoder, batch_size):
    data = Images()
    last = features(encoder, data, batch_size=batch_size)
    every = features(encoder, data, layers="all", batch_size=batch_size)
    assert last.dtype == every.dtype == torch.float32 and not last.requires_grad
    assert last.shape == (7, 16) and every.shape == (7, 48)
    with torch.no_grad():
        for i in range(7):
            x = data.pixels[i : i + 1]
            torch.testing.assert_close(last[i], encoder(x)[0].mean(dim=0), atol=1e-5, rtol=1e-5)
            means = torch.cat([tokens[0].mean(dim=0) for tokens in encoder.layers(x)])
            torch.testing.assert_close(every[i], means, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_features_leave_the_encoder_as_it_was(encoder, training):
    modes = []
    encoder.norm.register_forward_hook(lambda module, inputs, out: modes.append(module.training))
    encoder.train(training)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    features(encoder, Images())
    assert modes == [False]  # a frozen encoder is in eval mode
    assert encoder.training == training and all(m.training == training for m in encoder.modules())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in encoder.parameters())


def test_features_refuse_other_layers(encoder):
    with pytest.raises(ValueError, match="'first'"):
        features(encoder, Images(), layers="first")


def test_raw_pixels():
    data = Images()
    assert torch.equal(raw_pixels(data), data.pixels.reshape(7, -1))
    small = raw_pixels(data, size=4)
    blocks = data.pixels.reshape(7, 3, 4, 2, 4, 2).mean(dim=(3, 5))
    torch.testing.assert_close(small, blocks.reshape(7, -1))


def test_knn_during_writes_its_column(encoder):
    class Model:
        target_encoder = encoder

    data = Images(count=60)
    callback = KNNDuring(data, data, every=5)
    rows = [{} for _ in range(10)]
    for step, row in enumerate(rows, start=1):
        callback(step, Model, row)
    f = features(encoder, data)
    expected = knn_probe(f, data.labels, f, data.labels)
    assert rows == [{"knn": expected} if step % 5 == 0 else {} for step in range(1, 11)]


def test_data_that_a_probe_cannot_score_are_refused():
    vectors, labels = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2
    with pytest.raises(ValueError, match="20 neighbours are to vote, but there are only 12"):
        knn_probe(vectors, labels, vectors, labels)
    assert knn_probe(vectors, labels, vectors, labels, k=1) == 1.0
    with pytest.raises(ValueError, match="all 12 training labels are the same"):
        linear_probe(vectors, torch.zeros_like(labels), vectors, labels)
