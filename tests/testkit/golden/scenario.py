"""Plays one golden case against a running mesh: what goes in over the mesh's ports, and what must come out."""

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle, product
from pathlib import Path
from typing import Any, Protocol

import grpc
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1.holder_service_pb2 import LinkDocumentsRequest, UnlinkDocumentsRequest
from hutong.lookup.v1.holder_service_pb2_grpc import HolderServiceStub
from hutong.records.v1 import record_read_service_pb2 as read
from hutong.records.v1 import record_write_service_pb2 as write
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_read_service_pb2_grpc import RecordReadServiceStub
from hutong.records.v1.record_write_service_pb2_grpc import RecordWriteServiceStub

from cli.mesh.plan import PRINCIPALS, REGIONS, SUPERVISOR, Plan, system_of
from cli.mesh.target import files_of
from services.common.id_numbers import check_character
from services.common.instants import (
    HOUR,
    MINUTE,
    SECOND,
    Instant,
    calendar_day,
    format_rfc3339,
    parse_rfc3339,
    start_of_day,
    to_timestamp,
)
from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.identity import Principal
from services.verdict.policy.files import CASES_SUFFIX
from tests.testkit.golden.clients import Answer, Given, HealthCodeClient

_RELATIVE = re.compile(r"now(?:([+-]\d+)h)?(?:([+-]\d+)m)?")
_OR_MIDNIGHT = " or midnight"
"""Whichever comes first: with a new day the days since the test are others."""
_METADATA = [("hutong-caller", "golden")]
_CALLERS = {"lookup": PRINCIPALS["gateway"], "nation": SUPERVISOR}
"""Who calls which service, where names are proven; a region's store is called by that region's system."""
_PATIENCE_SECONDS = 10.0
_UNHEARD_SECONDS = 30.0
"""For so long a source that runs may go unheard: on a busy machine its second is soon over. An answer that says so is
asked for again, as its holder would."""
MOST_IN_BATCH = 500


class RunningMesh(Protocol):
    """A running mesh, as a scenario needs it."""

    plan: Plan
    http: str
    grpc: Mapping[str, str]

    async def stop(self, name: str) -> None:
        """Ends one service."""

    async def start(self, name: str) -> None:
        """Starts it again on the address it had."""


def channel_as(caller: Principal, mesh: RunningMesh, name: str) -> grpc.aio.Channel:
    """Returns a channel to a service of a mesh, with the caller's certificate where the mesh has any."""
    if mesh.plan.certificates is None:
        return grpc.aio.insecure_channel(mesh.grpc[name])
    files = files_of(mesh.plan.endpoints(0), caller)
    assert files is not None
    credentials, override = channel_credentials(files.current(), PRINCIPALS[name])
    return grpc.aio.secure_channel(mesh.grpc[name], credentials, options=[override])


