import { UserError, type TreeEntry } from '@boxship/model';
import { describe, expect, it } from 'vitest';
import { cleanEntryPath } from './entry-path.ts';
import { fixChecksum, readBack } from './test-archives.ts';
import { tarHeader } from './tar-header-writer.ts';

const FILE: TreeEntry = {
  path: 'a',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0,
  mtimeNanoseconds: 0,
  size: 0,
};
const END = Buffer.alloc(1024);

/** A header with a name as it is, unclean. */
function header(name: string, change: Partial<TreeEntry> & { flag?: string } = {}): Buffer {
  const { flag, ...entry } = change;
  const block = tarHeader({ ...FILE, ...entry });
  block.fill(0, 0, 100).write(name, 0, 'latin1');
  if (flag !== undefined) block.write(flag, 156, 'latin1');
  return fixChecksum(block);
}

const padded = (text: string | Buffer) => {
  const bytes = Buffer.from(text as string, 'latin1');
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 511)]);
};
const special = (flag: string, body: string | Buffer) =>
  Buffer.concat([header('special', { flag, size: body.length }), padded(body)]);
const record = (key: string, value: string) => {
  for (let length = key.length + value.length + 3; ; length++) {
    const text = `${length} ${key}=${value}\n`;
    if (text.length === length) return text;
  }
};
const pax = (...records: [string, string][]) => special('x', records.map(([k, v]) => record(k, v)).join(''));

