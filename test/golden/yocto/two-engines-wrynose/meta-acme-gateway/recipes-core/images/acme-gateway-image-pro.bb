SUMMARY = "acme-gateway, a device with containers: pro"
DESCRIPTION = "Image for the variant pro of acme-gateway 1.4.0-rc.1: a container host with podman and the device socket. The containers are put in by boxship compose."
HOMEPAGE = "https://acme.example"
BUGTRACKER = "https://acme.example"
SECTION = "images"
LICENSE = "MIT"
CVE_PRODUCT = "acme-gateway"

COMPATIBLE_MACHINE = "^(qemux86-64)$"

IMAGE_INSTALL = "\
    packagegroup-core-boot \
    packagegroup-acme-gateway-podman \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"

IMAGE_FSTYPES = "wic wic.bmap"

inherit core-image features_check

REQUIRED_DISTRO_FEATURES = "ipv6 seccomp systemd virtualization"

WKS_FILE = "acme-gateway-${MACHINE}.wks.in"

# What the runtime test of meta-boxship looks for.
# nooelint: oelint.vars.mispell.unknown
BOXSHIP_TEST_UNITS = "podman.socket"
# nooelint: oelint.vars.mispell.unknown
BOXSHIP_TEST_PROBE = "podman info"
TEST_SUITES = "ping ssh boxship"
