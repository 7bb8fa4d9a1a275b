"""`python -m gateway`: the gateway as a process of its own, over services reached by gRPC."""

from pathlib import Path

from gateway.application.samples import read_people
from gateway.composition import Gateway, build
from gateway.ports import Evidence, Holders, NewsFeed, Regions, VerdictSource
from gateway.server import serve
from gateway.settings import GatewaySettings
from services.runtime.program import main
from services.runtime.rpc.channel import Channels
from services.runtime.settings.environment import SettingsError


def wire(settings: GatewaySettings) -> Gateway:
    """A gateway whose ports are channels to the addresses in its settings. Call it inside the loop."""
    channels = Channels("gateway")

    def news_of(target: str) -> NewsFeed:
        return channels.remote(NewsFeed, target, service="records")

    return build(
        settings,
        verdict=channels.remote(VerdictSource, settings.verdict, service="verdict"),
        evidence=channels.remote(Evidence, settings.lookup, service="lookup"),
        holders=channels.remote(Holders, settings.lookup, service="lookup"),
        regions=channels.remote(Regions, settings.lookup, service="lookup"),
        news=news_of(settings.nation),
        region_news={region: news_of(target) for region, target in settings.region_feeds.items()},
        sample_people=read_people(Path(settings.sample_people)) if settings.sample_people else None,
        close=channels.close,
    )


async def serving(settings: GatewaySettings) -> None:
    """Serves until SIGTERM or SIGINT. Raises SettingsError when something it needs cannot be had."""
    await serve(_wired(settings), settings)


def _wired(settings: GatewaySettings) -> Gateway:
    try:
        return wire(settings)
    except (ValueError, OSError) as error:
        # The one thing that is read, and not looked at before.
        raise SettingsError(f"HUTONG_SAMPLE_PEOPLE: {error}") from None


if __name__ == "__main__":
    main("gateway", GatewaySettings, serving)
