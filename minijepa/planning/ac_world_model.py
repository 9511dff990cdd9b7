"""How V-JEPA 2-AC is trained: a frozen encoder, and a predictor that must hold also on what it predicted itself.

    z_t          = LN(encoder(frame t))                       no gradient; LN is a LayerNorm without parameters
    forced       = LN(predictor(z_1 ... z_{T-1}; a, s))       z^_2 ... z^_T, each from true frames (teacher forcing)
    rolled       = z^_2, then z~_3 = LN(predictor(z_1, z^_2; a, s)), and so on, each from what was predicted
    loss         = mean |forced - z_2 ... z_T|  +  mean |rolled - z_2 ... z_{1 + auto_steps}|

Because the encoder is frozen, nothing can collapse here: the targets do not move.
Source: V-JEPA 2 (arXiv:2506.09985, section 3.1 and equations 2-4). The first release of its code began the rollout with
z^_3 in the place of z^_2; this is the corrected one.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import nn
from torch.nn.functional import l1_loss, layer_norm


class Trajectory(NamedTuple):
    """A batch of T steps. frames: tokens [B, T N, D], or what `encode` takes. actions: [B, T - 1, A].

    states: [B, T, S]. S may be 0 where a world tells no state.
    """

    frames: torch.Tensor
    actions: torch.Tensor
    states: torch.Tensor


class Trajectories:
    """Recorded episodes as `fit` wants data. frames [E, ...], actions [E, T - 1, A], states [E, T, S] or None.

    Raises ValueError if these are not as many episodes and steps of each.
    """

    def __init__(self, frames, actions, states=None):
        states = actions.new_zeros(len(actions), actions.shape[1] + 1, 0) if states is None else states
        if not len(frames) == len(actions) == len(states) or states.shape[1] != actions.shape[1] + 1:
            raise ValueError(
                f"an episode of T frames has T - 1 actions and T states, got frames {list(frames.shape)}, actions "
                f"{list(actions.shape)} and states {list(states.shape)}: give as many episodes of each"
            )
        self.tensors = Trajectory(frames, actions, states)

    def __len__(self):
        return len(self.tensors.actions)

    def batch(self, index, device=None):
        """The episodes of these numbers, int64 [B], as a Trajectory of B rows each."""
        return Trajectory(*(tensor[index].to(device) for tensor in self.tensors))


class ACOutput(NamedTuple):
    """loss: a scalar. terms: its two parts, and `copying`, the loss of predicting that nothing changes: the floor.

    forced: [B, (T - 1) N, D], rolled: [B, auto_steps N, D], the predictions.
    """

    loss: torch.Tensor
    terms: dict
    forced: torch.Tensor
    rolled: torch.Tensor

    @property
    def numbers(self):
        """The terms as floats, which `fit` records."""
        return {name: float(value.detach()) for name, value in self.terms.items()}


def encode_frames(encoder, frames):
    """Each frame by itself: [B, C, T, H, W] -> [B, T N, D]. encoder: a ViT of images, or of clips as long as a tubelet.

    A video encoder gets the frame as a clip in which nothing moves: repeated until it fills one tubelet, as V-JEPA 2-AC
    does. So no token of step t knows what comes after it.
    """
    times, patch = frames.shape[2], encoder.patch_embed.patch_size
    singles = rearrange(frames, "b c t h w -> (b t) c h w")
    if len(patch) == 3:
        singles = singles.unsqueeze(2).expand(-1, -1, patch[0], -1, -1)  # [B T, C, frames of a tubelet, H, W]
    return rearrange(encoder(singles), "(b t) n d -> b (t n) d", t=times)


def normalised(tokens):
    """LayerNorm over the width, without parameters: every token gets mean 0 and variance 1. [..., D] -> [..., D]."""
    return layer_norm(tokens, tokens.shape[-1:])


class ACWorldModel(nn.Module):
    """A frozen encoder and an ACPredictor that learns to predict its tokens. `model(trajectory)` returns ACOutput.

    predictor: ACPredictor. encode: frames -> tokens [B, T N, D], a function or a module, which is frozen; None: the
    data hold tokens, encoded once before training.
    auto_steps: how many frames the rollout of the loss predicts. With 1 it predicts none from its own predictions.
    Raises ValueError if auto_steps is less than 1.
    """

    def __init__(self, predictor, encode=None, auto_steps=2):
        super().__init__()
        if auto_steps < 1:
            raise ValueError(f"auto_steps must be 1 or more, the predicted steps of the rollout, got {auto_steps}")
        self.predictor, self.auto_steps = predictor, auto_steps
        self.encode = encode.requires_grad_(False) if isinstance(encode, nn.Module) else encode

    def train(self, mode=True):
        """As for every module, but a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if isinstance(self.encode, nn.Module):
            self.encode.eval()
        return self

    @torch.no_grad()
    def tokens(self, frames):
        """z: the normalised tokens of frames, [B, T N, D], without gradient. frames: as in Trajectory."""
        return normalised(frames if self.encode is None else self.encode(frames))

    def step(self, z, actions, states=None):
        """One pass of the predictor, normalised: frames 1 ... T to 2 ... T + 1. z [B, T N, D] -> [B, T N, D]."""
        return normalised(self.predictor(z, actions, states))

    def rollout(self, z, actions, states=None):
        """Imagine: what follows the known frames under these actions, each frame predicted from those before it.

        z: tokens of k known frames, [B, k N, D], normalised. actions: [B, T, A], T >= k, and states: [B, T, S], those
        of the known frames first. Returns the predicted frames k + 1 ... T + 1, [B, (T - k + 1) N, D].
        """
        path, n = z, self.predictor.patches
        for t in range(z.shape[1] // n, actions.shape[1] + 1):
            ahead = self.step(path, actions[:, :t], None if states is None else states[:, :t])  # frames 2 ... t + 1
            path = torch.cat([path, ahead[:, -n:]], dim=1)  # [B, (t + 1) N, D]
        return path[:, z.shape[1] :]

    def forward(self, batch):
        """batch: Trajectory of T frames. Returns ACOutput; the loss is the one at the top of this file.

        Raises ValueError if there are fewer than auto_steps actions.
        """
        z, n, steps = self.tokens(batch.frames), self.predictor.patches, self.auto_steps
        actions, states = batch.actions, batch.states[:, :-1]  # the last state comes after the last action
        if actions.shape[1] < steps:
            raise ValueError(
                f"a rollout of {steps} frames needs as many actions, got {actions.shape[1]}: lower auto_steps"
            )
        forced = self.step(z[:, :-n], actions, states)  # [B, (T - 1) N, D]: frames 2 ... T
        start = torch.cat([z[:, :n], forced[:, :n]], dim=1)  # [B, 2 N, D]: the true frame 1, the predicted frame 2
        further = self.rollout(start, actions[:, :steps], states[:, :steps])  # [B, (auto_steps - 1) N, D]
        rolled = torch.cat([forced[:, :n], further], dim=1)  # [B, auto_steps N, D]: frames 2 ... 1 + auto_steps
        by_force, by_rollout = l1_loss(forced, z[:, n:]), l1_loss(rolled, z[:, n : n + steps * n])
        terms = {"forced": by_force, "rolled": by_rollout, "copying": l1_loss(z[:, :-n], z[:, n:])}
        return ACOutput(by_force + by_rollout, terms, forced, rolled)
