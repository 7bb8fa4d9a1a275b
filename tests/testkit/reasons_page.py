"""docs/reasons.md, made from the code that gives reasons: `python -m tests.testkit.reasons_page > docs/reasons.md`."""

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from gateway.http.problems import STATUSES
from services.certificates.refusals import TEXTS
from services.common.errors import Code
from tests.testkit.checks.reasons import FIELD, Given, given

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reasons.md"

HEAD = """\
# 错误原因 Reasons

Every error has a gRPC code, one **reason** that stays the same for ever, and a text in Chinese and English. Act on the
reason; show the text. This page is made from the code, by `python -m tests.testkit.reasons_page > docs/reasons.md`; a
test says when it is not up to date, so every reason that can be given is here. How to retry: [clients.md](clients.md).

| Where | What carries it |
|---|---|
| gRPC | `google.rpc.Status` in the trailer `grpc-status-details-bin`: one `ErrorInfo` (`reason`, domain `hutong`, `metadata`), `BadRequest` with every wrong field (`field`, `reason`), `LocalizedMessage` in `zh-CN` and `en` |
| HTTP | `application/problem+json`: `reason`, `status`, `traceId`, `violations`, `metadata` |
| one item of a batch | `hutong.common.v1.Error`: `code`, `reason`, `message`, `violations`, `metadata`; the other items have their answers |

"""  # noqa: E501  # rows of a table

RETRY: Mapping[str, str] = {
    "UNAVAILABLE": "yes, with back-off",
    "DEADLINE_EXCEEDED": "yes: reads as they are, writes under the same `request_id`",
    "RESOURCE_EXHAUSTED": "yes, after what `RetryInfo` or `Retry-After` says",
    "ABORTED": "yes, from the beginning",
    "CANCELLED": "if you still want the answer",
    "INTERNAL": "once; then report the trace id",
    "UNKNOWN": "once; then report the trace id",
    "DATA_LOSS": "no; report the trace id",
}
"""Whether to ask again, unchanged, by code; for the others it does not help."""

MEANS: Mapping[str, str] = {
    "INVALID_ARGUMENT": "the request cannot be right, whatever the state; its fields are named",
    "NOT_FOUND": "what was named does not exist; never said because something could not be asked",
    "ALREADY_EXISTS": "something else is stored under that name",
    "FAILED_PRECONDITION": "right in itself, but not in the present state",
    "UNAVAILABLE": "could not be asked, or not now",
    "DEADLINE_EXCEEDED": "no time was left; whether a write happened is not known",
    "UNAUTHENTICATED": "who calls is not said, or not proven",
    "PERMISSION_DENIED": "who calls may not",
    "RESOURCE_EXHAUSTED": "too much at once",
    "CANCELLED": "the caller left, or the server ended the call",
    "INTERNAL": "a mistake of ours; nothing of it is told but the trace id",
    "UNIMPLEMENTED": "there is no such method here",
    "ABORTED": "somebody else was quicker",
    "OUT_OF_RANGE": "beyond the end",
    "DATA_LOSS": "what is stored cannot be read",
    "UNKNOWN": "another program on the way failed",
}

