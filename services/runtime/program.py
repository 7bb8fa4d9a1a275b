"""The whole of a service's `__main__`: settings in, a sentence and status 2 when they will not do."""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.common.errors import ServiceError
from services.runtime.process import run
from services.runtime.settings.environment import ServerSettings, SettingsError, load

Settings = TypeVar("Settings", bound=ServerSettings)

REFUSED = 2
"""The exit status of a process that cannot start as it was told."""


def main(name: str, kind: type[Settings], serving: Callable[[Settings], Awaitable[None]]) -> None:
    """Loads settings from the environment and serves until SIGTERM or SIGINT.

    SettingsError, and the ServiceError of a service that cannot be put together, end the process with status 2 and one
    sentence on standard error.
    """
    try:
        settings = load(kind, os.environ)
        run(lambda: serving(settings), settings)
    except ServiceError as error:
        _refuse(name, str(error.text))
    except SettingsError as error:
        _refuse(name, str(error))


def _refuse(name: str, sentence: str) -> None:
    print(f"hutong {name}: {sentence}", file=sys.stderr)  # noqa: T201  # for whoever typed the command
    sys.exit(REFUSED)
