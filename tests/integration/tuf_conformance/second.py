# SPDX-License-Identifier: Apache-2.0
"""Where the second TUF implementation, an npm package, is on this machine."""
import os
import shutil
import subprocess

PACKAGE = "tuf-js@3.1.0"


def find_modules():
    """The node_modules folder that has it: tests/.cache, filled by npm when it is empty. None if that cannot be."""
    cache = os.environ.get("BASCULE_TEST_CACHE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.cache")
    folder = os.path.join(os.path.realpath(cache), PACKAGE)
    modules = os.path.join(folder, "node_modules")
    if not shutil.which("node"):
        return None
    if os.path.isdir(os.path.join(modules, "tuf-js")):
        return modules
    if not shutil.which("npm"):
        return None
    os.makedirs(folder, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, PACKAGE]
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        return None
    return modules if done.returncode == 0 else None
