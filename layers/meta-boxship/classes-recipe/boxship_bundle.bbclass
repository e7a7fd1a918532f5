#
# SPDX-License-Identifier: Apache-2.0
#
# Brings the two partitions that `boxship store` wrote beforehand into a build: fetched, compared with their pinned digests,
# deployed as they are. Nothing is unpacked but a compression, nothing is run, and nothing uses the network after do_fetch.
#
# The bbRecipe of a bundle says:
#   BOXSHIP_BUNDLE         name of the files, <product>-<version>-<machine>-<variant>
#   BOXSHIP_STORE_SHA256   digests of the partitions, uncompressed: "partitions" in <bundle>.store.json
#   BOXSHIP_DATA_SHA256
#   BOXSHIP_BUNDLE_URI     where the files are: file://<folder> (default: a folder of ${BOXSHIP_BUNDLE_DIR}), or https://…
#                          with SRC_URI[store.sha256sum] and SRC_URI[data.sha256sum] of the files as they are downloaded
# The image that takes them says:
#   do_image_wic[depends] += "<this recipe>:do_deploy"
# and its wks file, one line each, without --label, which would change a byte (wic runs tune2fs then):
#   part --source rawcopy --sourceparams="file=<bundle>.store.ext4" --part-name boxship-store --align 4096
#   part --source rawcopy --sourceparams="file=<bundle>.data.ext4" --part-name boxship-data --align 4096

inherit deploy nopackages

BOXSHIP_BUNDLE ?= ""
BOXSHIP_STORE_SHA256 ?= ""
BOXSHIP_DATA_SHA256 ?= ""
# Folder that `boxship store --out` wrote to; set in local.conf or by kas.
BOXSHIP_BUNDLE_DIR ?= ""
BOXSHIP_BUNDLE_URI ?= "file://${BOXSHIP_BUNDLE_DIR}"
# As `boxship store --compression` was told: "" or ".zst".
BOXSHIP_STORE_SUFFIX ?= ""

# unpack=0: bitbake 2.8 (scarthgap) writes what it unpacks from a lone .zst over the very file that it reads.
SRC_URI = "\
    ${BOXSHIP_BUNDLE_URI}/${BOXSHIP_BUNDLE}.store.ext4${BOXSHIP_STORE_SUFFIX};name=store;unpack=0 \
    ${BOXSHIP_BUNDLE_URI}/${BOXSHIP_BUNDLE}.data.ext4;name=data \
"

# UNPACKDIR since styhead; before it, sources are unpacked into WORKDIR.
BOXSHIP_UNPACKED = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"
S = "${BOXSHIP_UNPACKED}"

INHIBIT_DEFAULT_DEPS = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"

do_configure[noexec] = "1"
do_compile[noexec] = "1"
do_install[noexec] = "1"
do_populate_sysroot[noexec] = "1"

# A store can have gigabytes: it is in the download folder or in place already, a third copy would serve nobody.
SSTATE_SKIP_CREATION:task-deploy = "1"

# Skipped with the reason, and not an error of the whole parse: a build may have no use for the bundle.
addhandler boxship_bundle_check
boxship_bundle_check[eventmask] = "bb.event.RecipePreFinalise"
boxship_bundle_check[doc] = "Skips the recipe when its bundle is not described or not there"
python boxship_bundle_check() {
    import os, re

    wanted = ('BOXSHIP_BUNDLE', 'BOXSHIP_STORE_SHA256', 'BOXSHIP_DATA_SHA256')
    missing = [name for name in wanted if not d.getVar(name)]
    if missing:
        raise bb.parse.SkipRecipe('%s not set: write the bundle with "boxship store"' % ', '.join(missing))
    for name in wanted[1:]:
        if not re.fullmatch('[0-9a-f]{64}', d.getVar(name)):
            raise bb.parse.SkipRecipe('%s is not a sha256 digest of 64 hex digits' % name)
    if d.getVar('BOXSHIP_BUNDLE_URI').startswith('file://'):
        if not d.getVar('BOXSHIP_BUNDLE_URI')[len('file://'):].startswith('/'):
            raise bb.parse.SkipRecipe('BOXSHIP_BUNDLE_DIR is not an absolute folder')
        for uri in d.getVar('SRC_URI').split():
            path = uri[len('file://'):].split(';')[0]
            if not os.path.exists(path):
                raise bb.parse.SkipRecipe('%s does not exist: write the bundle with "boxship store"' % path)
}

def boxship_unpacked(d, name):
    """Path of an unpacked file; None when there is none."""
    import os
    folder = d.getVar('BOXSHIP_UNPACKED')
    # a file:// with an absolute path is unpacked below its own folders by some releases
    for path in (os.path.join(folder, name), os.path.join(folder, d.getVar('BOXSHIP_BUNDLE_DIR').lstrip('/'), name)):
        if os.path.exists(path):
            return path
    return None

def boxship_partition(d, role):
    """Path of a partition in the work folder, uncompressed."""
    name = '%s.%s.ext4' % (d.getVar('BOXSHIP_BUNDLE'), role)
    return boxship_unpacked(d, name) or bb.fatal('%s was not unpacked into %s' % (name, d.getVar('BOXSHIP_UNPACKED')))

boxship_verify_bundle[doc] = "Unpacks the store; compares both partitions with their pinned digests"
python boxship_verify_bundle() {
    import hashlib, subprocess

    packed = boxship_unpacked(d, '%s.store.ext4.zst' % d.getVar('BOXSHIP_BUNDLE'))
    if packed:
        subprocess.run(['zstd', '-d', '-f', '-q', packed, '-o', packed[:-len('.zst')]], check=True)
        bb.utils.remove(packed)
    for role in ('store', 'data'):
        path = boxship_partition(d, role)
        digest = hashlib.sha256()
        with open(path, 'rb') as partition:
            for chunk in iter(lambda: partition.read(1 << 20), b''):
                digest.update(chunk)
        pinned = d.getVar('BOXSHIP_%s_SHA256' % role.upper())
        if digest.hexdigest() != pinned:
            bb.fatal('%s has the sha256 %s; BOXSHIP_%s_SHA256 pins %s. Write the bundle again with "boxship store", '
                     'or pin the new one.' % (path, digest.hexdigest(), role.upper(), pinned))
}
do_unpack[postfuncs] += "boxship_verify_bundle"
do_unpack[vardeps] += "BOXSHIP_STORE_SHA256 BOXSHIP_DATA_SHA256"

do_deploy[doc] = "Hands both partitions to wic"
python do_deploy() {
    import subprocess

    bb.utils.mkdirhier(d.getVar('DEPLOYDIR'))
    for role in ('store', 'data'):
        # mostly holes: they stay holes
        subprocess.run(['cp', '--sparse=always', '--reflink=auto', boxship_partition(d, role), d.getVar('DEPLOYDIR')],
                       check=True)
}
addtask deploy after do_unpack before do_build
