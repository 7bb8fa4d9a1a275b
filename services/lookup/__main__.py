"""`python -m services.lookup`: the lookup service, with settings from the environment."""

import os
import sys

from services.lookup.composition import build
from services.lookup.settings import Settings
from services.runtime.process import run
from services.runtime.service import serve
from services.runtime.settings import SettingsError, load


def main() -> None:
    """Serves until SIGTERM or SIGINT. Exits with status 1 and says which setting is wrong, should one be."""
    try:
        settings = load(Settings, os.environ)

        async def serving() -> None:
            await serve(build(settings), settings)

        run(serving, settings)
    except SettingsError as error:
        sys.exit(f"hutong lookup: {error}")


if __name__ == "__main__":
    main()
