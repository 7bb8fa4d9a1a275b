"""Every setting, set to each plausible wrong value: the codes are the right ones, or honest about why not, and whatever
does not start says why in one sentence that names the setting."""

import asyncio
import logging
import os
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from shutil import copytree
from typing import Any

import grpc
import httpx
import msgspec
import pytest
import pytest_asyncio
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1 import holder_service_pb2 as hpb
from hutong.lookup.v1.holder_service_pb2_grpc import HolderServiceStub
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_write_service_pb2_grpc import RecordWriteServiceStub

from cli.mesh.ports import free_port
from gateway.codes.cache.entry import BOUND_SECONDS
from services.common.mesh_directory import Member, MeshDirectory, parse_directory
from services.runtime.settings.environment import SettingsError, load, shape_of
from services.verdict.policy.files import DEFAULT_DIRECTORY
from tests.testkit.secret import SECRET
from tests.testkit.settings_page import KINDS
from tests.testkit.wrong_settings.mesh import PROGRAMS, REGIONS, Said, SmallMesh, kind_of, no_signals
from tests.testkit.wrong_settings.page import PAGE, table
from tests.testkit.wrong_settings.people import NEGATIVE, PASSPORT, PEOPLE, POSITIVE, Taken, document
from tests.testkit.wrong_settings.table import BY_KIND, REFUSED, SERVED, WRONG, Mistake

ALL = os.environ.get("HUTONG_WRONG_SETTINGS") == "all"
"""Every mistake on a mesh of its own, one test each; otherwise all of them one after another on one mesh."""
OTHER_SECRET = "another secret, long enough"
SAYS_SECONDS = 10.0
CALLER = [("hutong-caller", "test")]
KEEP = Purpose.PURPOSE_RECORD_KEEPING
EXEMPT = """
exempt: {under_age: 6}
"""
HONEST = "UNDETERMINED"
STALE = " STALE_SOURCE"
SAID = re.compile(r"^error|STALE_SOURCE$")
"""A code that says that it was not shown why, or that it rests on a region nobody can reach."""


def old_policies(folder: Path) -> Path:
    """The policies that come with the software."""
    copytree(DEFAULT_DIRECTORY, folder)
    return folder


def new_policies(folder: Path) -> Path:
    """The same and a later one of Liaoning, in force, that exempts small children."""
    old_policies(folder)
    text = (folder / "210000" / "2022-07-01.yaml").read_text(encoding="utf-8")
    text = text.replace("2022-07-01T00", "2022-10-01T00") + EXEMPT
    (folder / "210000" / "2022-10-01.yaml").write_text(text, encoding="utf-8")
    return folder


