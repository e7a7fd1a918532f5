SUMMARY = "Container host of acme-gateway, with k3s"
DESCRIPTION = "All that a root filesystem needs so that a store of containers of acme-gateway plugs in: the engine, its configuration, and the device socket with the values of the product."
HOMEPAGE = "https://acme.example"
BUGTRACKER = "https://acme.example"
SECTION = "base"
LICENSE = "MIT"
CVE_PRODUCT = "acme-gateway"

COMPATIBLE_MACHINE = "^(qemux86-64)$"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit features_check packagegroup

REQUIRED_DISTRO_FEATURES = "ipv6 k3s seccomp systemd virtualization"

RDEPENDS:${PN} = "\
    acme-gateway-k3s-config \
    acme-gateway-socket \
    k3s-cni \
    k3s-server \
"

RRECOMMENDS:${PN} = "kernel-modules"
