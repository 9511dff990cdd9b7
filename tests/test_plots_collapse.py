"""The pictures of notebook 05: alarms where the functions say so, every run in every panel."""

from minijepa import plots


def test_a_cell_with_an_alarm_is_orange_and_has_a_mark():
    values = {"dead": {"std": 0.0, "rank": 30.0, "unused": 1.0}, "rank 2": {"std": 1.0, "rank": 2.0, "unused": 1.0}}
    fig = plots.alarm_table(values, {"std": lambda v: v < 0.1, "rank": lambda v: v < 2.5})
    (table,) = fig.axes[0].tables
    cells = table.get_celld()
    texts = [[cells[row, column].get_text().get_text() for column in (0, 1)] for row in (1, 2)]
    assert texts == [["0.000  !", "30.000"], ["1.000", "2.000  !"]]
    white = [[cells[row, column].get_facecolor() == (1, 1, 1, 1) for column in (0, 1)] for row in (1, 2)]
    assert white == [[False, True], [True, False]]
    assert [cells[0, column].get_text().get_text() for column in (0, 1)] == ["std", "rank"]
    assert [cells[row, -1].get_text().get_text() for row in (1, 2)] == ["dead", "rank 2"]
    plots.plt.close(fig)


def test_every_run_is_a_point_of_every_panel():
    groups = {
        "stable": {"loss": [0.2, 0.3], "rank": [9, 8], "noisy": [0.25, 0.26]},
        "collapsed": {"loss": [0.001], "rank": [40], "noisy": [0.1]},
    }
    fig = plots.measures_of_runs(groups, vertical="noisy", level=0.1, log=("loss",))
    assert [ax.get_xlabel() for ax in fig.axes] == ["loss", "rank"] and fig.axes[0].get_ylabel() == "noisy"
    assert [ax.get_xscale() for ax in fig.axes] == ["log", "linear"]
    points = [[scatter.get_offsets().tolist() for scatter in ax.collections] for ax in fig.axes]
    assert points[1] == [[[9, 0.25], [8, 0.26]], [[40, 0.1]]]
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == ["stable", "collapsed"]
    plots.plt.close(fig)
