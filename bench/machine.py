"""The machine a benchmark ran on, in one line; without it no figure means anything."""

import os
import platform
from pathlib import Path


def _first(path: str, key: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(key)), "")


def describe() -> str:
    """Processor, usable cores, memory, kernel and Python; what the machine does not tell is left out."""
    memory = _first("/proc/meminfo", "MemTotal").removesuffix(" kB")
    load = os.getloadavg()[0]
    parts = (
        _first("/proc/cpuinfo", "model name") or platform.machine(),
        f"{len(os.sched_getaffinity(0))} cores",
        f"{int(memory) / 1024**2:.0f} GiB" if memory.isdigit() else "",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"load {load:.1f}",
    )
    return ", ".join(part for part in parts if part)


def peak_memory(pid: int) -> float:
    """The most memory a process ever had resident, in MiB; 0 when it is gone or the system does not tell.

    Not its ru_maxrss: Linux begins that of a new program with what the process that started it had.
    """
    kilobytes = _first(f"/proc/{pid}/status", "VmHWM").removesuffix(" kB")
    return int(kilobytes) / 1024 if kilobytes.isdigit() else 0.0
