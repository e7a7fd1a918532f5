# nooelint: oelint.var.bbclassextend,oelint.var.mandatoryvar.SRC_URI - for the target alone; the class sets SRC_URI
SUMMARY = "Containers of acme, variant basic"
DESCRIPTION = "The store and data partitions that boxship store wrote beforehand, compared with their digests and handed to wic as they are."
HOMEPAGE = "https://acme.example/gateway"
BUGTRACKER = "https://acme.example/gateway"
SECTION = "base"
LICENSE = "CLOSED"
CVE_PRODUCT = "acme"

COMPATIBLE_MACHINE = "^(imx8mp-lpddr4-evk|raspberrypi4-64)$"

# Set BOXSHIP_BUNDLE_DIR to the folder that boxship store wrote to.
BOXSHIP_BUNDLE:imx8mp-lpddr4-evk = "acme-gateway-1.4.0-rc.1-imx8mp-lpddr4-evk-basic"
BOXSHIP_BUNDLE_URI:imx8mp-lpddr4-evk = "file://${BOXSHIP_BUNDLE_DIR}/acme-gateway-1.4.0-rc.1/imx8mp-lpddr4-evk-docker-basic"
BOXSHIP_STORE_SUFFIX:imx8mp-lpddr4-evk = ".zst"
BOXSHIP_STORE_SHA256:imx8mp-lpddr4-evk = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
BOXSHIP_DATA_SHA256:imx8mp-lpddr4-evk = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
BOXSHIP_BUNDLE:raspberrypi4-64 = "acme-gateway-1.4.0-rc.1-raspberrypi4-64-basic"
BOXSHIP_BUNDLE_URI:raspberrypi4-64 = "file://${BOXSHIP_BUNDLE_DIR}/acme-gateway-1.4.0-rc.1/raspberrypi4-64-docker-basic"
BOXSHIP_STORE_SUFFIX:raspberrypi4-64 = ".zst"
BOXSHIP_STORE_SHA256:raspberrypi4-64 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
BOXSHIP_DATA_SHA256:raspberrypi4-64 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

inherit boxship_bundle
