"""What is shipped: an sdist of the checkout, a wheel of the sdist, installed in a venv of its own and used there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.jobs.zoos import make_zoo

BUILD = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
ROOMS = ("zoo", "analysis", "warehouse", "jobs", "conf")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SHIPPED = {".py", ".yaml", ".sql", ".gz", ".typed"}
SMOKE = """
import pathlib, sys, numpy, zoospectra
assert pathlib.Path(zoospectra.__file__).is_relative_to(sys.prefix), zoospectra.__file__
found = zoospectra.analyze({"fc.weight": numpy.random.default_rng(0).standard_normal((200, 100))})
assert found.summary()["num_layers"] == 1 and "fc" in repr(found)
with zoospectra.open("data") as warehouse:
    assert warehouse.layers().num_rows == 8
print(zoospectra.__version__)
"""


def run(words: list[str | Path], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def checkout_files() -> list[str]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name and os.path.lexists(ROOT / name)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, which is built from a copy of what is in the repository."""
    folder = tmp_path_factory.mktemp("built")
    for name in checkout_files():
        copy = folder / "source" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    run([sys.executable, "-c", BUILD, folder], folder / "source")
    (sdist,) = folder.glob("*.tar.gz")
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    run([sys.executable, "-m", "pip", "wheel", "-q", *offline, "-w", folder, sdist], folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_is_one_package_with_every_file_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    assert {name.partition("/")[0] for name in entries} == {"zoospectra", f"zoospectra-{VERSION}.dist-info"}
    shipped = {name for name in entries if name.startswith("zoospectra/")}
    wanted = {f"zoospectra/{name}" for name in checkout_files() if name.partition("/")[0] in ROOMS}
    wanted |= {name for name in checkout_files() if name.startswith("zoospectra/") and not (ROOT / name).is_symlink()}
    assert shipped == {name for name in wanted if Path(name).suffix in SHIPPED}
    assert {".yaml", ".sql", ".gz", ".typed"} <= {Path(name).suffix for name in shipped}
    contents = Counter((entries[name].CRC, entries[name].file_size) for name in shipped if entries[name].file_size > 99)
    assert max(contents.values()) == 1


@pytest.mark.slow
def test_the_installed_wheel_scans_and_analyses_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", venv], tmp_path)
    python, command = venv / "bin" / "python", venv / "bin" / "zoospectra"
    (packages,) = (venv / "lib").glob("python*/site-packages")
    # the dependencies of this environment, behind the venv's own packages; its .pth files are not read from there
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel], tmp_path)
    zoo = make_zoo(tmp_path / "zoo", models=2, width=32)
    out = run([command, "scan", "zoo=local", f"zoo.path={zoo}", "warehouse.dir=data", "cluster=inline"], tmp_path)
    assert "net1" in out
    assert run([python, "-c", SMOKE], tmp_path).strip() == VERSION
    assert "fc1" in run([python, "-m", "zoospectra", "describe", zoo / "net0.safetensors"], tmp_path)
    assert VERSION in run([command, "--version"], tmp_path)
