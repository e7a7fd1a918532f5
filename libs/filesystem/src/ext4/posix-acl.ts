/**
 * POSIX ACLs have two forms. Programs and tar archives hold the form of the system calls (linux/posix_acl_xattr.h:
 * version 2, every entry 8 bytes); ext4 keeps a shorter one on disk (fs/ext4/acl.h `ext4_acl_entry`: version 1, an id
 * only where there is a named user or group).
 */
const XATTR_VERSION = 2;
const EXT4_ACL_VERSION = 1;

/** linux/posix_acl.h */
const ACL_USER = 0x02;
const ACL_GROUP = 0x08;
const TAGS = [0x01, ACL_USER, 0x04, ACL_GROUP, 0x10, 0x20];

/** The form that ext4 keeps, or nothing when `value` is not an ACL. */
export function toDiskAcl(value: Uint8Array): Uint8Array | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length < 4 || (value.length - 4) % 8 !== 0 || view.getUint32(0, true) !== XATTR_VERSION) return undefined;
  const disk = new Uint8Array(value.length);
  const out = new DataView(disk.buffer);
  out.setUint32(0, EXT4_ACL_VERSION, true);
  let end = 4;
  for (let at = 4; at < value.length; at += 8) {
    const tag = view.getUint16(at, true);
    if (!TAGS.includes(tag)) return undefined;
    out.setUint16(end, tag, true);
    out.setUint16(end + 2, view.getUint16(at + 2, true), true);
    end += 4;
    if (tag === ACL_USER || tag === ACL_GROUP) {
      out.setUint32(end, view.getUint32(at + 4, true), true);
      end += 4;
    }
  }
  return disk.subarray(0, end);
}
