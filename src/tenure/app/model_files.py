"""Where do trained models live, and which one is in service? Versioned files in the workspace's folder `models`.

    models/leaving-30d/2026-06-30-1f3a9c02.json    what it learned from, how well, with what, and the model itself
    models/in-service.json                         by name, the version that `tenure risk` uses

A file is written once and never changed; its version is the day it was made as of and a checksum of what it holds, so
the same facts give the same version. Nothing in a file is executed: see predict.stored_models.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tenure.errors import Damaged, UnknownName
from tenure.lake.locks import held
from tenure.predict.features_catalogue import BY_NAME, Feature, of_column, of_trait
from tenure.predict.hazards import DiscreteHazard

_POINTER = "in-service.json"
_SAFE = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*\Z")


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model and everything said of it. facts: the file's content, the model itself left out."""

    name: str
    version: str
    facts: Mapping[str, Any]
    model: DiscreteHazard
    simplest: DiscreteHazard
    features: tuple[Feature, ...]

    @property
    def horizon(self) -> int | str:
        """Days, or 'renewal'."""
        told = self.facts["horizon"]
        return told if isinstance(told, str) else int(told)

    @property
    def as_of(self) -> datetime:
        """The instant up to which it knows anything."""
        return datetime.fromisoformat(self.facts["as_of"])


class ModelFiles:
    """The models of one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "models"

    def write(self, name: str, content: Mapping[str, Any]) -> str:
        """Store a model; its version. Content that is there already is not written again."""
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        version = f"{str(content['as_of'])[:10]}-{digest[:8]}"
        place = self._file(name, version)
        if not place.exists():
            _whole(place, json.dumps({"checksum": digest, "content": text}))
        return version

    def put_into_service(self, name: str, version: str) -> None:
        """From now on `tenure risk` uses this version."""
        with held(self.folder / ".lock", what="putting a model into service", timeout=60.0):
            _whole(self.folder / _POINTER, json.dumps(self.in_service() | {name: version}, indent=1, sort_keys=True))

    def in_service(self) -> dict[str, str]:
        """By name, the version that is in service."""
        place = self.folder / _POINTER
        if not place.exists():
            return {}
        try:
            told = json.loads(place.read_text(encoding="utf-8"))
            return {str(name): str(version) for name, version in told.items()}
        except (ValueError, AttributeError) as error:
            raise Damaged(f"{place} cannot be read ({error}); run `tenure fit` again") from error

    def versions(self, name: str) -> list[str]:
        """The versions of a model, by the day they were made as of."""
        return sorted(path.stem for path in (self.folder / name).glob("*.json"))

    def read(self, name: str, version: str, threads: int = 0) -> StoredModel:
        """A stored model. UnknownName where it is not there, Damaged where it is not as it was written."""
        from tenure.predict.stored_models import from_data

        place = self._file(name, version)
        if not place.exists():
            raise UnknownName.of(f"version of model '{name}'", version, self.versions(name), "`tenure fit` makes one.")
        try:
            outer = json.loads(place.read_text(encoding="utf-8"))
            text = str(outer["content"])
            if hashlib.sha256(text.encode()).hexdigest() != outer["checksum"]:
                raise ValueError("its content is not what was written")
            told = json.loads(text)
            features = tuple(_feature(each) for each in told["features"])
            model, simplest = from_data(told.pop("model"), threads), from_data(told.pop("simplest"), threads)
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"the model {place} is damaged: {error}; run `tenure fit` again") from error
        return StoredModel(name, version, told, model, simplest, features)

    def _file(self, name: str, version: str) -> Path:
        for part in (name, version):
            if not _SAFE.match(part) or ".." in part:
                raise UnknownName(f"no model is called '{part}'; see `tenure fit`")
        return self.folder / name / f"{version}.json"


def feature_data(feature: Feature) -> dict[str, Any]:
    """What a file says of a feature: enough to know later whether it still means the same."""
    return {
        "name": feature.name,
        "group": feature.group,
        "unit": feature.unit,
        "definition": feature.definition,
        "direction": feature.direction,
        "sql": hashlib.sha256(feature.sql.encode()).hexdigest()[:16],
    }


def _feature(told: Mapping[str, Any]) -> Feature:
    name = str(told["name"])
    if name.startswith("trait:"):
        return of_trait(name.removeprefix("trait:"), told["unit"] == "text")
    if name.startswith("customer:"):
        return of_column(name.removeprefix("customer:"))
    known = BY_NAME.get(name)
    if known is None or feature_data(known)["sql"] != told["sql"]:
        raise ValueError(f"the feature '{name}' is computed in another way since")
    return known


def _whole(place: Path, text: str) -> None:
    """The file appears whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)
