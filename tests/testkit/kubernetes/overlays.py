"""Overlays of one's own on those of the tree, as k8s/README.md says that each operator makes one."""

import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.testkit.checks.manifests import K8S, SETTINGS
from tests.testkit.secret import SECRET


class OwnOverlay:
    """An overlay on one of the tree's, in a folder of the test; it is written anew whenever something changes."""

    def __init__(self, folder: Path, on: str, image: str, tag: str) -> None:
        """`image` names a service's image with {service} in it, and no tag."""
        self.folder = folder
        self._on = on
        self._image = image
        self.tag = tag
        self.mesh_secret = SECRET
        self.settings: dict[str, list[str]] = {}
        """Settings that differ, by ConfigMap."""
        self.secrets: dict[str, list[str]] = {}
        """Secrets besides the mesh's, as KEY=VALUE."""
        self.components: Sequence[str] = ()
        self.config_files: dict[str, list[str]] = {}
        """ConfigMaps that a component wants, with the files in each."""

    def write(self) -> str:
        """Writes it and returns its folder, for `kubectl apply -k`."""
        overlay = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": "hutong",
            "labels": [{"pairs": {"app.kubernetes.io/part-of": "hutong"}}],
            "resources": [os.path.relpath(K8S / self._on, self.folder)],
            "components": [os.path.relpath(K8S / "components" / name, self.folder) for name in self.components],
            "configMapGenerator": [
                *({"name": name, "behavior": "merge", "literals": lines} for name, lines in self.settings.items()),
                *({"name": name, "files": files} for name, files in self.config_files.items()),
            ],
            "secretGenerator": [
                {"name": "mesh", "behavior": "replace", "literals": [f"secret={self.mesh_secret}"]},
                *({"name": name, "behavior": "replace", "literals": lines} for name, lines in self.secrets.items()),
            ],
            "images": [
                {"name": f"hutong-{service}", "newName": self._image.format(service=service), "newTag": self.tag}
                for service in SETTINGS
            ],
        }
        (self.folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
        return str(self.folder)
