"""Records in PostgreSQL on Kubernetes: migrated before they start, purged by night, on more than one pod."""

import base64
import os
import re
import subprocess
import sys

import msgspec
import pytest
import yaml

from services.runtime.settings.names import PREFIX
from tests.testkit.checks.manifests import (
    K8S,
    KUSTOMIZATIONS,
    Object,
    by_name,
    container,
    containers,
    environment,
    of_kind,
    rendered,
    secret_files,
    selects,
    service_of,
    settings_of,
    templates,
    title,
    variables,
    workloads,
)

STORES = sorted(
    str(path.parent.relative_to(K8S))
    for path in K8S.glob("overlays/postgres/*/kustomization.yaml")
    if "components/postgres" in path.read_text()
)


@pytest.fixture
def objects() -> list[Object]:
    """Everything of the mesh whose records are in PostgreSQL."""
    return [document for document in yaml.safe_load_all(rendered("overlays/postgres")) if document]


def stores(objects: list[Object]) -> list[Object]:
    """The stores of records; there are two at least."""
    found = [one for one in workloads(objects) if service_of(one) == "records"]
    assert 2 <= len(found)
    return found


def secret_of(template: Object, volume: str) -> str:
    """Returns the name of the Secret that a volume of a pod is made of."""
    (found,) = [one for one in template["spec"]["volumes"] if one["name"] == volume]
    return str(found["secret"]["secretName"])


def test_every_store_of_the_overlay_is_in_a_database(objects):
    """Each in one of its own, by its own Secret; no volume is left, and more than one pod shares the work."""
    urls = set()
    for one in stores(objects):
        assert "/etc/hutong-store/store-url" == environment(objects, one)["HUTONG_STORE_URL_FILE"]
        urls.add(secret_of(one["spec"]["template"], "store"))
        assert "volumeClaimTemplates" not in one["spec"]
        mounts = {(mount["name"], mount["mountPath"]) for mount in container(one)["volumeMounts"]}
        assert mounts - {("directory", "/etc/hutong")} == {
            *(("tmp", "/tmp"), ("secret", "/etc/hutong-secret"), ("store", "/etc/hutong-store"))
        }
        assert 2 <= one["spec"]["replicas"]
    assert len(stores(objects)) == len(STORES) == len(urls)


def test_reads_go_to_a_standby_where_one_is_named(objects):
    """The file is there for every store, and empty where there is no such address."""
    with_standby = [
        secret_files(objects, one, container(one))[environment(objects, one)["HUTONG_READ_STORE_URL_FILE"]]
        for one in stores(objects)
    ]
    assert {"replace-me", ""} == set(with_standby)


def test_tables_are_migrated_before_the_pod_starts(objects):
    """By the image of the pod itself, so that its version and the tables' are one; as the tables' owner."""
    for one in stores(objects):
        (migrate,) = one["spec"]["template"]["spec"]["initContainers"]
        assert container(one)["image"] == migrate["image"]
        (only,) = migrate["env"]
        assert ("HUTONG_STORE_URL_FILE", "/etc/hutong-store/migrate-url") == (only["name"], only["value"])
        assert [only["value"]] == list(secret_files(objects, one, migrate))
        assert only["value"] not in secret_files(objects, one, container(one)), "the owner's, for the migration alone"
        assert ["/app/bin/python", "-m", "services.records.migrate"] == migrate["command"]


