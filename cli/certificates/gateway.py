"""The gateway of a mesh, asked about certificates over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.mesh.endpoints import read_endpoints
from services.common.errors import Text

SECONDS = 15.0


class GatewayRefusal(Exception):
    """The refusal of what a gateway was asked. `unreachable` where it did not answer at all."""

    def __init__(self, text: Text, *, unreachable: bool = False) -> None:
        super().__init__(str(text))
        self.text = text
        self.unreachable = unreachable


class Gateway:
    """A gateway, and the bearer token of who asks; empty at the machine of a mesh for development."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def ask(self, path: str, body: Mapping[str, Any], purpose: str) -> Mapping[str, Any]:
        """Returns the answer to a call. Raises GatewayRefusal."""
        headers = {"content-type": "application/json", "hutong-purpose": purpose}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._url + path, json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                answered: Mapping[str, Any] = json.load(answer)
                return answered
        except urllib.error.HTTPError as error:
            raise GatewayRefusal(_said(error)) from None
        except (OSError, ValueError) as error:
            text = Text(f"联系不上网关 {self._url}：{error}", f"the gateway {self._url} cannot be reached: {error}")
            raise GatewayRefusal(text, unreachable=True) from None


def gateway_url(given: str, data: Path) -> str:
    """Returns the address that was given, else that of the running `hutong up`; empty where there is none."""
    if given:
        return given
    running = read_endpoints(data)
    return running.http if running is not None else ""


def _said(error: urllib.error.HTTPError) -> Text:
    try:
        problem = json.loads(error.read())
        fields = "".join(f"; {one['field']}: {one['reason']}" for one in problem["violations"])
        return Text(f"网关拒绝（{problem['reason']}）", f"{problem['reason']}: {problem['detail']}{fields}")
    except (ValueError, KeyError, TypeError):
        return Text(f"网关答复 {error.code}", f"the gateway answered {error.code}")
