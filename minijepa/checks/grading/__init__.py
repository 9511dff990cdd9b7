"""The parts of `python -m minijepa.grade`: the cells of a submission, their kernel, and each exercise by itself."""
