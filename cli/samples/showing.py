"""Shows every sample person's code once, so that supervision has something to look at."""

import logging
import urllib.error
import urllib.request

import msgspec

from cli.samples.people import PEOPLE
from cli.samples.start import published

log = logging.getLogger("hutong.samples")

SCENES = (None, "HOTEL", "METRO")
SECONDS = 30.0


def queries() -> list[dict[str, object]]:
    """Returns a question for each sample person: the code itself and at two kinds of place, where the person is worth
    looking at."""
    return [
        {"document": person["document"], "region": person["region"], **({"scene": scene} if scene else {})}
        for person in published()
        for scene in SCENES
    ]


def show_people(base: str) -> None:
    """Shows them at a gateway of a mesh on this machine. What it does not answer is noted in the log, and no more."""
    body = msgspec.json.encode({"queries": queries()})
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{base}/v1/healthCode:batchShow", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            log.info("sample people shown", extra={"people": len(PEOPLE)})
    except (urllib.error.URLError, TimeoutError) as error:
        log.warning("sample people not shown", extra={"error": type(error).__name__})
