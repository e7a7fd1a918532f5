# nooelint: oelint.var.bbclassextend - for the target alone
SUMMARY = "Configuration of podman for acme-gateway"
DESCRIPTION = "Logs with bounds, the storage that the store of containers is made for, and what the product file says of networks and registries."
HOMEPAGE = "https://acme.example"
BUGTRACKER = "https://acme.example"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=f8a9e934c463c359f59c2bf058bbe5dc"
CVE_PRODUCT = "acme-gateway"

SRC_URI = "\
    file://LICENSE \
    file://etc-containers-containers.conf.d-50-boxship.conf \
"

S = "${WORKDIR}"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0644 ${S}/etc-containers-containers.conf.d-50-boxship.conf ${D}${sysconfdir}/containers/containers.conf.d/50-boxship.conf
}

CONFFILES:${PN} = "${sysconfdir}/containers/containers.conf.d/50-boxship.conf"

# They own files that are changed below, for which there are no drop-ins.
RDEPENDS:${PN} = "container-host-config"

pkg_postinst:${PN} () {
    sed -i -e 's/^driver = .*/driver = "overlay"/' $D${sysconfdir}/containers/storage.conf
    if ! grep -Fxq 'driver = "overlay"' $D${sysconfdir}/containers/storage.conf; then
        echo '${sysconfdir}/containers/storage.conf does not have the line that the store of containers needs: driver = "overlay"' >&2
        exit 1
    fi
}
