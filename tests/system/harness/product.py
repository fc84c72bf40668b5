"""Builds what the machines start from: the image, and caged as a distribution would install it."""

import fcntl
import functools
import os
import shutil
import subprocess

from . import paths


def _logged(name, words):
    """Runs a command; its output is in a log, which a failure names."""
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    log = paths.LOGS / name
    with open(log, "ab") as file:
        done = subprocess.run(["setpriv", "--pdeathsig", "TERM", "--", *map(str, words)],
                              stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    if done.returncode != 0:
        end = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:])
        raise RuntimeError(f"{words[0]} failed: see {log}, whose end is:\n{end}")


@functools.cache
def image():
    """The image is there and as the sources say."""
    _logged("system-tools.log", [paths.IMAGE_SCRIPTS / "install-tools", paths.SYSTEM, paths.LOGS])
    _logged("system-build-image.log", [paths.IMAGE_SCRIPTS / "build", paths.SYSTEM, paths.LOGS])
    return paths.SYSTEM


@functools.cache
def tree():
    """A folder that has what `meson install` makes of this source, to be laid over a root."""
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    with open(paths.BUILD / "system-build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (paths.PRODUCT_BUILD / "build.ninja").exists():
            _logged("system-product.log", ["meson", "setup", "--prefix=/usr", "-Dtests=false",
                                           paths.PRODUCT_BUILD, paths.ROOT])
        _logged("system-product.log", ["ninja", "-C", paths.PRODUCT_BUILD])
        shutil.rmtree(paths.PRODUCT_TREE, ignore_errors=True)
        _logged("system-product.log", ["meson", "install", "--no-rebuild", "--strip", "-C",
                                       paths.PRODUCT_BUILD, "--destdir", paths.PRODUCT_TREE])
    return paths.PRODUCT_TREE


def archive(folder):
    """A folder's content as a tar, everything root's."""
    return subprocess.run(["tar", "-C", os.fspath(folder), "--owner=0", "--group=0", "-cf", "-", "."],
                          check=True, stdout=subprocess.PIPE).stdout
