SUMMARY = "Acme's gateway: basic"
DESCRIPTION = "Image for the variant basic of acme-gateway 1.4.0-rc.1: a container host with docker and the device socket. The store of containers comes from acme-bundle-basic."
HOMEPAGE = "https://acme.example/gateway"
BUGTRACKER = "https://acme.example/gateway"
SECTION = "images"
LICENSE = "MIT"
CVE_PRODUCT = "acme"

COMPATIBLE_MACHINE = "^(imx8mp-lpddr4-evk|raspberrypi4-64)$"

IMAGE_INSTALL = "\
    packagegroup-core-boot \
    packagegroup-acme-docker \
    i2c-tools \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"

IMAGE_FSTYPES = "wic wic.bmap"

inherit core-image features_check

REQUIRED_DISTRO_FEATURES = "ipv6 seccomp systemd virtualization"

WKS_FILE = "acme-basic-${MACHINE}.wks.in"
# nooelint: oelint.vars.mispell.unknown
do_image_wic[depends] += "acme-bundle-basic:do_deploy"

# What the runtime test of meta-boxship looks for.
# nooelint: oelint.vars.mispell.unknown
BOXSHIP_TEST_UNITS = "docker.service"
# nooelint: oelint.vars.mispell.unknown
BOXSHIP_TEST_PROBE = "docker info"
TEST_SUITES = "ping ssh boxship"
