"""hutong.lookup.v1.RegionDirectoryService."""

from hutong.lookup.v1.region_directory_service_pb2 import (
    GetRegionRequest,
    GetRegionResponse,
    ListRegionsRequest,
    ListRegionsResponse,
)

from services.common.errors import NotFound, invalid
from services.common.requests.paging import digest_of, page_size, read_token, write_token
from services.lookup.domain.directory import Directory
from services.lookup.identity import OwnIdentity


class RegionDirectoryServicer:
    """The directory, read only."""

    def __init__(self, directory: Directory, identity: OwnIdentity) -> None:
        self._directory = directory
        self._identity = identity

    async def GetRegion(self, request: GetRegionRequest) -> GetRegionResponse:
        """See the contract. Raises InvalidArgument (REGION_REQUIRED), NotFound (REGION_UNKNOWN)."""
        if not request.region:
            raise invalid("region", "REGION_REQUIRED", "须填写地区代码", "The region's code is required")
        region = self._directory.get(request.region)
        if region is None:
            raise NotFound("REGION_UNKNOWN", "没有该代码的地区", "No region has this code")
        return GetRegionResponse(region=region)

    async def ListRegions(self, request: ListRegionsRequest) -> ListRegionsResponse:
        """See the contract. Raises InvalidArgument (PAGE_SIZE, PAGE_TOKEN), Unavailable (STORE_UNAVAILABLE)."""
        size = page_size(request.page_size)
        question = digest_of(request)
        after = read_token(request.page_token, question, str) if request.page_token else ""
        regions = self._directory.after(after, size + 1)
        more = write_token(question, regions[size - 1].region) if len(regions) > size else ""
        return ListRegionsResponse(
            regions=regions[:size],
            next_page_token=more,
            nation_address=self._directory.nation_address,
            directory_version=self._directory.version,
            identity=await self._identity.now(),
        )
