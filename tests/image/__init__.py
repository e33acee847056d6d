"""The container image, run by podman as a plant would run it: `make test-image`. Not part of the suite."""

from __future__ import annotations