function refusal(...parts: Buffer[]): { code: string; message: string } {
  try {
    readBack(Buffer.concat(parts));
  } catch (error) {
    if (error instanceof UserError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('it was read');
}

describe('names', () => {
  it('".." that stays inside is cleaned, as docker does', () => {
    expect(readBack(Buffer.concat([header('a/../b'), END])).entries[0]!.path).toBe('b');
  });
  for (const name of ['..', '../x', 'a/../../x', '/../x', './../x', 'a/b/../../..']) {
    it(`"${name}" leaves the root`, () => {
      expect(refusal(header('good'), header(name), END)).toMatchObject({
        code: 'TAR_UNSAFE_PATH',
        message: expect.stringContaining(`tar: entry "${name}" at offset 512: `) as string,
      });
    });
  }
  for (const name of ['/etc/passwd', './etc/passwd', '//etc//passwd', '././etc/./passwd']) {
    it(`"${name}" is below the root`, () => {
      const entry = readBack(Buffer.concat([header(name), END])).entries[0]!;
      expect(entry).toMatchObject({ path: 'etc/passwd', rawName: name });
    });
  }
  it('".." in a PAX path, in a GNU long name, in a sparse name', () => {
    expect(refusal(pax(['path', '../../x']), header('good'), END).code).toBe('TAR_UNSAFE_PATH');
    expect(refusal(special('L', '../../x\0'), header('good'), END).code).toBe('TAR_UNSAFE_PATH');
    const sparse = pax(['GNU.sparse.major', '0'], ['GNU.sparse.minor', '1'], ['GNU.sparse.numblocks', '0'], ['GNU.sparse.name', '../x']); // prettier-ignore
    expect(refusal(sparse, header('good'), END).code).toBe('TAR_UNSAFE_PATH');
  });
  it('a hard link whose target leaves the root', () => {
    expect(refusal(header('l', { type: 'hardlink', link: '../../etc/shadow' }), END)).toMatchObject({
      code: 'TAR_UNSAFE_PATH',
      message: expect.stringContaining('"../../etc/shadow"') as string,
    });
  });
  it('a symlink may point anywhere', () => {
    const { entries } = readBack(Buffer.concat([header('l', { type: 'symlink', link: '../../etc/shadow' }), END]));
    expect(entries[0]!.link).toBe('../../etc/shadow');
  });
  it('a NUL in a PAX path or in a GNU long name', () => {
    expect(refusal(pax(['path', 'a\0b']), header('good'), END).message).toContain('NUL');
    expect(refusal(special('L', 'a\0b\0'), header('good'), END).code).toBe('TAR_BAD_NAME');
  });
  it('a file without a name', () => {
    expect(refusal(header(''), END).code).toBe('TAR_BAD_NAME');
    expect(refusal(header('./'), END).code).toBe('TAR_BAD_NAME');
  });
  it('control characters do not reach the terminal', () => {
    expect(refusal(header('../\x1b[2J'), END).message).toContain('"../\\x1b[2J"');
  });
});

describe('damage', () => {
  const whole = Buffer.concat([header('first'), header('second', { size: 700 }), padded(Buffer.alloc(700, 1)), END]);
  it('is told with the offset', () => {
    const damaged = Buffer.from(whole);
    damaged[520]! ^= 1;
    expect(refusal(damaged)).toMatchObject({
      code: 'TAR_BAD_CHECKSUM',
      message: expect.stringContaining('offset 512') as string,
    });
  });
  for (const at of [100, 511, 513, 1000, 1024, 1300, 1723]) {
    it(`cut at byte ${at}`, () => expect(refusal(whole.subarray(0, at)).code).toBe('TAR_TRUNCATED'));
  }
  it('names the file whose data is missing', () => {
    expect(refusal(whole.subarray(0, 1500)).message).toContain(
      '"second" at offset 512: the archive ends at byte 1500; 224 bytes',
    );
  });
  it('missing padding and missing zero blocks are fine, as for docker', () => {
    expect(readBack(whole.subarray(0, 1724)).entries).toHaveLength(2);
    expect(readBack(whole.subarray(0, 2048)).entries).toHaveLength(2);
    expect(readBack(whole.subarray(0, 2560)).entries).toHaveLength(2);
  });
  it('a lone block of zeros in the middle', () => {
    expect(refusal(header('a'), Buffer.alloc(512), header('b'), END).code).toBe('TAR_BAD_HEADER');
  });
  it('anything after the end of the archive is passed on', () => {
    const trailing = Buffer.concat([whole, Buffer.from('whatever')]);
    expect(readBack(trailing, 100).stream.equals(trailing)).toBe(true);
  });
  it('ends after an extended header', () => {
    expect(refusal(pax(['path', 'x']), END).code).toBe('TAR_TRUNCATED');
    expect(refusal(pax(['path', 'x'])).code).toBe('TAR_TRUNCATED');
  });
  it('is no tar at all', () => expect(refusal(Buffer.alloc(2048, 'text')).code).toMatch(/^TAR_BAD/));
});

describe('numbers', () => {
  it('a size that is not octal, negative, or beyond 16 TiB', () => {
    const bad = header('f');
    bad.write('0000009zz00\0', 124, 'latin1');
    expect(refusal(fixChecksum(bad), END)).toMatchObject({ code: 'TAR_BAD_NUMBER' });
    bad.fill(0xff, 124, 136);
    expect(refusal(fixChecksum(bad), END).code).toBe('TAR_TOO_LARGE');
    bad.set([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 124);
    expect(refusal(fixChecksum(bad), END).code).toBe('TAR_BAD_NUMBER');
    expect(refusal(pax(['size', '99999999999999']), header('f'), END).code).toBe('TAR_TOO_LARGE');
    expect(refusal(pax(['size', '-1']), header('f'), END).code).toBe('TAR_BAD_HEADER');
  });
  it('owners beyond 32 bits', () => {
    expect(refusal(pax(['uid', '4294967296']), header('f'), END).code).toBe('TAR_BAD_NUMBER');
    expect(readBack(Buffer.concat([pax(['uid', '4294967295']), header('f'), END])).entries[0]!.uid).toBe(4294967295);
  });
  it('times with a fraction before 1970 go towards the past', () => {
    const time = (mtime: string) => readBack(Buffer.concat([pax(['mtime', mtime]), header('f'), END])).entries[0]!;
    expect(time('-1.25')).toMatchObject({ mtime: -2, mtimeNanoseconds: 750000000 });
    expect(time('-0.000000001')).toMatchObject({ mtime: -1, mtimeNanoseconds: 999999999 });
    expect(time('12.1234567899')).toMatchObject({ mtime: 12, mtimeNanoseconds: 123456789 });
    expect(() => time('tomorrow')).toThrow(/PAX time tomorrow/);
  });
});

describe('extended headers', () => {
  it('over 1 MiB are refused before they are read', () => {
    const block = header('special', { flag: 'x', size: 1024 * 1024 + 1 });
    expect(refusal(block)).toMatchObject({ code: 'TAR_HEADER_TOO_LARGE' });
    expect(refusal(header('special', { flag: 'L', size: 2 ** 32 })).code).toBe('TAR_HEADER_TOO_LARGE');
  });
  for (const body of ['5 a=b\n', '99 a=b\n', 'x a=b\n', '6 a=bc', '5 ab\n', '5 =b\n', ' 6 a=b\n', '9999999999 a=b\n']) {
    it(`"${JSON.stringify(body)}" is refused`, () => {
      expect(refusal(special('x', body), header('f'), END).code).toBe('TAR_BAD_HEADER');
    });
  }
  it('an entry of a type that nobody unpacks', () => {
    expect(refusal(header('v', { flag: 'V' }), END).code).toBe('TAR_UNSUPPORTED_ENTRY');
  });
});

describe('sparse maps that lie', () => {
  const v01 = (map: string, blocks: number, size: number, stored: number) =>
    refusal(
      pax(['GNU.sparse.major', '0'], ['GNU.sparse.minor', '1'], ['GNU.sparse.numblocks', `${blocks}`], ['GNU.sparse.map', map], ['GNU.sparse.size', `${size}`]), // prettier-ignore
      header('s', { size: stored }), Buffer.alloc(Math.ceil(stored / 512) * 512), END,
    ).code; // prettier-ignore
  it('overlap, run backwards, leave the file, or do not match what is stored', () => {
    expect(v01('0,512,256,512', 2, 4096, 1024)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v01('1024,512,0,512', 2, 4096, 1024)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v01('4000,512', 1, 4096, 512)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v01('0,512', 1, 4096, 1024)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v01('0,1024', 1, 4096, 512)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v01('0,512', 2, 4096, 512)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v01('0,-512', 1, 4096, 512)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v01('9007199254740991,9007199254740991', 1, 4096, 512)).toBe('TAR_BAD_SPARSE_MAP');
  });
  const v10 = (map: string, stored: number) =>
    refusal(
      pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.realsize', '4096'], ['GNU.sparse.name', 's']),
      header('s', { size: stored }),
      padded(map),
      Buffer.alloc(4096),
    ).code; // prettier-ignore
  it('1.0: a map that does not end, that is no number, or claims millions of runs', () => {
    expect(v10('2\n0\n512\n', 512)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v10('x\n', 512)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v10('99999999\n', 512)).toBe('TAR_BAD_SPARSE_MAP');
    expect(v10('1\n0\n512\n', 512)).toBe('TAR_BAD_SPARSE_MAP');
  });
});

it('paths are cleaned as Go cleans them', () => {
  const cases: Record<string, string | undefined> = {
    'a': 'a', 'a/b': 'a/b', 'a//b/': 'a/b', './a/.': 'a', '/': '', '.': '', '': '', '...': '...', 'a/..b': 'a/..b', 'a/..': '', '..a/../..': undefined,
  }; // prettier-ignore
  for (const [name, path] of Object.entries(cases)) expect(cleanEntryPath(name)).toBe(path);
});
