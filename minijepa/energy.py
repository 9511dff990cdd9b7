"""The energy view of a trained JEPA: low where context and target fit, high where they do not.

    E(x, y) = D(g_phi(f_theta(x at the context), where), s_y),   s_y = the teacher's tokens of y at the targets

y = x is a compatible pair; y = another image, asked at the same places, is a shuffled one. An energy is a number
without a unit: it ranks the answers that one model may give to one question. It is not a probability (nothing makes it
sum to one), and the energies of two models cannot be compared: a collapsed model has the lowest of all. Therefore the
functions here report ranks: AUROC, and the place of a patch among the other patches.
Sources: LeCun 2022, "A Path Towards Autonomous Machine Intelligence", section 4.1-4.4; I-JEPA (arXiv:2301.08243,
section 2). Everything runs without gradient, in eval mode, and leaves the model's modes as they were.
"""

import math
from contextlib import nullcontext

import torch

from minijepa.jepa import at_targets
from minijepa.masking.sampling import Masks, random_subset
from minijepa.vit import eval_mode

# scikit-learn is imported inside the function: it would double the time of `import minijepa`


# --- pairs ---


def pair_energies(jepa, x, y, masks):
    """E(x, y) of every target token, [B, M, K_t]: the context is seen in x, the targets are taken from y.

    jepa: a JEPA.
    x, y: images [B, C, H, W] or clips [B, C, T, H, W], normalised; y[i] belongs to x[i].
    masks: Masks with context [B, K_c] and targets [B, M, K_t].
    With y = x and the same mode this is `jepa(x, masks).energy`.
    Raises ValueError if the shapes of x, y and masks do not fit each other or the encoder's grid.
    """
    check_inputs(jepa, masks, x=x, y=y)
    with torch.no_grad(), eval_mode(jepa):
        return jepa.energy(jepa.predict(x, masks)[1], at_targets(jepa.teacher(y), masks))


def separation(compatible, shuffled):
    """AUROC: the probability that a shuffled pair has a higher energy than a compatible one, a tie counting half.

    compatible, shuffled: energies of any shape [...], most often one per image.
    Returns a float: 1 if every compatible pair lies below every shuffled one, .5 (chance level) if energy does not
    separate them, below .5 if it prefers shuffled pairs. Only the order counts, so a microscopic difference counts as
    much as a large one.
    Raises ValueError if one of the two is empty or not finite.
    """
    from sklearn.metrics import roc_auc_score

    low, high = compatible.detach().flatten().double().cpu(), shuffled.detach().flatten().double().cpu()
    if not len(low) or not len(high):
        raise ValueError(f"AUROC needs energies of both kinds, got {len(low)} compatible and {len(high)} shuffled")
    scores = torch.cat([low, high])
    if not scores.isfinite().all():
        raise ValueError(f"{int((~scores.isfinite()).sum())} of {len(scores)} energies are NaN or infinite")
    return float(roc_auc_score([0] * len(low) + [1] * len(high), scores.numpy()))


# --- surprise ---


