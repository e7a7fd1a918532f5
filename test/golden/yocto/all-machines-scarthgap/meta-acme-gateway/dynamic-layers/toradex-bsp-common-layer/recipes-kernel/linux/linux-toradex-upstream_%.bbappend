FILESEXTRAPATHS:prepend:acme-gateway := "${THISDIR}/files:"

SRC_URI:append:acme-gateway = " file://acme-gateway-docker.cfg"
