"""VICReg and spectral embedding: what makes views agree and features vary finds the smooth functions of a graph.

    nodes: views    edges: pairs of views of one thing    z: one vector per node
    invariance = sum over edges |z_i - z_j|^2 = trace(Z^T L Z)     L = degrees - adjacency, the graph's Laplacian

Variance and covariance see Z only through Cov(Z), and rotating the directions in which Z lives changes the invariance
alone. So whatever their weights, the best Z lives in the smoothest directions there are: the eigenvectors of L with the
smallest eigenvalues, without the constant one. Source: Balestriero and LeCun (arXiv:2205.11508, section 3).
"""

import torch


def laplacian(edges, nodes):
    """L = degrees - adjacency of a graph without directions. edges: int64 [E, 2]; returns float64 [nodes, nodes]."""
    A = torch.zeros(nodes, nodes, dtype=torch.float64)
    for i, j in edges.tolist():
        A[i, j] += 1
        A[j, i] += 1
    return torch.diag(A.sum(dim=1)) - A


def spectral_embedding(L, k):
    """Laplacian eigenmaps: the k eigenvectors of L with the smallest eigenvalues, after the constant one, [nodes, k].

    L: the Laplacian of a connected graph. Source: Belkin and Niyogi 2003.
    """
    return torch.linalg.eigh(L)[1][:, 1 : k + 1]


def smoothest_encoder(first, second, k):
    """The linear code W x in which two views differ least for their spread: [k, X], rows of W.

    first, second: views [B, X] of B things. The k smallest mu of D w = mu S w, with D = E[(x - x')(x - x')^T] and S the
    covariance of all views: the spectral embedding of the graph of pairs, restricted to linear codes.
    """
    views = torch.cat([first, second]).double()
    S = torch.cov(views.T, correction=0)
    difference = (first - second).double()
    D = difference.T @ difference / len(difference)
    values, vectors = torch.linalg.eigh(S)
    white = vectors @ torch.diag(values.rsqrt()) @ vectors.T  # S^(-1/2)
    return torch.linalg.eigh(white @ D @ white)[1][:, :k].T @ white


def subspace_overlap(A, B):
    """How far two sets of k columns span one space: the mean squared cosine of their principal angles, in [0, 1].

    A, B: [rows, k] of rank k. 1: the same space; about k / rows for unrelated ones.
    """
    bases = [torch.linalg.qr(M.double())[0] for M in (A, B)]
    return torch.linalg.svdvals(bases[0].T @ bases[1]).square().mean().item()
