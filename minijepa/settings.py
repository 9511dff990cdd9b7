"""What cannot be trained, refused before anything is touched: each message names the number that is wrong."""

from pathlib import Path

PRECISIONS = ("float32", "bfloat16", "float16")
FLOAT16_DEVICES = ("cuda",)  # elsewhere it is slower than float32


def check_settings(settings, checkpoint, resume, device):
    """Refuse what cannot be trained, with the number that is wrong."""
    if settings["steps"] < 1 or settings["batch_size"] < 1:
        raise ValueError(
            f"steps and batch_size must be at least 1, got {settings['steps']} and {settings['batch_size']}"
        )
    if settings["batch_size"] > settings["images"]:
        raise ValueError(f"batch_size {settings['batch_size']} is more than the {settings['images']} images there are")
    if settings["accumulate"] < 1 or settings["batch_size"] % settings["accumulate"]:
        raise ValueError(f"accumulate must divide batch_size {settings['batch_size']}, got {settings['accumulate']}")
    if settings["optimizer"] not in ("adamw", "muon"):
        raise ValueError(f"optimizer must be 'adamw' or 'muon', got {settings['optimizer']!r}")
    allowed = PRECISIONS if device.type in FLOAT16_DEVICES else PRECISIONS[:2]
    if settings["precision"] not in allowed:
        names = ", ".join(repr(name) for name in allowed[:-1]) + f" or {allowed[-1]!r}"
        raise ValueError(f"precision must be {names} on this device, {device.type}, got {settings['precision']!r}")
    if resume and not checkpoint:
        raise ValueError("resume=True needs checkpoint, the file to go on from, got None")
    if checkpoint and not resume and Path(checkpoint).exists():
        raise FileExistsError(
            f"{checkpoint} holds an earlier run and would be overwritten: pass resume=True to go on with it, "
            f"another checkpoint name, or delete the file"
        )


def check_parallel(settings, team, shard):
    """Refuse what several processes, or shards, cannot do."""
    if settings["batch_size"] % (settings["accumulate"] * team.size):
        raise ValueError(
            f"batch_size {settings['batch_size']} must be a multiple of accumulate times processes, "
            f"{settings['accumulate']} x {team.size}: it is the number of images of one step, over all processes"
        )
    if shard and settings["optimizer"] == "muon":
        raise ValueError("shard=True and optimizer='muon' do not go together: Muon needs whole matrices; use 'adamw'")
    if shard and settings["precision"] == "float16":
        raise ValueError("shard=True and precision='float16' do not go together: use 'bfloat16'")
