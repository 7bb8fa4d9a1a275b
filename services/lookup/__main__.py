"""`python -m services.lookup`: the lookup service, with settings from the environment."""

from services.lookup.composition import build
from services.lookup.settings import Settings
from services.runtime.program import main
from services.runtime.service import serve


async def serving(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT."""
    await serve(build(settings), settings)


if __name__ == "__main__":
    main("lookup", Settings, serving)
