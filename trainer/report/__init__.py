"""A comparison as something to read: ``markdown`` and ``page`` of the same groups of runs.

``tables`` says what stands in rows, ``figures`` what is drawn, ``page`` puts both into one HTML
file that needs nothing else.
"""

from __future__ import annotations

from trainer.report.page import page
from trainer.report.tables import markdown

__all__ = ["markdown", "page"]
