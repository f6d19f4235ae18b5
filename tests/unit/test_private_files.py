"""Files with health information are closed to others, and nothing but files."""

import os
import stat
from pathlib import Path

from server.private_files import make_private


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_file_is_its_owners_alone_and_an_old_one_is_closed_to_others(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o664)
    make_private(new)
    make_private(old)
    assert (mode_of(new), mode_of(old)) == (0o600, 0o660)


def test_device_keeps_its_permissions(tmp_path: Path) -> None:
    """As root, `--out /dev/null` would else close that device to all other programs."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    make_private(pipe)
    assert mode_of(pipe) == 0o666
