"""Has the representation collapsed? The measures; `minijepa.diagnosis` takes them all at once and gives a verdict.

The loss cannot tell: a target encoder that maps every image to the same vectors is predicted perfectly. The difference
between *images* must survive. A measure over the tokens of one image misses the most deceptive collapse, where each
token encodes its position and nothing else; so we compare images at a fixed position.
No measure detects every collapse: each docstring says what its own is blind to.
"""

import math

import torch
from torch.nn.functional import normalize

from minijepa import losses

# --- of tokens [B, N, D]: do they differ between images? ---


@torch.no_grad()
def position_std(tokens):
    """Standard deviation over images at a fixed position, averaged over positions and features.

    tokens: [B, N, D], B >= 2.
    Returns a float >= 0: about 1 for LayerNorm'ed tokens that differ from image to image, 0 if every image gives the
    same tokens, however these differ within an image.
    """
    return tokens.float().std(dim=0).mean().item()


@torch.no_grad()
def token_std(tokens, eps=1e-4):
    """Standard deviation over the tokens of one image: mean over images and features of sqrt(Var_tokens + eps).

    tokens: [B, N, D], N >= 2.
    Returns a float >= 0. V-JEPA's code computes it on the predicted tokens.
    Blind to a positional collapse: tokens that differ between positions but not between images have 1.
    Source: the regulariser (weight 0) in V-JEPA's released `app/vjepa/train.py` (arXiv:2404.08471).
    """
    return (tokens.float().var(dim=1) + eps).sqrt().mean().item()


@torch.no_grad()
def content_share(tokens):
    """The fraction of the tokens' variance that comes from the image and not from the position, in [0, 1].

    The mean over positions of Var over images, divided by the variance over images and positions together.
    tokens: [B, N, D].
    Returns a float: 0 is a positional collapse, and also what tokens without any variance give.
    """
    tokens = tokens.float()
    total = tokens.flatten(0, 1).var(dim=0, correction=0).sum()
    within = tokens.var(dim=0, correction=0).mean(dim=0).sum()
    return (within / total).item() if total > 0 else 0.0


def differ(tokens):
    """What a method records of its tokens [B, N, D] now and then: {"position_std": ..., "content_share": ...}."""
    tokens = tokens.detach()
    return {"position_std": position_std(tokens), "content_share": content_share(tokens)}


# --- of features [B, D], one vector per image: how many directions do they use? ---


@torch.no_grad()
def spectrum(features):
    """The singular values of the centred features over sqrt(B - 1): the standard deviation along each principal axis.

    features: [B, D], B >= 2.
    Returns float32 [min(B, D)] on the CPU, descending: a sudden drop is a dimensional collapse, all near 0 a complete
    one. Source: the plot of Jing et al. (arXiv:2110.09348, figure 3).
    """
    features = features.float().cpu()
    return torch.linalg.svdvals(features - features.mean(dim=0)) / math.sqrt(len(features) - 1)


@torch.no_grad()
def rankme(features, centred=False, eps=1e-7):
    """Effective number of dimensions: exp of the entropy of the normalised singular values, in [1, D].

    p_k = s_k / sum s + eps, RankMe = exp(-sum p_k log p_k).
    features: [B, D], one vector per image.
    centred: False is RankMe as published: s are the singular values of the features as they are. What all images have
    in common is then one long axis: a constant plus tiny noise scores 1, but so do healthy features with a large mean.
    True subtracts the mean over images first, as the verdict of `minijepa.diagnosis` does; the same constant plus noise
    scores near D.
    Both ignore scale: tiny noise around zero scores near D either way, so read a standard deviation with it.
    Source: Garrido et al. 2022 (arXiv:2210.02885, section 3), which does not centre.
    """
    features = features.float().cpu()
    return effective_count(torch.linalg.svdvals(features - features.mean(dim=0) if centred else features), eps)


