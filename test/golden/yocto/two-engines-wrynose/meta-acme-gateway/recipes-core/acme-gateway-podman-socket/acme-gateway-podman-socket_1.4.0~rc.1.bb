# nooelint: oelint.var.bbclassextend - for the target alone
SUMMARY = "Device socket of acme-gateway"
DESCRIPTION = "The values of acme-gateway that boxship-socket works with: the key that a store is verified with, how the partitions are found, the mounts of podman, and the order in which its units start."
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
    file://podman-auto-update.service.d-10-boxship.conf \
    file://podman-restart.service.d-10-boxship.conf \
    file://podman.service.d-10-boxship.conf \
    file://podman.socket.d-10-boxship.conf \
    file://run-boxship-store.mount.d-10-boxship.conf \
    file://var-lib-boxship-images.mount \
    file://var-lib-containers-storage-volumes.mount \
    file://var-lib-containers-storage.mount \
    file://var-lib-boxship-images-overlay-images-images.lock \
    file://var-lib-boxship-images-overlay-layers-layers.lock \
"

S = "${UNPACKDIR}"

COMPATIBLE_MACHINE = "^(qemux86-64)$"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d -m 0755 ${D}${sysconfdir}/cni/net.d
    install -d -m 0755 ${D}${sysconfdir}/containers
    install -d -m 0700 ${D}${localstatedir}/lib/boxship/images
    install -d -m 0700 ${D}${localstatedir}/lib/containers/storage
    install -D -m 0644 ${S}/socket.env ${D}${nonarch_libdir}/boxship/socket.env
    install -D -m 0644 ${S}/socket.json ${D}${nonarch_libdir}/boxship/socket.json
    install -D -m 0644 ${S}/store.pem ${D}${nonarch_libdir}/boxship/store.pem
    install -D -m 0644 ${S}/podman-auto-update.service.d-10-boxship.conf ${D}${systemd_system_unitdir}/podman-auto-update.service.d/10-boxship.conf
    install -D -m 0644 ${S}/podman-restart.service.d-10-boxship.conf ${D}${systemd_system_unitdir}/podman-restart.service.d/10-boxship.conf
    install -D -m 0644 ${S}/podman.service.d-10-boxship.conf ${D}${systemd_system_unitdir}/podman.service.d/10-boxship.conf
    install -D -m 0644 ${S}/podman.socket.d-10-boxship.conf ${D}${systemd_system_unitdir}/podman.socket.d/10-boxship.conf
    install -D -m 0644 ${S}/run-boxship-store.mount.d-10-boxship.conf ${D}${systemd_system_unitdir}/run-boxship-store.mount.d/10-boxship.conf
    install -D -m 0644 ${S}/var-lib-boxship-images.mount ${D}${systemd_system_unitdir}/var-lib-boxship-images.mount
    install -D -m 0644 ${S}/var-lib-containers-storage-volumes.mount ${D}${systemd_system_unitdir}/var-lib-containers-storage-volumes.mount
    install -D -m 0644 ${S}/var-lib-containers-storage.mount ${D}${systemd_system_unitdir}/var-lib-containers-storage.mount
    install -D -m 0644 ${S}/var-lib-boxship-images-overlay-images-images.lock ${D}${localstatedir}/lib/boxship/images/overlay-images/images.lock
    install -D -m 0644 ${S}/var-lib-boxship-images-overlay-layers-layers.lock ${D}${localstatedir}/lib/boxship/images/overlay-layers/layers.lock
}

FILES:${PN} += "\
    ${localstatedir}/lib/boxship/images \
    ${localstatedir}/lib/containers/storage \
    ${nonarch_libdir}/boxship \
    ${sysconfdir}/cni/net.d \
    ${sysconfdir}/containers \
    ${systemd_system_unitdir} \
"

RDEPENDS:${PN} = "boxship-socket"
RCONFLICTS:${PN} = "acme-gateway-docker-socket"
