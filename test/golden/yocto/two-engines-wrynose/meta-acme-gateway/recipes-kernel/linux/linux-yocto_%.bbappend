FILESEXTRAPATHS:prepend:acme-gateway := "${THISDIR}:"

SRC_URI:append:acme-gateway = " file://acme-gateway-kmeta;type=kmeta"
KERNEL_FEATURES:append:acme-gateway = " acme-gateway-docker.scc acme-gateway-podman.scc"
