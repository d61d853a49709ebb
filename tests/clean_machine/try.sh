#!/usr/bin/env bash
# Try the README's commands on a machine that has nothing: a minimal Debian in a chroot, with
# Python and pip as Debian ships them (externally managed, without ensurepip), a user who is not
# root, and no Go, git or compiler. What is tried is the commit HEAD, not the working tree.
#
#   tests/clean_machine/try.sh demo|test|both [ARGUMENT of pytest...]
#   tests/clean_machine/try.sh ci       .ci/run, as root
#
# Needs root, debootstrap and the network. Settings:
#   SUITE=bookworm    which Debian
#   BASE=DIRECTORY    where the untouched Debian is kept from one try to the next
set -euo pipefail

user=someone home=/home/someone
case "${1:-}" in
demo | test) commands=$1 ;;
both) commands="demo test" ;;
ci) commands=ci user=root home=/root ;;
*)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
shift
suite=${SUITE:-bookworm}
here=$(cd "$(dirname "$0")" && git rev-parse --show-toplevel)
scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT
base=${BASE:-$scratch/base}
root=$scratch/root

say() { printf '\n== %s\n' "$*"; }

if [ ! -e "$base/etc/debian_version" ]; then
    say "making a minimal Debian $suite in $base"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip "$suite" "$base" |
        tail -n 1
fi
cp -a "$base" "$root"

# The way to the network is the host's own: names, certificates, proxies, package indexes.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
cp -rL --remove-destination /etc/ssl/certs/. "$root/etc/ssl/certs/" 2>/dev/null || true
chroot "$root" useradd --create-home --shell /bin/sh someone
for file in "${PIP_CONFIG_FILE:-/etc/pip.conf}" ~/.pip/pip.conf ~/.config/pip/pip.conf; do
    if [ -f "$file" ]; then cat "$file" >>"$root/etc/pip.conf"; fi
done
environment=(HOME="$home" USER="$user" LANG=C.UTF-8)
environment+=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
while IFS= read -r -d '' variable; do
    name=${variable%%=*}
    case "${name^^}" in
    # Of files that the chroot does not have.
    PIP_CONFIG_FILE | PIP_FIND_LINKS | PIP_CACHE_DIR) ;;
    *_PROXY | PIP_* | *CERT* | *CA_BUNDLE) environment+=("$variable") ;;
    GOPROXY | GONOPROXY | GOPRIVATE | GOSUMDB | GONOSUMDB | GOINSECURE) environment+=("$variable") ;;
    esac
done < <(env -0)

mkdir "$root$home/project"
git -C "$here" archive HEAD | tar -x -C "$root$home/project"
chroot "$root" chown -R "$user:" "$home"

cat >"$root/try" <<'INSIDE'
set -eu
for tool in go git cc gcc docker postgres uv tox; do
    if command -v "$tool"; then
        echo "this machine is not bare" >&2
        exit 1
    fi
done
cd ~/project
echo "$(python3 --version), $(pip --version | cut -d' ' -f1,2), $(id -un)," \
    "ensurepip: $(python3 -c 'import ensurepip' 2>/dev/null && echo there || echo missing)," \
    "externally managed: $(ls /usr/lib/python3*/EXTERNALLY-MANAGED 2>/dev/null || echo no)"
for command in $COMMANDS; do
    if [ "$command" = ci ]; then run=.ci/run; else run="python3 run.py $command"; fi
    printf '\n== %s\n' "$run $*"
    started=$(date +%s)
    status=0
    $run "$@" || status=$?
    printf '\n== %s: exit status %d after %d s; .venv %s, caches %s\n' "$command" "$status" \
        $(($(date +%s) - started)) \
        "$(du -sh .venv | cut -f1)" "$(du -sch ~/.cache ~/go 2>/dev/null | tail -n 1 | cut -f1)"
    if [ "$status" -ne 0 ]; then exit "$status"; fi
done
INSIDE

say "trying $(git -C "$here" log -1 --format='%h %s' HEAD)"
# A namespace of its own takes the mounts, and every process that is left, with it.
# shellcheck disable=SC2016
unshare --mount --pid --fork --kill-child bash -euc '
    root=$1; shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    user=$1; shift
    exec chroot --userspec="$user:" "$root" "$@"
' inside "$root" "$user" env -i "${environment[@]}" COMMANDS="$commands" sh /try "$@"
