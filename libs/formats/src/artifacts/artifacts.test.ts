import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { artifactFormat, artifactFormats, DEFAULT_ARTIFACTS } from './index.ts';

describe('the registry of artifact formats', () => {
  it('has every module of this folder, by its name', async () => {
    const files = await readdir(fileURLToPath(new URL('.', import.meta.url)));
    const modules = files.filter((file) => /^[a-z-]+\.ts$/.test(file) && file !== 'index.ts');
    expect(Object.keys(artifactFormats).sort()).toEqual(modules.map((file) => file.replace('.ts', '')).sort());
  });

  it('each keeps the contract: options are plain JSON with the name of their format', () => {
    for (const [name, format] of Object.entries(artifactFormats)) {
      expect(format.name).toBe(name);
      expect(artifactFormat(name)).toBe(format);
      const options = format.readOptions({});
      expect(options.format).toBe(name);
      expect(JSON.parse(JSON.stringify(options))).toEqual(options);
      expect(format.describe(options)).toMatch(new RegExp(`^${name}`));
      expect(Array.isArray(format.programs(options))).toBe(true);
    }
    for (const name of DEFAULT_ARTIFACTS) artifactFormat(name);
    expect(() => artifactFormat('constructor')).toThrow(
      /Known: android-sparse, mender, rauc, raw, rootfs-tar, swupdate, tezi, uuu/,
    );
  });

  it('names the compressors whose versions count', () => {
    const { raw } = artifactFormats;
    expect(['none', 'gz', 'xz', 'zst'].map((compression) => raw.programs(raw.readOptions({ compression })))).toEqual([
      [], ['gzip'], ['xz'], ['zstd'],
    ]); // prettier-ignore
  });
});
