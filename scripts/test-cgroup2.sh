#!/usr/bin/env bash
# Runs the tests of internal/runner/execrunner about memory and control groups on
# version 2 of them, in a virtual machine of its own that software emulates: once
# where the tests are in the root group, and once where they are alone in a group. CI
# does not run it. It takes up to a minute, and the first time it fetches a kernel of
# Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/kernel
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
missing=()
for want in busybox:busybox-static cpio:cpio qemu-system-x86_64:qemu-system-x86; do
	command -v "${want%:*}" >/dev/null || missing+=("${want#*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
	$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
kernel=$(compgen -G "$tools/boot/vmlinuz-*" | head -1) || true
if [ -z "$kernel" ]; then
	$sudo apt-get update -qq
	package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
	mkdir -p "$tools"
	(cd "$dir" && apt-get download -qq "$package" && dpkg-deb -x ./*.deb "$tools")
	kernel=$(compgen -G "$tools/boot/vmlinuz-*" | head -1)
fi
root=$dir/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp}
CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go test -c -o "$root/bin/tests" ./internal/runner/execrunner
cp "$(command -v busybox)" "$root/bin/busybox"
for tool in awk cat env mkdir mount mv poweroff setsid sh sleep; do
	ln -s busybox "$root/bin/$tool"
done
cat > "$root/init" <<'END'
#!/bin/sh
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /tmp
echo +memory +pids > /sys/fs/cgroup/cgroup.subtree_control
echo "in the root group:"
tests -test.v -test.run 'Cgroup|TestMemory' && echo "ROOT OK"
mkdir /sys/fs/cgroup/alone
echo "alone in a group:"
sh -c 'echo $$ > /sys/fs/cgroup/alone/cgroup.procs; exec tests -test.v -test.run "Cgroup|TestMemory"' && echo "ALONE OK"
poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$dir/initrd"
timeout 150 qemu-system-x86_64 -accel tcg -m 1024 -nographic -no-reboot -kernel "$kernel" -initrd "$dir/initrd" \
	-append "console=ttyS0 quiet panic=-1" </dev/null | tr -d '\r' | grep -v '^\[' | sed -n '/in the root group:/,$ s/.*\(in the root\)/\1/; /^in the root/,$p' | tee "$dir/log"
grep -q '^ROOT OK' "$dir/log" && grep -q '^ALONE OK' "$dir/log" && ! grep -q -e '--- SKIP' "$dir/log"
