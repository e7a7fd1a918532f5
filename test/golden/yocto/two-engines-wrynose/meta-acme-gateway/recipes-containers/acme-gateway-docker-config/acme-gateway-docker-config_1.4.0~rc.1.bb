# nooelint: oelint.var.bbclassextend - for the target alone
SUMMARY = "Configuration of docker for acme-gateway"
DESCRIPTION = "Logs with bounds, the storage that the store of containers is made for, and what the product file says of networks and registries."
HOMEPAGE = "https://acme.example"
BUGTRACKER = "https://acme.example"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=f8a9e934c463c359f59c2bf058bbe5dc"
CVE_PRODUCT = "acme-gateway"

SRC_URI = "\
    file://LICENSE \
    file://etc-docker-daemon.json \
"

S = "${UNPACKDIR}"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -D -m 0644 ${S}/etc-docker-daemon.json ${D}${sysconfdir}/docker/daemon.json
}

CONFFILES:${PN} = "${sysconfdir}/docker/daemon.json"

# They own one of these files.
RPROVIDES:${PN} = "docker-registry-config"
RREPLACES:${PN} = "docker-registry-config"
RCONFLICTS:${PN} = "docker-registry-config"
