# SPDX-License-Identifier: MIT
"""What tests want beside Python and the command, installed when it is missing.

    debian("browser")                   a group of tools/deps
    python("hdrhistogram==0.10.8")      a package of PyPI, from now on there for `import`

Python packages go into folders below build/python, so that nothing of the system changes.
Both raise Skip, with the reason, where it cannot be had.
"""
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys

from rig import Skip

FOLDER = os.path.join("build", "python", sys.implementation.cache_tag)
LIMIT_S = 100  # less than tools/run-tests gives all of a script


def _run(what, command):
    """COMMAND, or Skip with the last thing that it said."""
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
                                check=False)
        said = result.stdout.strip().split("\n")[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skip(f"no {what}: {error}") from None
    if result.returncode:
        raise Skip(f"no {what}: {said}")


def debian(group):
    _run(f"packages of the group {group}", ["tools/deps", group])


def python(package):
    folder = os.path.abspath(os.path.join(FOLDER, package))
    os.makedirs(FOLDER, exist_ok=True)
    with open(f"{folder}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two drivers' tests want the same
        if not os.path.isdir(folder):
            _install(package, folder)
    sys.path.insert(0, folder)


def _install(package, folder):
    if not importlib.util.find_spec("pip"):
        debian("pip")
    half = f"{folder}.half"  # what an end in mid-way leaves is not taken for the whole
    shutil.rmtree(half, ignore_errors=True)
    _run(f"Python package {package}", [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--retries", "1", "--timeout", "15", "--root-user-action", "ignore",
        "--target", half, package])
    os.rename(half, folder)
