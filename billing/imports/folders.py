"""The folder or ZIP file of an import, and its limits."""

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

# Of all files of a ZIP file together, as its directory gives their sizes.
LARGEST_ZIP = 4 << 30
# A spreadsheet's export is compressed to a fifth to a fiftieth of its size.
LARGEST_RATIO = 200
UNSUSPICIOUS = 10 << 20
MOST_FILES = 100_000
ENCRYPTED = 0x1
# The ending of the files that documents.csv names.
PDF = ".pdf"
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)
# Files that operating systems add to folders and archives.
PUT_FILES = "put the file itself there"
IGNORED_FOLDER = "__MACOSX"


class NotAFolder(Exception):
    """A folder or ZIP file that can't be read. The text gives the reason and the remedy."""


class Folder(Protocol):
    """The files of an import by their names, as `clients.csv` or `documents/1.pdf`."""

    def names(self) -> list[str]: ...

    def open(self, name: str) -> BinaryIO: ...


@contextmanager
def opened_folder(path: Path) -> Iterator[Folder]:
    """Open a folder, or a ZIP file."""
    if path.is_dir():
        yield DirectoryFolder(path)
        return
    if not path.is_file():
        raise NotAFolder(f"{path} is neither a folder nor a ZIP file.")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        raise NotAFolder(f"{path} is no ZIP file that can be read: create it again.") from None
    with archive:
        refuse_bomb(path, archive)
        yield ZipFolder(archive)


@dataclass(frozen=True)
class DirectoryFolder:
    """A folder with its subfolders."""

    path: Path

    def __post_init__(self) -> None:
        for one in self.path.rglob("*"):
            if one.is_symlink():
                name = one.relative_to(self.path)
                raise NotAFolder(f"{self.path} has a symbolic link, {name}: {PUT_FILES}.")

    def names(self) -> list[str]:
        found = (one for one in self.path.rglob("*") if one.is_file() and not one.is_symlink())
        return sorted(name for one in found if (name := visible_name(one.relative_to(self.path))))

    def open(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")


class ZipFolder:
    """A ZIP file. Nothing is ever extracted to the disk.

    If everything is in one folder, as when a folder was compressed, names are without it.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        found = (one.filename for one in archive.infolist() if not one.is_dir())
        files = sorted(name for name in found if visible_name(Path(name)))
        firsts = {name.partition("/")[0] for name in files}
        is_nested = len(firsts) == 1 and all("/" in name for name in files)
        self.prefix = f"{firsts.pop()}/" if is_nested else ""
        self.files = [name.removeprefix(self.prefix) for name in files]

    def names(self) -> list[str]:
        return self.files

    def open(self, name: str) -> BinaryIO:
        return cast(BinaryIO, self.archive.open(self.prefix + name))


def visible_name(path: Path) -> str | None:
    """Return the name of a file within its folder; None for an operating system's own files."""
    hidden = any(part.startswith(".") or part == IGNORED_FOLDER for part in path.parts)
    return None if hidden or path.name == "Thumbs.db" else path.as_posix()


def refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive that is too large, and one that is encrypted, before anything is read."""
    entries = archive.infolist()
    refuse_strange_names(path, entries)
    if len(entries) > MOST_FILES:
        raise NotAFolder(f"{path} has more than {MOST_FILES:,} files: split it.")
    if any(one.flag_bits & ENCRYPTED for one in entries):
        raise NotAFolder(f"{path} is encrypted: create it again without a password.")
    if sum(one.file_size for one in entries) > LARGEST_ZIP:
        raise NotAFolder(f"{path} has more than {LARGEST_ZIP >> 30} GiB of files: split it.")
    for one in entries:
        if one.file_size > max(UNSUSPICIOUS, LARGEST_RATIO * one.compress_size):
            raise NotAFolder(
                f"{path} has a file that is more than {LARGEST_RATIO} times larger than its"
                " compressed form: send the folder itself."
            )


def refuse_strange_names(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse names outside the archive, names that are there twice, and symbolic links."""
    for name, times in Counter(one.filename for one in entries).items():
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
            raise NotAFolder(f"{path} has a file with a path outside of it: create it again.")
        if times > 1:
            raise NotAFolder(f"{path} has a file twice: create it again.")
    if any(stat.S_ISLNK(one.external_attr >> 16) for one in entries):
        raise NotAFolder(f"{path} has a symbolic link: {PUT_FILES}.")
