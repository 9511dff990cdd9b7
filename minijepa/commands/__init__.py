"""The pieces of `python -m minijepa.train`: its arguments, and the folder that it writes into."""
