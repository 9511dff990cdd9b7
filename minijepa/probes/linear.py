"""Probes of one vector per image, all from scikit-learn: nearest neighbours, a linear classifier, linear regression."""

import torch

from minijepa.probes.features import features

# scikit-learn is imported inside the functions: it would double the time of `import minijepa`


def knn_probe(train, train_labels, test, test_labels, k=20, each=False):
    """Accuracy in [0, 1] of the majority vote of the k nearest training features, by cosine distance after centring.

    The probe has no trainable parameters, so its score depends on the features alone.

    train, test: vectors [N, D] and [M, D].
    train_labels, test_labels: int64 [N] and [M].
    k: neighbours that vote, 1..N.
    each: True returns, for each test image, whether the vote is right, bool [M]: `paired_error` compares two encoders
        image by image.
    Raises ValueError if there are fewer than k training features.
    Source: Wu et al. 2018 (arXiv:1805.01978), unweighted votes.
    """
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    if len(train) < k:
        raise ValueError(f"{k} neighbours are to vote, but there are only {len(train)} images: add images or lower k")
    probe = make_pipeline(StandardScaler(with_std=False), Normalizer(), KNeighborsClassifier(n_neighbors=k))
    right = probe.fit(train.numpy(), train_labels.numpy()).predict(test.numpy()) == test_labels.numpy()  # [M]
    return torch.from_numpy(right) if each else float(right.mean())


def linear_probe(train, train_labels, test, test_labels, c=1.0, max_iter=2000, each=False):
    """Accuracy in [0, 1] of multinomial logistic regression on standardised features, trained to convergence.

    train, test: vectors [N, D] and [M, D].
    train_labels, test_labels: int64 [N] and [M].
    c: inverse strength of the L2 penalty (scikit-learn's C), above 0.
    max_iter: iterations after which the solver gives up.
    each: True returns, for each test image, whether the answer is right, bool [M], as in `knn_probe`.
    Raises ValueError if all training labels are the same, and RuntimeError if the solver gives up before it has
    converged: such a score would compare solvers, not features.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(train_labels.unique()) < 2:
        raise ValueError(f"all {len(train_labels)} training labels are the same: add images of a second class")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=max_iter, tol=1e-3))
    probe.fit(train.numpy(), train_labels.numpy())
    if probe[-1].n_iter_.max() >= max_iter:
        raise RuntimeError(
            f"the linear probe did not converge within max_iter = {max_iter} iterations: raise max_iter or lower c"
        )
    right = probe.predict(test.numpy()) == test_labels.numpy()  # [M]
    return torch.from_numpy(right) if each else float(right.mean())


def paired_error(right_a, right_b):
    """The standard error of the difference of two accuracies on the same images, a float >= 0.

    With d = right_a - right_b in {-1, 0, 1} it is std(d) / sqrt(M). Images on which both are right or both wrong add
    nothing to the difference: with n images that only the first gets right and m that only the second gets right (the
    counts of McNemar's test) it is sqrt(((n + m) / M - ((n - m) / M)^2) / (M - 1)), and 0 if n = m = 0. It measures
    how much depends on the choice of the test images, not on the training seed.

    right_a, right_b: bool [M], M >= 2, whether each of two encoders is right on each image, in the same order.
    Raises TypeError if one of the two is not bool, ValueError if they are not two vectors of one length M >= 2.
    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages".
    """
    if right_a.dtype != torch.bool or right_b.dtype != torch.bool:
        raise TypeError(
            f"paired_error needs True or False for each image, got {right_a.dtype} and {right_b.dtype}: "
            "pass the results of knn_probe(..., each=True), not accuracies"
        )
    if right_a.shape != right_b.shape or right_a.ndim != 1 or len(right_a) < 2:
        raise ValueError(
            f"paired_error compares two vectors of one length, 2 or more, got {list(right_a.shape)} and "
            f"{list(right_b.shape)}: score both encoders on the same images"
        )
    return ((right_a.double() - right_b.double()).std() / len(right_a) ** 0.5).item()


def ridge_probe(train, train_values, test, test_values, penalty=10.0):
    """R^2 of a linear regression on standardised features, for values instead of classes: positions, counts.

    R^2 = 1 - (squared error) / (squared error of the constant that is best on the test images), averaged over the K
    values: 1 is perfect, 0 no better than that constant, negative worse.

    train, test: vectors [N, D] and [M, D].
    train_values, test_values: float [N, K] and [M, K].
    penalty: strength of the L2 penalty (Ridge's alpha), at least 0.
    """
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), Ridge(alpha=penalty))
    return float(probe.fit(train.numpy(), train_values.numpy()).score(test.numpy(), test_values.numpy()))


class KNNDuring:
    """A callback for `fit`: it writes the kNN accuracy of the target encoder into the history's column "knn".

    train, heldout: ImageData with images [N, C, H, W]; keep them small, since their features are computed each time.
    every: steps between two scores.
    """

    def __init__(self, train, heldout, every):
        self.train, self.heldout, self.every = train, heldout, every

    def score(self, encoder):
        """The kNN accuracy in [0, 1] of an encoder's pooled last layer."""
        f, g = features(encoder, self.train), features(encoder, self.heldout)
        return knn_probe(f, self.train.labels, g, self.heldout.labels)

    def __call__(self, step, model, row):
        if step % self.every == 0:
            row["knn"] = self.score(model.target_encoder)
