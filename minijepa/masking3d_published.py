"""The published V-JEPA mask sampler, as it behaves: contexts and targets are cut to the batch minimum at the *end*.

Token lists are sorted in (time, row, column) order, so what is cut off are the latest frames, the more the larger
the batch. Kept so that a notebook can measure it beside `masking3d.tube_masks`; nothing trains on it by default.
Written from a description of the released code (github.com/facebookresearch/jepa, src/masks/multiblock3d.py), not
from its lines. Unlike the 2-D sampler it draws scale and aspect independently, and blocks reach the borders.
"""

import torch


def published_tube_masks(batch, grid, n_blocks, scale, aspect, duration=1.0, generator=None):
    """Sample masks as the released code does. Arguments as in `masking3d.tube_masks`.

    Returns (context [B, K_c], targets [B, 1, K_t]), int64, sorted, the first K of each clip's list.
    Raises ValueError when a clip finds no non-empty context in 100 tries (the released code tries for ever).
    """
    times, rows, columns = grid
    u = torch.rand(2, generator=generator).tolist()
    area = int(rows * columns * (scale[0] + u[0] * (scale[1] - scale[0])))
    ratio = aspect[0] + u[1] * (aspect[1] - aspect[0])
    h = min(max(1, round((area * ratio) ** 0.5)), rows)
    w = min(max(1, round((area / ratio) ** 0.5)), columns)
    d = max(1, int(duration * times))
    contexts, targets = [], []
    for _ in range(batch):
        for _ in range(100):
            hidden = torch.zeros(grid, dtype=torch.bool)
            for _ in range(n_blocks):
                t, r, c = (
                    torch.randint(0, most + 1, (1,), generator=generator).item()
                    for most in (times - d, rows - h, columns - w)
                )
                hidden[t : t + d, r : r + h, c : c + w] = True
            if not hidden.all():
                break
        else:
            raise ValueError(
                f"the published sampler would loop for ever: {n_blocks} blocks of {d}x{h}x{w} tubelets cover the whole "
                f"{times}x{rows}x{columns} grid. Use a larger grid, a smaller scale, or faithful=False"
            )
        contexts.append((~hidden).flatten().nonzero()[:, 0])
        targets.append(hidden.flatten().nonzero()[:, 0])
    # time-major lists, cut at the end: the tokens that stay are those of the first frames
    context, target = (torch.stack([one[: min(map(len, many))] for one in many]) for many in (contexts, targets))
    return context, target.unsqueeze(1)
