"""A submission to the track "planning": a world model with PLDM's terms. Make it better.

Its encoder and its dynamics are what the planner gets. Try it, with a hundredth of the budget, then with all of it:

    python -m minijepa.challenge exercises/challenge/planning.py --track planning --budget 0.01
    python -m minijepa.challenge exercises/challenge/planning.py --track planning
"""

from minijepa.planning import PLDM, WorldModel

NAME = "PLDM"
WINDOW = 5  # frames of a clip; each counts as a sample
TRAINING = {"batch_size": 48, "lr": 2e-3, "warmup": 0.05, "weight_decay": (1e-4, 1e-4), "betas": (0.9, 0.999)}


def model(encoder, dynamics):
    """What `fit` trains. encoder: a FrameEncoder; dynamics: a Dynamics; both from the lecturer's seed."""
    return WorldModel(encoder, dynamics, PLDM, steps=2)
