"""VerdictService: limits, translate, ask the lookup, judge, translate.

Whatever asks, evidence is looked up in batches: single questions of one moment travel together, a batch travels as it
is. A lookup that cannot be asked is an error; what it says about a source that did not answer is part of the evidence.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, Evidence, EvidenceQuery
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1 import verdict_service_pb2 as pb
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from services.common.documents import PersonKeys
from services.common.errors import (
    Code,
    FailedPrecondition,
    ServiceError,
    Text,
    Unavailable,
)
from services.common.identities import ExpectedStore
from services.common.instants import Instant, format_rfc3339, from_timestamp, to_timestamp
from services.common.requests.batches import check_batch
from services.common.requests.violations import Violations
from services.runtime.clock import Clock
from services.runtime.resilience.coalescer import Coalescer
from services.runtime.resilience.turns import Turns
from services.runtime.rpc.call import current_asker, current_call
from services.runtime.rpc.errors import to_item_error
from services.runtime.telemetry.trace import current_span
from services.verdict import metrics
from services.verdict.domain import verdict as judged_values
from services.verdict.domain.evidence.values import Check
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.judgement.left_out import may_be_another
from services.verdict.domain.policy.policy_set import NoPolicyInForce, PolicySet
from services.verdict.policy.registry import PolicyRegistry
from services.verdict.ports import EvidenceSource
from services.verdict.servicers import translation
from services.verdict.servicers.requests import Question, evidence_violations, instants, question, read_check
from services.verdict.servicers.selections import selection

log = logging.getLogger("hutong.verdict")

PAST_IN_TURN = 20
"""So many questions about the past are judged in one turn; callers take turns, while codes of now do not wait."""


class VerdictServicer:
    """Serves hutong.verdict.v1.VerdictService."""

    def __init__(
        self,
        registry: PolicyRegistry,
        source: EvidenceSource,
        lookup: ExpectedStore,
        keys: PersonKeys,
        clock: Clock,
        version: str,
    ) -> None:
        """`lookup` is whose evidence counts: of another mesh's nothing is judged."""
        self._lookup = lookup
        self._registry = registry
        self._source = source
        self._keys = keys
        self._clock = clock
        self._version = version
        self._refused = ""
        # Questions of now and of the past travel apart: the past waits for its turn, and nothing else with it.
        self._lookups: Coalescer[tuple[Purpose.ValueType, bool], EvidenceQuery, _LookedUp] = Coalescer(
            self._look_up_together
        )
        self._turns = Turns()

    async def ComputeVerdict(self, request: pb.ComputeVerdictRequest) -> pb.ComputeVerdictResponse:
        """Raises InvalidArgument, FailedPrecondition (NO_POLICY_IN_FORCE), and what the lookup raises."""
        asked = self._question(request.query, "query")
        group = request.purpose or current_call().purpose, asked.past
        judged = self._judge_looked_up(asked, await self._lookups.ask(group, asked.lookup))
        if judged.may_be_another:
            metrics.ASKED_AGAIN.labels(asked.lookup.region).inc()
            judged = self._judge_looked_up(asked, await self._lookups.ask(group, asked.everything()))
        response = pb.ComputeVerdictResponse()
        judged.fill(response.verdict)
        self._say_who(response.judge, judged)
        _annotate(response.verdict)
        return response

    async def BatchComputeVerdicts(self, request: pb.BatchComputeVerdictsRequest) -> pb.BatchComputeVerdictsResponse:
        """Raises InvalidArgument (BATCH_SIZE), and what the lookup raises; each question's own error is its outcome."""
        check_batch(len(request.queries), "queries")
        response = pb.BatchComputeVerdictsResponse()
        asked: list[Question | ServiceError] = []
        for position, query in enumerate(request.queries):
            try:
                asked.append(self._question(query, f"queries[{position}]"))
            except ServiceError as error:
                asked.append(error)
        questions = [item for item in asked if isinstance(item, Question)]
        judged = iter(await self._judge_all(request.purpose or current_call().purpose, questions))
        last: _Judged | None = None
        for item in asked:
            outcome = response.outcomes.add()
            verdict = item if isinstance(item, ServiceError) else next(judged)
            if isinstance(verdict, ServiceError):
                outcome.error.CopyFrom(to_item_error(verdict))
                continue
            last = verdict
            verdict.fill(outcome.verdict)
            outcome.policy_digest = verdict.policies.digests[verdict.region]
        self._say_who(response.judge, last)
        _annotate_batch(response.outcomes)
        return response

    async def EvaluateEvidence(self, request: pb.EvaluateEvidenceRequest) -> pb.EvaluateEvidenceResponse:
        """Raises InvalidArgument and FailedPrecondition (NO_POLICY_IN_FORCE)."""
        response = pb.EvaluateEvidenceResponse()
        self._evaluate(request.judge, "judge", response.verdict)
        _annotate(response.verdict)
        return response

    async def BatchEvaluateEvidence(self, request: pb.BatchEvaluateEvidenceRequest) -> pb.BatchEvaluateEvidenceResponse:
        """Raises InvalidArgument (BATCH_SIZE); each item's own error is its outcome."""
        check_batch(len(request.judge), "judge")
        response = pb.BatchEvaluateEvidenceResponse()
        for position, item in enumerate(request.judge):
            outcome = response.outcomes.add()
            try:
                self._evaluate(item, f"judge[{position}]", outcome.verdict)
            except ServiceError as error:
                outcome.error.CopyFrom(to_item_error(error))
        _annotate_batch(response.outcomes)
        return response

    def _say_who(self, message: pb.Judge, judged: "_Judged | None") -> None:
        message.version = self._version
        message.policies_digest = self._registry.policies.digest
        message.clock.CopyFrom(to_timestamp(self._clock()))
        if judged is not None and judged.seen.by is not None:
            message.evidence.CopyFrom(judged.seen.by)

    def _question(self, query: pb.VerdictQuery, field: str) -> Question:
        now = self._clock()
        asked = question(query, self._keys, now, field)
        # Without a policy there is nothing to look evidence up for.
        try:
            policies = self._registry.policies if asked.known_at is None else self._registry.as_known(asked.known_at)
            wanted = selection(policies, query.region, now if asked.at is None else asked.at)
        except NoPolicyInForce as error:
            raise _no_policy(error) from None
        if wanted is not None:
            asked.lookup.selection.CopyFrom(wanted)
        return asked

    async def _judge_all(
        self, purpose: Purpose.ValueType, questions: Sequence[Question]
    ) -> Sequence["_Judged | ServiceError"]:
        """Judges many questions, on selections of their holders' pasts or, where that is not enough, on all of it."""
        if not any(asked.past for asked in questions):
            with self._turns.light():
                return await self._judge_slice(purpose, questions)
        judged: list[_Judged | ServiceError] = []
        for start in range(0, len(questions), PAST_IN_TURN):
            async with self._turns.heavy(current_asker()):
                judged += await self._judge_slice(purpose, questions[start : start + PAST_IN_TURN])
        return judged

    async def _judge_slice(
        self, purpose: Purpose.ValueType, questions: Sequence[Question]
    ) -> Sequence["_Judged | ServiceError"]:
        if not questions:
            return ()
        evidence = await self._look_up(purpose, [asked.lookup for asked in questions])
        judged = [self._judged_or_error(asked, seen) for asked, seen in zip(questions, evidence, strict=True)]
        again = [position for position, one in enumerate(judged) if isinstance(one, _Judged) and one.may_be_another]
        if again:
            for position in again:
                metrics.ASKED_AGAIN.labels(questions[position].lookup.region).inc()
            evidence = await self._look_up(purpose, [questions[position].everything() for position in again])
            for position, seen in zip(again, evidence, strict=True):
                judged[position] = self._judged_or_error(questions[position], seen)
        return judged

    def _judged_or_error(self, asked: Question, seen: "_LookedUp") -> "_Judged | ServiceError":
        try:
            return self._judge_looked_up(asked, seen)
        except ServiceError as error:
            return error

    def _judge_looked_up(self, asked: Question, seen: "_LookedUp") -> "_Judged":
        return self._judge(seen, asked.at, asked.known_at, asked.check, self._now(seen.evidence))

    def _now(self, evidence: Evidence) -> Instant:
        """The present, as the evidence has it: asked about that instant again, it will be the same."""
        return from_timestamp(evidence.known_at) if evidence.HasField("known_at") else self._clock()

    async def _look_up_together(
        self, group: tuple[Purpose.ValueType, bool], queries: Sequence[EvidenceQuery]
    ) -> Sequence["_LookedUp"]:
        return await self._look_up(group[0], queries)

    async def _look_up(self, purpose: Purpose.ValueType, queries: Sequence[EvidenceQuery]) -> Sequence["_LookedUp"]:
        response = await self._source.BatchGetEvidence(BatchGetEvidenceRequest(queries=queries, purpose=purpose))
        self._check(response.identity)
        if len(response.evidence) != len(queries):
            raise ServiceError(
                Code.INTERNAL,
                "EVIDENCE_INCOMPLETE",
                Text("查询服务应答不完整", "The lookup did not answer every question"),
            )
        return [_LookedUp(evidence, response.identity) for evidence in response.evidence]

    def _check(self, identity: StoreIdentity) -> None:
        try:
            self._lookup.check(identity)
        except Unavailable as error:
            metrics.EVIDENCE_REFUSED.labels(error.reason).inc()
            if error.reason != self._refused:
                log.error("lookup is not the one that is meant", extra={"reason": error.reason, "error": str(error)})
            self._refused = error.reason
            raise
        self._refused = ""

    def _evaluate(self, item: pb.EvidenceToJudge, field: str, verdict: Verdict) -> None:
        now = self._clock()
        violations = Violations()
        at, known_at = instants(item, now, field, violations)
        check = read_check(item, field, violations)
        violations.add(evidence_violations(item.evidence, f"{field}.evidence"))
        violations.refuse()
        self._judge(_LookedUp(item.evidence), at, known_at, check, now).fill(verdict)

    def _judge(
        self,
        seen: "_LookedUp",
        at: Instant | None,
        known_at: Instant | None,
        check: Check,
        now: Instant,
    ) -> "_Judged":
        known_at = now if known_at is None else known_at
        policies = self._registry.as_known(known_at)
        values = translation.evidence(seen.evidence)
        try:
            judged = judge(values, policies, now if at is None else at, known_at, check)
            return _Judged(judged, seen, policies, may_be_another(judged, values, policies))
        except NoPolicyInForce as error:
            raise _no_policy(error) from None


