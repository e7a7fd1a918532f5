import { describe, expect, it } from 'vitest';
import { alignUp, formatByteSize, parseByteSize } from './byte-size.ts';
import { digestHex, isDigest, parseDigest } from './digest.ts';
import { pick } from './pick.ts';
import { formatPlatform } from './platform.ts';
import { readerSlice, writerSlice } from './random-access.ts';
import { UserError, formatProblem } from './user-error.ts';

describe('sizes', () => {
  it.each([
    ['0', 0], ['4096', 4096], ['1B', 1], ['1K', 1024], ['512MiB', 512 * 2 ** 20], ['4 GiB', 4 * 2 ** 30], ['1.5G', 1.5 * 2 ** 30],
    ['2GB', 2e9], ['1kB', 1000], ['1T', 2 ** 40], [' 7 ', 7],
  ])('"%s" is %i bytes', (text, bytes) => expect(parseByteSize(text)).toBe(bytes)); // prettier-ignore

  it.each(['', '-1', '1e9', '4 GiB free', 'MiB', '1.5.5M', '0x10', '5 constructor', '99999999999999999999', '9999999TiB', 'Infinity'])(
    '"%s" is none',
    (text) => expect(() => parseByteSize(text)).toThrow(expect.objectContaining({ code: 'BAD_SIZE' }) as Error),
  ); // prettier-ignore

  it('are shown with one decimal', () => {
    expect([0, 1023, 1024, 1.5 * 2 ** 20, 2 ** 42, -2048].map(formatByteSize)).toEqual([
      '0 B', '1023 B', '1.0 KiB', '1.5 MiB', '4.0 TiB', '-2.0 KiB',
    ]); // prettier-ignore
    expect([0, 1, 4096, 4097].map((value) => alignUp(value, 4096))).toEqual([0, 4096, 4096, 8192]);
  });
});

it('a digest is sha256 and 64 lower-case hex digits, and nothing else', () => {
  const hex = 'ab'.repeat(32);
  expect(digestHex(parseDigest(`sha256:${hex}`))).toBe(hex);
  for (const text of ['', hex, `sha256:${hex.toUpperCase()}`, `sha256:${hex}0`, `sha512:${hex}`, `sha256:${hex}\n`]) {
    expect(isDigest(text), text).toBe(false);
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'BAD_DIGEST' }) as Error);
  }
});

it('pick knows its own members alone, and names them', () => {
  expect(pick('engine', { docker: 1 }, 'docker')).toBe(1);
  for (const name of ['constructor', '__proto__', 'toString', 'podman']) {
    expect(() => pick('engine', { docker: 1, containerd: 2 }, name)).toThrow(/no engine.*\n.*Known: containerd, docker\./);
  }
}); // prettier-ignore

it('a platform has its variant only where it has one', () => {
  expect(formatPlatform({ os: 'linux', architecture: 'arm', variant: 'v7' })).toBe('linux/arm/v7');
  expect(formatPlatform({ os: 'linux', architecture: 'amd64' })).toBe('linux/amd64');
});

it('slices move positions', async () => {
  const asked: number[][] = [];
  const reader = { size: 100, read: async (...at: [number, number]) => (asked.push(at), new Uint8Array()) };
  await readerSlice(readerSlice(reader, 10, 50), 5, 20).read(1, 2);
  await writerSlice({ write: async (position) => void asked.push([position]) }, 7).write(3, new Uint8Array());
  expect(asked).toEqual([[16, 2], [10]]);
});

it('problems are shown with place and hint', () => {
  const where = { file: 'a.yaml', line: 3, column: 7 };
  expect(formatProblem({ code: 'X', message: 'it is wrong', hint: 'Mend it.', where })).toBe('a.yaml:3:7: it is wrong\n  hint: Mend it.');
  expect(formatProblem({ code: 'X', message: 'it is wrong', where: { file: 'a.yaml' } })).toBe('a.yaml: it is wrong');
  const error = new UserError([{ code: 'A', message: 'a' }, { code: 'B', message: 'b' }]);
  expect([error.code, error.message, error.name]).toEqual(['A', 'a\nb', 'UserError']);
}); // prettier-ignore
