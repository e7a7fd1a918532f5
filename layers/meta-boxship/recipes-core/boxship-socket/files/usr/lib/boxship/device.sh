# shellcheck shell=sh
# Finds our partitions on the disk that the root filesystem is on. Sourced by the programs beside it.
# BOXSHIP_ROOT stands before /sys, /proc and /dev: tests use it.

LC_ALL=C
export LC_ALL
R=${BOXSHIP_ROOT:-}
# shellcheck source=/dev/null
. "${BOXSHIP_ENV:-/usr/lib/boxship/socket.env}"

# hex: standard input as hex digits without spaces. A small busybox has an od without -t.
hex() {
  { od -An -v -tx1 2>/dev/null || hexdump -v -e '1/1 "%02x"'; } | tr -d ' \n'
}

# mount_of PATH: "MAJOR:MINOR TYPE SOURCE OPTIONS" of the filesystem that PATH is on.
mount_of() (
  longest=0
  found=
  while read -r _ _ device _ point rest; do
    case "$1/" in
      "${point%/}"/*)
        if [ "${#point}" -ge "$longest" ]; then
          longest=${#point}
          found="$device ${rest#* - }"
        fi
        ;;
    esac
  done <"$R/proc/self/mountinfo"
  [ -n "$found" ] && echo "$found"
)

# disks_of MAJOR:MINOR: sysfs folders of the disks below a block device: a partition's disk, those below a mapping.
disks_of() (
  cd -P "$R/sys/dev/block/$1" 2>/dev/null || exit 1
  here=$(pwd -P)
  if [ -e partition ]; then
    echo "${here%/*}"
  elif [ -e loop/backing_file ]; then
    read -r file <loop/backing_file
    on=$(mount_of "${file%/*}") && disks_of "${on%% *}"
  else
    below=
    for slave in slaves/*; do
      [ -e "$slave/dev" ] || continue
      below=yes
      read -r number <"$slave/dev"
      disks_of "$number"
    done
    [ -n "$below" ] || echo "$here"
  fi
)

# disks_of_node /dev/NAME: the same for a device node or a link to one.
disks_of_node() (
  node=$(readlink -f "$R$1") || exit 1
  read -r number 2>/dev/null <"$R/sys/class/block/${node##*/}/dev" || exit 1
  disks_of "$number"
)

# root_disks: sysfs folders of the disks that the root filesystem is on.
root_disks() (
  # shellcheck disable=SC2046
  set -- $(mount_of /)
  disks_of "${1:-none}" && exit
  # btrfs has no device number of its own
  case "${3:-}" in /dev/*) disks_of_node "$3" && exit ;; esac
  # an overlay: what lies below it
  lowers=$(echo "${4:-}" | tr ',' '\n' | sed -n 's/^lowerdir+\{0,1\}=//p' | tr ':' '\n')
  for lower in $lowers; do
    # shellcheck disable=SC2046
    set -- $(mount_of "$lower")
    [ "${2:-overlay}" != overlay ] && disks_of "$1" && exit
  done
  [ -L "$R/run/systemd/volatile-root" ] && disks_of_node /run/systemd/volatile-root && exit
  # the initramfs may have hidden it: then the kernel's command line names it
  read -r cmdline <"$R/proc/cmdline"
  for word in $cmdline; do
    case $word in
      root=/dev/*) disks_of_node "${word#root=}" && exit ;;
      root=PARTUUID=*) disks_of_node "/dev/disk/by-partuuid/${word#root=PARTUUID=}" && exit ;;
      root=UUID=*) disks_of_node "/dev/disk/by-uuid/${word#root=UUID=}" && exit ;;
      root=LABEL=*) disks_of_node "/dev/disk/by-label/${word#root=LABEL=}" && exit ;;
      root=PARTLABEL=*) disks_of_node "/dev/disk/by-partlabel/${word#root=PARTLABEL=}" && exit ;;
    esac
  done
  exit 1
)

# uevent FOLDER KEY: a value of a device's uevent file.
uevent() {
  sed -n "s/^$2=//p" "$1/uevent"
}

# role_of FOLDER: prints store or data when the partition of this sysfs folder is ours.
role_of() (
  if [ "$BOXSHIP_TABLE" = gpt ]; then
    case $(uevent "$1" PARTNAME) in
      boxship-store) echo store ;;
      boxship-data) echo data ;;
      *) exit 1 ;;
    esac
  else
    # ext4 superblock: at 1024, s_uuid at 0x68 in it: 1024 + 104 = 141 * 8
    uuid=$(dd if="$R/dev/$(uevent "$1" DEVNAME)" bs=8 skip=141 count=2 2>/dev/null | hex)
    [ -n "$uuid" ] || exit 1
    case $uuid in
      "$(echo "$BOXSHIP_STORE_UUID" | tr -d -)") echo store ;;
      "$(echo "$BOXSHIP_DATA_UUID" | tr -d -)") echo data ;;
      *) exit 1 ;;
    esac
  fi
)

# find_partition ROLE: sysfs folder of our partition on a root disk.
find_partition() (
  for disk in $(root_disks); do
    for part in "$disk/${disk##*/}"*; do
      [ -e "$part/partition" ] || continue
      if [ "$(role_of "$part")" = "$1" ]; then
        echo "$part"
        exit 0
      fi
    done
  done
  exit 1
)
