"""Has the representation collapsed? The monitors that a training run shows.

The loss cannot tell: a teacher that maps every image to the same vectors is predicted perfectly. What must stay
alive is the difference between *images*. Looking over the tokens of one image misses the most deceptive collapse,
where each token encodes its position and nothing else; so we look over images at a fixed position.
"""

import torch


@torch.no_grad()
def position_std(tokens):
    """Standard deviation over images at a fixed position, averaged over positions and features.

    tokens: [B, N, D], B >= 2. Returns a float >= 0: about 1 for LayerNorm'ed tokens that differ from image to image,
    0 if every image gives the same tokens, whatever these look like within an image.
    """
    return tokens.float().std(dim=0).mean().item()


@torch.no_grad()
def content_share(tokens):
    """The share of the tokens' variance that comes from the image and not from the position, in [0, 1].

    tokens: [B, N, D]. mean over positions of Var over images, divided by the variance over images and positions
    together. 0 is positional collapse; with nothing varying at all it is reported as 0.
    """
    tokens = tokens.float()
    total = tokens.flatten(0, 1).var(dim=0, correction=0).sum()
    within = tokens.var(dim=0, correction=0).mean(dim=0).sum()
    return (within / total).item() if total > 0 else 0.0


@torch.no_grad()
def rankme(features, eps=1e-7):
    """Effective number of dimensions: exp of the entropy of the normalised singular values, in [1, D].

    features: [B, D], one vector per image. p_k = s_k / sum s + eps, RankMe = exp(-sum p_k log p_k), of the centred
    features: what all images share would otherwise be one long axis that hides the rest (the paper does not centre).
    It ignores scale: a constant plus tiny noise scores near D, so never read it without a standard deviation.
    Source: Garrido et al. 2022 (arXiv:2210.02885, section 3).
    """
    features = features.float()
    s = torch.linalg.svdvals(features - features.mean(dim=0))
    p = s / s.sum().clamp_min(1e-30) + eps
    return (-(p * p.log()).sum()).exp().item()
