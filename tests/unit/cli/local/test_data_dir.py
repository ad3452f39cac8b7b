"""One `up` per data folder."""

import os
from pathlib import Path

import pytest

from hookline.cli.local.data_dir import DataDir
from hookline.errors import ConfigError


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    with DataDir(tmp_path / "data").locked():
        with pytest.raises(ConfigError, match=rf"process {os.getpid()}.*--data"), DataDir(tmp_path / "data").locked():
            pass
        with DataDir(tmp_path / "other").locked():
            pass


def test_it_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with DataDir(tmp_path / "data").locked():
            assert (tmp_path / "data").is_dir()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use"), DataDir(tmp_path / "file" / "data").locked():
        pass
