"""The sample people of the embedded mesh."""

from collections.abc import Sequence
from typing import Annotated

from gateway.application import samples
from gateway.http.fields import RegionCode, described
from gateway.http.requests.bodies import Document
from gateway.http.views.answer import Answer, Text, text_of


class SampleDependant(Answer, frozen=True):
    """样例人员所监护的人。 Somebody whose guardian a sample person is."""

    name: Text
    document: Document


class SamplePerson(Answer, frozen=True):
    """样例人员，纯属虚构。 A sample person, invented."""

    name: Text
    document: Document
    region: RegionCode
    shows: Text
    dependants: Annotated[list[SampleDependant], described("所监护的人。 Those whose guardian they are.")]


class SamplePeopleResponse(Answer, frozen=True):
    """样例人员。 The sample people."""

    people: Annotated[list[SamplePerson], described("各有所示。 What each is there to show.")]


class SignInResponse(Answer, frozen=True):
    """登录所得令牌。 The token of who has signed in."""

    token: Annotated[str, described("持码人令牌，用于 Authorization: Bearer。 A holder's token.")]
    expires_in: Annotated[int, described("有效秒数。 Seconds until it ends.")]


def sample_people_response(people: Sequence[samples.SamplePerson]) -> SamplePeopleResponse:
    """Shows who can be tried out, and what each is there to show."""
    return SamplePeopleResponse(
        [
            SamplePerson(
                text_of(person.name),
                Document(person.document.type, person.document.number),
                person.region,
                text_of(person.shows),
                [
                    SampleDependant(text_of(one.name), Document(one.document.type, one.document.number))
                    for one in person.dependants
                ],
            )
            for person in people
        ]
    )