def surprise_maps(jepa, x, *, target_keep, context_keep, rounds=4, generator=None):
    """How badly is each patch predicted from others? Mean energy per patch over random masks, [B, *grid], >= 0.

    In each of `rounds` rounds every patch is a target exactly once (see `covering_masks`), so no patch is left out
    and all are averaged over the same number of draws.
    x: [B, C, H, W] or [B, C, T, H, W].
    target_keep, context_keep: patches predicted and seen at once; stay near what the model was trained with.
    Raises ValueError for counts that the grid cannot give, fewer than one round, or images of another size.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    b, grid = len(x), tuple(jepa.encoder.grid)
    total = torch.zeros(b, math.prod(grid), device=x.device)  # [B, N]
    with torch.no_grad(), eval_mode(jepa):
        tokens = jepa.teacher(x)  # [B, N, D]: the targets are the same whatever is hidden
        for _ in range(rounds):
            for masks in covering_masks(b, grid, target_keep, context_keep, generator):
                masks = masks.to(x.device)
                energy = jepa.energy(jepa.predict(x, masks)[1], at_targets(tokens, masks))  # [B, 1, K_t]
                total.scatter_add_(1, masks.targets.flatten(1), energy.flatten(1))
    return (total / rounds).view(b, *grid)


def covering_masks(batch, grid, target_keep, context_keep, generator=None):
    """A list of Masks whose targets, taken together, hold every patch of every image exactly once.

    Each image's N patches are shuffled and divided into ceil(N / target_keep) groups, the targets [B, 1, K_t] (the last
    group may be smaller). For each group, context_keep random patches outside it are the context [B, K_c].
    Raises ValueError unless 1 <= target_keep, 1 <= context_keep and target_keep + context_keep <= N.
    """
    n = math.prod(grid)
    if min(batch, target_keep, context_keep) < 1 or target_keep + context_keep > n:
        raise ValueError(
            f"batch {batch}, target_keep {target_keep} and context_keep {context_keep} must be at least 1, and the "
            f"last two together at most the {n} patches of the grid {tuple(grid)}"
        )
    order = torch.rand(batch, n, generator=generator).argsort(dim=1)  # [B, N]: a permutation per image
    groups = []
    for target in order.split(target_keep, dim=1):  # [B, K_t]
        free = torch.ones(batch, n, dtype=torch.bool).scatter_(1, target, False)  # [B, N]
        context = random_subset(free, context_keep, generator)  # [B, K_c]
        groups.append(Masks(context, target.sort(dim=1).values.unsqueeze(1)))
    return groups


def against_position(maps, reference):
    """Surprise in standard deviations from what is usual at that position: (map - mean_j) / std_j, shape of `maps`.

    maps: [B, *grid].
    reference: [R, *grid], the maps of R >= 2 other, ordinary images.
    Some positions are always harder (borders have neighbours on fewer sides); this removes that effect.
    Raises ValueError if the grids differ or R < 2.
    """
    if maps.shape[1:] != reference.shape[1:] or len(reference) < 2:
        raise ValueError(
            f"reference must be [R >= 2, *grid] with the grid of maps {tuple(maps.shape[1:])}, got shape "
            f"{tuple(reference.shape)}"
        )
    return (maps - reference.mean(dim=0)) / reference.std(dim=0).clamp_min(1e-12)


def surprise_rank(maps, index):
    """The fraction of an image's other patches that are less surprising than patch `index`, ties counting half: [B].

    maps: [B, *grid].
    index: int64 [B], one patch of each image.
    1: the most surprising patch; .5: the chance level. Averaged over images it is the mean AUROC of finding that patch.
    Raises ValueError if index is not one patch per image.
    """
    flat = maps.flatten(1)  # [B, N]
    if index.shape != flat.shape[:1] or not 0 <= int(index.min()) <= int(index.max()) < flat.shape[1]:
        raise ValueError(
            f"index must be [{len(flat)}], one patch in 0..{flat.shape[1] - 1} per image, got shape "
            f"{tuple(index.shape)} from {int(index.min())} to {int(index.max())}"
        )
    own = flat.gather(1, index.unsqueeze(1))  # [B, 1]
    below = (flat < own).sum(dim=1) + ((flat == own).sum(dim=1) - 1) / 2  # [B]: a patch ties with itself
    return below / (flat.shape[1] - 1)


# --- landscapes ---


def candidate_energies(jepa, x, candidates, masks):
    """E(x, y) of many answers y to one question, averaged over the targets: [S, B].

    x: contexts [B, C, H, W].
    candidates: S answers to each, images [S, B, C, H, W].
    masks: Masks with context [B, K_c] and targets [B, M, K_t], one question per image.
    The prediction is computed once. Raises ValueError if a candidate has another shape than x.
    """
    check_inputs(jepa, masks, x=x, candidate=candidates[0])
    with torch.no_grad(), eval_mode(jepa):
        prediction = jepa.predict(x, masks)[1]
        rows = [jepa.energy(prediction, at_targets(jepa.teacher(y), masks)).flatten(1).mean(dim=1) for y in candidates]
    return torch.stack(rows)


def energy_landscape(jepa, x, ends, weights, masks, space="pixels"):
    """Energy over mixtures of some targets: E(x, sum_p w_p y_p) for every row w of `weights`, averaged over targets.

    x: contexts [B, C, H, W].
    ends: P image batches y_p, each of the shape of x.
    weights: [..., P], rows that sum to 1, from `path_weights` or `plane_weights`.
    masks: Masks with context [B, K_c] and targets [B, M, K_t].
    space: "pixels" mixes the images and encodes the mixture with the target encoder; "representation" mixes its tokens
    s_y, and then any convex D makes a bowl, whatever the model learned: only the place of its lowest point is
    informative.
    Returns [..., B].
    Raises ValueError for another space, weights that do not fit the ends, or shapes that differ.
    """
    if space not in ("pixels", "representation"):
        raise ValueError(f"space must be 'pixels' or 'representation', got {space!r}")
    if weights.shape[-1] != len(ends):
        raise ValueError(f"weights must end in the number of ends, {len(ends)}, got shape {tuple(weights.shape)}")
    check_inputs(jepa, masks, x=x, **{f"end {p}": y for p, y in enumerate(ends)})
    rows = []
    with torch.no_grad(), eval_mode(jepa):
        prediction = jepa.predict(x, masks)[1]
        corners = torch.stack([y if space == "pixels" else jepa.teacher(y) for y in ends])  # [P, B, ...]
        for w in weights.reshape(-1, len(ends)).to(corners):
            mixture = torch.tensordot(w, corners, dims=1)  # [B, ...]
            tokens = jepa.teacher(mixture) if space == "pixels" else mixture  # [B, N, D]
            rows.append(jepa.energy(prediction, at_targets(tokens, masks)).flatten(1).mean(dim=1))
    return torch.stack(rows).view(*weights.shape[:-1], len(x))


def path_weights(s):
    """Weights of the line y_0 + s (y_1 - y_0): [S, 2] for the S numbers `s`; 0 is y_0, 1 is y_1."""
    s = torch.as_tensor(s, dtype=torch.float32)
    return torch.stack([1 - s, s], dim=-1)


def plane_weights(u, v):
    """Weights of the plane y_0 + u (y_1 - y_0) + v (y_2 - y_0): [U, V, 3] for the numbers u and v."""
    u, v = (torch.as_tensor(values, dtype=torch.float32) for values in (u, v))
    u, v = torch.meshgrid(u, v, indexing="ij")
    return torch.stack([1 - u - v, u, v], dim=-1)


# --- the pieces ---


def check_inputs(jepa, masks, **images):
    """All image batches must have one shape [B, C, ...], the masks as many rows, and their indices fit the grid."""
    (first, x), *others = images.items()
    for name, y in others:
        if y.shape != x.shape:
            raise ValueError(f"{name} must have the shape of {first}, {tuple(x.shape)}, got {tuple(y.shape)}")
    b, context, targets = len(x), tuple(masks.context.shape), tuple(masks.targets.shape)
    if len(context) != 2 or len(targets) != 3 or context[0] != b or targets[0] != b:
        raise ValueError(
            f"masks for {b} images need context [{b}, K_c] and targets [{b}, M, K_t], got {context} and {targets}"
        )
    n, highest = math.prod(jepa.encoder.grid), max(int(masks.context.max()), int(masks.targets.max()))
    if highest >= n:
        raise ValueError(
            f"the masks name patch {highest}, but the encoder's grid {tuple(jepa.encoder.grid)} has patches "
            f"0..{n - 1}: draw them for that grid"
        )


# --- density ---


def jepa_score(encoder, x, floor=1e-6, chunk=16):
    """JEPA-SCORE: the sum over k of log sigma_k of the Jacobian of the features by the input, one number per image.

    How much an encoder stretches its input at x. If it maps data with density p to features with density q, and as many
    numbers to as many, then log p(x) = log q(f(x)) + the score: a score is a log-density up to a constant where q is
    the same everywhere. The paper argues that training spreads features over a sphere, where it is.

    encoder: a module or function, [B, ...] -> features [B, D] or tokens [B, N, D], which are averaged; each example by
    itself.
    x: [B, ...], any shape. floor: singular values below it count as the floor; a ViT's last LayerNorm leaves one that
    is 0. chunk: examples at a time, D backward passes each.
    Returns [B]. Scores of two encoders cannot be compared. Source: Balestriero et al. (arXiv:2510.05949).
    """

    def features(example):
        out = encoder(example.unsqueeze(0))[0]  # [D] or [N, D]
        return out.mean(dim=0) if out.ndim == 2 else out

    def scores(examples):
        jacobian = torch.func.vmap(torch.func.jacrev(features))(examples)  # [b, D, ...]
        return torch.linalg.svdvals(jacobian.flatten(2)).clamp_min(floor).log().sum(dim=1)

    with torch.no_grad(), eval_mode(encoder) if isinstance(encoder, torch.nn.Module) else nullcontext():
        return torch.cat([scores(examples) for examples in x.split(chunk)])
