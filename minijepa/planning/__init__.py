"""World models: a JEPA that hears actions, and what plans with it."""

__all__ = []
