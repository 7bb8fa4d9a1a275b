"""Policies are listed and shown through the contract, in one process and over a wire."""

import pytest
from hutong.verdict.v1 import policy_service_pb2 as pol

from services.common.errors import Code, ServiceError
from services.common.instants import parse_rfc3339, to_timestamp
from tests.testkit.builders.verdict_requests import NOW, violations
from tests.testkit.fakes.lookup import FakeLookup


async def test_policies_are_listed_page_by_page(transport):
    """Every page begins where the one before ended, and the whole is by region and start."""
    async with transport(FakeLookup()) as policies:
        token, ids = "", []
        while True:
            page = await policies.ListPolicies(pol.ListPoliciesRequest(page_size=10, page_token=token))
            ids += [policy.policy_id for policy in page.policies]
            assert all(not policy.yaml and policy.title.zh for policy in page.policies)
            token = page.next_page_token
            if not token:
                break
        shanghai = await policies.ListPolicies(pol.ListPoliciesRequest(region="310000"))
        with pytest.raises(ServiceError) as caught:
            await policies.ListPolicies(pol.ListPoliciesRequest(page_size=-1, page_token="nothing"))
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids)) > 31
    assert ids[-1] == "nation-2022-07-29"
    assert [policy.policy_id for policy in shanghai.policies] == [
        "310000-2022-06-01",
        "310000-2022-08-05",
        "310000-2022-09-01",
    ]
    assert violations(caught.value) == {"page_size": "PAGE_SIZE"}


async def test_a_policy_is_shown_whole(transport):
    """With the file it came from."""
    async with transport(FakeLookup()) as policies:
        policy = (await policies.GetPolicy(pol.GetPolicyRequest(policy_id="110000-2022-07-02"))).policy
        with pytest.raises(ServiceError) as caught:
            await policies.GetPolicy(pol.GetPolicyRequest(policy_id="110000-1999-01-01"))
    assert policy.region == "110000"
    assert 'region: "110000"' in policy.yaml
    assert policy.effective_from == to_timestamp(parse_rfc3339("2022-07-02T00:00:00+08:00"))
    assert (caught.value.code, caught.value.reason) == (Code.NOT_FOUND, "POLICY_NOT_FOUND")


async def test_every_region_with_a_policy_has_a_digest(transport):
    """The 31 of the mainland, and none for a region without: there is nothing to keep for it."""
    async with transport(FakeLookup()) as policies:
        response = await policies.GetPolicyDigests(pol.GetPolicyDigestsRequest())
    assert len(response.digests) == 31
    assert "710000" not in response.digests
    assert {len(digest) for digest in response.digests.values()} == {8}
    assert response.loaded_at == to_timestamp(NOW)
