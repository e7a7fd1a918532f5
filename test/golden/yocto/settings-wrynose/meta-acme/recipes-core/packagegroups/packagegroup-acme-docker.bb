SUMMARY = "Container host of acme, with docker"
DESCRIPTION = "All that a root filesystem needs so that a store of containers of acme-gateway plugs in: the engine, its configuration, and the device socket with the values of the product."
HOMEPAGE = "https://acme.example/gateway"
BUGTRACKER = "https://acme.example/gateway"
SECTION = "base"
LICENSE = "MIT"
CVE_PRODUCT = "acme"

COMPATIBLE_MACHINE = "^(imx8mp-lpddr4-evk|raspberrypi4-64)$"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit features_check packagegroup

REQUIRED_DISTRO_FEATURES = "ipv6 seccomp systemd virtualization"

RDEPENDS:${PN} = "\
    acme-docker-config \
    acme-socket \
    docker \
    docker-compose \
"

RRECOMMENDS:${PN} = "kernel-modules"
