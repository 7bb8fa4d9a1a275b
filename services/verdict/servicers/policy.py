"""PolicyService: the policies in use, for people and for caches."""

import asyncio

from hutong.verdict.v1 import policy_service_pb2 as pb

from services.common.errors import NotFound, invalid
from services.common.instants import to_timestamp
from services.common.requests.paging import bad_page_token, digest_of, page_size, read_token, write_token
from services.runtime.version import VERSION
from services.verdict.domain.policy.compiled import CompiledNotice, CompiledPolicy
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.policy.registry import PolicyRegistry
from services.verdict.policy.tools.strictness import counter_example
from services.verdict.servicers.translation import localized


class PolicyServicer:
    """Serves hutong.verdict.v1.PolicyService."""

    def __init__(self, registry: PolicyRegistry) -> None:
        self._registry = registry
        self._stricter: tuple[bytes, pb.FindStricterPoliciesResponse] | None = None

    async def GetPolicy(self, request: pb.GetPolicyRequest) -> pb.GetPolicyResponse:
        """Raises InvalidArgument (POLICY_ID_REQUIRED) and NotFound (POLICY_NOT_FOUND)."""
        if not request.policy_id:
            raise invalid("policy_id", "POLICY_ID_REQUIRED", "须填写政策编号", "The policy's id is required")
        version = self._registry.policies.by_id(request.policy_id)
        if version is None:
            raise NotFound("POLICY_NOT_FOUND", "没有这个编号的政策", "There is no policy with this id")
        policy = _message(version)
        policy.yaml = self._registry.yaml(request.policy_id)
        return pb.GetPolicyResponse(policy=policy)

    async def ListPolicies(self, request: pb.ListPoliciesRequest) -> pb.ListPoliciesResponse:
        """Raises InvalidArgument (PAGE_SIZE, PAGE_TOKEN). A region without policies has an empty list."""
        size = page_size(request.page_size)
        policies = self._registry.policies
        # The notice is the nation's; digits sort before letters.
        versions: list[CompiledPolicy | CompiledNotice] = [*policies.all_policies(), *policies.notices]
        if request.region:
            versions = [version for version in versions if version.ref.region == request.region]
        question = digest_of(request)
        start = 0
        if request.page_token:
            # The token names the policy after which the next page begins, so that a reload between pages loses nothing.
            after = policies.by_id(read_token(request.page_token, question, str))
            if after is None:
                raise bad_page_token()
            start = sum(_key(version) <= _key(after) for version in versions)
        page = versions[start : start + size]
        more = start + size < len(versions)
        return pb.ListPoliciesResponse(
            policies=[_message(version) for version in page],
            next_page_token=write_token(question, page[-1].ref.policy_id) if more else "",
        )

    async def GetPolicyDigests(self, request: pb.GetPolicyDigestsRequest) -> pb.GetPolicyDigestsResponse:
        """The digest of every division, also of those without a policy: one may come."""
        return pb.GetPolicyDigestsResponse(
            digests=self._registry.policies.digests,
            loaded_at=to_timestamp(self._registry.loaded_at),
            program_version=VERSION,
        )

    async def FindStricterPolicies(self, request: pb.FindStricterPoliciesRequest) -> pb.FindStricterPoliciesResponse:
        """Decided once for a set of policies, in a thread: nobody's verdict waits for it."""
        policies = self._registry.policies
        if self._stricter is None or self._stricter[0] != policies.digest:
            self._stricter = (policies.digest, await asyncio.to_thread(_stricter, policies))
        return self._stricter[1]


def _stricter(policies: PolicySet) -> pb.FindStricterPoliciesResponse:
    response = pb.FindStricterPoliciesResponse()
    for policy in policies.all_policies():
        example = counter_example(policy, policies)
        if example is not None:
            response.policies.add(
                policy=_message(policy),
                counter_example=localized(example.text()),
                declared=not policy.rules(example.scene).notice_rule.enforce,
            )
    return response


def _key(version: CompiledPolicy | CompiledNotice) -> tuple[str, int]:
    return (version.ref.region, version.starts)


def _message(version: CompiledPolicy | CompiledNotice) -> pb.Policy:
    ref = version.ref
    return pb.Policy(
        region=ref.region,
        policy_id=ref.policy_id,
        title=localized(version.source.title),
        effective_from=to_timestamp(ref.effective_from),
        content_hash=ref.content_hash,
    )
