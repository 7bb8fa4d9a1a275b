"""`python -m services.lookup`: the lookup service, with settings from the environment."""

from services.lookup.composition import build, open_checked_store
from services.lookup.settings import Settings
from services.runtime.program import main
from services.runtime.service import serve


async def serving(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises SettingsError when its store will not do."""
    store = await open_checked_store(settings)
    try:
        service = build(settings, store=store)
    except BaseException:
        await store.close()
        raise
    await serve(service, settings)


if __name__ == "__main__":
    main("lookup", Settings, serving)
