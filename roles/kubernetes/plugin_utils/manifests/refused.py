"""What of an inventory cannot be exported, one line each, before anything is written."""

from __future__ import annotations

from typing import Any

from . import beside, pods

MOST = 900_000  # bytes of a ConfigMap; the API takes 1 MiB with all that is around it


def mistakes(known: dict[str, Any], files: dict[str, str]) -> list[str]:
    """Return what is wrong with settings that are right on a host."""
    lines = beside.untold(known)
    if not known["image"]:
        lines.append(
            "kubernetes_image: is required; it is where the cluster pulls the image, "
            "example: kubernetes_image: registry.example.com/shop:1.4.0"
        )
    if "%" in known["health_path"]:
        lines.append(
            "app_health_path: % is not carried over; write a path of letters, digits and ./_-, "
            "example: app_health_path: /healthz"
        )
    kept = [f"{place.target} of app_writable" for place in pods.places(known) if place.kept != "instance"]
    if not known["data"] and (kept or known["uploads"]):
        what = kept[0] if kept else "site_uploads"
        lines.append(f"kubernetes_data: {what} would be lost with its pod; example: kubernetes_data: 10g")
    size = sum(len(name.encode()) + len(text.encode()) for name, text in files.items())
    if size > MOST:
        lines.append(f"app_env: {size} bytes with the files of a release do not fit a ConfigMap, which holds {MOST}")
    return lines
