"""What a Dockerfile builds on is found as BuildKit finds it."""

from __future__ import annotations

import pytest
from ansible.module_utils import build_dockerfiles as dockerfiles


@pytest.mark.parametrize(
    ("text", "arguments", "found"),
    [
        ("FROM python:3", {}, ["python:3"]),
        ("from python:3 as build\nFROM build\n", {}, ["python:3"]),
        ("FROM python AS python\nFROM python\n", {}, ["python"]),
        ("FROM scratch\nCOPY --from=tools:1 --chown=1 a b", {}, ["tools:1"]),
        ("FROM a AS one\nFROM b\nCOPY --from=0 x y", {}, ["a", "b"]),
        ("FROM unused\nFROM b", {}, ["b"]),
        ("FROM a AS Build\nFROM b\nCOPY --chmod=1 --from=build x y", {}, ["a", "b"]),
        (
            "FROM a\nRUN --mount=type=bind,from=tools:1,target=/t --mount=type=tmpfs x",
            {},
            ["a", "tools:1"],
        ),
        ("ARG V=3\nFROM python:$V", {}, ["python:3"]),
        ("ARG V=3\nFROM python:${V}", {"V": 4}, ["python:4"]),
        ("ARG V\nFROM python:${V:-3}-x", {}, ["python:3-x"]),
        ("FROM python:${V:-3}", {"V": "4"}, ["python:3"]),
        ("ARG V=1 W=${V}.2\nFROM python:$W", {}, ["python:1.2"]),
        ('ARG V="3"\nFROM "python:${V:+is}$V"', {}, ["python:is3"]),
        ("FROM a\nARG V=3\nFROM b:$V", {}, []),
        ("FROM python:${V#v}", {}, []),
        ("ARG V=v3\nFROM python:${V#v}", {}, ["python:3"]),
        ("ARG V=3.13.1-slim\nFROM python:${V%%.*}${V#?}-${V%-*}", {}, ["python:3.13.1-slim-3.13.1"]),
        ("ARG V=3-slim-slim\nFROM python:${V/-slim/.1}", {}, ["python:3.1-slim"]),
        ("ARG V=3_1_2\nFROM python:${V//_/.}", {}, ["python:3.1.2"]),
        ("ARG V=3-slim-x W=y\nFROM python:${V/-*/-$W}", {}, ["python:3-y"]),
        ("ARG R=a/b V=a/b/py\nFROM ${V/$R/m}", {}, ["m/py"]),
        ("ARG V=a/b\nFROM ${V/\\//-}", {}, ["a-b"]),
        ("ARG V=abc\nFROM ${V//*/x}", {}, ["x"]),
        ("ARG V=3-slim\nFROM python:${V/-s?im}${V///x}", {}, ["python:33-slim"]),
        ("ARG V\nFROM python:${V-3}", {}, ["python:3"]),
        ("ARG V\nFROM python${V}", {}, ["python"]),
        ("ARG V=3\nFROM python:${V:?no}", {}, ["python:3"]),
        ("ARG V=3\nARG W=4\nFROM python:${V:-${W}}", {}, ["python:3"]),
        ("ARG W=4\nFROM python:${V:-${W:-${X:-5}}}", {}, ["python:4"]),
        ("ARG TARGETOS\nFROM python:${TARGETOS}", {}, ["python:linux"]),
        ('FROM scratch\nCOPY --from="tools:1" a b', {}, ["tools:1"]),
        ("FROM a\nCOPY x --from=no y", {}, ["a"]),
        ("FROM a\nRUN tool --mount=type=bind,from=no x", {}, ["a"]),
        ("FROM a\nRUN --mount='type=bind,from=tools:1' x", {}, ["a", "tools:1"]),
        ("FROM a AS x\nFROM x AS x\nFROM x", {}, ["a"]),
        ("FROM a\nFROM 0", {}, ["0"]),
        ("\ufeffFROM python:3", {}, ["python:3"]),
        ("FROM a\r\nRUN x \\\r\n y\r\nFROM b\r\n", {}, ["b"]),
        ("FROM a\nRUN echo a\\\\\nFROM b", {}, ["b"]),
        ("FROM reg\\\nistry/python:3", {}, ["registry/python:3"]),
        ("# why\n# escape=`\nFROM a\nRUN echo `\nFROM b", {}, ["b"]),
        ("# syntax=docker/dockerfile:1\n# escape=`\nFROM `\n b", {}, ["b"]),
        ("FROM a\nRUN echo \x0cFROM no", {}, ["a"]),
        ("FROM a\nRUN <<EOF.x\nFROM no\nEOF.x\nFROM b", {}, ["b"]),
        ("FROM a\nRUN cat <<'THE END'\nFROM no\nTHE END\n", {}, ["a"]),
        ("FROM a\nRUN cat << EOF\nFROM no\nEOF\n", {}, ["a"]),
        ("FROM a\nRUN <<EOF\n EOF\nFROM no\nEOF\n", {}, ["a"]),
        ("FROM a\nONBUILD RUN <<EOF\nFROM no\nEOF\n", {}, ["a"]),
        ("FROM a\nRUN echo 'type <<EOF'\nFROM b", {}, ["b"]),
        ("FROM a\nRUN x \\\n# the end", {}, ["a"]),
        ("# FROM no\n\nFROM \\\n  # why\n\n  python:3 \\\n AS x", {}, ["python:3"]),
        ("# escape=`\nFROM `\n  python:3", {}, ["python:3"]),
        ("FROM\tpython:3\n", {}, ["python:3"]),
        ("FROM a\nRUN <<EOF\nFROM no\nEOF\nFROM b\n", {}, ["b"]),
        ("FROM a\nCOPY <<-'END' /x\nFROM no\n\tEND\nFROM b\n", {}, ["b"]),
        ("FROM a\nRUN echo $((1<<X)) && cat <<< x\nFROM b\n", {}, ["b"]),
        ("", {}, []),
    ],
)
def test_the_images_of_a_dockerfile(text, arguments, found):
    assert [name for name, _platform in dockerfiles.images(text, arguments)] == found


def test_a_platform_is_told(monkeypatch):
    monkeypatch.setattr(dockerfiles.platform, "machine", lambda: "aarch64")
    text = "FROM --platform=$BUILDPLATFORM go:1 AS b\nFROM x-${TARGETARCH}\nCOPY --from=b x y"
    assert dockerfiles.images(text, {}) == [("go:1", "linux/arm64"), ("x-arm64", "")]
