"""Settings: YAML, overrides, explicit settings, and every fault at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.config import RunConfig, dump, load, setting_names
from tunesmith.errors import ConfigError

MakeYaml = Callable[[str], Path]


@pytest.fixture
def make_yaml(tmp_path: Path) -> MakeYaml:
    def make(content: str) -> Path:
        file = tmp_path / "run.yaml"
        file.write_text(content, encoding="utf-8")
        return file

    return make


def test_no_settings_are_the_defaults() -> None:
    assert load() == RunConfig()


def test_later_sources_win(make_yaml: MakeYaml) -> None:
    file = make_yaml("training: {epochs: 2, batch_size: 8, learning_rate: 1e-3}\nseed: 7\n")
    config = load(
        file, ["training.epochs=3", "training.batch_size=16"], {"training.epochs": 4, "seed": None}
    )
    assert config.training.epochs == 4
    assert config.training.batch_size == 16
    assert config.training.learning_rate == 0.001  # YAML 1.1 reads 1e-3 as text
    assert config.seed == 7


@pytest.mark.parametrize("content", ["", "# nothing\n", "training:\ndata:\nbase:\nseed:\n"])
def test_empty_sections_are_defaults(make_yaml: MakeYaml, content: str) -> None:
    assert load(make_yaml(content)) == RunConfig()
    assert load(make_yaml(content), ["training.epochs=3"]).training.epochs == 3


def test_overrides_are_read_as_yaml() -> None:
    config = load(
        None,
        [
            "data.drop_missing=true",
            "data.text=[title, body]",
            "training.patience=null",
            "output=a=b",
        ],
    )
    assert config.data.drop_missing is True
    assert config.data.text == ("title", "body")
    assert config.training.patience is None
    assert config.output == "a=b"


def test_one_text_column_needs_no_list() -> None:
    assert load(None, ["data.text=body"]).data.text == ("body",)


def test_all_faults_at_once(make_yaml: MakeYaml) -> None:
    file = make_yaml("training: {epochs: 0, batch_sise: 8}\nsead: 1\n")
    with pytest.raises(ConfigError) as raised:
        load(file, ["nonsense", "training.precision=fp8", "training.epochs: 3", "seed=[1"])
    text = str(raised.value)
    assert len(raised.value.faults) == 7
    for part in (
        "training.epochs",
        "did you mean 'training.batch_size'?",
        "did you mean 'seed'?",
        "--set nonsense",
        "--set training.epochs: 3",
        "--set seed=[1",
        "training.precision",
        str(file),
    ):
        assert part in text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("training.epoch", "training.epochs"),
        ("training.epoks", "training.epochs"),
        ("epochs", "training.epochs"),
        ("traning.epochs", "training"),
        ("bases.id", "base"),
    ],
)
def test_near_misses_are_named(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        load(None, [f"{name}=3"])


def test_far_misses_get_the_list() -> None:
    with pytest.raises(ConfigError, match=r"training\.method, training\.budget_s"):
        load(None, ["zzz=3"])


@pytest.mark.parametrize(
    ("override", "setting"),
    [
        ("seed=-1", "seed"),
        ("training.learning_rate=0", "training.learning_rate"),
        ("training.learning_rate=.nan", "training.learning_rate"),
        ("training.weight_decay=.nan", "training.weight_decay"),
        ("training.warmup_fraction=1", "training.warmup_fraction"),
        ("data.text=[a, b, c]", "data.text"),
        ("training=full", "training"),
        ("base.pooling=max", "base.pooling"),
    ],
)
def test_values_out_of_range_name_their_setting(override: str, setting: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(None, [override])
    assert setting in str(raised.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("- a\n- b\n", "must hold sections"),
        ("training: {epochs: 1\n", "is not YAML"),
        ("training: [1, 2]\n", "training"),
        ("3: 4\n", "3"),
        ("\x00", "is not YAML"),
    ],
)
def test_broken_files_are_refused(make_yaml: MakeYaml, content: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load(make_yaml(content))


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes("output: \xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "latin.yaml")


def test_a_value_where_a_section_belongs(make_yaml: MakeYaml) -> None:
    file = make_yaml("training: 5\nsead: 1\n")
    for sources in ((["training.epochs=3"], {}), ([], {"training.epochs": 3})):
        with pytest.raises(ConfigError, match="'training' is a value, not a section") as raised:
            load(file, *sources)
        assert "did you mean 'seed'?" in str(raised.value)  # with all other faults


def test_configs_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().seed = 1  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    config = RunConfig()
    for name in setting_names():
        section, _, last = name.rpartition(".")
        fields = type(getattr(config, section) if section else config).model_fields
        assert fields[last].description, name


def test_dump_reads_back_to_the_same(tmp_path: Path) -> None:
    config = load(
        settings={
            "data.source": "表.csv",
            "data.text": ["a", "b"],
            "training.learning_rate": 3e-05,
            "training.patience": 2,
            "output": "no",  # text that YAML could take for a boolean
        }
    )
    (tmp_path / "dump.yaml").write_text(dump(config), encoding="utf-8")
    assert load(tmp_path / "dump.yaml") == config


VALUES = {
    "seed": st.integers(0, 2**32 - 1),
    "training.epochs": st.none() | st.integers(1, 1000),
    "training.learning_rate": st.none() | st.floats(1e-12, 0.5),
    "training.precision": st.sampled_from(["auto", "fp32", "bf16"]),
    "data.drop_missing": st.booleans(),
    "data.validation_fraction": st.floats(0, 0.99),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_overrides_and_settings_mean_the_same(chosen: dict[str, object]) -> None:
    written = [f"{name}={yaml.safe_dump(value).splitlines()[0]}" for name, value in chosen.items()]
    config = load(None, written)
    assert config == load(settings=chosen)
    assert RunConfig.model_validate(yaml.safe_load(dump(config))) == config


@given(st.text(max_size=40))
def test_any_override_is_taken_or_refused(text: str) -> None:
    try:
        assert isinstance(load(None, [text]), RunConfig)
    except ConfigError as error:
        assert error.faults


def test_the_file_of_defaults_holds_every_setting_at_its_default() -> None:
    file = Path(__file__).parents[1] / "configs" / "default.yaml"
    written, usual = yaml.safe_load(file.read_text(encoding="utf-8")), RunConfig()
    assert load(file) == usual
    for section, settings in usual.model_dump().items():
        assert section in written, section
        if isinstance(settings, dict):
            assert written[section].keys() == settings.keys()
