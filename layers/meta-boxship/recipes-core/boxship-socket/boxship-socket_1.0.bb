# nooelint: oelint.var.bbclassextend - for the target alone
SUMMARY = "Device socket of Boxship: mounts and verifies a store of containers"
DESCRIPTION = "Finds the partitions of Boxship on the disk of the root filesystem, verifies the signed store before the container engine starts, starts the apps and grows the data partition. Without such partitions everything steps aside and the engine starts as usual. A package of the product's own layer brings its values and its key."
HOMEPAGE = "https://boxship.example"
BUGTRACKER = "https://boxship.example/issues"
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"
CVE_PRODUCT = "boxship"

SRC_URI = "\
    file://LICENSE \
    file://usr \
"

# UNPACKDIR since styhead; before it, sources are unpacked into WORKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

# The units are switched on by links below /usr, which neither presets nor an overlay on /etc undo.
do_install() {
    install -d ${D}${nonarch_libdir}/boxship
    for program in apps grow grow-table locate verify; do
        install -m 0755 ${S}/usr/lib/boxship/$program ${D}${nonarch_libdir}/boxship/
    done
    install -m 0644 ${S}/usr/lib/boxship/device.sh ${D}${nonarch_libdir}/boxship/

    install -d ${D}${systemd_system_unitdir}/multi-user.target.wants
    for unit in boxship-apps.service boxship-apps.target boxship-grow.service boxship-verify.service \
            run-boxship-data.mount run-boxship-store.mount; do
        install -m 0644 ${S}/usr/lib/systemd/system/$unit ${D}${systemd_system_unitdir}/
    done
    for device in dev-boxship-data.device.d dev-boxship-store.device.d; do
        install -d ${D}${systemd_system_unitdir}/$device
        install -m 0644 ${S}/usr/lib/systemd/system/$device/10-boxship.conf ${D}${systemd_system_unitdir}/$device/
    done
    for unit in boxship-apps.service boxship-grow.service; do
        ln -s ../$unit ${D}${systemd_system_unitdir}/multi-user.target.wants/$unit
    done
    install -d ${D}${systemd_unitdir}/system-preset
    install -m 0644 ${S}/usr/lib/systemd/system-preset/10-boxship.preset ${D}${systemd_unitdir}/system-preset/

    install -d ${D}${nonarch_base_libdir}/udev/rules.d
    install -m 0644 ${S}/usr/lib/udev/rules.d/61-boxship.rules ${D}${nonarch_base_libdir}/udev/rules.d/
}

FILES:${PN} += "\
    ${nonarch_base_libdir}/udev \
    ${nonarch_libdir}/boxship \
    ${systemd_system_unitdir} \
    ${systemd_unitdir}/system-preset \
"

RDEPENDS:${PN} = "\
    e2fsprogs-e2fsck \
    e2fsprogs-resize2fs \
    openssl-bin \
"
