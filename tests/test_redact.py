"""No password in what is printed or written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith import config
from tunesmith.config import RunConfig, redact

WORD = st.text("abcxyz0129", min_size=1, max_size=8)
PASSWORD = st.text("abc@/?#:%$ é&=", min_size=1, max_size=12).map(lambda text: f"«{text}»")


@given(WORD, PASSWORD, WORD, st.sampled_from(["", "?table=t", "?query=SELECT '@' FROM t"]))
def test_the_password_goes_and_all_else_stays(user, password, host, behind) -> None:
    source = f"postgresql://{user}:{password}@{host}/shop{behind}"
    assert redact(source) == f"postgresql://{user}:***@{host}/shop{behind}"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("data/a:b@c.csv", "data/a:b@c.csv"),
        ("sqlite:///a@b.db?table=x", "sqlite:///a@b.db?table=x"),
        ("hf://datasets/ann/shop@main/x.csv", "hf://datasets/ann/shop@main/x.csv"),
        ("postgresql://h/s?password=x&table=t", "postgresql://h/s?password=***&table=t"),
        ("postgresql://h/s?table=t&sslpassword=x", "postgresql://h/s?table=t&sslpassword=***"),
        ("POSTGRES://:x@h", "POSTGRES://:***@h"),
    ],
)
def test_others(source: str, shown: str) -> None:
    assert redact(source) == shown
    assert redact(shown) == shown


def test_settings_in_a_file_have_no_password() -> None:
    address = "postgresql://ann:hunter2@host/shop?table=tickets"
    settings = RunConfig.model_validate({"data": {"source": address, "test": address}})
    assert settings.data.source == address
    assert "hunter2" not in config.dump(settings)
    assert "ann:***@host" in config.dump(settings)
