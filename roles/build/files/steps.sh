# shellcheck shell=sh
# What the steps of Dockerfile.in have in common. Before it stands the environment of a build, behind it an app's plan as
# the functions dependencies and code: module_utils/build_recipe.py.
set -eu

notes=/venv/flask-deploy/said
needs=/venv/flask-deploy/needs
failure=/tmp/failure
only=--no-build

[ -z "${PIP_INDEX_URL-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}" PIPENV_PYPI_MIRROR="$PIP_INDEX_URL"
[ -z "${PIP_EXTRA_INDEX_URL-}" ] || export UV_INDEX="${UV_INDEX:-$PIP_EXTRA_INDEX_URL}"

# note TEXT: what people are told when the image is there
note() {
  echo "$1" | tee -a "$notes"
}

# packages NAME...: of Debian
packages() {
  PATH=$PATH:/usr/sbin:/sbin
  if ! command -v apt-get >/dev/null; then
    echo "the base image has no apt-get, which would install: $*; choose another: build_base_image" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >/dev/null
}

# what reads the files that list dependencies; what it says of a package that has to be built is read below
tools() {
  python=$(command -v python3)
  "$python" -m venv /opt/uv
  /opt/uv/bin/pip install -q --disable-pip-version-check 'uv>=0.13.9,<0.14'
  uv venv -q --python "$python" /venv
  mkdir "${notes%/*}"
  touch "$notes" "$needs"
}

# asked FILE VERSION...: which Python a file of the app asks for
asked() {
  here=$(python -c 'import sys; print(*sys.version_info[:2], sep=".")')
  file=$1
  shift
  case " $* " in
  *" $here "*) ;;
  *) note "$file asks for Python $*, and the base image has $here; build_base_image names another" ;;
  esac
}

# without_local FILE...: leave out requirements that are in the code itself, which is not there yet
without_local() {
  sed -i -E '/^[[:space:]]*((-e|--editable)[[:space:]=]*)?(\.|file:)/d; /@ file:/d' "$@"
}

# not_editable FILE...: take repositories as pip does, of which uv takes none as editable; in an image that is the same
not_editable() {
  sed -i -E 's/^[[:space:]]*(-e|--editable)[[:space:]=]+([[:alnum:]]+\+[[:alnum:]]+:)/\2/' "$@"
}

# built COMMAND...: install with uv, and with a compiler where something has to be built
built() {
  # shellcheck disable=SC2086 # a word or none
  "$@" --compile-bytecode $only 2>"$failure" && return
  if ! grep -qE 'no-build|[Ww]heels|Building source distributions|Failed to build|[Gg]it ' "$failure"; then
    cat "$failure" >&2
    exit 1
  fi
  echo 'some of it has to be built: a compiler and headers come first'
  headers='libffi-dev libssl-dev libpq-dev default-libmysqlclient-dev libxml2-dev libxslt1-dev libjpeg-dev zlib1g-dev'
  [ ! -x /usr/bin/python3 ] || headers="$headers python3-dev" # an official image of Python has them
  # shellcheck disable=SC2086 # words
  packages build-essential pkg-config git openssh-client $headers
  "$@" --compile-bytecode 2>"$failure" || other_python
}

# other_python: fail, and say for which Python the package of $list that does not build has a wheel
other_python() {
  cat "$failure" >&2
  # shellcheck disable=SC2016 # uv quotes names so
  package=$(sed -n 's/.*Failed to build `\([^=@` ]*\).*/\1/p' "$failure" | head -n 1)
  if [ -z "$list" ] || [ -z "$package" ] || ! listing >/dev/null 2>&1; then exit 1; fi
  for version in 3.14 3.13 3.12 3.11 3.10; do
    if timeout 20 uv pip compile -q --only-binary "$package" --python-version "$version" -o /dev/null "$list" \
      >/dev/null 2>&1; then
      echo "what to do: $package has a wheel for Python $version. Write build_python: '$version'" >&2
      exit 1
    fi
  done
  echo "what to do: $package has a wheel for none of Python 3.10 to 3.14. Write what it needs of Debian, build_packages, or" \
    "a newer version, build_requirements: ['$package>=...']" >&2
  exit 1
}

# fits LOCK FILE COMMAND...: note a lock that is older than what it locks
fits() {
  lock=$1 file=$2
  shift 2
  "$@" >/dev/null 2>&1 || note "$lock does not fit $file any more; what it locks is installed"
}

# instead REQUIREMENT...: install these in place of what the app's own files say of them, and note it
instead() {
  printf '%s\n' "$@" >/tmp/instead
  export UV_OVERRIDE=/tmp/instead
  for each in "$@"; do
    name=$(echo "$each" | sed 's/[^A-Za-z0-9._-].*//; s/[-_.]/[-_.]/g')
    said="build_requirements: $each takes the place of what the app lists"
    ! grep -qisE "(^|\")$name([^A-Za-z0-9._-]|$)" "$list" uv.lock || grep -qxF "$said" "$notes" || note "$said"
  done
}

# server REQUIREMENT...: put what serves, and more, over what the app brings, and note what that changed
server() {
  list=
  uv pip freeze -q >/tmp/before
  built uv pip install 'gunicorn[gevent]>=27,<28' "$@"
  uv pip freeze -q >/tmp/after
  grep -vxFf /tmp/after /tmp/before | while read -r old; do
    note "$(grep -i "^${old%%=*}==" /tmp/after) takes the place of the app's $old"
  done
  linked
}

# linked: note which packages of Debian have the libraries that was built against, for the image
linked() {
  command -v dpkg >/dev/null || return 0
  find /venv -name '*.so*' -exec ldd {} + 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u |
    xargs -r readlink -f | sort -u | xargs -r dpkg -S 2>/dev/null | sed 's/[:,].*//' | sort -u >"$needs"
}

# image PACKAGE...: have these packages in the image, and those that the build found out
image() {
  lacking=
  for each in "$@" $(cat "$needs"); do
    dpkg -s "$each" >/dev/null 2>&1 || lacking="$lacking $each"
  done
  [ -n "$lacking" ] || return 0
  # shellcheck disable=SC2086 # words
  packages $lacking
  rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
}

# project REASON: install the code as a package, so that it is found where it is
project() {
  export SETUPTOOLS_SCM_PRETEND_VERSION=0 PBR_VERSION=0 # of a repository's history, which is not here
  if ! uv pip install -q --no-deps -e . 2>"$failure"; then
    cat "$failure"
    why=$({ grep -E '[Ee]rror: ' "$failure" || cat "$failure"; } | tail -n 1 | sed 's/^ *//')
    note "the project itself is not installed, though $1: $why"
  fi
}

# path FOLDER: import the code from there too
path() {
  echo "/app/$1" >"$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/flask-deploy.pth"
}

# commanded COMMAND: what the user wants done with the code
commanded() {
  sh -euc "$1" || {
    echo "build_command ended with code $?" >&2
    exit 1
  }
}

# compiled: have all code ready for Python; what does not compile is no part of the app, or fails as that starts
compiled() {
  python -m compileall -qq /app || true
}
