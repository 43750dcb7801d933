"""Which values of role kubernetes' variables can work."""

from __future__ import annotations

import re
from typing import Any

from inventory_check.values import SIZE, pattern

# As docker writes them: a registry or none, a path, a tag, a digest.
IMAGE = re.compile(
    r"([a-z0-9][\w.-]*(:\d+)?/)?[a-z0-9][a-z0-9._/-]*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII
)
LABEL = re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?")
PLACE = re.compile(r"(/[A-Za-z0-9_.-]+)+")


def image(value: str) -> str | None:
    return pattern(IMAGE, "kubernetes_image: registry.example.com/shop:1.4.0")(value) if value else None


def data(value: str) -> str | None:
    return pattern(SIZE, "kubernetes_data: 10g")(value) if value else None


CHECKS = {
    "kubernetes_directory": pattern(re.compile(r"[^\x00-\x1f\x7f]{1,500}"), "kubernetes_directory: shop-kubernetes"),
    "kubernetes_image": image,
    "kubernetes_namespace": pattern(LABEL, "kubernetes_namespace: shop"),
    "kubernetes_data": data,
    "kubernetes_workdir": pattern(PLACE, "kubernetes_workdir: /app"),
    "kubernetes_nginx_image": pattern(IMAGE, "kubernetes_nginx_image: docker.io/library/nginx:stable"),
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES: dict[str, Any] = {
    "kubernetes_directory": "shop-kubernetes",
    "kubernetes_image": "registry.example.com/shop:1.4.0",
    "kubernetes_namespace": "shop",
}
