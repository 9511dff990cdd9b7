"""A video model with a memory predicts the next frame's latent; its error is surprise.

    frames x_1 … x_t ──► encoder f, frame by frame ──► z_1 … z_t ──► GRU h_t ──► ẑ_{t+1} = z_t + head(h_t)
    loss = |ẑ_{t+1} - z_{t+1}|^2 + variance and covariance over the batch      surprise_{t+1} = |ẑ_{t+1} - z_{t+1}|

The encoder sees one frame, so a hidden body is not in z_t: only h_t can know that it will come out again. Surprise as
the error of prediction in latent space: arXiv:2502.11831; there a V-JEPA predicts, here a small model of this course's
own. `PixelModel` is the same but for its target, the next frame itself; `CopyLast` predicts that nothing changes.
"""

import torch
from torch import nn
from torch.nn import functional as F

from minijepa.losses import covariance, l1, l2, variance
from minijepa.planning.world_model import WorldModelOutput


class Memory(nn.Module):
    """What was seen so far, in one vector: z [B, T, D] -> h [B, T, W]; h_t depends on z_1 … z_t alone."""

    def __init__(self, dim=32, width=128):
        super().__init__()
        self.gru = nn.GRU(dim, width, batch_first=True)

    def forward(self, z):
        return self.gru(z)[0]


class VideoModel(nn.Module):
    """Encoder, memory and predictor; `model(frames)` gives the loss that `fit` lowers.

    encoder: frames [..., C, S, S] -> [..., D], such as FrameEncoder.
    weights: (variance, covariance), asked of the batch at each time step; (0, 0) collapses.
    """

    def __init__(self, encoder, width=128, weights=(4.0, 1.0)):
        super().__init__()
        self.encoder, self.weights = encoder, weights
        self.memory = Memory(encoder.dim, width)
        self.head = nn.Linear(width, encoder.dim)

    def predict(self, z):
        """z [B, T, D] -> the predictions of z_2 … z_T, [B, T - 1, D], each from the frames before it."""
        return z[:, :-1] + self.head(self.memory(z[:, :-1]))

    def forward(self, frames):
        z = self.encoder(frames)  # [B, T, C, S, S] -> [B, T, D]
        terms = {"predict": l2(self.predict(z), z[:, 1:]).mean(), "variance": variance(z), "covariance": covariance(z)}
        loss = terms["predict"] + self.weights[0] * terms["variance"] + self.weights[1] * terms["covariance"]
        return WorldModelOutput(loss, terms)

    @torch.no_grad()
    def surprise(self, frames):
        """How far each frame is from what was expected: [B, T, C, S, S] -> [B, T - 1], of frames 2 to T, >= 0."""
        z = self.encoder(frames)
        return l1(self.predict(z), z[:, 1:])


class PixelModel(nn.Module):
    """The same encoder and memory, trained to predict the next frame's pixels through a decoder, which JEPA lacks.

    encoder: as of VideoModel, of patches of 4 x 4 pixels. size, channels: of a frame.
    """

    def __init__(self, encoder, size=24, channels=3, width=128):
        super().__init__()
        self.encoder, self.memory, self.side = encoder, Memory(encoder.dim, width), size // 4
        self.head = nn.Sequential(nn.Linear(width + encoder.dim, 16 * self.side**2), nn.GELU())
        self.patches = nn.Linear(16, channels * 4 * 4)

    def predict(self, frames):
        """Frames [B, T, C, S, S] -> the predictions of frames 2 to T, [B, T - 1, C, S, S]."""
        z = self.encoder(frames[:, :-1])  # [B, T - 1, D]
        known = torch.cat([z, self.memory(z)], dim=-1).flatten(0, 1)  # [B (T - 1), D + W]
        patches = self.patches(self.head(known).view(-1, self.side**2, 16))  # [B (T - 1), N, C * 16]
        return F.fold(patches.mT, 4 * self.side, kernel_size=4, stride=4).view(frames[:, 1:].shape)

    def forward(self, frames):
        error = l2(self.predict(frames).flatten(2), frames[:, 1:].flatten(2)).mean()
        return WorldModelOutput(error, {"pixels": error})

    @torch.no_grad()
    def surprise(self, frames):
        """The mean absolute error of the predicted pixels: [B, T, C, S, S] -> [B, T - 1], >= 0."""
        return l1(self.predict(frames).flatten(2), frames[:, 1:].flatten(2))


class CopyLast(nn.Module):
    """Expects that nothing changes, in the latents of `encoder` or, with None, in pixels: a measure of motion.

    Whatever it detects can be detected without any knowledge of how bodies move.
    """

    def __init__(self, encoder=None):
        super().__init__()
        self.encoder = encoder

    @torch.no_grad()
    def surprise(self, frames):
        """How far each frame is from the one before it: [B, T, C, S, S] -> [B, T - 1], >= 0."""
        z = self.encoder(frames) if self.encoder is not None else frames.flatten(2)
        return l1(z[:, :-1], z[:, 1:])


def per_clip(surprise, over):
    """One number per clip: surprise [N, T], over "mean" or "max" -> [N]. Raises ValueError for another word."""
    if over not in ("mean", "max"):
        raise ValueError(f"over must be 'mean' or 'max', got {over!r}")
    return surprise.mean(dim=1) if over == "mean" else surprise.amax(dim=1)


def pairwise_accuracy(possible, impossible):
    """P(surprise possible < surprise impossible) over matched pairs, ties one half: [N], [N] -> a float in [0, 1].

    Chance level .5; its standard error is at most .5 / sqrt(N). Below .5: the impossible clip surprises *less*.
    Raises ValueError for other shapes. Source: arXiv:2502.11831.
    """
    if possible.shape != impossible.shape or possible.ndim != 1 or not len(possible):
        raise ValueError(
            f"pairs need two vectors of one length, got {tuple(possible.shape)} and {tuple(impossible.shape)}; "
            "use per_clip first"
        )
    return ((possible < impossible).double() + 0.5 * (possible == impossible).double()).mean().item()


def auroc(possible, impossible):
    """P(surprise of any possible clip < that of any impossible one), ties one half: [N], [M] -> a float in [0, 1].

    Single clips instead of matched pairs: it asks for a threshold that holds for all scenes.
    """
    ordered, impossible = possible.sort()[0], impossible.contiguous()
    ranks = torch.searchsorted(ordered, impossible).double()
    ties = torch.searchsorted(ordered, impossible, right=True).double() - ranks
    return ((ranks + 0.5 * ties).mean() / len(possible)).item()
