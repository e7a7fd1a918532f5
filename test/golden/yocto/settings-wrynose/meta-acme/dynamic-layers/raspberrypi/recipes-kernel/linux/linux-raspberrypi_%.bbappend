FILESEXTRAPATHS:prepend:acme := "${THISDIR}/files:"

SRC_URI:append:acme = " file://acme-docker.cfg"
