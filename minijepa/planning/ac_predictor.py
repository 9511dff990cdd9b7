"""The predictor of a world model that hears actions, as in V-JEPA 2-AC: a transformer that is causal over time.

    one time step = [action a_t, state s_t, (extrinsics e_t,) the N patches of frame t]         one token each
    patch j of frame t sees all tokens of its own step and of every earlier one, and none of a later one,
    so what comes out at its place can be trained to be patch j of frame t + 1: all steps at once, in one pass.

There is no mask token: the question "what comes next?" is asked by the frame itself, and the action is its condition.
Source: V-JEPA 2 (arXiv:2506.09985, section 3.1); the order of the tokens is that of the released code.
"""

import torch
from einops import rearrange
from torch import nn

from minijepa.positions import rotation
from minijepa.vit import Block, init_weights


def block_causal_mask(steps, tokens):
    """Who may see whom: True where the token of the row may see that of the column. Returns bool [T k, T k].

    steps: T, how many time steps there are. tokens: k, tokens per step. Token i belongs to step floor(i / k), and sees
    the tokens of its own step and of all steps before: full attention inside a step, causal between steps.
    """
    step = torch.arange(steps).repeat_interleave(tokens)  # [T k]
    return step[:, None] >= step[None, :]


class ACPredictor(nn.Module):
    """What each frame becomes under its action: z [B, T N, D], actions [B, T, A], states [B, T, S] -> [B, T N, D].

    dim: width D of the encoder's tokens. grid: (rows, columns) of a frame, N = rows * columns.
    width, depth, heads: the predictor's own; a head needs at least 6 channels, two for each of time, row and column.
    action_dim, state_dim: A and S. state_dim=0 makes a predictor without a state token.
    extrinsics_dim: numbers that describe the camera, or None; their token takes part only where they are given.
    positions: "rotary", or "rotary_published" for the released weights (see positions.rotation). Patches are rotated by
    time, row and column, the tokens of the conditions by time alone.
    With square frames this is the released model. (It stretches the columns of others to as many as there are rows.)
    Raises ValueError for other positions, or for inputs whose steps and patches do not agree.
    """

    def __init__(
        self, dim, grid, width=96, depth=2, heads=3, action_dim=7, state_dim=7, extrinsics_dim=None, positions="rotary"
    ):
        super().__init__()
        if positions not in ("rotary", "rotary_published"):
            raise ValueError(f'positions must be "rotary" or "rotary_published", got {positions!r}')
        self.grid, self.patches, self.positions = tuple(grid), grid[0] * grid[1], positions
        self.embed = nn.Linear(dim, width)
        self.action_encoder = nn.Linear(action_dim, width)
        self.state_encoder = nn.Linear(state_dim, width) if state_dim else None
        self.extrinsics_encoder = nn.Linear(extrinsics_dim, width) if extrinsics_dim else None
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.proj = nn.Linear(width, dim)
        self.apply(init_weights)

    def conditions(self, actions, states=None, extrinsics=None):
        """The tokens before the patches of each step: [B, T, K, width], K = 1 to 3, in the order a, s, e.

        Raises ValueError if states or extrinsics are given and have no encoder, or the reverse for states.
        """
        tokens = [self.action_encoder(actions)]  # [B, T, width] each
        if self.state_encoder is not None:
            if states is None:
                raise ValueError("this predictor hears a state at each step: give states [B, T, S], or state_dim=0")
            tokens.append(self.state_encoder(states))
        if extrinsics is not None:
            if self.extrinsics_encoder is None:
                raise ValueError("this predictor has no encoder of extrinsics: leave them out, or give extrinsics_dim")
            tokens.append(self.extrinsics_encoder(extrinsics))
        return torch.stack(tokens, dim=2)  # [B, T, K, width]

    def rope(self, steps, conditions):
        """Rotary positions of all tokens, [2, T (K + N), width / heads]; conditions: K.

        At row 0 and column 0 nothing but time rotates. So a condition is rotated as the first patch of its step.
        """
        head = self.embed.out_features // self.blocks[0].attn.heads
        patches = rotation((steps, *self.grid), head, published=self.positions == "rotary_published")
        patches = rearrange(patches, "two (t n) d -> two t n d", t=steps)  # [2, T, N, head]
        first = patches[:, :, :1].expand(-1, -1, conditions, -1)  # [2, T, K, head]
        return torch.cat([first, patches], dim=2).flatten(1, 2)  # [2, T (K + N), head]

    def forward(self, z, actions, states=None, extrinsics=None):
        """z: tokens of T frames [B, T N, D], time first. actions [B, T, A]: what is done at each of them.

        states: [B, T, S], where the robot is. extrinsics: [B, T, E], where the camera is; None: no such token.
        Returns [B, T N, D]: at the patches of step t, the prediction of frame t + 1.
        """
        steps = actions.shape[1]
        if z.shape[1] != steps * self.patches:
            raise ValueError(
                f"{steps} actions need the {steps * self.patches} tokens of {steps} frames of {self.patches} patches, "
                f"got {z.shape[1]} tokens: give one action for each frame that is seen"
            )
        patches = rearrange(self.embed(z), "b (t n) w -> b t n w", t=steps)  # [B, T, N, width]
        conditions = self.conditions(actions, states, extrinsics)  # [B, T, K, width]
        k = conditions.shape[2]
        x = torch.cat([conditions, patches], dim=2).flatten(1, 2)  # [B, T (K + N), width]
        mask = block_causal_mask(steps, k + self.patches).to(z.device)
        rope = self.rope(steps, k).to(z.device, x.dtype)
        for block in self.blocks:
            x = block(x, rope, mask)  # [B, T (K + N), width]
        x = rearrange(x, "b (t m) w -> b t m w", t=steps)[:, :, k:]  # [B, T, N, width]: the conditions are dropped
        return self.proj(self.norm(x)).flatten(1, 2)  # [B, T N, D]
