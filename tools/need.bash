# Sourced by `./demo`, `./test` and `tests/servers/install`: finds the tools that a script needs, and installs
# those that the machine lacks, saying so first.
#
# Rust comes from rustup into the user's home, Go from go.dev into a cache, checked against the sum published
# there; everything else from the system's package manager, as root or by sudo. BREAKERBOX_INSTALL=no
# installs nothing and says what is missing.

BREAKERBOX_GO=1.26.8

need_die() { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 2; }
need_say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# need TOOL...: each is on PATH afterwards, or the script ends with what to do.
need() {
  local tool
  for tool in "$@"; do
    need_path "$tool"
    need_has "$tool" && continue
    [[ ${BREAKERBOX_INSTALL:-yes} == no ]] && need_die "\`$tool\` is not on PATH; install $(need_hint "$tool")"
    need_say "\`$tool\` is not on PATH; installing it"
    need_install "$tool" >&2 || need_die "\`$tool\` could not be installed; install $(need_hint "$tool")"
    need_path "$tool"
    need_has "$tool" || need_die "\`$tool\` is still not on PATH; install $(need_hint "$tool")"
  done
}

# Debian's python3 comes without what makes a virtual environment.
need_has() {
  command -v "$1" >/dev/null || return
  [[ $1 != python3 ]] || python3 -c 'import ensurepip, venv' 2>/dev/null
}

need_hint() {
  case $1 in
    cargo) echo "Rust by rustup (https://rustup.rs); rust-toolchain.toml then picks the version" ;;
    cc) echo "a C compiler (Debian: build-essential): SQLite and aws-lc are C" ;;
    python3) echo "Python 3.9 or later with its venv module (Debian: python3-venv)" ;;
    go) echo "Go 1.26 or later (https://go.dev/dl)" ;;
    *) echo "\`$1\` (Debian: $(need_package "$1" apt-get))" ;;
  esac
}

need_go_root() { echo "${XDG_CACHE_HOME:-$HOME/.cache}/breakerbox/tools/go-$BREAKERBOX_GO"; }

# Where an installer puts a tool without telling the shell that runs now.
need_path() {
  case $1 in
    cargo) [[ ! -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]] || PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" ;;
    go) [[ ! -x $(need_go_root)/bin/go ]] || PATH="$PATH:$(need_go_root)/bin" ;;
  esac
}

need_install() {
  case $1 in
    cargo) need_rust ;;
    go) need_go ;;
    *) need_by_manager "$1" ;;
  esac
}

need_fetch() { curl --proto '=https' --tlsv1.2 --fail --silent --show-error --location "$@"; }

# The toolchain itself is what rust-toolchain.toml names, at the first `cargo`.
need_rust() {
  need curl
  local script
  script=$(need_fetch https://sh.rustup.rs) || return 1
  sh -s -- -y --no-modify-path --profile minimal --default-toolchain none <<<"$script"
}

need_go() {
  need curl tar
  local system machine name sum folder
  system=$(uname -s | tr '[:upper:]' '[:lower:]')
  case $(uname -m) in
    x86_64) machine=amd64 ;;
    aarch64 | arm64) machine=arm64 ;;
    *) return 1 ;;
  esac
  name=go$BREAKERBOX_GO.$system-$machine.tar.gz
  folder=$(mktemp -d) || return 1
  need_fetch --output "$folder/$name" "https://dl.google.com/go/$name" || return 1
  sum=$(need_fetch "https://dl.google.com/go/$name.sha256") || return 1
  echo "$sum  $folder/$name" | sha256sum --check --quiet || return 1
  tar -xzf "$folder/$name" -C "$folder" || return 1
  mkdir -p "$(dirname "$(need_go_root)")" && mv "$folder/go" "$(need_go_root)" && rm -rf "$folder"
}

need_by_manager() {
  local manager root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || { need_say "that needs root, and \`sudo\` is not there"; return 1; }
    root=(sudo)
  fi
  for manager in apt-get dnf apk pacman; do
    command -v "$manager" >/dev/null || continue
    local package
    # Several packages may be one tool: split on purpose.
    read -ra package <<<"$(need_package "$1" "$manager")"
    case $manager in
      apt-get)
        ${root[@]+"${root[@]}"} apt-get update -qq &&
          ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${package[@]}"
        ;;
      dnf) ${root[@]+"${root[@]}"} dnf install -y -q "${package[@]}" ;;
      apk) ${root[@]+"${root[@]}"} apk add --quiet "${package[@]}" ;;
      pacman) ${root[@]+"${root[@]}"} pacman -S --noconfirm --quiet "${package[@]}" ;;
    esac
    return
  done
  need_say "none of apt-get, dnf, apk and pacman is there"
  return 1
}

# What a package manager calls a tool.
need_package() {
  case $1:$2 in
    cc:apt-get) echo build-essential ;;
    cc:apk) echo build-base ;;
    cc:pacman) echo base-devel ;;
    cc:*) echo gcc gcc-c++ make ;;
    python3:apt-get) echo python3 python3-venv ;;
    python3:pacman) echo python ;;
    flock:*) echo util-linux ;;
    awk:*) echo gawk ;;
    *) echo "$1" ;;
  esac
}
