"""A picture of an attention mask that is causal over time: which token sees which."""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap

from minijepa.plots.figures import BLUE


def attention_mask(mask, steps, names):
    """Draw who may see whom: a row for each token that looks, a column for each that is looked at. Returns a Figure.

    mask: bool [T k, T k], True where the token of the row may see that of the column.
    steps: T, the time steps; lines divide them.
    names: the k names of the tokens of one step, such as ["a", "s", "1", "2"].
    Raises ValueError if the mask is not that of T steps of k tokens.
    """
    k = len(names)
    if tuple(mask.shape) != (steps * k, steps * k):
        raise ValueError(f"{steps} steps of {k} tokens have a mask of {[steps * k] * 2}, got {list(mask.shape)}")
    side = max(3.2, 0.26 * steps * k)
    fig, ax = plt.subplots(figsize=(side, side), layout="constrained")
    ax.imshow(mask.to(torch.uint8).cpu().numpy(), cmap=ListedColormap(["white", BLUE]), vmin=0, vmax=1)
    for edge in range(1, steps * k):  # thin lines between tokens, thick ones between steps
        style = dict(color="black", lw=1.8) if edge % k == 0 else dict(color="#CCCCCC", lw=0.5)
        ax.axhline(edge - 0.5, **style)
        ax.axvline(edge - 0.5, **style)
    ticks = range(steps * k)
    ax.set_xticks(ticks, list(names) * steps, fontsize=8)
    ax.set_yticks(ticks, list(names) * steps, fontsize=8)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    middles, said = [k * t + (k - 1) / 2 for t in range(steps)], [f"step {t + 1}" for t in range(steps)]
    below, right = ax.secondary_xaxis("bottom"), ax.secondary_yaxis("right")
    below.set_xticks(middles, said)
    right.set_yticks(middles, said, rotation=90, va="center")
    for axis in (below, right):
        axis.tick_params(length=0)
    ax.set(xlabel="token that is seen", ylabel="token that looks")
    ax.xaxis.set_label_position("top")
    return fig
