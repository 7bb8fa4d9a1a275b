"""Serves FollowingService over the followers of a store."""

from collections.abc import Sequence

from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import following_service_pb2 as pb

from services.common.errors import FailedPrecondition, NotFound
from services.common.identities import FEED_CHANGED
from services.common.instants import to_timestamp
from services.common.requests import fields
from services.common.requests.violations import refuse
from services.records.domain.replication import Cursor
from services.records.identity import OwnIdentity
from services.records.replication.follower import RegionFollower
from services.records.servicers.writer import Writer
from services.records.store.unit_of_work import Known, Plan, Touch


class FollowingServicer:
    """Serves hutong.records.v1.FollowingService."""

    def __init__(self, followers: Sequence[RegionFollower], writer: Writer, identity: OwnIdentity) -> None:
        self._identity = identity
        self._followers = {follower.region: follower for follower in followers}
        self._writer = writer

    async def ListFollowedRegions(self, request: pb.ListFollowedRegionsRequest) -> pb.ListFollowedRegionsResponse:
        """Returns how it stands with each followed region."""
        return pb.ListFollowedRegionsResponse(
            regions=[_message(self._followers[code]) for code in sorted(self._followers)]
        )

    async def AcceptFeed(self, request: pb.AcceptFeedRequest) -> pb.AcceptFeedResponse:
        """Follows another feed from now on. Raises NotFound (REGION_NOT_FOLLOWED) and FailedPrecondition
        (FEED_NOT_MET)."""
        refuse(fields.region(request.region) + fields.cause(request.cause))
        await self._identity.require(request.store)
        follower = self._followers.get(request.region)
        if follower is None:
            raise NotFound("REGION_NOT_FOLLOWED", "本库不跟随该地区", "This store does not follow that region")
        if not request.feed_id or request.feed_id != follower.met_feed_id:
            raise FailedPrecondition(
                "FEED_NOT_MET",
                "该地区现在的变更流不是所指的那个",
                "That is not the feed that was met in the region's place",
            )

        def decide(known: Known) -> Plan:
            same = known.cursor.feed_id == request.feed_id
            return Plan(lambda _: b"", cursor=None if same else Cursor(request.feed_id, rereading=True))

        await self._writer.commit(Touch(followed=request.region), decide)
        return pb.AcceptFeedResponse(region=_message(follower))


def _message(follower: RegionFollower) -> pb.FollowedRegion:
    refused = follower.refusal
    return pb.FollowedRegion(
        region=follower.region,
        state=follower.state,
        feed_id=follower.feed_id,
        sequence=follower.sequence,
        as_of=to_timestamp(follower.as_of) if follower.as_of else None,
        met_feed_id=follower.met_feed_id if refused is not None and refused.reason == FEED_CHANGED else "",
        reason="" if refused is None else refused.reason,
        message=None if refused is None else LocalizedText(zh=refused.text.zh, en=refused.text.en),
    )
