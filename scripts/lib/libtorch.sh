# Sourced by scripts/setup: puts the libtorch that `tch` in Cargo.toml was made for into the user's cache.

LIBTORCH_VERSION=2.11.0

distill_cache() {
    printf '%s\n' "${DISTILL_CACHE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/distill}"
}

# libtorch_version DIR: prints the version found in its headers, or else in the file that says it.
libtorch_version() {
    local header found
    for header in torch/headeronly/version.h torch/version.h torch/csrc/api/include/torch/version.h; do
        found=$(sed -n 's/^ *"\([0-9][0-9.]*\).*"$/\1/p; s/^#define TORCH_VERSION "\([0-9.]*\).*"$/\1/p' \
            "$1/include/$header" 2>/dev/null | head -n 1)
        [ -n "$found" ] && { printf '%s\n' "$found"; return; }
    done
    found=$(sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$1/version.py" 2>/dev/null)
    [ -n "$found" ] || found=$(sed 's/+.*//' "$1/build-version" 2>/dev/null) || true
    printf '%s\n' "$found"
}

# check_own_libtorch DIR: a LIBTORCH from the environment is used as it is, if its version fits.
check_own_libtorch() {
    [ -e "$1/lib/libtorch_cpu.so" ] || die "LIBTORCH=$1 has no lib/libtorch_cpu.so; correct it, or unset it and run this again"
    local version
    version=$(libtorch_version "$1")
    case $version in
        "${LIBTORCH_VERSION%.*}".*) printf 'libtorch %s from LIBTORCH=%s\n' "$version" "$1" >&2 ;;
        *) die "LIBTORCH=$1 is libtorch ${version:-of unknown version}; $LIBTORCH_VERSION is needed: correct it, or unset it and run this again" ;;
    esac
}

# need_room DIR GIGABYTES: running out of space half way says nothing useful, so ask first.
need_room() {
    local free_kb
    free_kb=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
    [ "$free_kb" -ge $(($2 * 1000 * 1000)) ] || die "$1 has $((free_kb / 1000)) MB free; $2 GB are needed (DISTILL_CACHE_HOME chooses another place)"
}

# install_libtorch: a directory that exists is complete, because it gets its name last.
install_libtorch() {
    local home=$1 lib=$2 temp
    need_room "$(dirname "$home")" 2
    temp=$(mktemp -d "$(dirname "$home")/.setup.XXXXXX")
    step "libtorch $LIBTORCH_VERSION: fetched (0.6 GB), SHA-256 checked" \
        env TMPDIR="$temp" python3 "$lib/wheels.py" download "$lib/libtorch-cpu.txt" "$temp/wheels"
    step "libtorch $LIBTORCH_VERSION: unpacked in $home" python3 "$lib/wheels.py" unpack "$temp/wheels" "$temp/site" \
        torch/lib torch/include torch/share torch/version.py nvidia
    mv -T "$temp/site" "$home"
    rm -rf "$temp"
}

# install_cuda: the libraries that libtorch_cuda.so asks for, next to those that are there; the marker comes last.
install_cuda() {
    local home=$1 lib=$2 temp
    need_room "$(dirname "$home")" 6
    temp=$(mktemp -d "$(dirname "$home")/.setup.XXXXXX")
    step "CUDA 13.0 libraries: fetched (2 GB), SHA-256 checked" \
        env TMPDIR="$temp" python3 "$lib/wheels.py" download "$lib/libtorch-cuda.txt" "$temp/wheels"
    step "CUDA 13.0 libraries: unpacked in $home" python3 "$lib/wheels.py" unpack "$temp/wheels" "$temp/site" nvidia
    # Hard links: nothing is copied, and a program that has a library open keeps it.
    cp -rl --remove-destination "$temp/site/nvidia" "$home/"
    touch "$home/.cuda-complete"
    rm -rf "$temp"
}
