"""All-reduce on a ring, drawn: how processes add up their gradients while each sends less than two copies of its own.

The gradient is cut into as many chunks as there are processes. In each step every process sends one chunk to the next
one. During the first W - 1 steps the receiver adds what it gets, during the other W - 1 it copies it.
Source: the ring of bandwidth-optimal all-reduce, as in PyTorch DDP (arXiv:2006.15704).
"""

import string

from minijepa.plots.figures import BLUE, ORANGE, plt


def ring_steps(processes):
    """What is sent, step by step: a list of 2 (W - 1) lists with (sender, chunk) for each of the W processes.

    The receiver of process p is (p + 1) mod W. Raises ValueError for fewer than one process.
    """
    if processes < 1:
        raise ValueError(f"a ring needs at least one process, got {processes}")
    add = [[(p, (p - step) % processes) for p in range(processes)] for step in range(processes - 1)]
    copy = [[(p, (p + 1 - step) % processes) for p in range(processes)] for step in range(processes - 1)]
    return add + copy


def ring_states(processes):
    """Whose gradients each chunk contains before each step and at the end: a list of states.

    A state is {(process, chunk): set of processes}, the union of what was added up there.
    """
    state = {(p, chunk): {p} for p in range(processes) for chunk in range(processes)}
    states = [state]
    for sent in ring_steps(processes):
        after = dict(state)
        for sender, chunk in sent:  # all at once: they send what they had before the step
            receiver = ((sender + 1) % processes, chunk)
            # while copying, what arrives contains the receiver's own gradient already
            after[receiver] = state[receiver] | state[sender, chunk]
        states.append(state := after)
    return states


def sent_by_each(processes, count, bytes_each=4):
    """Bytes that one process sends in all for a gradient of `count` numbers: 2 (W - 1) / W of the whole."""
    return len(ring_steps(processes)) * count * bytes_each / processes


def ring_all_reduce(processes=3, count=1_000_000, bytes_each=4):
    """The steps of an all-reduce, one panel each: a row per process, a column per chunk, an arrow per message.

    A letter in a cell names the process whose gradient is contained; dark cells hold the sum over all.
    processes: W, 2 to 4, so that the letters stay readable. count: numbers in the gradient; bytes_each: of one number.
    Returns a Figure. Raises ValueError for other W.
    """
    if not 2 <= processes <= 4:
        raise ValueError(f"the picture has room for 2 to 4 processes, got {processes}")
    steps, states = ring_steps(processes), ring_states(processes)
    size = 0.62 * processes
    fig, axes = plt.subplots(1, len(states), figsize=(size * len(states) + 0.9, size + 0.9), layout="constrained")
    for number, (ax, state) in enumerate(zip(axes, states, strict=True)):
        for (process, chunk), parts in state.items():
            whole = len(parts) == processes
            shade = BLUE if whole else BLUE + f"{18 + 45 * (len(parts) - 1):02x}"
            ax.add_patch(plt.Rectangle((chunk, process), 1, 1, fc=shade, ec="black", lw=0.8))
            words = "+".join(string.ascii_uppercase[p] for p in sorted(parts)) if not whole else "sum"
            ax.text(
                chunk + 0.5, process + 0.3, words, ha="center", va="center", fontsize=8, color="w" if whole else "k"
            )
        for sender, chunk in steps[number] if number < len(steps) else ():
            wraps = sender == processes - 1  # the last sends to the first
            x, end, bend = (chunk + 0.8, 0.6, "arc3,rad=0.3") if wraps else (chunk + 0.5, sender + 1.1, "arc3")
            look = {"arrowstyle": "-|>", "color": ORANGE, "lw": 2.2, "connectionstyle": bend}
            ax.annotate("", (x, end), (x, sender + 0.5), arrowprops=look)
        word = "end" if number == len(steps) else f"step {number + 1}: {'add' if number < processes - 1 else 'copy'}"
        ax.set_title(word, fontsize=9)
        ax.set(xlim=(-0.05, processes + 0.05), ylim=(processes + 0.05, -0.05), aspect="equal")
        ax.tick_params(length=0, labelsize=8)
        ax.set_xticks([c + 0.5 for c in range(processes)], [f"chunk {c + 1}" for c in range(processes)], fontsize=7)
        labels = [f"process {string.ascii_uppercase[p]}" for p in range(processes)]
        ax.set_yticks([p + 0.5 for p in range(processes)], labels if number == 0 else [""] * processes)
        ax.spines[:].set_visible(False)
    piece, whole = count * bytes_each / processes, sent_by_each(processes, count, bytes_each)
    fig.suptitle(
        f"Each arrow carries {piece / 1e6:.2f} MB; in {len(steps)} steps each process sends {whole / 1e6:.2f} MB, "
        f"{whole / (count * bytes_each):.2f} times its gradient of {count * bytes_each / 1e6:.2f} MB",
        fontsize=9,
    )
    return fig