WITHOUT_MAKER = (
    Given("INVALID_ARGUMENT", FIELD, "请求有误", "The request is not valid", "services/common/errors.py"),
    Given("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "超时", "The deadline has passed", "services/common/errors.py"),
    Given(
        "LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "请求过多，超出限额 …",
        "Too many requests: the limit … is exceeded",
        "services/common/errors.py",
        ("limit",),
    ),
    Given("MORE_VIOLATIONS", FIELD, "另有…处错误", "… more are wrong", "services/runtime/rpc/errors.py"),
)
"""Reasons that a class or the wire gives, and no place in particular."""

DO: Mapping[str, str] = {
    "AUDIT_UNWRITABLE": "ask again later; the service's operator has to make room for its audit trail",
    "BATCH_GAP": "open the session again and go on from the batch that it answers",
    "TOO_MANY_STREAMS": "end the streams that you do not read; one watch a process is enough, share it there",
    "TOO_MANY_WAITING": "ask for less at once, or wait for the answers",
    "BODY_TOO_LARGE": "send less at once: 1 MiB",
    "ACCESS_DENIED": "`hutong access explain` says what you may call; ask the operator for more",
    "PURPOSE_DENIED": "state the purpose that the call has, or ask the operator for a grant",
    "VENUE_ASKS_NOW": "leave `at` and `known_at` out: a venue is told of now alone",
    "ORIGIN_DENIED": "leave the origin out: report the test as your own, or have the region's system bring the copy",
    "LABORATORY_DENIED": "send what is your own laboratory's; another's record is changed by that laboratory, or by the"
    " region's own system",
    "REGION_DENIED": "ask about your own region, in its own store",
    "PASSES_NOT_ISSUED": "the operator sets HUTONG_PASS_KEY; until then show the code itself",
    "CERTIFICATES_NOT_ISSUED": "the operator puts the region's signer into HUTONG_CERTIFICATE_SIGNERS, or renews it",
    "CERTIFICATES_NOT_VERIFIED": "the operator sets HUTONG_CERTIFICATE_TRUST; `hutong certificate verify` needs none",
    "CERTIFICATES_NOT_TAKEN": "the operator sets HUTONG_CERTIFICATE_TRUST of lookup; claim the result instead",
    "RESULT_NOT_CERTIFIABLE": "ask for another result; one that waits or is void is no certificate's",
    "HOLDER_NAME_UNKNOWN": "have the issuer state the claim that is named; or a laboratory asks, and states the name",
    "NAME_NOT_TAKEN": "leave `name` out: people do not vouch for their own",
    "NAME_REQUIRED": "state the name as in the holder's passport or its transliteration",
    "NAME_FORMAT": "write A to Z and `<`, as a passport does; `written_name` takes any script",
    "FORMAT_UNKNOWN": "ask for a format that the contract names",
    "CERTIFICATE_REQUIRED": "send the text that the QR code says, from `HC1:` on",
    "VERDICT_STALE": "ask again; meanwhile show the last code, which says how old it is",
    "VOIDS_UNKNOWN": "the gate goes on with the bundle that it has, and asks again",
    "PUSH_OFF": "the operator sets HUTONG_PUSH_KEY and HUTONG_PUSH_STORE; until then the page shows no switch",
    "PUSH_ENDPOINT": "subscribe with a browser whose push service the operator allows (HUTONG_PUSH_SERVICES)",
    "PUSH_KEYS": "send what the browser's PushSubscription says of itself (toJSON), unchanged",
    "LANGUAGE_UNKNOWN": "CHINESE or ENGLISH",
    "NO_SUPERVISION_STORE": "the operator has to give the gateways a store (HUTONG_SUPERVISION_STORE) first",
    "REFUSAL_NOT_FOUND": "list the refusals again; one is kept for HUTONG_SUPERVISION_DAYS",
    "NO_AUDIT_TRAIL": "the operator has to keep a trail (HUTONG_AUDIT) before anybody can be told of it",
    "AUDIT_UNREADABLE": "ask again; the operator looks at the trail",
    "PERSON_DENIED": "ask about yourself, or about a dependant whom the token names",
    "TOKEN_MISSING": "sign in, and send the token as `Authorization: Bearer …`",
    "TOKEN_MALFORMED": "send one whole JWT of at most 8 KiB, signed, without critical extensions",
    "TOKEN_ALGORITHM": "have tokens signed with an algorithm that the operator's list of issuers names",
    "TOKEN_ISSUER": "sign in with an issuer that the operator's list names",
    "TOKEN_KEY_UNKNOWN": "sign in again; an issuer publishes a key before it signs with it",
    "TOKEN_SIGNATURE": "sign in again",
    "TOKEN_AUDIENCE": "ask for a token for this gateway",
    "TOKEN_EXPIRED": "sign in again",
    "TOKEN_NOT_YET_VALID": "set the issuer's clock, or wait",
    "TOKEN_CLAIMS": "have the issuer state the claims that docs/clients.md lists",
    "TOKEN_ROLE": "sign in with an issuer that may give this role, for this region",
    "TOKEN_KEYS_UNAVAILABLE": "ask again; the operator looks at the issuer's JWKS",
    "SAMPLE_PERSON_UNKNOWN": "take a person of /v1/samplePeople",
    "CREDENTIAL_ENDED": "open the stream again, with a certificate that is still valid",
    "CALLER_UNTRUSTED": "renew the certificate, or have its authority put among those that are trusted",
    "CALLER_UNNAMED": "send the metadata entry `hutong-caller`",
    "CANCELLED": "ask again if you still want the answer",
    "CHECKPOINT_SIZE": "prove from the size in the metadata on",
    "CHECKPOINT_INCONSISTENT": "the trail was cut or rewritten, or belongs to somebody else: find out which",
    "WITNESS_UNWRITABLE": "ask again later; the witness's operator has to make room",
    "CHARSET_UNSUPPORTED": "send UTF-8, as JSON has it",
    "CLAIM_RETRACTED": "the region retracted this result; claim another",
    "CLOCK_OFF": "ask again later; the operator has to set the clock of lookup, or of a store",
    "CONFLICT_NOT_AMENDABLE": "only what is stored can stay: settle it so",
    "CONFLICT_NOT_FOUND": "list the conflicts of this store",
    "CONFLICT_SETTLED": "it was settled the other way; read it",
    "CONTENT_ENCODING_UNSUPPORTED": "compress the body by gzip, or not at all",
    "CONTENT_TYPE_UNSUPPORTED": "send `application/json`",
    "CORRECTION_KIND_UNFIT": "choose a kind that fits: what waits is late, what was reported is wrong",
    "CORRECTION_NOT_MADE": "amend or retract the record first, then answer",
    "CORRECTION_REQUEST_ANSWERED": "read its answer; a new request may be made",
    "CORRECTION_REQUEST_NOT_FOUND": "list the requests of this region",
    "CORRECTION_REQUEST_OPEN": "wait for the answer to the request that is named",
    "DEADLINE_EXCEEDED": "give the call more time, or ask again",
    "DRAINING": "connect again, to another server, and go on from your cursor or acknowledgement",
    "EVIDENCE_INCOMPLETE": "report the trace id",
    "FEED_CHANGED": "the store there has another history: find out why; `hutong records reconcile` accepts it",
    "FEED_ENDED": "watch again from your cursor",
    "FEED_REBUILT": "your cursor is of another history: begin anew without one, and compare",
    "FEED_LATE": "watch again from your cursor; the clocks of both sides may differ",
    "FEED_NOT_MET": "look at the feed that was met in the region's place, and confirm that one",
    "FEED_SILENT": "watch again from your cursor",
    "HEAD_TOO_LARGE": "send fewer and shorter headers: at most 100 and 16 KiB",
    "HOST_REQUIRED": "send one `Host`",
    "HTTP_MALFORMED": "send HTTP/1.1",
    "INTERNAL": "report the trace id",
    "INVALID_ARGUMENT": "look at the violations: each names its field and its own reason",
    "LABORATORY_NOT_FOUND": "register the laboratory first",
    "LABORATORY_TAKEN": "another region has this id; take another",
    "LIMIT_EXCEEDED": "wait as `Retry-After` or `RetryInfo` says; ask less, or ask the operator for a higher limit",
    "LINK_NOT_FOUND": "these two documents are not linked directly",
    "MESSAGE_TOO_LARGE": "send less at once; the contract says how much a batch may hold",
    "METHOD_NOT_ALLOWED": "use the method in `Allow`",
    "MORE_VIOLATIONS": "mend the fields that are named, then send again",
    "NO_POLICY_IN_FORCE": "there is no policy of that region at that instant; ask for another",
    "OTHER_SECRET": "the store there is of another mesh: compare the secrets of both sides",
    "OVERLOADED": "ask again after `RetryInfo` or `Retry-After`; send less at a time, and codes rather than batches",
    "PATH_UNKNOWN": "see `/docs`",
    "POLICIES_WENT_BACK": "ask again; the operator has to give every verdict replica the same policies",
    "POLICY_NOT_FOUND": "list the policies",
    "READER_TOO_SLOW": "read faster, or work elsewhere than where you read; open the stream again at the cursor, or the"
    " acknowledgement, of the last message that you read",
    "RECORD_IS_COPY": "ask the region that keeps the original",
    "RECORD_CONFLICT": "look at what is stored; amend it by naming its revision, or let somebody settle the conflict",
    "RECORD_NOT_FOUND": "ask the store that keeps this region",
    "RECORD_RETRACTED": "it stays retracted; submit the test under another id if it holds again",
    "REGION_NOT_FOLLOWED": "ask the nation's store, or another that follows the region",
    "REGION_NOT_KEPT": "send it to the store of that region; the directory has its address",
    "REGION_NOT_ON_MESH": "this region cannot be written through the mesh",
    "REGION_UNKNOWN": "use a province-level code of GB/T 2260, such as 110000",
    "REQUEST_ID_REUSED": "make a new `request_id` for another request",
    "RESULT_IS_LOCAL": "the region has this result already; nothing to claim",
    "RESULT_NOT_FOUND": "no other region is known to have a result; see the coverage",
    "REVISION_MISMATCH": "read the record, decide again, and name its present revision",
    "SCOPE_SWITCH_UNSUPPORTED": "this region has no switch; its code looks at the national database",
    "SERVICE_UNREACHABLE": "ask again later; the answer is not known",
    "SOURCES_UNREACHABLE": "ask again later; nobody could be asked",
    "STORE_MOVING": "ask again in a few seconds; nothing was stored",
    "STORE_UNAVAILABLE": "ask again later; nothing was stored",
    "SUSPENSION_CONFLICT": "another suspension has this id; take another",
    "SUSPENSION_LIFTED": "it was lifted; suspend under another id",
    "SUSPENSION_NOT_FOUND": "look at the laboratory's suspensions",
    "TOO_MANY_CORRECTION_REQUESTS": "wait for answers, or until tomorrow",
    "TOO_MANY_DOCUMENTS": "a person has at most 16 documents; unlink one first",
    "WRONG_STORE": "another store answers at that address: mend the directory",
}
"""What to do about what is not about a field alone."""

AGAIN: Mapping[str, str] = {
    "BATCH_GAP": "yes, from the batch that the session answers",
    "FEED_CHANGED": "no",
    "FEED_REBUILT": "yes, from the beginning",
    "DRAINING": "yes, at once",
    "MESSAGE_TOO_LARGE": "no",
    "OTHER_SECRET": "no",
    "READER_TOO_SLOW": "yes, from your cursor or acknowledgement",
    "REVISION_MISMATCH": "yes, after reading",
    "WRONG_STORE": "no",
}
"""Whether to ask again, where the code alone does not tell."""

VERDICT: Mapping[str, str] = {
    "AWAITING_RESULT": "a sample without a result yet, accepted by a clause",
    "CHANNEL_NOT_ACCEPTED": "the clause does not accept this channel",
    "EXEMPT_BY_AGE": "the holder is under the age from which tests are required",
    "HELD_DAY": "the last day of the window is shown on while a sample of that day awaits its result",
    "INCONCLUSIVE": "the result counts neither way; test again",
    "LABORATORY_NOT_ACCREDITED": "the laboratory was not accredited when the sample was taken",
    "LABORATORY_SUSPENDED": "the laboratory is suspended for samples of that time",
    "NATIONAL_NOTICE": "the ground of a recognition by the national notice",
    "NOTHING_REQUIRED": "the policy, or its rule for the scene, requires nothing",
    "NOTICE_NOT_CARRIED_OUT": "the notice protects this result, and the region refuses it",
    "NOT_CLEARED": "a positive needs more negatives",
    "NO_EVIDENCE": "no test is known",
    "OPEN_POSITIVE": "a positive that is not cleared",
    "ORIGIN_NOT_ACCEPTED": "the clause does not accept this origin",
    "OUTSIDE_SCOPE": "only the national database has it, and the provincial one was asked",
    "POSITIVE_CLEARED": "a positive that later negatives cleared",
    "POSITIVE_POOL": "a pool was positive, and a single retest is owed",
    "RESULT_AWAITED": "sampled, not reported yet",
    "RESULT_OVERDUE": "sampled, and waiting for longer than the policy allows",
    "RETEST_OWED": "a positive pool asks for a single test",
    "RETRACTED": "the record was retracted",
    "SAMPLED_LATER": "sampled after the instant asked about",
    "SAMPLING_TIME_UNKNOWN": "the clause asks for a sampling time, and none is known",
    "SOURCE_SILENT": "a store cannot be reached; what it recorded since it was last known is not counted",
    "SOURCE_SILENT_TOO_LONG": "a store that may know a positive could not be reached for longer than the policy allows",
    "SOURCE_UNREACHABLE": "a store that could have helped did not answer",
    "TOO_FEW_TESTS": "fewer tests than the clause counts, or too close together",
    "TUBE_NOT_ACCEPTED": "the clause does not accept this tube",
    "UNDATED": "the record tells neither when it was sampled nor when it was reported",
    "WINDOW_EXPIRED": "older than the clause's window",
}
"""What a verdict's reasons and grounds mean; they are no errors."""


METADATA: Mapping[str, str] = {
    "correction_request_id": "the request that waits for its answer",
    "later_revision": "the record's newest revision since, 0 where there is none",
    "origin_region": "the region that keeps the original",
    "size": "how many lines the witness has seen",
    "current_revision": "the revision that stands now: read it, decide, and name it",
    "feed_id": "the feed that the store has",
    "limit": "the limit's name",
    "meant": "what the call meant to reach",
    "per_caller": "streams that one caller may have open",
    "per_connection": "streams that one connection may carry",
    "region": "the region that it is about, or that has the id",
    "store": "the name of the store that keeps the region, or that was reached",
}
"""What the metadata of an ErrorInfo says, by its name: a program may act on it."""

CERTIFICATE: Mapping[str, str] = {str(reason): str(text) for reason, text in TEXTS.items()}

KEPT: Mapping[str, str] = {
    "RESTORED_CONTENT": "a restored region says something else of a record than what was given back to it",
    "RESTORED_PERSON": "a restored region has the id under another person than was given back to it",
}
"""Why a conflict is kept, besides the reason that its submission was refused with."""


@cache
def collected() -> Mapping[str, Sequence[Given]]:
    """Returns every reason with the places that give it, by name."""
    reasons: dict[str, list[Given]] = {}
    for one in (*given(ROOT), *WITHOUT_MAKER):
        if one.reason:
            reasons.setdefault(one.reason, []).append(one)
    return dict(sorted(reasons.items()))


def about_a_field(places: Sequence[Given]) -> bool:
    """Tells if a reason is only ever that of a field."""
    return all(place.code == FIELD for place in places)


def _codes(places: Sequence[Given]) -> str:
    return ", ".join(dict.fromkeys(place.code for place in places))


def _text(places: Sequence[Given]) -> str:
    zh, en = next(((place.zh, place.en) for place in places if place.zh.strip("…")), ("", ""))
    return f"{zh}<br>{en}".replace("|", "/")


def _by(places: Sequence[Given]) -> str:
    parts = {place.module.split("/")[0 if place.module.startswith("gateway") else 1] for place in places}
    return "all" if parts & {"common", "runtime"} else ", ".join(sorted(parts))


def _retry(name: str, places: Sequence[Given]) -> str:
    return AGAIN.get(name) or RETRY.get(places[-1].code, "no")


def _metadata(places: Sequence[Given]) -> str:
    names = dict.fromkeys(name for place in places for name in place.metadata)
    return "<br>".join(f"`{name}`: {METADATA[name]}" for name in names)


def page() -> str:
    """Returns the whole page."""
    parts = [HEAD, "## Codes\n\n| Code | HTTP | It means | Again? |\n|---|---|---|---|\n"]
    parts += [
        f"| {code.name} | {STATUSES[code]} | {MEANS[code.name]} | {RETRY.get(code.name, 'no')} |\n"
        for code in sorted(Code, key=lambda one: one.name)
    ]
    reasons = collected()
    parts.append(
        "\n## Reasons of state\n\n| Reason | Code | It says | Given by | Metadata | Do | Again? |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    parts += [
        f"| `{name}` | {_codes(places)} | {_text(places)} | {_by(places)} | {_metadata(places)} "
        f"| {DO[name]} | {_retry(name, places)} |\n"
        for name, places in reasons.items()
        if name in DO
    ]
    parts.append(
        "\n## Reasons of fields\n\nCode INVALID_ARGUMENT, in a violation that names the field. Mend the field; the "
        "same again is refused again.\n\n| Reason | It says | Given by |\n|---|---|---|\n"
    )
    parts += [f"| `{name}` | {_text(places)} | {_by(places)} |\n" for name, places in reasons.items() if name not in DO]
    parts.append(
        "\n## Reasons of a verdict\n\nThey are no errors: `grounds` and `reasons` of a verdict say why, and what would "
        "have been enough.\n\n| Code | It means |\n|---|---|\n"
    )
    parts += [f"| `{name}` | {meaning} |\n" for name, meaning in VERDICT.items()]
    parts.append("\n## Reasons of a conflict\n\nA conflict is kept under the reason that refused its submission, or:\n")
    parts.append("\n| Reason | It means |\n|---|---|\n")
    parts += [f"| `{name}` | {meaning} |\n" for name, meaning in KEPT.items()]
    parts.append("\n## Reasons of a test certificate\n\nIn the order of the stages; the first that applies is given.\n")
    parts.append("\n| Reason | It says |\n|---|---|\n")
    parts += [f"| `{reason}` | {text} |\n" for reason, text in CERTIFICATE.items()]
    parts.append(
        "\nWhy a row of a laboratory's file is refused before it is sent: [laboratory-files.md](laboratory-files.md).\n"
    )
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
