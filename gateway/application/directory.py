"""The regions, as the directory last told them."""

import time
from collections.abc import Mapping

from hutong.lookup.v1.region_directory_service_pb2 import ListRegionsRequest
from hutong.lookup.v1.region_pb2 import Region

from gateway.ports import Regions
from services.common.errors import ServiceError

KEEP_SECONDS = 60.0
_PAGE = 100


class Directory:
    """Remembers the regions for a minute, and for as long as nobody answers. They change by hand, over months."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        self._known: Mapping[str, Region] = {}
        self._told_at = float("-inf")

    async def all(self) -> Mapping[str, Region]:
        """Every region by code, ascending. Raises ServiceError when it was never told and cannot be."""
        if self._known and time.monotonic() - self._told_at < KEEP_SECONDS:
            return self._known
        try:
            known: dict[str, Region] = {}
            token = ""
            while True:
                page = await self._regions.ListRegions(ListRegionsRequest(page_size=_PAGE, page_token=token))
                known.update((region.region, region) for region in page.regions)
                token = page.next_page_token
                if not token:
                    break
        except ServiceError:
            if not self._known:
                raise
        else:
            self._known = dict(sorted(known.items()))
        self._told_at = time.monotonic()
        return self._known
