"""`python -m services.records`: one records service, set up by HUTONG_* variables (services/records/settings.py)."""

from services.records.composition import build
from services.records.settings import Settings
from services.records.store.opening import open_checked_store
from services.runtime.program import main
from services.runtime.service import serve


async def serving(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises SettingsError, with nothing opened, when the settings will not do."""
    settings.check()
    store = await open_checked_store(settings)
    try:
        service = build(settings, store=store)
    except BaseException:
        await store.close()
        raise
    await serve(service, settings)


if __name__ == "__main__":
    main("records", Settings, serving)
