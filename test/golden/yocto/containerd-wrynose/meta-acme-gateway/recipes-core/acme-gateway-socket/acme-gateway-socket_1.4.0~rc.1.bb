# nooelint: oelint.var.bbclassextend - for the target alone
SUMMARY = "Device socket of acme-gateway"
DESCRIPTION = "The values of acme-gateway that boxship-socket works with: the key that a store is verified with, how the partitions are found, the mounts of containerd, and the order in which its units start."
HOMEPAGE = "https://acme.example"
BUGTRACKER = "https://acme.example"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=f8a9e934c463c359f59c2bf058bbe5dc"
CVE_PRODUCT = "acme-gateway"

# socket.env and socket.json are those of files/<MACHINE>.
SRC_URI = "\
    file://LICENSE \
    file://socket.env \
    file://socket.json \
    file://store.pem \
    file://containerd.service.d-10-boxship.conf \
    file://var-lib-boxship-volumes.mount \
    file://var-lib-containerd.mount \
"

S = "${UNPACKDIR}"

COMPATIBLE_MACHINE = "^(qemux86-64)$"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d -m 0701 ${D}${localstatedir}/lib/boxship/volumes
    install -d -m 0711 ${D}${localstatedir}/lib/containerd
    install -D -m 0644 ${S}/socket.env ${D}${nonarch_libdir}/boxship/socket.env
    install -D -m 0644 ${S}/socket.json ${D}${nonarch_libdir}/boxship/socket.json
    install -D -m 0644 ${S}/store.pem ${D}${nonarch_libdir}/boxship/store.pem
    install -D -m 0644 ${S}/containerd.service.d-10-boxship.conf ${D}${systemd_system_unitdir}/containerd.service.d/10-boxship.conf
    install -D -m 0644 ${S}/var-lib-boxship-volumes.mount ${D}${systemd_system_unitdir}/var-lib-boxship-volumes.mount
    install -D -m 0644 ${S}/var-lib-containerd.mount ${D}${systemd_system_unitdir}/var-lib-containerd.mount
}

FILES:${PN} += "\
    ${localstatedir}/lib/boxship/volumes \
    ${localstatedir}/lib/containerd \
    ${nonarch_libdir}/boxship \
    ${systemd_system_unitdir} \
"

RDEPENDS:${PN} = "boxship-socket"
