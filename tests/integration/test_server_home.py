"""Servers that benchmarks and tests start for themselves go with them."""

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.servers.postgres import PostgresServer

STARTS = """
import time
from bench.servers.postgres import start
server = start()
print(server.home.path, server.process.pid, flush=True)
time.sleep(600)
"""
PATIENCE_SECONDS = 30.0


def test_a_database_goes_with_whoever_started_it(postgres_server: PostgresServer) -> None:
    """Killed in the middle, it leaves neither a server nor its data behind, and those of others alone."""
    with subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        home, pid = process.stdout.readline().split()
        os.kill(int(pid), 0)
        process.kill()
    until = time.monotonic() + PATIENCE_SECONDS
    while Path(home).exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(home).exists()
    # Nobody may have reaped it yet: then it has no open files any more.
    assert not Path(f"/proc/{pid}/exe").exists()
    assert postgres_server.home.path.exists()
