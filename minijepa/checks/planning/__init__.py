"""Assignment 16: planning with a world model: energies of actions, rollouts, CEM, costs, a moving plan, success."""

from minijepa.checks.planning.action_energies import action_energies, show_action_energies
from minijepa.checks.planning.cem_round import cem_round, show_cem_round
from minijepa.checks.planning.plan_cost import plan_cost, show_plan_cost
from minijepa.checks.planning.recede import recede, show_recede
from minijepa.checks.planning.rollout import rollout, show_rollout
from minijepa.checks.planning.success import show_success, success

__all__ = ["action_energies", "rollout", "cem_round", "plan_cost", "recede", "success"]
__all__ += ["show_action_energies", "show_rollout", "show_cem_round", "show_plan_cost", "show_recede", "show_success"]
