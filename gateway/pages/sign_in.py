"""Signing in as a sample person, where a development issuer is."""

from collections.abc import Mapping, Sequence

from google.protobuf.empty_pb2 import Empty

from gateway.application.samples import SampleDocument, SamplePerson
from gateway.http.requests.bodies import SignInRequest, SupervisorSignInRequest
from gateway.http.requests.decoder import Decoder
from gateway.http.routing import Incoming, Reply, Route
from gateway.http.views.answer import encode
from gateway.http.views.samples import SignInResponse
from gateway.identity.development import TOKEN_SECONDS, DevelopmentIssuer
from services.common.errors import Code, ServiceError, Text
from services.runtime.resilience.overload import Weight
from services.runtime.rpc.call import Call
from services.runtime.rpc.pipeline import Pipeline


class SignInRoute:
    """POST /v1/samplePeople:signIn."""

    method = "POST"
    operation = "SignIn"
    weight = Weight.LIGHT
    open = True
    changes = True

    def __init__(self, issuer: DevelopmentIssuer, people: Sequence[SamplePerson]) -> None:
        self._issuer = issuer
        self._people = {(person.document.type, person.document.number): person for person in people}
        self._decode = Decoder(SignInRequest)

    async def serve(self, incoming: Incoming, call: Call, pipeline: Pipeline, span_name: str) -> Reply:
        """See Route. Raises PERMISSION_DENIED (ACCESS_DENIED) away from the machine, NOT_FOUND
        (SAMPLE_PERSON_UNKNOWN)."""
        _require_local(incoming)
        document = self._decode(incoming.body).document
        person = self._people.get((document.type, document.number))
        if person is None:
            text = Text("没有这位样例人员", "There is no such sample person")
            raise ServiceError(Code.NOT_FOUND, "SAMPLE_PERSON_UNKNOWN", text)

        async def answer(request: Empty) -> Reply:
            claims: dict[str, object] = {"role": "holder", "document": _claim(person.document)}
            if person.dependants:
                dependants = [_claim(one.document) for one in person.dependants]
                claims = {**claims, "role": "guardian", "dependants": dependants}
            token = self._issuer.token(claims)
            headers = ((b"cache-control", b"no-store"),)
            return Reply(encode(SignInResponse(token, TOKEN_SECONDS)), headers=headers)

        return await pipeline.unary(self.operation, answer, Empty(), call, span_name=span_name)


class SupervisorSignInRoute:
    """POST /v1/sampleSupervisor:signIn."""

    method = "POST"
    operation = "SignInAsSupervisor"
    weight = Weight.LIGHT
    open = True
    changes = True

    def __init__(self, issuer: DevelopmentIssuer) -> None:
        self._issuer = issuer
        self._decode = Decoder(SupervisorSignInRequest)

    async def serve(self, incoming: Incoming, call: Call, pipeline: Pipeline, span_name: str) -> Reply:
        """See Route. Raises PERMISSION_DENIED (ACCESS_DENIED) away from the machine."""
        _require_local(incoming)
        self._decode(incoming.body)

        async def answer(request: Empty) -> Reply:
            token = self._issuer.token({"role": "supervisor", "sub": "sample"})
            return Reply(encode(SignInResponse(token, TOKEN_SECONDS)), headers=((b"cache-control", b"no-store"),))

        return await pipeline.unary(self.operation, answer, Empty(), call, span_name=span_name)


def _require_local(incoming: Incoming) -> None:
    """Raises PERMISSION_DENIED unless a request comes from whoever sits at the machine: any web page can have its name
    mean 127.0.0.1, and would have a supervisor's token."""
    if not incoming.local:
        text = Text("只在本机以本机名称登录样例人员", "Sample people sign in at this machine alone, by its own name")
        raise ServiceError(Code.PERMISSION_DENIED, "ACCESS_DENIED", text)


def _claim(document: SampleDocument) -> dict[str, str]:
    return {"type": document.type, "number": document.number}


def sign_in_routes(issuer: DevelopmentIssuer | None, people: Sequence[SamplePerson] | None) -> Mapping[str, Route]:
    """Returns the paths at which sample people and the sample supervisor sign in, where there are any and somebody
    issues tokens."""
    if issuer is None or not people:
        return {}
    routes: Mapping[str, Route] = {
        "/v1/samplePeople:signIn": SignInRoute(issuer, people),
        "/v1/sampleSupervisor:signIn": SupervisorSignInRoute(issuer),
    }
    return routes
