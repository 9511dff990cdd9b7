"""The pieces of `python -m minijepa.grade`: the cells of a submission, the kernel they run in, each exercise alone."""
