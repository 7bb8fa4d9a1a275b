"""`python -m gateway`: the gateway as a process of its own, over services reached by gRPC."""

from pathlib import Path

from gateway.application.samples import read_people
from gateway.composition import Gateway, build
from gateway.ports import ChangeFeed, Evidence, HolderFeed, Holders, Policies, Regions, SupervisedStore, VerdictSource
from gateway.server import serve
from gateway.settings import GatewaySettings
from services.common.regions import NATION
from services.runtime.program import main
from services.runtime.rpc.channel import Channels
from services.runtime.rpc.person_keys import message_keys
from services.runtime.settings.directory import read_directory
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.secret_file import process_secret
from services.runtime.tls.identity import principal, store_of
from services.runtime.tls.process import process_files

PRINCIPAL = principal("mesh/gateway")


def wire(settings: GatewaySettings) -> Gateway:
    """Builds a gateway whose ports are channels to the addresses in its settings and in the directory. Call it inside
    the loop. Raises SettingsError without the nation in the directory."""
    directory = read_directory(settings.directory)
    if directory.nation is None:
        raise SettingsError("HUTONG_DIRECTORY: without the nation's records nobody says which cached codes to drop")
    files = process_files(settings, PRINCIPAL)
    secret = process_secret(settings)
    channels = Channels("gateway", files, message_keys(secret))
    lookup = principal("mesh/lookup")

    def change_feed(region: str, target: str) -> ChangeFeed:
        return channels.remote(ChangeFeed, target, service="records", peer=store_of(region))

    def supervised_store(region: str, target: str) -> SupervisedStore:
        return channels.remote(SupervisedStore, target, service="records", peer=store_of(region))

    return build(
        settings,
        verdict=channels.remote(VerdictSource, settings.verdict, service="verdict", peer=principal("mesh/verdict")),
        evidence=channels.remote(Evidence, settings.lookup, service="lookup", peer=lookup),
        holders=channels.remote(Holders, settings.lookup, service="lookup", peer=lookup),
        holder_feed=channels.remote(HolderFeed, settings.lookup, service="lookup", peer=lookup),
        regions=channels.remote(Regions, settings.lookup, service="lookup", peer=lookup),
        news=change_feed(NATION, directory.nation.records),
        region_news={region: change_feed(region, member.records) for region, member in directory.regions.items()},
        policies=channels.remote(Policies, settings.verdict, service="verdict", peer=principal("mesh/verdict")),
        stores={
            NATION: supervised_store(NATION, directory.nation.records),
            **{region: supervised_store(region, member.records) for region, member in directory.regions.items()},
        },
        directory_version=directory.version,
        sample_people=read_people(Path(settings.sample_people)) if settings.sample_people else None,
        close=channels.close,
        files=files,
        secret=secret,
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
