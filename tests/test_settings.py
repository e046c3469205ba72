"""Settings: later sources win, and everything wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from erc_demo.errors import UserError
from erc_demo.settings import Settings


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "erc.toml"
    file.write_text('speakers = 2\nmax_hours = 1\nrecognizer = "small"\noffline = true\n')
    settings = Settings.gather(
        file,
        {"ERC_DEMO_MAX_HOURS": "0.5", "ERC_DEMO_RECOGNIZER": "tiny", "PATH": "/bin"},
        {"recognizer": "none", "language": None},
    )
    assert settings.people == 2
    assert settings.max_hours == 0.5
    assert settings.recognizer == "none"
    assert settings.language == "auto"
    assert settings.offline is True


def test_every_bad_key_is_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "erc.toml"
    file.write_text('prot = 80\nmax_channels = "many"\n')
    with pytest.raises(UserError) as caught:
        Settings.gather(file, {"ERC_DEMO_OFFLINE": "perhaps"}, {"cache_mb": 1.5})
    message = str(caught.value)
    for part in ("'prot'", "max_channels = 'many'", "offline = 'perhaps'", "cache_mb = 1.5"):
        assert part in message


def test_values_out_of_range_are_reported_together() -> None:
    with pytest.raises(UserError, match=r"speakers is '0'.*") as caught:
        Settings(speakers="0", channels="left", max_channels=0)
    assert "channels is 'left'" in str(caught.value)
    assert "max_channels is 0" in str(caught.value)


@pytest.mark.parametrize("content", [b"speakers = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "erc.toml"
    file.write_bytes(content)
    with pytest.raises(UserError, match="is not TOML"):
        Settings.gather(file)
    with pytest.raises(UserError, match="can't be opened"):
        Settings.gather(tmp_path / "absent.toml")


def test_every_setting_says_what_it_is() -> None:
    from dataclasses import fields

    assert all(one.metadata.get("help") for one in fields(Settings))
