"""Every method, old and new, keeps the promises of the contracts."""

import importlib
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from tests.testkit.tools import ROOT

PROTOS = ROOT / "protos"

READS = ("Get", "List", "Compute", "Evaluate", "Show", "Check", "Find", "Reopen")
STREAMS = ("Watch", "Stream")
PERSONAL = {"subject", "document", "query", "judge"}
NO_BATCH = {
    # Many regions for one person; for many people: BatchShowHealthCodes.
    "CheckDestinations",
    # A person asks who looked at them; nobody asks this about others.
    "ListAccesses",
    # Nor what others asked to have corrected.
    "ListHolderCorrectionRequests",
}


def services() -> Iterator[ServiceDescriptor]:
    """Every service of every contract."""
    for path in sorted(PROTOS.glob("hutong/*/v1/*_service.proto")):
        module = importlib.import_module(".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2")
        yield from module.DESCRIPTOR.services_by_name.values()


def methods() -> list[MethodDescriptor]:
    """Every method."""
    return [method for service in services() for method in service.methods]


def fields(method: MethodDescriptor) -> set[str]:
    """The names of a request's fields."""
    return set(method.input_type.fields_by_name)


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_what_asks_about_a_person_has_a_batch_form(method: MethodDescriptor) -> None:
    """Up to 1,000 at once, or an exception with its reason."""
    if method.name.startswith(READS) and fields(method) & PERSONAL and method.name not in NO_BATCH:
        others = {other.name for other in method.containing_service.methods}
        plural = f"Batch{method.name}s"
        assert {f"Batch{method.name}", plural} & others, plural


KNOWN_BY_CONTENT = {
    "CosignCheckpoint": "the same checkpoint is signed again",
    "AcceptFeed": "the feed that it names is accepted once, however often it is named",
    "GiveBack": "a revision that is there is not stored again",
    "IssuePass": "nothing is kept of a pass that was issued, and a second one is as good",
    "IssueCertificate": "nothing is kept of it, and a second one has the same identifier",
    "VerifyCertificate": "it reads",
    "PutPushSubscription": "a device is kept once for each person",
    "DeletePushSubscription": "one that is not there is no error",
}
"""What writes without a request id, and why a retry is no new request all the same."""

NO_PAGES = {
    "ListFollowedRegions": "there are at most as many as provinces",
    "ListHolderCorrectionRequests": "a person makes few, and the newest hundred of each store are given",
}
"""Lists that need no pages, and why."""


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_what_writes_takes_a_request_id(method: MethodDescriptor) -> None:
    """A retry is told from a new request."""
    if not method.name.startswith((*READS, *STREAMS, "Batch")) or "Submit" in method.name:
        assert "request_id" in fields(method) or method.name in KNOWN_BY_CONTENT


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_what_lists_is_paged(method: MethodDescriptor) -> None:
    """But for the feed, whose cursor is its page."""
    if method.name.startswith("List") and "cursor" not in fields(method) and method.name not in NO_PAGES:
        assert {"page_size", "page_token"} <= fields(method)
        assert "next_page_token" in method.output_type.fields_by_name


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name)
def test_what_touches_a_person_states_its_purpose(method: MethodDescriptor) -> None:
    """Every request about a person carries one."""
    about = PERSONAL | {"subjects", "documents", "queries", "submission", "submissions", "source_id"}
    if fields(method) & about:
        assert "purpose" in fields(method)
