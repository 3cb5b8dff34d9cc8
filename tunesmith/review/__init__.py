"""A local page on which somebody walks through the rows that the checks flagged, and decides.

queue = make_queue(subject, findings)
serve(queue, Decisions(Path("tickets.corrections.csv"), subject))
"""

from __future__ import annotations

from tunesmith.review._decisions import Changed, Decisions
from tunesmith.review._queue import Item, Queue, make_queue
from tunesmith.review._serve import serve
from tunesmith.review.app import create_app

__all__ = ["Changed", "Decisions", "Item", "Queue", "create_app", "make_queue", "serve"]
