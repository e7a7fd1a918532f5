FILESEXTRAPATHS:prepend:acme-gateway := "${THISDIR}/files:"

SRC_URI:append:acme-gateway = " file://acme-gateway-docker.cfg"
# nooelint: oelint.vars.mispell.unknown
KERNEL_CONFIG_FRAGMENTS:append:acme-gateway = " ${WORKDIR}/acme-gateway-docker.cfg"
