/** Types of partitions by table: GUIDs of the Discoverable Partitions Specification (uapi-group.org), and MBR bytes. */
export const LINUX_FILESYSTEM = { gpt: '0fc63daf-8483-4772-8e79-3d69d8477de4', mbr: '83' } as const;
export const EFI_SYSTEM = { gpt: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b', mbr: 'ef' } as const;

/** Root file system of an architecture, by its OCI name (`amd64`, `arm64`, `arm`, …). */
export const ROOT_PARTITION_TYPES: Readonly<Record<string, string>> = {
  '386': '44479540-f297-41b2-9af7-d131d5f0458a',
  amd64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  arm: '69dad710-2ce4-4e3c-b16c-21a1d49abed3',
  arm64: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
  loong64: '77055800-792c-4f94-b39a-98c91b762bb6',
  ppc64le: 'c31c45e6-3f39-412e-80fb-4809c4980599',
  riscv64: '72ec70a6-cf74-40e6-bd49-4bda08e8f224',
  s390x: '5eead9a9-fe09-4a1e-a1d7-520d00531306',
};

/** MBR types that hold a chain of logical partitions: CHS, LBA and Linux extended. */
export function isExtended(type: string): boolean {
  return type === '05' || type === '0f' || type === '85';
}
