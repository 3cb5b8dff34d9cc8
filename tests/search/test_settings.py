"""How long and how widely to search."""

from __future__ import annotations

import pytest

from tunesmith.errors import ConfigError
from tunesmith.search import make_settings


def test_defaults_and_units() -> None:
    assert make_settings({"trials": None}).trials == 30
    settings = make_settings({"budget_s": "1h30m", "trial_limit_s": "90s", "memory_bytes": "1.5GB"})
    assert (settings.budget_s, settings.trial_limit_s) == (5400.0, 90.0)
    assert settings.memory_bytes == 1_500_000_000
    assert make_settings({"memory_bytes": "2 GiB"}).memory_bytes == 2 * 2**30
    assert make_settings({"memory_bytes": "512m"}).memory_bytes == 512_000_000


def test_all_faults_are_told_at_once() -> None:
    given = {
        "trials": 0,
        "budget_s": "soon",
        "jobs": -1,
        "memory_bytes": "4 apples",
        "trial_limit_s": "0",
    }
    with pytest.raises(ConfigError) as caught:
        make_settings(given, names={"budget_s": "--budget"})
    text = str(caught.value)
    assert len(caught.value.faults) == 5
    assert "--budget: must be a time such as 90s, 10m or 1h30m (got 'soon')" in text
    assert "search.memory_bytes: must be a size such as 4GB or 512MB (got '4 apples')" in text
    assert "search.trials: must be greater than or equal to 1 (got 0)" in text
