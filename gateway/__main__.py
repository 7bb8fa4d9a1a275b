"""`python -m gateway`: the gateway as a process of its own, over services reached by gRPC."""

from pathlib import Path
from typing import Any

from hutong.lookup.v1 import evidence_service_pb2, holder_service_pb2, region_directory_service_pb2
from hutong.records.v1 import change_feed_service_pb2
from hutong.verdict.v1 import policy_service_pb2, verdict_service_pb2

from gateway.application.samples import read_people
from gateway.composition import Gateway, build
from gateway.server import serve
from gateway.settings import GatewaySettings
from services.runtime.program import main
from services.runtime.rpc.channel import open_channel, remote
from services.runtime.settings.environment import SettingsError

_CONTRACTS = {
    "verdict": (
        verdict_service_pb2.DESCRIPTOR.services_by_name["VerdictService"],
        policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
    ),
    "lookup": (
        evidence_service_pb2.DESCRIPTOR.services_by_name["EvidenceService"],
        holder_service_pb2.DESCRIPTOR.services_by_name["HolderService"],
        region_directory_service_pb2.DESCRIPTOR.services_by_name["RegionDirectoryService"],
    ),
    "records": (change_feed_service_pb2.DESCRIPTOR.services_by_name["ChangeFeedService"],),
}


def wire(settings: GatewaySettings) -> Gateway:
    """A gateway whose ports are channels to the addresses in its settings. Call it inside the loop."""
    channels = []

    def reach(service: str, target: str) -> Any:
        channel = open_channel(target)
        channels.append(channel)
        return remote(service, "gateway", channel, _CONTRACTS[service])

    async def close() -> None:
        for channel in channels:
            await channel.close()

    lookup = reach("lookup", settings.lookup)
    return build(
        settings,
        verdict=reach("verdict", settings.verdict),
        evidence=lookup,
        holders=lookup,
        regions=lookup,
        news=reach("records", settings.nation),
        region_news={region: reach("records", target) for region, target in settings.region_feeds.items()},
        sample_people=read_people(Path(settings.sample_people)) if settings.sample_people else None,
        close=close,
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
