"""The pieces of `python -m minijepa.challenge`: budget, guarded process, checks, two tracks, leaderboard."""