class Trial:
    """A mesh with people in every status, and everything that somebody may confuse it with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        policies = new_policies(folder / "policies")
        self.mesh = SmallMesh(folder / "mesh", SECRET, policies)
        self.copy = SmallMesh(folder / "copy", SECRET, policies)
        self.foreign = SmallMesh(folder / "foreign", OTHER_SECRET, policies)
        self.said = Said()
        self.newcomers = 0
        self.early: dict[str, Path] = {}

    async def begin(self) -> None:
        """Starts all of it."""
        await self.mesh.start_all()
        for other in (self.copy, self.foreign):
            await other.start_all((*REGIONS, "nation", "lookup", "verdict"))
            # Where nobody was ever stored, everybody would be NOT_RECOGNISED: a false code is seen at once.
        await self._people()
        await self.right()

    async def end(self) -> None:
        """Ends all of it."""
        for mesh in (self.mesh, self.copy, self.foreign):
            await mesh.stop_all()

    async def _people(self) -> None:
        mesh = self.mesh
        stubs = {store: self._writes(store) for store in (*REGIONS, "nation")}
        for laboratory in ("430000-xiangya", "430000-suspended"):
            called = LocalizedText(zh="湘雅", en="Xiangya")
            request = wpb.PutLaboratoryRequest(region="430000", laboratory=laboratory, display_name=called)
            await stubs["430000"].PutLaboratory(request, metadata=CALLER)
        suspension = wpb.SuspendLaboratoryRequest(
            laboratory="430000-suspended", suspension_id="s", sampled=Interval(), cause="licence lost"
        )
        await stubs["430000"].SuspendLaboratory(suspension, metadata=CALLER)
        await self._store("well in 430000")
        self.early["430000"] = self._backup("mesh", "430000", "early")
        self.early["lookup"] = self._backup("mesh", "lookup", "early")
        for name in PEOPLE:
            if name != "well in 430000":
                await self._store(name)
        await self._submit("110000", "passport", PASSPORT, Taken("110000", result=POSITIVE))
        async with grpc.aio.insecure_channel(mesh.addresses["lookup"]) as channel:
            holders = HolderServiceStub(channel)
            linked = hpb.LinkDocumentsRequest(
                subject=self.subject("sick by another document"),
                other=PASSPORT,
                cause="renewed",
                purpose=Purpose.PURPOSE_HOLDER_DECISION,
            )
            await holders.LinkDocuments(linked, metadata=CALLER)
            switched = hpb.SwitchScopeRequest(
                subject=self.subject("switched to local"),
                region="210000",
                scope=Scope.SCOPE_LOCAL,
                purpose=Purpose.PURPOSE_HOLDER_DECISION,
            )
            await holders.SwitchScope(switched, metadata=CALLER)

    def subject(self, name: str) -> Subject:
        """Somebody, by name."""
        return Subject(document=document(list(PEOPLE).index(name), PEOPLE[name].birth))

    async def _store(self, name: str) -> None:
        for number, taken in enumerate(PEOPLE[name].tests):
            await self._submit(taken.region, f"{name} {number}".replace(" ", "-"), self.subject(name), taken)

    def _writes(self, store: str) -> Any:
        channel = grpc.aio.insecure_channel(self.mesh.addresses[store])
        return RecordWriteServiceStub(channel)

    async def _submit(self, region: str, source_id: str, who: Subject, taken: Taken) -> bool:
        """Sends a result to the store of a region; tells whether it was acknowledged."""
        store = region if region in REGIONS else "nation"
        submission = wpb.RecordSubmission(region=region, source_id=source_id, subject=who, content=taken.content())
        async with grpc.aio.insecure_channel(self.mesh.addresses[store]) as channel:
            try:
                await RecordWriteServiceStub(channel).SubmitRecord(
                    wpb.SubmitRecordRequest(submission=submission, purpose=KEEP), metadata=CALLER, timeout=3
                )
            except grpc.aio.AioRpcError:
                return False
        return True

    def _backup(self, mesh: str, store: str, name: str) -> Path:
        target = self.folder / f"{name}-{mesh}-{store}.db"
        target.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(self.folder / mesh / f"{store}.db")) as file,
            closing(sqlite3.connect(target)) as to,
        ):
            file.backup(to)
        return target

    def places(self) -> Mapping[str, str]:
        """Returns the text that each name in a value of the table stands for."""
        url = "sqlite:///{}".format
        mesh, copy, foreign = self.mesh.addresses, self.copy.addresses, self.foreign.addresses
        (self.folder / "empty").mkdir(exist_ok=True)
        known = parse_directory(Path(self.mesh.directory).read_bytes())
        nation, regions = known.nation, dict(known.regions)
        assert nation is not None

        def listed(name: str, nation: Member | None, regions: Mapping[str, Member]) -> str:
            path = self.folder / f"{name}.yaml"
            path.write_bytes(msgspec.yaml.encode(MeshDirectory(nation, dict(regions))))
            return str(path)

        twice = self.folder / "twice.yaml"
        one = mesh["110000"]
        whole = mesh["nation"]
        entry = f'{{records: "{one}"}}'
        twice.write_text(
            "\n".join((f'nation: {{records: "{whole}"}}', f'regions: {{"110000": {entry}, "430000": {entry}}}'))
        )
        hunan, beijing = regions["430000"], regions["110000"]
        return {
            **mesh,
            "free": f"127.0.0.1:{free_port()}",
            "secret": "an old secret, long enough",
            "directory": self.mesh.directory,
            "empty_folder": str(self.folder / "empty"),
            "empty": url(self.folder / "empty" / f"{free_port()}.db"),
            "copy_110000": url(self._backup("mesh", "110000", "now")),
            "copy_430000": url(self._backup("mesh", "430000", "now")),
            "copy_nation": url(self._backup("mesh", "nation", "now")),
            "copy_lookup": url(self._backup("mesh", "lookup", "now")),
            "store_110000": url(self.folder / "mesh" / "110000.db"),
            "copy_other_430000": url(self._backup("copy", "430000", "now")),
            "copy_other_nation": url(self._backup("copy", "nation", "now")),
            "copy_other_lookup": url(self._backup("copy", "lookup", "now")),
            "foreign_430000": url(self._backup("foreign", "430000", "now")),
            "foreign_lookup": url(self._backup("foreign", "lookup", "now")),
            "early_430000": url(self._fresh(self.early["430000"])),
            "early_lookup": url(self._fresh(self.early["lookup"])),
            "stale": listed("stale", nation, {"110000": beijing, "210000": regions["210000"]}),
            "swapped": listed("swapped", nation, {**regions, "110000": hunan, "430000": beijing}),
            "nation_swapped": listed("nation_swapped", hunan, {**regions, "430000": nation}),
            "copy_region": listed("copy_region", nation, {**regions, "430000": Member(copy["430000"])}),
            "foreign_region": listed("foreign_region", nation, {**regions, "430000": Member(foreign["430000"])}),
            "copy_nation_listed": listed("copy_nation_listed", Member(copy["nation"]), regions),
            "copy_directory": self.copy.directory,
            "foreign_directory": self.foreign.directory,
            "wrong_feed": listed("wrong_feed", nation, {**regions, "430000": Member(hunan.records, feed="another")}),
            "wrong_mode": listed("wrong_mode", nation, {**regions, "430000": Member(hunan.records, "ADOPT")}),
            "no_nation": listed("no_nation", None, regions),
            "more": listed("more", nation, {**regions, "310000": Member("127.0.0.1:1")}),
            "twice": str(twice),
            "other_lookup": copy["lookup"],
            "foreign_lookup_address": foreign["lookup"],
            "other_verdict": copy["verdict"],
            "foreign_verdict": foreign["verdict"],
            "old_policies": str(self.folder / "old")
            if (self.folder / "old").exists()
            else str(old_policies(self.folder / "old")),
        }

    def _fresh(self, backup: Path) -> Path:
        """A copy of a backup that no service has opened yet."""
        path = backup.with_name(f"{free_port()}-{backup.name}")
        path.write_bytes(backup.read_bytes())
        return path

    async def codes(self) -> dict[str, tuple[str, ...]]:
        """Everybody's codes in 110000, 210000 and 430000; of those that are not shown, the reason."""
        numbered = [document(number, person.birth).number for number, person in enumerate(PEOPLE.values())]
        shown = await self._show(numbered)
        return {name: tuple(shown[3 * at : 3 * at + 3]) for at, name in enumerate(PEOPLE)}

    async def _show(self, numbers: list[str]) -> list[str]:
        queries = [
            {"document": {"type": "RESIDENT_ID", "number": number}, "region": region}
            for number in numbers
            for region in REGIONS
        ]
        async with httpx.AsyncClient(base_url=self.mesh.http, timeout=10) as http:
            reply = await http.post("/v1/healthCode:batchShow", json={"queries": queries})
        if reply.status_code != 200:
            return [f"error {reply.json()['reason']}"] * len(queries)
        shown = []
        for outcome in reply.json()["outcomes"]:
            code = outcome.get("code")
            if not code:
                shown.append(f"error {outcome['error']['reason']}")
                continue
            reasons = {one.get("reason") or one["status"] for one in code["coverage"] if one["status"] != "OK"}
            self.said.lines.extend(reasons)
            if code["freshness"] == "STALE":
                # The last that was known, with its age, because none is computed: it says that it is not of now.
                shown.append("error STALE")
                continue
            shown.append(code["status"] + (STALE if code["freshness"] == "STALE_SOURCE" else ""))
        return shown

    async def right(self, seconds: float = 30.0) -> None:
        """Returns when every code is the right one."""
        codes: dict[str, tuple[str, ...]] = {}
        try:
            async with asyncio.timeout(seconds):
                while (codes := await self.codes()) != {name: one.statuses for name, one in PEOPLE.items()}:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"never right: {wrong(codes, honest=False)}")

    async def make(self, mistake: Mistake) -> list[str]:
        """Makes a mistake and returns what is wrong with what follows."""
        value = mistake.value
        for place, stands_for in self.places().items():
            value = value.replace(f"{{{place}}}", stands_for)
        variable = "LISTN" if value == "misspelt" else mistake.variable
        self.newcomers += 1
        subject = Subject(document=document(100 + self.newcomers))
        newcomer = subject.document.number
        async with asyncio.timeout(20):
            while not await self._submit("430000", f"new-{self.newcomers}", subject, Taken("430000", result=NEGATIVE)):
                await asyncio.sleep(0.2)
        await self._show([newcomer])
        self.said.lines.clear()
        await self.mesh.stop(mistake.service)
        refusal = await self.mesh.start(mistake.service, {variable: value})
        try:
            if refusal or mistake.outcome == REFUSED:
                started = "" if refusal else "it starts"
                unsaid = "" if mistake.says in refusal else f"it refuses otherwise: {refusal}"
                unexpected = "" if mistake.outcome == REFUSED else f"it refuses: {refusal}"
                return [one for one in (started, unsaid, unexpected) if one]
            return await self._served(mistake, newcomer, subject)
        finally:
            await self.mesh.restart(mistake.service)

    async def _served(self, mistake: Mistake, newcomer: str, subject: Subject) -> list[str]:
        found: list[str] = []
        if mistake.noticed_later:
            await self._is_said(mistake.says)
            await asyncio.sleep(BOUND_SECONDS)
        for _ in range(3):
            codes = await self.codes()
            found += wrong(codes)
            self.said.lines.extend(code for shown in codes.values() for code in shown if code.startswith("error"))
            await asyncio.sleep(0.2)
        # What is acknowledged from now on reaches the codes within the bound.
        if await self._submit("430000", f"sick-{self.newcomers}", subject, Taken("430000", 3, POSITIVE)):
            async with asyncio.timeout(30):
                for _ in range(60):
                    shown = await self._show([newcomer])
                    milder = [code for code in shown if not (code in ("POSITIVE", HONEST) or SAID.search(code))]
                    if not milder:
                        break
                    await asyncio.sleep(0.1)
            found += [f"still {code} after a positive" for code in milder]
        if mistake.says and not await self._is_said(mistake.says):
            found.append(f"nobody says {mistake.says!r}: {sorted(set(self.said.lines))}")
        return found

    async def _is_said(self, words: str) -> bool:
        for _ in range(int(SAYS_SECONDS / 0.25)):
            if any(words in line for line in self.said.lines):
                return True
            await self.codes()
            await asyncio.sleep(0.25)
        return False