def test_a_year_is_kept(objects):
    """Every store's database is purged once a day, one run at a time, of what is older than a year."""
    jobs = of_kind(objects, "CronJob")
    assert len(stores(objects)) == len(jobs)
    databases = set()
    for job in jobs:
        spec = job["spec"]
        assert ("Forbid", 5) == (spec["concurrencyPolicy"], len(spec["schedule"].split()))
        (purge,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert ["--older-than", "365d"] == purge["command"][3:]
        assert variables(objects, purge)["HUTONG_STORE_URL_FILE"] in secret_files(objects, job, purge)
        databases.add(secret_of(spec["jobTemplate"]["spec"]["template"], "store"))
    assert len(jobs) == len(databases)


def test_commands_are_in_the_image_and_understand_their_arguments(objects):
    """Modules that the service's own image has, with arguments their parsers take, and settings it reads."""
    seen = set()
    for _, template in templates(objects):
        for each in containers(template):
            if "command" not in each:
                continue
            service = each["image"].removeprefix("hutong-")
            python, dash, module, *arguments = each["command"]
            assert ("/app/bin/python", "-m") == (python, dash)
            assert module.startswith("gateway." if service == "gateway" else f"services.{service}.")
            fields = {PREFIX + field.name.upper() for field in msgspec.structs.fields(settings_of(service))}
            assert set(variables(objects, each)) <= fields
            helped = subprocess.run([sys.executable, "-m", module, *arguments, "--help"], cwd=K8S.parent, check=False)
            assert 0 == helped.returncode
            seen.add(module)
    migrate = {f"{name}.migrate" for name in ("services.records", "services.lookup", "gateway.supervision")}
    assert {*migrate, "services.records.purge"} == seen


def test_what_runs_by_the_clock_is_nobody_s_address(objects):
    """No Service and no disruption budget selects its pods."""
    for job, template in templates(objects):
        if job["kind"] != "CronJob":
            continue
        pod = {"spec": {"template": template}}
        for one in of_kind(objects, "Service", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]
            assert not selects(selector.get("matchLabels", selector), pod), f"{title(one)} selects {title(job)}"


def test_every_reference_of_the_secrets_is_a_placeholder(objects):
    """What is committed is no URL, so that nothing starts with it."""
    found = [one for name, one in by_name(objects, "Secret").items() if name.startswith("records-store-")]
    assert len(stores(objects)) == len(found)
    assert {b"replace-me", b""} == {base64.b64decode(value) for one in found for value in one["data"].values()}


README = (K8S / "README.md").read_text(encoding="utf-8")
WORDS = [word.strip("`(),.;:|") for word in README.split()]


def test_the_readme_names_what_is_there():
    """Every path exists, every module can be run, every metric is one, and it is a page, besides its examples."""
    paths = [word for word in WORDS if word.startswith("k8s/")]
    assert {f"k8s/{name}" for name in KUSTOMIZATIONS} <= set(paths)
    assert [] == [path for path in paths if not (K8S.parent / path).exists()]
    modules = {WORDS[n + 1] for n, word in enumerate(WORDS) if word == "-m" and WORDS[n + 1] != "pytest"}
    assert {f"services.records.{name}" for name in ("backup", "migrate", "purge")} == modules
    metrics = {word for word in WORDS if word.startswith("hutong_")}
    code = "".join(path.read_text() for path in K8S.parent.glob("services/*/metrics.py"))
    assert metrics
    assert [] == [name for name in metrics if f'"{name}"' not in code]
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.splitlines()) <= 150


def test_the_readme_s_commands_are_about_what_is_there(objects):
    """Every object they name is in the mesh on PostgreSQL, and the pod in the one on volumes; the purge that they run
    takes its arguments."""
    commands = [line.split() for line in README.splitlines() if line.startswith("kubectl ")]
    commands += [part.split() for part in re.findall("`(kubectl [^`]+)`", README)]
    assert 6 <= len(commands)
    there = {title(one).lower() for one in objects}
    named = set(re.findall(r"(?:statefulset|deployment|cronjob)/\S+", "\n".join(map(" ".join, commands))))
    assert {"statefulset/records-110000", "deployment/gateway", "cronjob/records-purge-110000"} == named
    assert named <= there
    (pod,) = {words[words.index("exec") + 1] for words in commands if "exec" in words}
    base = [one for one in yaml.safe_load_all(rendered("base")) if one]
    assert pod.removesuffix("-0") in by_name(base, "StatefulSet")
    (init,) = {words[words.index("-c") + 1] for words in commands if "-c" in words}
    assert init in {each["name"] for _, template in templates(objects) for each in containers(template)}
    (purge,) = [words[words.index(name) + 1 :] for words in commands if (name := "services.records.purge") in words]
    jobs = [template for one, template in templates(objects) if one["kind"] == "CronJob"]
    assert [purge] * len(jobs) == [containers(template)[0]["command"][3:] for template in jobs]


def test_secrets_of_one_s_own_take_the_places_of_the_placeholders(tmp_path):
    """As the README says: an overlay on this one, with `behavior: replace`; every pod then refers to them."""
    names = ("mesh", "lookup-store", "supervision-store", "records-store-nation", "records-store-110000")
    keys = ("secret", "store-url", "migrate-url", "read-store-url")
    overlay = {
        "resources": [os.path.relpath(K8S / "overlays/postgres", tmp_path)],
        "namespace": "hutong",
        "secretGenerator": [
            {"name": name, "behavior": "replace", "literals": [f"{key}=one's own {key}" for key in keys]}
            for name in names
        ],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    made = [one for one in yaml.safe_load_all(rendered(str(tmp_path))) if one]
    secrets = by_name(made, "Secret")
    for _, template in templates(made):
        for volume in template["spec"]["volumes"]:
            if "secret" in volume:
                data = secrets[volume["secret"]["secretName"]]["data"]
                for item in volume["secret"].get("items", []):
                    assert f"one's own {item['key']}" == base64.b64decode(data[item["key"]]).decode()
