"""Regions of the directory."""

from typing import Annotated

from hutong.gateway.v1.health_code_service_pb2 import ListRegionsResponse
from hutong.lookup.v1 import region_pb2

from gateway.http.fields import RegionCode, described, one_of
from gateway.http.names import INTEROP
from gateway.http.views.answer import Answer, Text, text


class Region(Answer, frozen=True):
    """省级地区。 A province-level division."""

    region: RegionCode
    display_name: Text
    health_code: Annotated[str, described("2022 年健康码名称。 The name of its health code in 2022.")] | None
    bloc: Annotated[str, described("所属互认圈。 The group of regions that recognise each other.")] | None
    interop_mode: Annotated[str, one_of(INTEROP, "接入方式。 How it joins the mesh.")] | None
    on_mesh: Annotated[bool, described("是否直接接入。 Whether its records are served on the mesh.")]
    scope_switch: Annotated[bool, described("是否可切换省内库与全国库。 Whether its holders may switch databases.")]


class RegionsResponse(Answer, frozen=True):
    """地区目录。 The regions."""

    regions: Annotated[list[Region], described("按代码。 By code.")]
    next_page_token: Annotated[str, described("末页为 null。 Null on the last page.")] | None


def region(message: region_pb2.Region) -> Region:
    """Shows one region."""
    return Region(
        region=message.region,
        display_name=text(message.display_name),
        health_code=message.health_code or None,
        bloc=message.bloc or None,
        interop_mode=INTEROP.maybe(message.interop_mode),
        on_mesh=message.on_mesh,
        scope_switch=message.scope_switch,
    )


def regions_response(page: ListRegionsResponse) -> RegionsResponse:
    """Shows a page of the directory."""
    return RegionsResponse([region(one) for one in page.regions], page.next_page_token or None)
