"""Figures about cost: what is drawn is what was given."""

import pytest

from minijepa import plots


def test_bars_are_as_long_as_the_fractions():
    fig = plots.time_and_operations({"a": 0.75, "b": 0.25}, {"a": 1.0})
    assert [round(bar.get_width()) for bar in fig.axes[0].patches] == [75, 100, 25, 0]
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == [
        "of the time, measured here",
        "of the operations, counted",
    ]
    plots.plt.close(fig)


def test_stacked_parts_follow_each_other():
    fig = plots.stacked_fractions({"x": {"a": 0.5, "b": 0.3, "c": 0.2}, "y": {"a": 0.1, "b": 0.8, "c": 0.1}}, "%")
    bars = fig.axes[0].patches
    assert [round(bar.get_x()) for bar in bars] == [0, 50, 80, 0, 10, 90]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a", "b", "c"]
    plots.plt.close(fig)


def test_the_roof_bends_where_memory_and_arithmetic_meet():
    fig = plots.roofline({"a": (0.5, 1e9), "b": (20.0, 8e9)}, peak=10e9, bandwidth=4e9)
    roof, *points = fig.axes[0].lines
    assert list(roof.get_xdata()) == [0.05, 2.5, 400] and list(roof.get_ydata()) == pytest.approx([0.2, 10, 10])
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in points] == [(0.5, 1.0), (20.0, 8.0)]
    plots.plt.close(fig)


def test_halves_are_drawn_as_halves_and_files_hold_no_gradients():
    fig = plots.kept_by_two()
    coloured = []
    for ax in fig.axes:
        full = [bar for bar in ax.patches if plots.plt.matplotlib.colors.to_hex(bar.get_facecolor()) != "#eeeeee"]
        coloured.append([bar.get_width() for bar in full])
    assert coloured == [[2] * 8, [1] * 8, [1] * 6]
    plots.plt.close(fig)


def test_the_legend_tells_ddp_from_fsdp2():
    lines = {("m", "DDP"): [1e9, 1e9], ("m", "FSDP2"): [1e9, 5e8], ("n", "DDP"): [2e9, 2e9], ("n", "FSDP2"): [2e9, 1e9]}
    fig = plots.against_processes([1, 2], {"kept": lines, "sent": lines})
    legend = fig.legends[0]
    entries = {text.get_text(): line for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)}
    assert list(entries) == ["m, DDP", "m, FSDP2", "n, DDP", "n, FSDP2"]
    looks = {name: (line.get_linestyle(), line.get_markerfacecolor() == "white") for name, line in entries.items()}
    assert looks["m, DDP"] == looks["n, DDP"] == ("-", False)
    assert looks["m, FSDP2"] == looks["n, FSDP2"] == ("--", True)
    assert list(fig.axes[1].lines[1].get_ydata()) == [1, 0.5]
    plots.plt.close(fig)
