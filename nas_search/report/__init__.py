"""Reports of a run: plain files, tables, drawings, plots. Computes no score."""

from nas_search.report.cells import draw_cell
from nas_search.report.contact_sheet import Row, contact_sheet
from nas_search.report.costs import cost_scatter, prediction_scatter
from nas_search.report.curve import search_curve
from nas_search.report.equal_size import equal_size_plot
from nas_search.report.files import best_first, write_history, write_leaderboard
from nas_search.report.front import front_plot, front_table, write_front_leaderboard
from nas_search.report.progress import Progress
from nas_search.report.ranking import (
    TABLE_WIDTH,
    ranking_notes,
    ranking_tables,
    score_heatmap,
    score_scatter,
)
from nas_search.report.table import leaderboard_table
from nas_search.report.training import finalists_table, learning_curve
from nas_search.report.truth import truth_curve

__all__ = [
    "TABLE_WIDTH",
    "Progress",
    "Row",
    "best_first",
    "contact_sheet",
    "cost_scatter",
    "draw_cell",
    "equal_size_plot",
    "finalists_table",
    "front_plot",
    "front_table",
    "leaderboard_table",
    "learning_curve",
    "ranking_notes",
    "prediction_scatter",
    "ranking_tables",
    "score_heatmap",
    "score_scatter",
    "search_curve",
    "truth_curve",
    "write_front_leaderboard",
    "write_history",
    "write_leaderboard",
]
