"""Makes the zip of the Lambda functions: pinned packages without what the handlers never use.

    python deploy/lambda/build.py build/brewtopia-lambda.zip          # for Lambda
    python deploy/lambda/build.py build/brewtopia-lambda.zip --here   # for this Python, to try it

The same pins give the same bytes. Made with Python 3.13, it is compiled too, which halves the time
of a cold start.
"""

import argparse
import compileall
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).parent.parent.parent
LARGEST_BYTES = 250 * 1024 * 1024
"""What AWS lets a function have, unpacked."""
PYTHON = (3, 13)
FOR_LAMBDA = (
    *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"),
    *("--implementation", "cp", "--python-version", ".".join(map(str, PYTHON))),
)
SERVICES = ("redshift", "redshift-serverless", "s3", "secretsmanager", "sqs", "sts")
"""What the handlers ask of AWS; botocore has descriptions of hundreds."""
UNUSED = ("tests", "test", "__pycache__", "bin")
LEFT_OUT = ("sample", "templates")
"""Parts of the library that make no warehouse."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def build(target: Path, *, here: bool = False) -> int:
    """Write the zip, and give how many bytes it has unpacked.

    Raises SystemExit where that is more than Lambda takes, and CalledProcessError where pip fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"),
                *("--only-binary", ":all:", "--target", name, "--no-warn-conflicts"),
                *(() if here else FOR_LAMBDA),
                *("--constraint", str(ROOT / "constraints.txt")),
                *("--requirement", str(ROOT / "deploy/lambda/requirements.txt")),
            ],
            check=True,
        )
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and path.name in UNUSED:
                shutil.rmtree(path)
            elif path.suffix == ".pyi":
                path.unlink()
        for path in (folder / "botocore/data").iterdir():
            if path.is_dir() and path.name not in SERVICES:
                shutil.rmtree(path)
        shutil.copytree(
            ROOT / "brewtopia_lib",
            folder / "brewtopia_lib",
            ignore=shutil.ignore_patterns("__pycache__", *LEFT_OUT),
        )
        if here or sys.version_info[:2] == PYTHON:
            # a Lambda cannot write what it compiles, and would compile at each cold start
            compileall.compile_dir(
                folder, quiet=2, stripdir=name, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
            )
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        size = sum(path.stat().st_size for path in files)
        if size > LARGEST_BYTES:
            sys.exit(f"{size >> 20} MB unpacked is more than Lambda takes: leave more out")
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_zip(target, folder, files)
    return size


def _write_zip(target: Path, folder: Path, files: Iterable[Path]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if path.suffix == ".so" else 0o644) << 16
            archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("zip", type=Path)
    parser.add_argument("--here", action="store_true", help="for this Python")
    given = parser.parse_args()
    unpacked = build(given.zip, here=given.here)
    print(f"{given.zip}: {given.zip.stat().st_size >> 20} MB, {unpacked >> 20} MB unpacked")
