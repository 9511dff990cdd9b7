"""What each assignment asks for, computed by the slowest way that is obviously right: one module per assignment."""

import torch


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, always the same for one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