class Scenario:
    """One play of one case. Every play has people, sample numbers and laboratories of its own."""

    def __init__(self, mesh: RunningMesh, client: HealthCodeClient, salt: str) -> None:
        self._mesh = mesh
        self._calls = client
        self._salt = salt
        self._now = Instant(time.time_ns() // 1000 // SECOND * SECOND)
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._revisions: dict[tuple[str, str], int] = {}
        self._contents: dict[tuple[str, str], RecordContent] = {}
        self._stopped: set[str] = set()
        self._given: list[Given] = []
        self._policies: list[Path] = []
        self._certificates: dict[str, str] = {}

    async def play(self, steps: list[dict[str, Any]]) -> None:
        """Takes every step in turn, and then asks everything again as known then. Raises AssertionError with the step
        that went wrong."""
        try:
            await self.take(steps)
            await self.again()
        finally:
            for path in self._policies:
                path.unlink()

    async def take(self, steps: list[dict[str, Any]]) -> None:
        """Takes every step in turn; in the end nothing is down. Raises AssertionError with the step that went wrong."""
        try:
            for number, step in enumerate(steps, 1):
                (action,) = step.keys() - {"expect", "person"}
                try:
                    await getattr(self, f"_{action}")(step[action], step)
                except AssertionError as error:
                    raise AssertionError(f"step {number} {step}: {error}") from None
        finally:
            for name in list(self._stopped):
                await self._start(name, {})
            for channel in self._channels.values():
                await channel.close()

    async def ask_until(self, over: asyncio.Event, people: Sequence[str], regions: Sequence[str]) -> None:
        """Meanwhile, in turn and past the cache, asks for these people's codes in these regions."""
        turns = cycle(product(people, regions))
        while not over.is_set():
            name, region = next(turns)
            answer = await self._calls.show(self._person({"person": name}), region, refresh=True)
            self._given += answer.get("given", ())
            await asyncio.sleep(0.01)

    async def again(self) -> None:
        """Asks for each verdict again, one by one and in one batch: whatever happened since, it is the same."""
        for one in self._given:
            begun = time.monotonic()
            while True:
                answer = await self._calls.show(
                    one.person, one.region, scope=one.scope, at=one.at, known_at=one.known_at
                )
                if answer.get("given") == [one]:
                    break
                late = time.monotonic() - begun >= _UNHEARD_SECONDS
                if late or not self._unheard(answer):
                    raise AssertionError(f"as known at {one.known_at}: {answer}, but given was {one.verdict!r}")
                await asyncio.sleep(0.05)
        for start in range(0, len(self._given), MOST_IN_BATCH):
            batch = self._given[start : start + MOST_IN_BATCH]
            assert await self._calls.again(batch) == [one.verdict for one in batch]

    def _instant(self, text: str) -> Instant:
        relative = _RELATIVE.fullmatch(text)
        if relative is None:
            return parse_rfc3339(text)
        return Instant(self._now + int(relative[1] or 0) * HOUR + int(relative[2] or 0) * MINUTE)

    def _person(self, step: Mapping[str, Any]) -> dict[str, str]:
        name = step.get("person", "holder")
        digest = int(hashlib.sha256(f"{self._salt}/{name}".encode()).hexdigest(), 16)
        if name.startswith("passport"):
            return {"type": "PASSPORT", "number": f"E{digest % 10**8:08d}"}
        first17 = f"110105{1940 + digest % 60}{1 + digest // 60 % 12:02d}{1 + digest // 720 % 28:02d}{digest % 997:03d}"
        return {"type": "RESIDENT_ID", "number": first17 + check_character(first17)}

    def _subject(self, step: Mapping[str, Any]) -> Subject:
        person = self._person(step)
        document = Document(type=DocumentType.Value("DOCUMENT_TYPE_" + person["type"]), number=person["number"])
        return Subject(document=document)

    def _channel(self, name: str) -> grpc.aio.Channel:
        if name not in self._channels:
            self._channels[name] = channel_as(_CALLERS.get(name) or system_of(name), self._mesh, name)
        return self._channels[name]

    def _own(self, name: str) -> str:
        return f"{name}-{self._salt}"

    def _content(self, said: Mapping[str, Any]) -> RecordContent:
        result = said.get("result")
        content = RecordContent(
            kind=RecordKind.RECORD_KIND_RESULT if result else RecordKind.RECORD_KIND_SAMPLING,
            result=TestResult.Value(f"TEST_RESULT_{result}") if result else TestResult.TEST_RESULT_UNSPECIFIED,
            tube=Tube.Value(f"TUBE_{said.get('tube', 'SINGLE')}"),
            laboratory=self._own(said.get("lab", "lab")),
            site=said["to"],
            channel=Channel.Value(f"CHANNEL_{said.get('channel', 'LABORATORY')}"),
        )
        if "sampled" in said:
            content.sampled_at.CopyFrom(to_timestamp(self._instant(said["sampled"])))
        if "reported" in said:
            content.reported_at.CopyFrom(to_timestamp(self._instant(said["reported"])))
        if "origin" in said:
            content.origin.CopyFrom(Origin(region=said["origin"], source_id=self._own(f"{said['id']}-original")))
        return content

    async def _submit(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        content = self._content(said)
        reply = await RecordWriteServiceStub(self._channel(said["to"])).SubmitRecord(
            write.SubmitRecordRequest(
                submission=write.RecordSubmission(
                    region=said["to"], source_id=self._own(said["id"]), subject=self._subject(step), content=content
                ),
                purpose=Purpose.PURPOSE_RECORD_KEEPING,
            ),
            metadata=_METADATA,
        )
        if "outcome" in said:
            outcome = write.SubmitOutcome.Name(reply.outcome).removeprefix("SUBMIT_OUTCOME_")
            assert outcome == said["outcome"], outcome
        self._contents[said["to"], said["id"]] = reply.record.content
        await self._settled(said["to"], said["id"], reply.record.revision)

    async def _amend(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        key = said["to"], said["id"]
        content = RecordContent()
        content.CopyFrom(self._contents[key])
        content.result = TestResult.Value(f"TEST_RESULT_{said['result']}")
        reply = await RecordWriteServiceStub(self._channel(said["to"])).AmendRecord(
            write.AmendRecordRequest(
                region=said["to"],
                source_id=self._own(said["id"]),
                revision=self._revisions[key],
                content=content,
                cause=said["cause"],
                purpose=Purpose.PURPOSE_RECORD_KEEPING,
            ),
            metadata=_METADATA,
        )
        self._contents[key] = reply.record.content
        await self._settled(*key, reply.record.revision)

    async def _retract(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        key = said["to"], said["id"]
        reply = await RecordWriteServiceStub(self._channel(said["to"])).RetractRecord(
            write.RetractRecordRequest(
                region=said["to"],
                source_id=self._own(said["id"]),
                revision=self._revisions[key],
                cause=said["cause"],
                purpose=Purpose.PURPOSE_RECORD_KEEPING,
            ),
            metadata=_METADATA,
        )
        await self._settled(*key, reply.record.revision)

    async def _settled(self, region: str, name: str, revision: int) -> None:
        """Waits until the nation has followed: news travels within a second, and these cases are not about how fast."""
        self._revisions[region, name] = revision
        if "nation" in self._stopped:
            return
        request = read.GetRecordHistoryRequest(
            region=region, source_id=self._own(name), purpose=Purpose.PURPOSE_SUPERVISION
        )
        stub = RecordReadServiceStub(self._channel("nation"))

        async def arrived() -> bool:
            reply = await stub.GetRecordHistory(request, metadata=_METADATA, timeout=5)
            return len(reply.revisions) >= revision

        await self._followed(arrived)

    async def _followed(self, arrived: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if await arrived():
                    return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(0.02)
        raise AssertionError("the nation did not follow")

    async def _suspend(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        stub = RecordWriteServiceStub(self._channel(said["to"]))
        await stub.PutLaboratory(
            write.PutLaboratoryRequest(
                region=said["to"],
                laboratory=self._own(said["lab"]),
                display_name=LocalizedText(zh="某检验所", en="A laboratory"),
            ),
            metadata=_METADATA,
        )
        reply = await stub.SuspendLaboratory(
            write.SuspendLaboratoryRequest(
                laboratory=self._own(said["lab"]),
                suspension_id="one",
                sampled=Interval(
                    **{
                        "from": to_timestamp(self._instant(said["from"])),
                        "to": to_timestamp(self._instant(said["until"])),
                    }
                ),
                cause="licence revoked",
            ),
            metadata=_METADATA,
        )
        await self._standing(said["lab"], reply.laboratory.revision)

    async def _lift(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        reply = await RecordWriteServiceStub(self._channel(said["to"])).LiftSuspension(
            write.LiftSuspensionRequest(laboratory=self._own(said["lab"]), suspension_id="one", cause="appeal upheld"),
            metadata=_METADATA,
        )
        await self._standing(said["lab"], reply.laboratory.revision)

    async def _standing(self, lab: str, revision: int) -> None:
        stub = RecordReadServiceStub(self._channel("nation"))
        request = read.GetLaboratoryRequest(laboratory=self._own(lab))

        async def arrived() -> bool:
            reply = await stub.GetLaboratory(request, metadata=_METADATA, timeout=5)
            return reply.laboratory.revision >= revision

        await self._followed(arrived)

    async def _link(self, other: str, step: Mapping[str, Any]) -> None:
        await HolderServiceStub(self._channel("lookup")).LinkDocuments(
            LinkDocumentsRequest(
                subject=self._subject(step),
                other=self._subject({"person": other}),
                cause="passport renewed",
                purpose=Purpose.PURPOSE_HOLDER_DECISION,
            ),
            metadata=_METADATA,
        )

    async def _unlink(self, other: str, step: Mapping[str, Any]) -> None:
        await HolderServiceStub(self._channel("lookup")).UnlinkDocuments(
            UnlinkDocumentsRequest(
                subject=self._subject(step),
                other=self._subject({"person": other}),
                cause="linked in error",
                purpose=Purpose.PURPOSE_HOLDER_DECISION,
            ),
            metadata=_METADATA,
        )

    async def _stop(self, name: str, step: Mapping[str, Any]) -> None:
        await self._mesh.stop(name)
        self._stopped.add(name)

    async def _start(self, name: str, step: Mapping[str, Any]) -> None:
        await self._mesh.start(name)
        self._stopped.discard(name)
        if name not in ("nation", *REGIONS) or "lookup" in self._stopped:
            return
        region = "110000" if name == "nation" else name
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = await self._calls.show(self._person({"person": "nobody"}), region, at=format_rfc3339(self._now))
            if answer["coverage"].get(name) == "OK":
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name} was not found again")

    async def _backup(self, region: str, step: Mapping[str, Any]) -> None:
        """Copies a region's file while its store is closed."""
        await self._stop(region, {})
        store = self._store_of(region)
        shutil.copy(store, store.with_suffix(".backup"))
        await self._start(region, {})

    async def _restore(self, region: str, step: Mapping[str, Any]) -> None:
        await self._stop(region, {})
        store = self._store_of(region)
        for path in store.parent.glob(f"{store.name}*"):
            path.unlink()
        shutil.move(store.with_suffix(".backup"), store)
        await self._start(region, {})

    def _store_of(self, region: str) -> Path:
        return Path(self._mesh.plan.store_url(region).removeprefix("sqlite:///"))

    async def _policy(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        """A new version of a region's policy that says the same and starts later."""
        assert self._mesh.plan.policies is not None
        folder = self._mesh.plan.policies / said["region"]
        newest = max(path for path in folder.glob("*.yaml") if not path.name.endswith(CASES_SUFFIX))
        starts = format_rfc3339(self._instant(said["starts"]))
        text = re.sub(r"(?m)^effective_from: .*$", f"effective_from: {starts}", newest.read_text(encoding="utf-8"))
        # Moved there whole: a file that is looked at half-written would only be refused, but also be logged.
        draft = folder / ".draft"
        draft.write_text(text, encoding="utf-8")
        self._policies.append(draft.rename(folder / f"z{self._salt}.yaml"))

    async def _tell_again(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        """All that was said so far; to be used where it cannot be."""
        for one in list(self._given):
            answer = await self._calls.show(one.person, one.region, scope=one.scope, at=one.at, known_at=one.known_at)
            wrong = {key: value for key, value in step["expect"].items() if not self._same(key, value, answer)}
            assert not wrong, f"as known at {one.known_at}: {answer}"

    async def _show(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        options = {key: value for key, value in said.items() if key not in ("region", "once")}
        # News from elsewhere may take a moment; what the holder did through this gateway may not.
        live = "at" not in options and not said.get("once")
        if "at" in options:
            options["at"] = format_rfc3339(self._instant(options["at"]))
        await self._meets(step["expect"], live, lambda: self._calls.show(self._person(step), said["region"], **options))

    async def _destinations(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        at = said.get("at")
        at = None if at is None else format_rfc3339(self._instant(at))
        regions = said.get("regions", [])
        await self._meets(step["expect"], at is None, lambda: self._calls.destinations(self._person(step), regions, at))

    async def _results(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        await self._meets(step["expect"], False, lambda: self._calls.results(self._person(step)))

    async def _claim(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        await self._meets(step["expect"], False, lambda: self._calls.claim(self._person(step), said["region"]))

    async def _certify(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        answer = await self._calls.certify(
            self._person(step), said["region"], self._own(said["id"]), self._own(said.get("lab", "lab"))
        )
        text = answer.pop("text", None)
        if text is not None:
            self._certificates[said["id"]] = text
        assert answer == step.get("expect", {}), answer

    async def _verify(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        text = self._shown_text(said)
        await self._meets(step["expect"], False, lambda: self._calls.verify(self._person(step), text))

    async def _present(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        text = self._shown_text(said)
        await self._meets(step["expect"], False, lambda: self._calls.present(self._person(step), said["region"], text))

    def _shown_text(self, said: Mapping[str, Any]) -> str:
        text = self._certificates[said["id"]]
        # Whole groups of three letters stay: what is cut is the compressed data, not the encoding.
        return text[: 4 + (len(text) - 4) // 3 * 3 - 3] if said.get("damaged") else text

    async def _switch(self, said: Mapping[str, Any], step: Mapping[str, Any]) -> None:
        await self._meets(
            step["expect"],
            False,
            lambda: self._calls.switch(self._person(step), said["region"], said["scope"]),
        )

    async def _meets(self, expected: Mapping[str, Any], live: bool, ask: Any) -> None:
        """Compares the fields that the case names. A live answer may lag behind the news, within the stated bound."""
        begun = time.monotonic()
        while True:
            answer: Answer = await ask()
            self._given += answer.get("given", ())
            wrong = {
                key: answer.get(key, "absent") for key, value in expected.items() if not self._same(key, value, answer)
            }
            if not wrong:
                return
            patience = _UNHEARD_SECONDS if self._unheard(answer) else 5.0 if live else 0.0
            if time.monotonic() - begun >= patience:
                raise AssertionError(f"expected {dict(expected)}, but got {wrong} in {answer}")
            await asyncio.sleep(0.05)

    def _unheard(self, answer: Answer) -> bool:
        """Tells if an answer is UNDETERMINED, and says that a source that runs was not heard: the one thing that may be
        said of those who are slow. Any other verdict than the right one is a wrong answer, then as ever."""
        unheard = {source for source, status in answer.get("coverage", {}).items() if status != "OK"} - self._stopped
        return answer.get("status") == "UNDETERMINED" and bool(unheard.intersection(("nation", *REGIONS)))

    def _same(self, key: str, value: Any, answer: Answer) -> bool:
        if key == "coverage":
            return all(answer.get("coverage", {}).get(source) == status for source, status in value.items())
        if key in ("reasons", "grounds"):
            return set(value) <= set(answer.get(key, ()))
        if isinstance(value, str) and value.startswith("calendar-days-since "):
            sampled = self._instant(value.removeprefix("calendar-days-since "))
            value = calendar_day(Instant(time.time_ns() // 1000)) - calendar_day(sampled)
        if key.endswith("Until") and value is not None:
            until = self._instant(value.removesuffix(_OR_MIDNIGHT))
            if value.endswith(_OR_MIDNIGHT):
                until = min(until, start_of_day(calendar_day(self._now) + 1))
            return answer.get(key) == format_rfc3339(until)
        return bool(answer.get(key) == value)
