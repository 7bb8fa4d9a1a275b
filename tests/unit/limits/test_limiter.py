"""Principals are limited, services of the mesh are not, and a stream is slowed down instead of refused."""

import asyncio
import time

import pytest
from hutong.gateway.v1.health_code_service_pb2 import ShowHealthCodeRequest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from msgspec.structs import replace

from services.common.errors import LimitExceeded, ServiceError
from services.runtime.limits.limiter import Limiter
from services.runtime.limits.rules import Rules, parse_rules
from services.runtime.rpc.call import Call
from services.runtime.telemetry.trace import new_trace

SHOW = "hutong.gateway.v1.HealthCodeService/ShowHealthCode"
STREAM = "hutong.records.v1.RecordIntakeService/StreamRecords"
SYSTEM = "spiffe://hutong/region/430000/system"


def rules(**changed: str) -> Rules:
    """Returns the default rules with these changed."""
    parsed = parse_rules({name.replace("_", "-"): value for name, value in changed.items()})
    assert parsed is not None
    return parsed


def call(caller: str = SYSTEM, address: str = "192.0.2.1", *, proven: bool = True) -> Call:
    """Returns a call from somewhere."""
    return Call(caller, time.monotonic() + 5, new_trace(None), proven=proven, address=address)


async def allowed(limiter: Limiter, one: Call, count: int) -> int:
    """Counts how many calls out of so many are let in."""
    for number in range(count):
        try:
            await limiter.admit(one, SHOW, ShowHealthCodeRequest())
        except LimitExceeded:
            return number
    return count


async def test_a_principal_has_one_limit_wherever_it_calls_from():
    """And another principal its own."""
    limiter = Limiter(rules(code_per_principal="0.01/4"), now=lambda: 0.0)
    assert 3 == await allowed(limiter, call(address="192.0.2.1"), 3)
    assert 1 == await allowed(limiter, call(address="192.0.2.2"), 3)
    assert 3 == await allowed(limiter, call("spiffe://hutong/region/440000/system"), 3)


@pytest.mark.parametrize("name", ["mesh/gateway", "nation/records", "region/430000/records"])
async def test_services_of_the_mesh_are_not_limited(name: str):
    """What they ask, others asked them; who merely says that it is one is limited by its address."""
    limiter = Limiter(rules(code_per_principal="0.01/1", code_per_address="0.01/1"), now=lambda: 0.0)
    principal = f"spiffe://hutong/{name}"
    assert 9 == await allowed(limiter, call(principal), 9)
    assert 1 == await allowed(limiter, call(principal, proven=False), 9)


async def test_behind_a_gateway_without_certificates_each_user_has_a_limit():
    """The address is the gateway's and everybody's: who asked travels with the call. A batch of several users was
    limited already, and so was what a service asks for itself."""
    limiter = Limiter(rules(code_per_principal="0.01/2", code_per_address="0.01/3"), now=lambda: 0.0)
    users = [f"spiffe://hutong/holder/{number:032x}" for number in range(3)]
    behind = replace(call("gateway", proven=False), users=tuple(users[:1]))
    assert 2 == await allowed(limiter, behind, 9)
    assert 2 == await allowed(limiter, replace(behind, caller="verdict", users=(users[1],)), 9)
    assert 0 == await allowed(limiter, replace(behind, caller="lookup"), 9)
    for service in ("gateway", "records-nation"):
        assert 9 == await allowed(limiter, replace(behind, caller=service, users=tuple(users)), 9)
        assert 9 == await allowed(limiter, replace(behind, caller=service, users=(service,)), 9)


async def test_a_name_at_its_word_has_a_limit_and_another_name_gains_nothing():
    """A region's system that runs away is stopped by its name; who invents names, by its address."""
    limiter = Limiter(rules(code_per_principal="0.01/2", code_per_address="0.01/5"), now=lambda: 0.0)
    assert 2 == await allowed(limiter, call("system-430000", proven=False), 9)
    assert [2, 1, 0] == [await allowed(limiter, call(f"system-{each}", proven=False), 2) for each in range(3)]


async def test_a_stream_waits_for_its_tokens():
    """Twelve rows at a hundred a second, ten of them at once."""
    limiter = Limiter(rules(write_per_principal="100/10"))
    request = StreamRecordsRequest()
    for _ in range(6):
        request.submissions.add()
    began = time.monotonic()
    async with asyncio.timeout(20):
        await limiter.pace(call(), STREAM, request)
        await limiter.pace(call(), STREAM, request)
    assert time.monotonic() - began >= 0.02


async def test_what_is_no_method_of_a_contract_is_not_limited():
    """Health, metrics and pages."""
    limiter = Limiter(rules(code_per_address="0.01/1"))
    try:
        for _ in range(3):
            await limiter.admit(call(), "healthz", ShowHealthCodeRequest())
    except ServiceError as error:
        pytest.fail(str(error))


async def test_the_cost_of_an_unknown_person_grows_and_is_bounded():
    """Sixteen are free; each further one costs more than the one before, and never more than 64."""
    costs = []
    for unknown in (16, 18, 22, 26, 30, 40, 50):
        limiter = Limiter(rules(code_per_address="0.01/2000", unknown_per_address="0.001/16"), now=lambda: 0.0)
        anonymous = call(proven=False)
        for _ in range(unknown):
            limiter.charge(anonymous, SHOW, 1)
        costs.append(2000 - await allowed(limiter, anonymous, 2000))
    assert 0 == costs[0]
    each = [(more - less) / step for less, more, step in zip(costs, costs[1:], (2, 4, 4, 4, 10, 10), strict=False)]
    assert sorted(each) == each
    assert 1 <= each[0] < each[-1] <= 64
