"""The judges: what do frozen features know? k nearest neighbours and a linear classifier.

A probe trains on the features of labelled images and is scored on others. Every score stands beside those of raw
pixels and of the same encoder before training; without them it means nothing.
"""

import torch

from minijepa.vit import pool

# scikit-learn is imported inside the functions: it would double the time of `import minijepa`


@torch.no_grad()
def features(encoder, data, *, layers="last", batch_size=100, device=None):
    """One vector per image from a frozen encoder: the mean over its tokens.

    data: ImageData. layers: "last" gives [N, D], the last layer; "all" gives [N, L D], every layer's mean side by side.
    Returns float32 on the CPU. The encoder's mode and device are left as they were. Raises ValueError for other layers.
    """
    if layers not in ("last", "all"):
        raise ValueError(f"layers must be 'last' or 'all', got {layers!r}")
    device = device or next(encoder.parameters()).device
    training = encoder.training
    encoder.eval()
    chunks = []
    for index in torch.arange(len(data)).split(batch_size):
        x = data.floats(index, device)  # [B, C, H, W]
        outputs = encoder.layers(x) if layers == "all" else [encoder(x)]  # each [B, N, D]
        chunks.append(torch.cat([pool(tokens) for tokens in outputs], dim=1).float().cpu())  # [B, D] or [B, L D]
    encoder.train(training)
    return torch.cat(chunks)


def raw_pixels(data, *, size=None):
    """The images themselves as features, normalised: [N, C H W]; size: shrink to size x size first."""
    x = data.floats()  # [N, C, H, W]
    if size is not None:
        x = torch.nn.functional.adaptive_avg_pool2d(x, size)
    return x.flatten(1)


def knn_probe(train, train_labels, test, test_labels, k=20):
    """Accuracy in [0, 1] of the vote of the k nearest training features, cosine distance after centring.

    train: [N, D], test: [M, D]; labels: int64. No parameters are learned, so nothing can be hidden in the probe.
    Source: Wu et al. 2018 (arXiv:1805.01978), unweighted votes.
    """
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    probe = make_pipeline(StandardScaler(with_std=False), Normalizer(), KNeighborsClassifier(n_neighbors=k))
    return float(probe.fit(train.numpy(), train_labels.numpy()).score(test.numpy(), test_labels.numpy()))


def linear_probe(train, train_labels, test, test_labels, c=1.0, max_iter=2000):
    """Accuracy in [0, 1] of multinomial logistic regression on standardised features, trained to convergence.

    train: [N, D], test: [M, D]; labels: int64. c: inverse strength of the L2 penalty (scikit-learn's C).
    Raises RuntimeError if the solver stops at max_iter before it converged: such a score would compare solvers.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=max_iter, tol=1e-3))
    probe.fit(train.numpy(), train_labels.numpy())
    if probe[-1].n_iter_.max() >= max_iter:
        raise RuntimeError(
            f"the linear probe did not converge in max_iter = {max_iter} iterations: raise it or lower c"
        )
    return float(probe.score(test.numpy(), test_labels.numpy()))


class KNNDuring:
    """A callback for `fit`: every `every` steps, the kNN accuracy of the target encoder, into the column "knn".

    train, heldout: ImageData, kept small, since their features are computed again each time.
    """

    def __init__(self, train, heldout, every):
        self.train, self.heldout, self.every = train, heldout, every

    def score(self, encoder):
        """kNN accuracy in [0, 1] of an encoder's pooled last layer."""
        f, g = features(encoder, self.train), features(encoder, self.heldout)
        return knn_probe(f, self.train.labels, g, self.heldout.labels)

    def __call__(self, step, model, row):
        if step % self.every == 0:
            row["knn"] = self.score(model.target_encoder)
