"""The ring: its messages add up whatever they carry, and the picture shows the bytes that they sum up to."""

import re

import pytest
import torch

from minijepa import plots
from minijepa.plots.all_reduce import ring_states


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
def test_the_messages_leave_the_sum_with_every_process(processes):
    """Numbers are moved as the messages say: added in the first half, replaced in the second."""
    own = torch.randn(processes, processes, 5, dtype=torch.float64)  # [process, chunk, numbers]
    held, sent = own.clone(), torch.zeros(processes)
    for number, messages in enumerate(plots.ring_steps(processes)):
        assert sorted(sender for sender, _ in messages) == list(range(processes)), "everybody sends one chunk"
        before = held.clone()
        for sender, chunk in messages:
            receiver = (sender + 1) % processes
            held[receiver, chunk] = before[sender, chunk] + (before[receiver, chunk] if number < processes - 1 else 0)
            sent[sender] += 1
        contained = ring_states(processes)[number + 1]
        for (process, chunk), parts in contained.items():
            assert torch.allclose(held[process, chunk], own[sorted(parts), chunk].sum(0))
    assert torch.allclose(held, own.sum(0).expand_as(held))
    assert (sent == 2 * (processes - 1)).all()


@pytest.mark.parametrize("processes", [1, 2, 3, 8, 128])
def test_each_sends_less_than_two_copies(processes):
    count = 3_000
    sent = plots.sent_by_each(processes, count, bytes_each=2)
    assert sent == pytest.approx(2 * (processes - 1) / processes * 2 * count)
    assert sent < 2 * 2 * count


@pytest.mark.parametrize(("processes", "count"), [(2, 1_000_000), (3, 3_000_000), (4, 500_000)])
def test_the_picture_says_the_bytes_and_who_is_contained(processes, count):
    fig = plots.ring_all_reduce(processes, count)
    assert len(fig.axes) == 2 * (processes - 1) + 1
    arrow, steps, each, times, whole = (float(v) for v in re.findall(r"\d+(?:\.\d+)?", fig.get_suptitle()))
    assert arrow == round(4 * count / processes / 1e6, 2) and whole == round(4 * count / 1e6, 2)
    assert steps == 2 * (processes - 1) and each == round(steps * 4 * count / processes / 1e6, 2)
    assert times == round(2 * (processes - 1) / processes, 2)
    words = [[text.get_text() for text in ax.texts if text.get_text()] for ax in fig.axes]
    assert sorted(words[0]) == sorted("ABCD"[:processes] * processes)
    assert words[-1] == ["sum"] * processes**2
    arrows = [sum(not text.get_text() for text in ax.texts) for ax in fig.axes]
    assert arrows == [processes] * (2 * (processes - 1)) + [0]
    plots.plt.close(fig)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="got 0"):
        plots.ring_steps(0)
    for processes in (1, 5):
        with pytest.raises(ValueError, match=f"got {processes}"):
            plots.ring_all_reduce(processes)
