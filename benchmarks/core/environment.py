"""On what a run was made: versions, machine, threads, and the commit if there is one."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.core.throttle import known

PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "pandas", "ptflops", "safetensors", "pydantic", "onnx", "onnxruntime",
    "onnxscript",
)  # fmt: skip


def describe(device: torch.device) -> dict[str, Any]:
    """The environment of this process, as written into run.json."""
    found: dict[str, Any] = {
        "suite_version": version("cost-adjustable-inference"),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "throttling": known(device.type),
        **{name: version(name) for name in PACKAGES},
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def version(package: str) -> str:
    """The installed version; a checkout that was never installed has none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.processor() or "unknown"


def _git(*arguments: str) -> str | None:
    """What git says of the checkout this file lies in; None outside one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
