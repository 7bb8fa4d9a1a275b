"""`python -m services.verdict`: the verdict service, with settings from the environment."""

import os
import sys

from services.runtime.process import run
from services.runtime.service import serve
from services.runtime.settings import SettingsError, load
from services.verdict.composition import build
from services.verdict.policy_files import PolicyFileError
from services.verdict.settings import Settings


def main() -> None:
    """Serves until SIGTERM or SIGINT. Exits with status 2 when a setting or a policy file is wrong."""
    try:
        settings = load(Settings, os.environ)
    except SettingsError as error:
        print(f"hutong verdict: {error}", file=sys.stderr)  # noqa: T201  # logs are not set up before the settings are
        sys.exit(2)

    async def serving() -> None:
        await serve(build(settings), settings)

    try:
        run(serving, settings)
    except (PolicyFileError, OSError) as error:
        print(f"hutong verdict: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