def wrong(codes: Mapping[str, tuple[str, ...]], *, honest: bool = True) -> list[str]:
    """The codes that are neither right nor honest about why not."""
    return [
        f"{name} in {region}: {shown}"
        for name, person in PEOPLE.items()
        for region, meant, shown in zip(REGIONS, person.statuses, codes[name], strict=True)
        if shown.removesuffix(STALE) != meant and not (honest and (shown == HONEST or SAID.search(shown)))
    ]


@asynccontextmanager
async def trial_in(folder: Path) -> AsyncIterator[Trial]:
    """A mesh to make mistakes with."""
    made = Trial(folder)
    logger = logging.getLogger("hutong")
    logger.addHandler(made.said)
    with no_signals():
        try:
            await made.begin()
            yield made
        finally:
            logger.removeHandler(made.said)
            await made.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    """One mesh for all mistakes: each is put right again before the next."""
    async with trial_in(tmp_path_factory.mktemp("trial")) as one:
        yield one


def ids(mistake: Mistake) -> str:
    """The name of a test."""
    return f"{mistake.service} {mistake.variable} {mistake.what}"


@pytest.mark.timeout(600)
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(ALL, reason="each has a mesh of its own")
@pytest.mark.parametrize("variables", [("LISTEN", "MESH_SECRET"), ("STORE_URL",), ("DIRECTORY",), ()], ids=str)
async def test_no_mistake_shows_a_false_code(trial: Trial, variables: tuple[str, ...]) -> None:
    """One after another, each put right again before the next: nothing of one is left for another."""
    named = {"LISTEN", "MESH_SECRET", "STORE_URL", "DIRECTORY"}
    found: dict[str, list[str]] = {}
    # Every second one: each of them is made by HUTONG_WRONG_SETTINGS=all.
    for mistake in WRONG[::2]:
        if mistake.variable in variables or (not variables and mistake.variable not in named):
            if result := await trial.make(mistake):
                found[ids(mistake)] = result
            await trial.right()
    assert {} == found


