"""`python -m services.verdict`: the verdict service, with settings from the environment."""

from services.runtime.program import main
from services.runtime.service import Service, serve
from services.runtime.settings.environment import SettingsError
from services.verdict.composition import build
from services.verdict.policy.yaml_document import PolicyFileError
from services.verdict.settings import Settings


async def serving(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises SettingsError when the policies cannot be used."""
    await serve(_built(settings), settings)


def _built(settings: Settings) -> Service:
    try:
        return build(settings)
    except (PolicyFileError, OSError) as error:
        raise SettingsError(f"HUTONG_POLICIES: {error}") from None


if __name__ == "__main__":
    main("verdict", Settings, serving)
