"""A world model in two stages, some 17 seconds of one core: first a representation, then, on top of it, the dynamics.

    stage 1   encoder, dynamics and PLDM's terms together, on short clips (as PLDM, arXiv:2502.14819)
    stage 2   the encoder is frozen; new dynamics on longer clips of latents (as V-JEPA 2-AC, arXiv:2506.09985)

Stage 2 needs no term against collapse, as nothing can move the latents any more, and no image is drawn twice.
"""

import torch
from torch import nn

from minijepa.planning.world_model import PLDM, Dynamics, FrameEncoder, WorldModel, encode_walks
from minijepa.training import fit

SETTINGS = dict(lr=2e-3, warmup=0.05, weight_decay=(1e-4, 1e-4), betas=(0.9, 0.999))


def learn_representation(world, seed=0, weights=PLDM, steps=1500):
    """Stage 1: a WorldModel trained on 2,000 walks, 48 clips of five frames a step. Stage 2 keeps its encoder."""
    torch.manual_seed(seed)
    model = WorldModel(FrameEncoder(world.size), Dynamics(scale=world.max_step), weights)
    fit(model, world.walks(2000, seed=seed, window=5), steps=steps, batch_size=48, seed=seed, **SETTINGS)
    return model.eval()


def learn_dynamics(encoder, walks, seed=0, predictions=2, steps=3000):
    """Stage 2: new dynamics on the latents of a frozen encoder, 64 clips of nine frames a step. Returns a WorldModel.

    walks: Walks, encoded once; other than those of stage 1, so that the dynamics do not rest on what the encoder has
    learned by heart. predictions: in a row, as `steps` of WorldModel; 1 is teacher forcing alone.
    """
    torch.manual_seed(seed)
    encoder = encoder.eval().requires_grad_(False)
    latents = encode_walks(encoder, walks, window=9)
    dynamics = Dynamics(latents.z.shape[-1], scale=walks.world.max_step)
    stage = WorldModel(nn.Identity(), dynamics, weights={}, steps=predictions)  # its frames are latents
    fit(stage, latents, steps=steps, batch_size=64, seed=seed, **SETTINGS)
    return WorldModel(encoder, stage.dynamics, weights={}, steps=predictions).eval()


def learn(world, seed=0):
    """Both stages: a WorldModel for the walks of `world`, with a frozen encoder."""
    encoder = learn_representation(world, seed).encoder
    return learn_dynamics(encoder, world.walks(6000, seed=1000 + seed), seed)
