# nooelint: oelint.var.bbclassextend - for the target alone
SUMMARY = "Device socket of acme-gateway"
DESCRIPTION = "The values of acme-gateway that boxship-socket works with: the key that a store is verified with, how the partitions are found, the mounts of k3s, and the order in which its units start."
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
    file://etc-rancher-node.mount \
    file://k3s-agent.service.d-10-boxship.conf \
    file://k3s.service.d-10-boxship.conf \
    file://var-lib-rancher-k3s-agent-containerd.mount \
    file://var-lib-rancher-k3s-data.mount \
    file://var-lib-rancher-k3s-server.mount \
    file://var-lib-rancher-k3s-storage.mount \
"

S = "${WORKDIR}"

COMPATIBLE_MACHINE = "^(qemux86-64)$"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit features_check

REQUIRED_DISTRO_FEATURES = "systemd"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d -m 0755 ${D}${sysconfdir}/rancher/k3s
    install -d -m 0755 ${D}${sysconfdir}/rancher/node
    install -d -m 0755 ${D}${localstatedir}/lib/cni
    install -d -m 0755 ${D}${localstatedir}/lib/kubelet
    install -d -m 0711 ${D}${localstatedir}/lib/rancher/k3s/agent/containerd
    install -d -m 0755 ${D}${localstatedir}/lib/rancher/k3s/data
    install -d -m 0700 ${D}${localstatedir}/lib/rancher/k3s/server
    install -d -m 0701 ${D}${localstatedir}/lib/rancher/k3s/storage
    install -D -m 0644 ${S}/socket.env ${D}${nonarch_libdir}/boxship/socket.env
    install -D -m 0644 ${S}/socket.json ${D}${nonarch_libdir}/boxship/socket.json
    install -D -m 0644 ${S}/store.pem ${D}${nonarch_libdir}/boxship/store.pem
    install -D -m 0644 ${S}/etc-rancher-node.mount ${D}${systemd_system_unitdir}/etc-rancher-node.mount
    install -D -m 0644 ${S}/k3s-agent.service.d-10-boxship.conf ${D}${systemd_system_unitdir}/k3s-agent.service.d/10-boxship.conf
    install -D -m 0644 ${S}/k3s.service.d-10-boxship.conf ${D}${systemd_system_unitdir}/k3s.service.d/10-boxship.conf
    install -D -m 0644 ${S}/var-lib-rancher-k3s-agent-containerd.mount ${D}${systemd_system_unitdir}/var-lib-rancher-k3s-agent-containerd.mount
    install -D -m 0644 ${S}/var-lib-rancher-k3s-data.mount ${D}${systemd_system_unitdir}/var-lib-rancher-k3s-data.mount
    install -D -m 0644 ${S}/var-lib-rancher-k3s-server.mount ${D}${systemd_system_unitdir}/var-lib-rancher-k3s-server.mount
    install -D -m 0644 ${S}/var-lib-rancher-k3s-storage.mount ${D}${systemd_system_unitdir}/var-lib-rancher-k3s-storage.mount
}

FILES:${PN} += "\
    ${localstatedir}/lib/cni \
    ${localstatedir}/lib/kubelet \
    ${localstatedir}/lib/rancher/k3s/agent/containerd \
    ${localstatedir}/lib/rancher/k3s/data \
    ${localstatedir}/lib/rancher/k3s/server \
    ${localstatedir}/lib/rancher/k3s/storage \
    ${nonarch_libdir}/boxship \
    ${sysconfdir}/rancher/k3s \
    ${sysconfdir}/rancher/node \
    ${systemd_system_unitdir} \
"

RDEPENDS:${PN} = "boxship-socket"
