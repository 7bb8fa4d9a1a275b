"""`python -m bench.capacity FILE`: prints docs/capacity.md, made of the JSON of `hutong bench capacity --json`."""

import json
import sys
from pathlib import Path

from bench.capacity.page import page

if __name__ == "__main__":
    sys.stdout.write(page(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
