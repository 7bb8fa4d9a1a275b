"""`python -m services.records`: one records service, set up by HUTONG_* variables (services/records/settings.py)."""

import os
import sys

from services.records.composition import build, open_checked_store
from services.records.settings import Settings
from services.runtime.process import run
from services.runtime.service import serve
from services.runtime.settings import SettingsError, load


def main() -> None:
    """Serves until SIGTERM or SIGINT. Exits with status 1 and a word on standard error when a setting is wrong."""
    try:
        settings = load(Settings, os.environ)

        async def whole() -> None:
            await serve(build(settings, store=await open_checked_store(settings)), settings)

        run(whole, settings)
    except SettingsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
