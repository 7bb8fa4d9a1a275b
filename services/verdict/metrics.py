"""The metrics of the verdict service. By region, never by person."""

from prometheus_client import Counter, Gauge

from services.verdict.domain.verdict import NoticeOutcome, Status, Verdict

VERDICTS = Counter("hutong_verdict_verdicts", "Verdicts by region and status.", ["region", "status"])
NOTICE = Counter(
    "hutong_verdict_notice",
    "How the national notice came in: ENFORCED, recognised on its ground; REFUSAL, refused although it binds.",
    ["region", "outcome"],
)
LOADED = Gauge(
    "hutong_verdict_policies_loaded_seconds", "When the policies in use were loaded, seconds since the epoch."
)
STALE = Gauge("hutong_verdict_policies_stale", "1 while the policy files cannot be used and the last good set is kept.")
RELOADS = Counter(
    "hutong_verdict_policy_reloads",
    "Changes of the policy files, by what became of them: TAKEN or REFUSED.",
    ["outcome"],
)

ASKED_AGAIN = Counter(
    "hutong_verdict_asked_again", "Verdicts for which a selection of the holder's past was not enough.", ["region"]
)

EVIDENCE_REFUSED = Counter(
    "hutong_verdict_evidence_refused",
    "Answers of lookup that were not used, because it is another than the one that is meant: WRONG_STORE or "
    "OTHER_SECRET.",
    ["reason"],
)

_verdicts: dict[tuple[str, int], Counter] = {}
_notice: dict[tuple[str, int], Counter] = {}


def count(verdict: Verdict) -> None:
    """Counts one verdict. The labelled counters are remembered: finding one by its labels costs more than counting."""
    key = (verdict.region, verdict.status)
    counter = _verdicts.get(key)
    if counter is None:
        counter = _verdicts[key] = VERDICTS.labels(verdict.region, Status(verdict.status).name)
    counter.inc()
    if verdict.notice:
        outcome = (verdict.region, verdict.notice)
        supervised = _notice.get(outcome)
        if supervised is None:
            supervised = _notice[outcome] = NOTICE.labels(verdict.region, NoticeOutcome(verdict.notice).name)
        supervised.inc()
