# Shared by the scripts of this directory: where things are, how they speak, how they install.
# shellcheck shell=bash
# shellcheck disable=SC2034  # used by the scripts that read this file
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/flask-deploy
build=$root/build
export FLASK_DEPLOY_STARTED=${FLASK_DEPLOY_STARTED:-$(date +%s)}

say() { printf '[%4d s] %s\n' "$(($(date +%s) - FLASK_DEPLOY_STARTED))" "$*" >&2; }

fail() { # WHAT WHAT_TO_DO
  printf 'error: %s\nwhat to do: %s\n' "$1" "$2" >&2
  exit 1
}

can_be_root() { ((EUID == 0)) || { command -v sudo >/dev/null && sudo -v; }; }

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    can_be_root || fail "this needs root: $*" "run it as root, or give this user sudo"
    sudo "$@"
  fi
}

need() { # COMMAND=PACKAGE...: install the packages whose command is missing
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null ||
    fail "missing here: ${missing[*]}" "install them with this system's package manager, then run the same command again"
  say "installing from Debian: ${missing[*]}"
  as_root apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# debian_image IMAGE SUITE CHANGES MMDEBSTRAP_OPTION...
# Makes a Docker image of a Debian suite from Debian's packages, without a registry. CHANGES is a
# newline-separated list of Dockerfile instructions. What made it is its key: same key, same image.
# The tar stays in the cache for a week, then security updates are due.
debian_image() {
  local image=$1 suite=$2 changes=$3 key tar change old imports=()
  shift 3
  "$here/engine"
  key=$(printf '%s\n' "$image" "$suite" "$changes" "$@" | sha256sum | cut -c1-12)-$(date +%GW%V)
  [[ $(docker image inspect --format '{{index .Config.Labels "flask-deploy.key"}}' "$image" 2>/dev/null) != "$key" ]] || return 0
  need mmdebstrap=mmdebstrap
  mkdir -p "$cache"
  tar=$cache/$(tr '/:' '--' <<<"$image")
  exec {lock}>"$tar.lock"
  flock "$lock"
  if [[ ! -e $tar-$key.tar ]]; then
    say "making $image from Debian's packages"
    rm -f "$tar"-*.tar
    as_root mmdebstrap --quiet --format=tar --aptopt='Acquire::Retries "3"' "$@" "$suite" "$tar.part" ||
      fail "Debian's packages could not be fetched" "try 'apt-get update' on this machine: it has to work here first"
    as_root chown "$(id -u)" "$tar.part"
    mv "$tar.part" "$tar-$key.tar"
  fi
  while IFS= read -r change; do
    [[ -z $change ]] || imports+=(--change "$change")
  done <<<"$changes"
  old=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
  docker import "${imports[@]}" --change "LABEL flask-deploy.key=$key" "$tar-$key.tar" "$image" >/dev/null
  [[ -z $old ]] || docker rmi "$old" >/dev/null 2>&1 || true # stays while a container uses it
  exec {lock}>&-
}
