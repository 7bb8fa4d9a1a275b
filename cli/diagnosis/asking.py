"""Asks the services of a mesh what they say of themselves."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast
from urllib.error import HTTPError, URLError

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1.region_directory_service_pb2 import ListRegionsRequest, ListRegionsResponse
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest, BatchListRecordsResponse
from hutong.verdict.v1.policy_service_pb2 import GetPolicyDigestsRequest, GetPolicyDigestsResponse

from cli.diagnosis.certificates import shown_certificate
from cli.diagnosis.facts import GatewayFacts, LookupFacts, MeshFacts, StoreAnswer, StoreFacts, VerdictFacts
from services.common.documents import PERSON_KEY_BYTES
from services.common.errors import ServiceError
from services.common.instants import from_timestamp
from services.common.mesh_directory import MeshDirectory
from services.common.regions import NATION
from services.runtime.clock import system_clock
from services.runtime.rpc.call import enter, leave, within
from services.runtime.rpc.channel import Channels
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import principal, store_of

CALLER = "hutong-doctor"
SECONDS = 5.0
"""How long one service may take to answer."""
CONNECTIONS = 3
"""So many connections to each store: where several stores are behind one name, they meet more than one."""

_FEED = re.compile(r'^hutong_gateway_news_age_seconds\{feed="([^"]+)"\}', re.MULTILINE)
_BUILD = re.compile(r'^hutong_build_info\{version="([^"]+)"\}', re.MULTILINE)
_SECRET = re.compile(r'^hutong_mesh_secret_version\{which="current"\} (\S+)', re.MULTILINE)


class RecordsStore(Protocol):
    """A store of records that says who it is."""

    async def BatchListRecords(self, request: BatchListRecordsRequest, /) -> BatchListRecordsResponse:
        """See hutong.records.v1.RecordReadService."""


class RegionDirectory(Protocol):
    """Lookup's list of members."""

    async def ListRegions(self, request: ListRegionsRequest, /) -> ListRegionsResponse:
        """See hutong.lookup.v1.RegionDirectoryService."""


class Policies(Protocol):
    """The policies of the verdict service."""

    async def GetPolicyDigests(self, request: GetPolicyDigestsRequest, /) -> GetPolicyDigestsResponse:
        """See hutong.verdict.v1.PolicyService."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of services that the list of members does not name; an empty one is not asked. Stores are asked
    with one certificate, lookup and verdict with another: those of who may ask them."""

    lookup: str = ""
    verdict: str = ""
    gateway: str = ""
    of_lookup: TlsFiles | None = None
    of_gateway: TlsFiles | None = None


async def ask_all(members: MeshDirectory, addresses: Addresses) -> MeshFacts:
    """Returns what everybody says; who does not answer is part of it."""
    token = enter(within(SECONDS))
    try:
        async with asyncio.TaskGroup() as group:
            stores = [
                group.create_task(_store(name, member.records, addresses.of_lookup))
                for name, member in members.members.items()
            ]
            lookup = group.create_task(_lookup(addresses)) if addresses.lookup else None
            verdict = group.create_task(_verdict(addresses)) if addresses.verdict else None
            certificates = [
                group.create_task(shown_certificate(name, address, SECONDS))
                for name, address in _certified(members, addresses)
            ]
            gateway = group.create_task(asyncio.to_thread(_gateway, addresses.gateway)) if addresses.gateway else None
    finally:
        leave(token)
    return MeshFacts(
        [task.result() for task in stores],
        None if lookup is None else lookup.result(),
        None if verdict is None else verdict.result(),
        None if gateway is None else gateway.result(),
        [seen for task in certificates if (seen := task.result()) is not None],
    )


def _certified(members: MeshDirectory, addresses: Addresses) -> Iterator[tuple[str, str]]:
    """Yields the names and addresses of those who show certificates."""
    if addresses.of_lookup is not None:
        yield from ((name, member.records) for name, member in members.members.items())
    if addresses.of_gateway is not None:
        yield from (
            (name, address)
            for name, address in (("lookup", addresses.lookup), ("verdict", addresses.verdict))
            if address
        )


async def _store(name: str, address: str, files: TlsFiles | None) -> StoreFacts:
    # Nobody has this key, so nobody's data is touched.
    nobody = Subject(person_key=bytes(PERSON_KEY_BYTES))
    request = BatchListRecordsRequest(subjects=[nobody], purpose=Purpose.PURPOSE_SUPERVISION)
    answers: list[StoreAnswer] = []
    for _ in range(CONNECTIONS):
        async with Channels(CALLER, files) as channels:
            store = channels.remote(RecordsStore, address, service=f"records {name}", peer=store_of(name))
            asked_at = system_clock()
            try:
                response = await store.BatchListRecords(request)
            except ServiceError as error:
                return StoreFacts(name, address, answers, error.reason)
            as_of = from_timestamp(response.as_of) if response.HasField("as_of") else None
            answers.append(StoreAnswer(response.identity, as_of, asked_at, system_clock()))
    return StoreFacts(name, address, answers)


async def _lookup(addresses: Addresses) -> LookupFacts:
    async with Channels(CALLER, addresses.of_gateway) as channels:
        lookup = channels.remote(RegionDirectory, addresses.lookup, service="lookup", peer=principal("mesh/lookup"))
        try:
            response = await lookup.ListRegions(ListRegionsRequest(page_size=100))
        except ServiceError as error:
            return LookupFacts(addresses.lookup, error=error.reason)
    listed = {region.region: region.records_address for region in response.regions if region.records_address}
    if response.nation_address:
        listed[NATION] = response.nation_address
    return LookupFacts(addresses.lookup, response.directory_version, listed, identity=response.identity)


async def _verdict(addresses: Addresses) -> VerdictFacts:
    async with Channels(CALLER, addresses.of_gateway) as channels:
        policies = channels.remote(Policies, addresses.verdict, service="verdict", peer=principal("mesh/verdict"))
        try:
            response = await policies.GetPolicyDigests(GetPolicyDigestsRequest())
        except ServiceError as error:
            return VerdictFacts(addresses.verdict, error=error.reason)
    return VerdictFacts(addresses.verdict, frozenset(response.digests), response.program_version)


def _gateway(address: str) -> GatewayFacts:
    try:
        ready = json.loads(_read(f"{address}/readyz"))
        text = _read(f"{address}/metrics").decode()
    except (URLError, OSError, ValueError) as error:
        return GatewayFacts(address, error=str(error))
    components = cast(Mapping[str, str], ready.get("components", {}))
    version, build = _SECRET.search(text), _BUILD.search(text)
    return GatewayFacts(
        address,
        components,
        frozenset(_FEED.findall(text)),
        None if version is None else round(float(version[1])),
        "" if build is None else build[1],
    )


def _read(url: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise ValueError("begins with http:// or https://")
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            body: bytes = response.read()
    except HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        # A gateway that is not ready says why.
        body = error.read()
    return body
