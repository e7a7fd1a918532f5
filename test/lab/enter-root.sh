#!/bin/sh
# enter-root.sh ROOT SCRATCH FOLDER… -- PROGRAM…   runs a program in an unpacked Debian root. Called in a mount and a pid namespace of
# its own (unshare). The root stays as it is: what is written goes to memory, mounted on SCRATCH, an empty folder. The FOLDERs
# are there at the same path. A real pivot_root, because runc refuses to work in a chroot.
set -eu
root=$1
top=$2
shift 2
mount --make-rprivate /
mount -t tmpfs tmpfs "$top"
mkdir "$top/upper" "$top/work" "$top/new"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$top/upper,workdir=$top/work" "$top/new"
cd "$top/new"
mkdir -p proc sys dev run tmp etc old
while [ "$1" != -- ]; do
  mkdir -p "./$1"
  mount --rbind "$1" "./$1"
  shift
done
shift
[ -e etc/passwd ] || printf 'root:x:0:0:root:/root:/bin/sh\n' >etc/passwd
[ -e etc/group ] || printf 'root:x:0:\ndocker:x:999:\n' >etc/group
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
cp /bin/busybox run/busybox # the root may have no umount
pivot_root . old
cd /
/run/busybox umount -l /old
exec "$@"
