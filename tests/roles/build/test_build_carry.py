"""An image arrives on the other hosts as the one that was built, or the deploy stops."""

from __future__ import annotations

import shutil
import stat

import pytest
from ansible.module_utils import build_bases as bases
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.modules import build_carry as module

TAG = "flask-deploy/shop:b1"
DOCKER = r"""#!/bin/sh
case "$1 $2" in
"image inspect")
    [ -e "$ENGINE/here" ] && printf '[{"Id":"%s","Architecture":"%s"}]' "$(cat "$ENGINE/here")" \
        "$(cat "$ENGINE/machine" 2> /dev/null)" && exit
    echo "Error: No such image: $3" >&2; exit 1 ;;
"save "*) [ -e "$ENGINE/gone" ] && { echo "no such image" >&2; exit 1; }; echo "layers of $2" ;;
"load "*) cat > "$ENGINE/loaded"; echo sha256:one > "$ENGINE/here" ;;
esac
"""


@pytest.fixture(autouse=True)
def docker(engine):
    (engine.place / "bin" / "docker").write_text(DOCKER)
    if not shutil.which("zstd"):
        (engine.place / "bin" / "zstd").write_text("#!/bin/sh\nexec cat\n")
        (engine.place / "bin" / "zstd").chmod(0o755)
    return engine.place


def test_what_was_saved_is_what_is_loaded(docker, tmp_path):
    module.save(TAG, str(tmp_path / "image"))
    module.load("sha256:one", TAG, str(tmp_path / "image"))
    assert (docker / "loaded").read_text() == f"layers of {TAG}\n"
    assert module.here("sha256:one", TAG)


def test_the_file_is_for_its_owner_alone(tmp_path):
    module.save(TAG, str(tmp_path / "image"))
    assert stat.S_IMODE((tmp_path / "image").stat().st_mode) == 0o600


def test_another_image_than_was_built_is_refused(tmp_path):
    module.save(TAG, str(tmp_path / "image"))
    with pytest.raises(engines.EngineError, match=r"the image that arrived as .* is not sha256:two"):
        module.load("sha256:two", TAG, str(tmp_path / "image"))


def test_an_image_that_another_kind_of_host_built_is_refused_as_it_arrives_and_when_it_is_there(docker, tmp_path):
    module.save(TAG, str(tmp_path / "image"))
    (docker / "machine").write_text("s390x")
    for look in (
        lambda: module.load("sha256:one", TAG, str(tmp_path / "image")),
        lambda: module.here("sha256:one", TAG),
    ):
        with pytest.raises(bases.BaseError, match=f"{TAG} is for s390x and this host is"):
            look()


def test_an_image_of_that_name_which_is_another_is_not_here(docker):
    assert not module.here("sha256:one", TAG)
    (docker / "here").write_text("sha256:other")
    assert not module.here("sha256:one", TAG)


def test_an_image_that_cannot_be_saved_says_why(docker, tmp_path):
    (docker / "gone").touch()
    with pytest.raises(engines.EngineError, match="docker save: no such image"):
        module.save(TAG, str(tmp_path / "image"))