@torch.no_grad()
def alpha_req(features):
    """How fast the spectrum of the covariance falls: alpha in lambda_i ~ i^-alpha, >= 0.

    The slope of log lambda_i against log i by least squares, over all eigenvalues above rounding (s_i > 1e-5 s_1).
    features: [B, D].
    Returns a float: 0 is a flat spectrum; the paper finds good representations near 1; a large number is a dimensional
    collapse; infinite if fewer than three eigenvalues are left. Ignores scale. The number depends on the range of the
    fit, so compare it only with other results of this function.
    Source: Agrawal, Mondal, Ghosh and Richards, alpha-ReQ (NeurIPS 2022).
    """
    s = spectrum(features)
    s = s[s > 1e-5 * s[0]].double()
    if len(s) < 3:
        return math.inf
    x, y = torch.arange(1, len(s) + 1).double().log(), 2 * s.log()  # lambda = s^2
    x = x - x.mean()
    return -(x @ y / (x @ x)).item()


@torch.no_grad()
def off_diagonal_covariance(features):
    """Do features repeat each other? 1/D sum over d != e of Cov_de^2, a float >= 0; 0 if all are uncorrelated.

    features: [B, D].
    It falls with the fourth power of the scale: a complete collapse scores a perfect 0.
    Source: VICReg (arXiv:2105.04906, equation 4).
    """
    return losses.covariance(features).item()


@torch.no_grad()
def uniformity(features, t=2.0):
    """How evenly directions fill the sphere: log of the mean over pairs of exp(-t |x - y|^2), x and y of length 1.

    features: [B, D].
    Returns a float <= 0 and (for t = 2) not much below -4: 0 if all point in one direction, about -4 if they are spread
    out in many dimensions. Not centred: what all images have in common makes them alike here. Lengths are ignored, so
    noise around zero scores perfectly. Source: Wang and Isola (arXiv:2005.10242, section 4.1).
    """
    distances = torch.nn.functional.pdist(normalize(features.float().cpu(), dim=1))  # [B (B - 1) / 2]
    return distances.square().mul(-t).exp().mean().log().item()


# --- of several views per image [B, Q, D]: is what differs about the image? ---


@torch.no_grad()
def alignment(views):
    """How near two views of one image are on the sphere: mean |x - x'|^2 over pairs of views, x of length 1.

    views: [B, Q, D], Q >= 2 views (here: contexts) per image.
    Returns a float between 0 and 4; 0 means that the views agree, as they do in any collapse.
    Source: Wang and Isola (arXiv:2005.10242, section 4.1).
    """
    x = normalize(views.float(), dim=2)
    q = x.shape[1]
    # mean over pairs of |x - x'|^2 = 2 Q / (Q - 1) times the mean squared distance from the mean over views
    return (x.var(dim=1, correction=0).sum(dim=-1).mean() * 2 * q / (q - 1)).item()


@torch.no_grad()
def lidar(views, delta=1e-4, eps=1e-7):
    """Effective number of directions in which images differ more than views of one image do, in [1, D].

    Sigma_b = Cov over images of the mean over views, Sigma_w = mean over images of the Cov over views + delta I,
    lambda = eigenvalues of Sigma_w^-1/2 Sigma_b Sigma_w^-1/2, p = lambda / sum lambda + eps,
    LiDAR = exp(-sum p log p).
    views: [B, Q, D], Q >= 2 views per image; give B (Q - 1) > D or Sigma_w is singular.
    A direction that only distinguishes views counts little here, while RankMe counts it in full. LiDAR is centred and
    ignores scale: if all is noise, so that no direction stands out, it is near D. With few views the noise left in the
    means makes it too high. Source: Thilak et al. 2023 (arXiv:2312.04000, section 3).
    """
    views = views.double().cpu()  # two eigenvalue problems in a row need the precision
    means = views.mean(dim=1)  # [B, D]
    centred = means - means.mean(dim=0)
    between = centred.T @ centred / len(views)  # [D, D]
    residual = (views - means.unsqueeze(1)).flatten(0, 1)  # [B Q, D]
    within = residual.T @ residual / len(residual) + delta * torch.eye(views.shape[2], dtype=torch.double)
    values, axes = torch.linalg.eigh(within)
    whiten = axes * values.rsqrt() @ axes.T  # Sigma_w^-1/2
    return effective_count(torch.linalg.eigvalsh(whiten @ between @ whiten).clamp_min(0), eps)


def effective_count(weights, eps):
    """exp of the entropy of weights / sum + eps: K equal ones among zeros count as K. weights: [D], >= 0."""
    p = weights / weights.sum().clamp_min(1e-30) + eps
    return (-(p * p.log()).sum()).exp().item()
