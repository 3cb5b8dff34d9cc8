"""Writes docs/report-schema.json from the code: python scripts/report_schema.py"""

from __future__ import annotations

import json
from pathlib import Path

from tunesmith.evaluation import report_schema

FILE = Path(__file__).parent.parent / "docs" / "report-schema.json"


def text() -> str:
    """What the file must hold."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
