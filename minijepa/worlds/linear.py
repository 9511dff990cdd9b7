"""A linear world: a state that can be predicted and a distractor, both observed through the same 64 numbers.

The best linear encoders for three aims (reconstruct, predict future observations, predict future codes) have closed
forms.
"""

import math
from dataclasses import dataclass

import torch

DISTRACTORS = {"unpredictable": 0.0, "slow": 0.98, "static": 1.0}  # how much of d remains one step later


def rotation(turn):
    """Rotate two planes of four dimensions by `turn` radians: [4, 4]."""
    c, s = math.cos(turn), math.sin(turn)
    return torch.block_diag(*2 * [torch.tensor([[c, -s], [s, c]], dtype=torch.float64)])


@dataclass
class LinearWorld:
    """x_t = C s_t + A D d_t + sigma n_t: a state s [4] and a distractor d [8], observed as x [64] with sensor noise n.

    s_t+1 = rho R s_t + sqrt(1 - rho^2) e, with a rotation R: fast but predictable.
    d_t+1 = memory d_t + sqrt(1 - memory^2) e': memory 0 is new noise in each frame, 1 a constant of the episode.
    All of s, d, n, e, e' are standard normal, so s and d keep variance 1 forever. A is the distractor's amplitude.
    """

    C: torch.Tensor  # [64, 4]
    D: torch.Tensor  # [64, 8]
    memory: float
    amplitude: float
    rho: float = 0.9
    turn: float = math.pi / 6
    sigma: float = 0.1

    def covariance(self, lag=0):
        """Cov(x_t+lag, x_t), float64 [64, 64]: C (rho R)^lag C' + A^2 memory^lag D D' (+ sigma^2 I at lag 0)."""
        state = self.C @ torch.linalg.matrix_power(self.rho * rotation(self.turn), lag) @ self.C.T
        rest = self.amplitude**2 * self.memory**lag * self.D @ self.D.T
        return state + rest + (self.sigma**2 * torch.eye(len(self.C)).double() if lag == 0 else 0)

    def episodes(self, count, length, generator):
        """Independent episodes: observations x [count, length, 64] and states s [count, length, 4], float32."""

        def normal(*shape):
            return torch.randn(count, *shape, generator=generator, dtype=torch.float64)

        step = self.rho * rotation(self.turn)
        s, d = [normal(4)], [normal(self.D.shape[1])]
        for _ in range(length - 1):
            s.append(s[-1] @ step.T + math.sqrt(1 - self.rho**2) * normal(4))
            d.append(self.memory * d[-1] + math.sqrt(1 - self.memory**2) * normal(self.D.shape[1]))
        s, d = torch.stack(s, dim=1), torch.stack(d, dim=1)  # [count, length, 4 or 8]
        x = s @ self.C.T + self.amplitude * d @ self.D.T + self.sigma * normal(length, len(self.C))
        return x.float(), s.float()


def linear_world(distractor, amplitude, seed=0, **settings):
    """A LinearWorld whose mixing matrices C and D have random columns of length about 1, drawn from `seed`.

    distractor: a key of DISTRACTORS.
    amplitude: A.
    settings: rho, turn, sigma.
    Raises ValueError for another distractor.
    """
    if distractor not in DISTRACTORS:
        raise ValueError(f"distractor must be one of {list(DISTRACTORS)}, got {distractor!r}")
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(64, 12, generator=generator, dtype=torch.float64) / math.sqrt(64)
    return LinearWorld(mixing[:, :4], mixing[:, 4:], DISTRACTORS[distractor], amplitude, **settings)


def whitener(covariance):
    """The symmetric S^(-1/2) of a covariance S [X, X]: S^(-1/2) x has covariance I."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.rsqrt()) @ vectors.T


def pca_encoder(world, k=4):
    """The best linear code for reconstructing x_t: the k directions of largest variance, [k, 64]."""
    return torch.linalg.eigh(world.covariance())[1][:, -k:].T


def reduced_rank_encoder(world, k=4):
    """The best linear code of x_t for predicting x_t+1: min over W, B of E|x_t+1 - B W x_t|^2, [k, 64].

    With P = Cov(x_t+1, x_t) S^(-1/2) = U diag(p) V', W = V_k' S^(-1/2). Source: Izenman 1975, reduced-rank regression.
    """
    white = whitener(world.covariance())
    return torch.linalg.svd(world.covariance(1) @ white)[2][:k] @ white


def cca_encoder(world, k=4):
    """The best linear code of x_t for predicting a white code of x_t+1: canonical correlations, [k, 64].

    Min over W, V, P of E|V x_t+1 - P W x_t|^2 with W x_t and V x_t+1 kept white, which rules out collapse. With
    M = S^(-1/2) Cov(x_t+1, x_t) S^(-1/2) = U diag(c) V', W = V_k' S^(-1/2) and the loss is the sum of 1 - c_i^2.
    That is a linear JEPA; with one encoder for both frames it is exact where M is normal, as for orthogonal columns
    of C and D, and close to it otherwise. Source: Hotelling 1936.
    """
    white = whitener(world.covariance())
    return torch.linalg.svd(white @ world.covariance(1) @ white)[2][:k] @ white


def slow_encoder(world, k=4):
    """The best linear code for staying the same: min E|W x_t+1 - W x_t|^2 with W x white (invariance), [k, 64].

    The top eigenvectors of the symmetric part of S^(-1/2) Cov(x_t+1, x_t) S^(-1/2). Source: slow feature analysis,
    Wiskott & Sejnowski 2002.
    """
    white = whitener(world.covariance())
    correlation = white @ world.covariance(1) @ white
    return torch.linalg.eigh((correlation + correlation.T) / 2)[1][:, -k:].T @ white


def encoder_r2(encoder, world):
    """Exact R^2 in [0, 1] of the best linear readout of the state from the code W x_t; encoder: W [k, 64]."""
    code = encoder @ world.C  # [k, 4], Cov(W x, s)
    covariance = encoder @ world.covariance() @ encoder.T  # [k, k]
    return (code * torch.linalg.solve(covariance, code)).sum(dim=0).mean().item()  # each state has variance 1


def probe_r2(train, train_state, test, test_state):
    """R^2 of least squares from codes to states, fitted on one set and scored on another: at most 1, chance 0.

    train: [N, k]. train_state: [N, S]. test: [M, k]. test_state: [M, S].
    Returns the mean over the S states.
    """

    def design(codes):
        return torch.cat([codes.double(), torch.ones(len(codes), 1, dtype=torch.float64)], dim=1)  # [N, k + 1]

    readout = torch.linalg.lstsq(design(train), train_state.double(), driver="gelsd").solution  # [k + 1, S]
    error = (design(test) @ readout - test_state).square().mean(dim=0)  # [S]
    return (1 - error / test_state.double().var(dim=0, correction=0)).mean().item()
