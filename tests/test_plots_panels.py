"""Curves in panels: each panel has its own lines, axis and level; one legend where all panels have the same lines."""

from minijepa import plots


def test_every_panel_has_its_lines_and_its_level():
    panels = {"a": {"x": ([1, 2], [3, 4]), "y": ([1, 2], [5, 6])}, "b": {"x": ([1, 2], [7, 8]), "y": ([1, 2], [9, 1])}}
    fig = plots.curve_panels(panels, "step", "loss", {"b": {"chance": 0.5}}, log=True, ylim=(0.1, 10))
    assert [ax.get_title() for ax in fig.axes] == ["a", "b"]
    assert [len(ax.lines) for ax in fig.axes] == [2, 3], "two lines each, and a level in the second panel"
    assert fig.axes[1].lines[1].get_ydata().tolist() == [9, 1]
    assert [ax.get_yscale() for ax in fig.axes] == ["log", "log"] and fig.axes[0].get_ylim() == (0.1, 10)
    assert [ax.get_xlabel() for ax in fig.axes] == ["step", "step"] and fig.axes[0].get_ylabel() == "loss"
    plots.plt.close(fig)


def test_a_shared_axis_shows_the_lines_of_all_panels():
    fig = plots.curve_panels({"a": {"x": ([1, 2], [0.7, 0.8])}, "b": {"x": ([1, 2], [0.01, 0.02])}}, "step", log=True)
    low, high = fig.axes[0].get_ylim()
    assert low < 0.01 and high > 0.8 and fig.axes[1].get_ylim() == (low, high)
    plots.plt.close(fig)


def test_one_legend_where_all_panels_have_the_same_lines():
    line = ([1, 2], [3, 4])
    same = plots.curve_panels({"a": {"x": line, "y": line}, "b": {"x": line, "y": line}}, "step")
    assert [text.get_text() for text in same.legends[0].get_texts()] == ["x", "y"]
    assert all(ax.get_legend() is None for ax in same.axes)
    other = plots.curve_panels({"a": {"x": line}, "b": {"z": line}}, "step")
    assert not other.legends and [ax.get_legend().get_texts()[0].get_text() for ax in other.axes] == ["x", "z"]
    alone = plots.curve_panels({"a": {"x": line}, "b": {"x": line}}, "step")
    assert not alone.legends and all(ax.get_legend() is None for ax in alone.axes), "a single line needs none"
    for fig in (same, other, alone):
        plots.plt.close(fig)


def test_categories_stand_in_the_given_order():
    fig = plots.curve_panels({"a": {"x": (["low", "high"], [1, 2])}}, "size", sharey=False)
    fig.canvas.draw()
    assert [label.get_text() for label in fig.axes[0].get_xticklabels()] == ["low", "high"]
    plots.plt.close(fig)
