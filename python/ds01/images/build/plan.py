"""What a new image or a change of one would be: all that is needed to build it."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ds01.core.engine import Engine
from ds01.core.errors import Exit, HelperError
from ds01.core.paths import find_paths
from ds01.core.program import print_json
from ds01.core.text import nearest
from ds01.images.build import incoming
from ds01.images.build.stage import (
    Plan,
    checksum,
    context_checksum,
    find_tools,
    rendered,
    write_stage,
)
from ds01.images.shelf.base import Ground, look_up, settle
from ds01.images.shelf.image import read_images
from ds01.images.shelf.labels import decode
from ds01.images.source import context, render
from ds01.images.source import dockerfile as source_dockerfile
from ds01.images.source import folder as source_folder
from ds01.images.source import layers as source_layers
from ds01.images.source import spec as source_spec
from ds01.images.source.change import change, render_again
from ds01.images.source.dockerfile import State
from ds01.images.source.lock import Lock, diff, load_lock
from ds01.images.source.names import check_name, reference
from ds01.images.source.packages import load_packages
from ds01.images.source.types import Base, Layer, Spec
from ds01.images.versions.progress import Steps
from ds01.images.versions.versions import Asking, Outcome, work_out
from ds01.images.versions.workshop import opened
from ds01.policy.limits import effective_limits, load_policy
from ds01.policy.users import identify_user

_STEPS = 3


class Planner:
    """One plan: the words, the policy, and the engine."""

    def __init__(self, words: argparse.Namespace, engine: Engine) -> None:
        self.words = words
        self.engine = engine
        self.paths = find_paths()
        self.policy = load_policy(self.paths.policy)
        self.user = identify_user(os.getuid())
        now = datetime.now(timezone.utc)
        self.limits = effective_limits(self.policy, self.user, now).limits
        self.packages = load_packages(self.paths.etc / "packages.yaml")
        self.name = check_name(words.name)
        self.reference = reference(self.user.name, os.getuid(), self.name)
        self.image = engine.image(self.reference)
        self.labels = decode((self.image or {}).get("Config", {}).get("Labels"))
        self.label_source = self.labels.source if self.labels else None
        self.extras = Path(words.stage) / "extras"
        self.steps = Steps(_STEPS if words.steps else None)

    # What is asked for ------------------------------------------------------------

    def create(self) -> int:
        """Plan a new image; one whose first build failed is planned anew."""
        words = self.words
        folder = source_folder.place(self.name, words.project)
        known = source_folder.find(self.name, self.label_source)
        if known is not None and (self.image or known != folder.resolve()):
            where = "" if known == folder.resolve() else f" (its source is '{known}')"
            raise HelperError(
                Exit.REFUSED,
                f"you have an image '{self.name}' already{where}",
                f"run 'image-update {self.name}' to change it",
            )
        source_folder.check_free(folder, self.name)
        taken = incoming.take_files(
            self.extras, words.pip, words.requirement, Path.cwd()
        )
        text = source_folder.read(folder, source_folder.DOCKERFILE)
        own = incoming.take_dockerfile(words.dockerfile, self.extras)
        if own is not None:
            text = own
        elif known is None and source_dockerfile.examine(text) is State.ADOPTED:
            raise HelperError(
                Exit.REFUSED,
                f"there is a Dockerfile in '{folder}' already",
                "build from it with '--dockerfile', or choose another folder",
            )
        adopted = source_dockerfile.examine(text) is State.ADOPTED
        base = Base(words.framework, words.version, words.from_)
        if adopted and text is not None and base == Base():
            base = Base(image=incoming.base_of(text))
        tiers = words.tier
        if not words.tier and not words.no_tiers and not adopted:
            tiers = [tier.name for tier in self.packages.tiers]
        spec = Spec(
            self.name,
            base,
            words.arch,
            tuple(dict.fromkeys(tiers)),
            tuple(dict.fromkeys(words.type)),
            shared=words.shared,
        )
        spec = change(
            spec,
            add=taken.pip,
            add_apt=words.system,
            requirements=taken.requirements,
            pip_options=words.pip_option,
            adopted=adopted,
        )
        return self._finish(folder, None, spec, text, None)

    def update(self) -> int:
        """Plan a change of an image."""
        words = self.words
        folder = source_folder.find(self.name, self.label_source)
        if folder is None:
            raise self._no_source()
        source_folder.check_writable(folder, f"look at it with 'ls -ld {folder}'")
        old_spec = source_spec.load_spec(folder / source_folder.SPEC)
        if old_spec.name != self.name:
            raise HelperError(
                Exit.CONFIG,
                f"'{folder / source_folder.SPEC}' is of an image '{old_spec.name}'",
                f"write 'name: {self.name}' there, or update '{old_spec.name}'",
            )
        text = source_folder.read(folder, source_folder.DOCKERFILE)
        lock = load_lock(folder / source_folder.LOCK)
        own = incoming.take_dockerfile(words.dockerfile, self.extras)
        state = source_dockerfile.examine(text)
        if own is not None:
            text, state = own, source_dockerfile.examine(own)
        if state is State.EDITED and text is not None:
            if words.adopt:
                text = source_dockerfile.adopt(text)
            elif not words.render_again:
                return self._edited(folder, old_spec, lock, text)
        elif state is State.ADOPTED and words.render_again:
            raise HelperError(
                Exit.CONFIG,
                f"the Dockerfile in '{folder}' is your own: DS01 renders no part of it",
                f"run 'mv {folder}/Dockerfile {folder}/Dockerfile.mine' first to have "
                "one rendered",
            )
        elif state is State.CLEAN and words.adopt and text is not None:
            text = source_dockerfile.adopt(text)
        adopted = source_dockerfile.examine(text) is State.ADOPTED
        if not adopted:
            # One that was moved away: what was added to it is asked for all the same.
            old_spec = render_again(old_spec)
        taken = incoming.take_files(
            self.extras, words.add, words.requirement, Path.cwd()
        )
        base = old_spec.base
        if words.base:
            if adopted:
                raise HelperError(
                    Exit.CONFIG,
                    f"the Dockerfile in '{folder}' is your own, and names its base",
                    f"run 'image-update {self.name} --edit' and change its FROM",
                )
            if not base.framework:
                raise HelperError(
                    Exit.USAGE,
                    f"image '{self.name}' is built on '{base.image}', which has no "
                    "versions in the catalog",
                    f"change 'base' in '{folder / source_folder.SPEC}'",
                )
            base = replace(base, version=words.base)
        shared = words.shared or (old_spec.shared and not words.private)
        if adopted and text is not None:
            current = lock.base.image if lock else None
            base = self._adopted_base(text, base, old_spec.architecture, current)
        spec = change(
            old_spec,
            add=taken.pip,
            remove=words.remove,
            add_apt=words.add_system,
            requirements=taken.requirements,
            adopted=adopted,
            base=base,
            shared=shared,
        )
        return self._finish(folder, old_spec, spec, text, lock)

    @staticmethod
    def _adopted_base(
        text: str, base: Base, architecture: str | None, current: str | None
    ) -> Base:
        """Return the base that the user's own Dockerfile names; it may be another."""
        if base.image:
            return Base(image=incoming.base_of(text))
        named = context.base_of(text)
        try:
            image = settle(base, architecture, current=current)[1]
        except HelperError:
            # The catalog has it no more, which is no matter where the file tells.
            image = ""
        return base if named is None or named == image else Base(image=named)

    def _no_source(self) -> HelperError:
        if self.image and self.label_source == "-":
            return HelperError(
                Exit.NOT_FOUND,
                f"image '{self.name}' is a copy of a container: it has no source",
                f"run 'container-create {self.name.replace('.', '-')} --image "
                f"{self.name}' and save that container anew",
            )
        if self.image:
            return HelperError(
                Exit.NOT_FOUND,
                f"image '{self.name}' has no source any more",
                f"run 'image-delete {self.name}', then make it with 'image-create'",
            )
        own = [image.name for image in read_images(self.engine) if image.mine]
        close = nearest(self.name, own)
        return HelperError(
            Exit.NOT_FOUND,
            f"you have no image '{self.name}'",
            f"did you mean '{close}'?"
            if close
            else "run 'image-list' to see yours, or 'image-create' to make one",
        )

    # What becomes of it -----------------------------------------------------------

    def _edited(self, folder: Path, spec: Spec, lock: Lock | None, text: str) -> int:
        """Print what an edit by hand changed, and leave: somebody must decide."""
        found = source_layers.layers(spec, self.packages, folder)
        looked = None
        if lock is None:
            # It was never built: what would be rendered is not known yet.
            base, image, architecture = settle(spec.base, spec.architecture)
            ground = self._ground(base, image, architecture)
            outcome = self._versions(ground, found, None, folder, upgrade=False)
            lock, looked = outcome.lock, outcome.found
        tools = find_tools(self.limits.network, looked)
        again = rendered(found, lock, text, tools)
        told = source_dockerfile.diff(again, text, "rendered", "edited")
        value = {"name": self.name, "reference": self.reference, "folder": str(folder)}
        state = {"source_state": State.EDITED.value, "dockerfile": text}
        print_json({**value, **state, "dockerfile_diff": told})
        raise HelperError(
            Exit.CONFIG,
            f"the rendered part of '{folder / source_folder.DOCKERFILE}' was edited "
            "by hand",
            f"run 'image-update {self.name} --adopt' to keep the file as your own, or "
            "'--render-again' to drop the edit",
        )

    def _finish(
        self,
        folder: Path,
        old_spec: Spec | None,
        spec: Spec,
        text: str | None,
        lock: Lock | None,
    ) -> int:
        words, state = self.words, source_dockerfile.examine(text)
        context.check_labels(text or "")
        upgrade = getattr(words, "upgrade", False)
        current = lock.base.image if lock and not upgrade else None
        base, image, architecture = settle(
            spec.base, spec.architecture, current=current
        )
        spec = replace(spec, base=base)
        view = incoming.view(folder, self.extras, Path(words.stage) / "view", spec)
        try:
            layers = source_layers.layers(spec, self.packages, view)
        except HelperError as error:
            if old_spec is None or error.code is not Exit.NOT_FOUND:
                raise
            # A tier may have gone from packages.yaml: no option takes it out.
            asked = folder / source_folder.SPEC
            hint = f"{error.hint}; what is asked for stands in '{asked}'"
            raise HelperError(error.code, error.message, hint) from error
        ground = self._ground(base, image, architecture)
        outcome = self._versions(ground, layers, lock, view, upgrade=upgrade)
        tools = find_tools(self.limits.network, outcome.found)
        dockerfile = rendered(layers, outcome.lock, text, tools)
        old_text = source_folder.read(folder, source_folder.DOCKERFILE)
        plan = Plan(
            name=self.name,
            reference=self.reference,
            folder=str(folder),
            spec=source_spec.dump_spec(
                spec, source_folder.read(folder, source_folder.SPEC)
            ),
            dockerfile=dockerfile,
            lock=outcome.lock,
            shared=spec.shared,
            ground=ground,
            tools=tools,
            user=self.user.name,
            is_first=self.image is None and lock is None,
            secrets=render.secrets(layers),
            pip_layers=tuple(layer.name for layer in layers if layer.pip),
            fixed_apt=tuple(n for layer in layers for n in layer.apt if "=" in n),
        )
        write_stage(Path(words.stage), plan, layers, (self.extras, folder))
        print_json(self._told(plan, state, layers, lock, outcome, old_text))
        return Exit.OK

    def _ground(self, base: Base, image: str, architecture: str) -> Ground:
        verb = "looking into" if self.engine.image(image) else "fetching"
        self.steps.begin(f"{verb} '{image}'")
        return look_up(self.engine, base, image, architecture)

    def _versions(
        self,
        ground: Ground,
        layers: tuple[Layer, ...],
        lock: Lock | None,
        view: Path,
        *,
        upgrade: bool,
    ) -> Outcome:
        asking = Asking(
            ground=ground,
            layers=layers,
            packages=self.packages,
            old=lock,
            folder=view,
            paths=self.paths,
            max_age=self.policy.images.pins_max_age,
            upgrade=upgrade,
            steps=self.steps,
        )
        with opened(self.engine, ground.id, self.limits.network) as workshop:
            return work_out(asking, workshop)

    def _told(  # noqa: PLR0917 - one caller, which has them all
        self,
        plan: Plan,
        state: State,
        layers: tuple[Layer, ...],
        lock: Lock | None,
        outcome: Outcome,
        old_text: str | None,
    ) -> dict[str, Any]:
        notes = [note for layer in layers for note in layer.notes]
        previous = None
        if self.image:
            same = (
                self.labels is not None
                and self.labels.spec == checksum(plan.spec)
                and self.labels.context == context_checksum(Path(self.words.stage))
            )
            previous = {
                "id": self.image["Id"],
                "created": self.image.get("Created"),
                "is_same": same,
            }
        return {
            "name": plan.name,
            "reference": plan.reference,
            "folder": plan.folder,
            "source_state": state.value,
            "dockerfile": plan.dockerfile,
            "dockerfile_diff": source_dockerfile.diff(
                old_text or "", plan.dockerfile, "Dockerfile", "Dockerfile (new)"
            ),
            "spec": plan.spec,
            "lock_changes": [vars(each) for each in diff(lock, outcome.lock)],
            "layers": [
                {
                    "name": layer.name,
                    "title": layer.title,
                    "pip": list(plan.lock.layers.get(layer.name, ())),
                    "apt": list(plan.lock.apt_layers.get(layer.name, ())),
                }
                for layer in layers
            ],
            "base": {
                "image": plan.ground.image,
                "framework": plan.ground.framework,
                "version": plan.ground.version,
                "digest": plan.ground.digest,
                "python": outcome.found.python,
            },
            "builder": plan.tools.builder,
            "previous": previous,
            "warnings": [*notes, *outcome.warnings],
        }
