"""The pieces of `python -m minijepa.train`: its arguments, the folder that it writes into, its report."""