@pytest.mark.skipif(not ALL, reason="HUTONG_WRONG_SETTINGS=all")
@pytest.mark.parametrize("mistake", WRONG, ids=ids)
async def test_a_mistake_on_a_mesh_of_its_own(tmp_path: Path, mistake: Mistake) -> None:
    """The same, with nothing before."""
    async with trial_in(tmp_path) as trial:
        assert [] == await trial.make(mistake)
        await trial.right()


def fields() -> list[tuple[str, Any]]:
    """Every setting of every service, by the kind of its program."""
    return [(kind, field) for kind, program in PROGRAMS.items() for field in msgspec.structs.fields(program.settings)]


def test_every_setting_has_wrong_values() -> None:
    """A new one needs a row, or a unit whose wrong values are known; what is text of its own needs a row."""
    rows = Counter((kind_of(mistake.service), mistake.variable) for mistake in WRONG)
    shared = {mistake.variable for mistake in WRONG}
    lacking = []
    for kind, field in fields():
        checked = shape_of(field.type)[1]
        name = field.name.upper()
        in_every = name in {one.name.upper() for one in msgspec.structs.fields(KINDS["Every process"])}
        if not (rows[kind, name] or (in_every and name in shared) or (checked and checked.unit in BY_KIND)):
            lacking.append((kind, name))
    assert [] == lacking


