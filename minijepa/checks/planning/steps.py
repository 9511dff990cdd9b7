"""Assignment 16: small dynamics with known numbers, in the place of a learned world model."""

import torch


def same_axes(z, action):
    """Raise ValueError unless z [..., D] and action [..., A] agree in all axes but the last."""
    if z.shape[:-1] != action.shape[:-1]:
        raise ValueError(
            f"z and action must agree in all axes but the last, got {list(z.shape)} and {list(action.shape)}: "
            "expand the smaller one"
        )


def double_and_add(z, action):
    """z [..., D], action [..., D] -> 2 z + action: easy by hand, and the order of the actions matters."""
    same_axes(z, action)
    return 2 * z + action


def bend(z, action):
    """z [..., D], action [..., A] -> [..., D]: neither linear nor the same in all directions."""
    same_axes(z, action)
    features, inputs = z.shape[-1], action.shape[-1]
    mix = torch.linspace(-1, 1, features * features).to(z).view(features, features)
    drive = torch.linspace(-1.2, 0.9, inputs * features).to(z).view(inputs, features)
    return 0.6 * z + torch.tanh(z @ mix + action @ drive + 0.3)


def room(z, action):
    """z [..., 2], action [..., 2] -> z + action, stopped by the borders of the square [-1, 1] x [-1, 1]."""
    same_axes(z, action)
    return (z + action).clamp(-1, 1)