class _LookedUp(NamedTuple):
    """Evidence, and who gave it; None for the caller's own."""

    evidence: Evidence
    by: StoreIdentity | None = None


class _Judged(NamedTuple):
    """A verdict, what it was reached on and by, and whether it may be another one on all there is."""

    verdict: judged_values.Verdict
    seen: _LookedUp
    policies: PolicySet
    may_be_another: bool

    @property
    def region(self) -> str:
        """The region whose verdict it is."""
        return self.seen.evidence.region

    def fill(self, message: Verdict) -> None:
        """Counts the verdict, and writes it into an empty message."""
        metrics.count(self.verdict)
        translation.fill(message, self.verdict, self.seen.evidence)


def _no_policy(error: NoPolicyInForce) -> FailedPrecondition:
    when = format_rfc3339(error.at)
    return FailedPrecondition(
        "NO_POLICY_IN_FORCE",
        f"{error.region} 在 {when} 没有生效的政策",
        f"No policy of {error.region} is in force at {when}",
    )


def _annotate(verdict: Verdict) -> None:
    here = current_span()
    if here is not None:
        here.set(
            region=verdict.region,
            scope=Scope.Name(verdict.scope).removeprefix("SCOPE_"),
            status=Status.Name(verdict.status).removeprefix("STATUS_"),
        )


def _annotate_batch(outcomes: Sequence[pb.VerdictOutcome]) -> None:
    here = current_span()
    if here is None:
        return
    here.set(items=len(outcomes))
    if len(outcomes) == 1 and outcomes[0].HasField("verdict"):
        _annotate(outcomes[0].verdict)