@pytest.mark.parametrize("kind", PROGRAMS)
def test_what_no_setting_of_a_kind_takes_is_refused(kind: str, tmp_path: Path) -> None:
    """Each in one sentence that names it, before anything is opened."""
    right = {"HUTONG_MESH_SECRET": SECRET, "HUTONG_REGION": "430000", "HUTONG_STORE_URL": f"sqlite:///{tmp_path}/x.db"}
    taken = []
    for field in msgspec.structs.fields(PROGRAMS[kind].settings):
        checked = shape_of(field.type)[1]
        variable = f"HUTONG_{field.name.upper()}"
        for value in BY_KIND.get(checked.unit if checked else "", ()):
            if variable in ("HUTONG_SUPERVISION_STORE", "HUTONG_PUSH_STORE") and not value:
                # A gateway may go without that store.
                continue
            try:
                load(PROGRAMS[kind].settings, right | {variable: value})
                taken.append((variable, value))
            except SettingsError as error:
                if variable not in str(error):
                    taken.append((variable, str(error)))
    assert [] == taken


def test_the_table_of_the_page_is_the_tables() -> None:
    """docs/faults.md tells of each mistake what happens."""
    assert table() in PAGE.read_text(encoding="utf-8")


def test_outcomes_are_known() -> None:
    """And whoever refuses says something."""
    assert [] == [ids(one) for one in WRONG if one.outcome not in (REFUSED, SERVED)]
    assert [] == [ids(one) for one in WRONG if one.outcome == REFUSED and not one.says]
