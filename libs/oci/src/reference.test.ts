import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { writeOciLayout } from './oci-layout-writer.ts';
import { familiarName, formatReference, parseReference } from './reference.ts';
import { sampleImage } from './testing/sample-image.ts';
import { findSkopeo, skopeo } from './testing/skopeo.ts';

const hasSkopeo = await findSkopeo();
const digest = `sha256:${'ab'.repeat(32)}`;

const good: [text: string, full: string, familiar: string][] = [
  ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
  ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
  ['acme/app:1', 'docker.io/acme/app:1', 'acme/app:1'],
  ['library/busybox:1', 'docker.io/library/busybox:1', 'busybox:1'],
  ['index.docker.io/acme/app:1', 'docker.io/acme/app:1', 'acme/app:1'],
  ['localhost/app:1', 'localhost/app:1', 'localhost/app:1'],
  ['localhost:5000/app:1', 'localhost:5000/app:1', 'localhost:5000/app:1'],
  ['registry.example.com/a/b/c_d-e.f:V1.0_x', 'registry.example.com/a/b/c_d-e.f:V1.0_x', 'registry.example.com/a/b/c_d-e.f:V1.0_x'],
  ['[::1]:5000/app:1', '[::1]:5000/app:1', '[::1]:5000/app:1'],
  ['a__b/c---d:1', 'docker.io/a__b/c---d:1', 'a__b/c---d:1'],
]; // prettier-ignore
const bad = [
  '', ' ', 'Busybox', 'acme/App:1', 'acme//app', 'app:', 'app:-x', 'app@sha256:12', '-app', 'acme/app:1:2', 'a___b',
  'https://registry.example.com/app', 'ab'.repeat(32), `${'a'.repeat(256)}`, 'registry.example.com/', 'app:1/../x', 'app\n',
]; // prettier-ignore

describe('references', () => {
  it.each(good)('reads %s', (text, full, familiar) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(full);
    expect(familiarName(reference)).toBe(familiar);
    expect(parseReference(full)).toEqual(reference);
  });

  it.each(bad)('refuses "%s"', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'BAD_REFERENCE' }));
  });

  it('keeps tag and digest, and adds no tag to a digest', () => {
    expect(formatReference(parseReference(`acme/app:1@${digest}`))).toBe(`docker.io/acme/app:1@${digest}`);
    expect(parseReference(`acme/app@${digest}`).tag).toBeUndefined();
  });

  it.runIf(hasSkopeo)('agrees with skopeo about names', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'boxship-oci-'));
    try {
      await writeOciLayout(join(folder, 'img'), [sampleImage('x:1')]);
      // skopeo 1.9 knows no IPv6 hosts yet (distribution/reference does since v3)
      for (const [position, [text, full]] of good.filter(([one]) => !one.startsWith('[')).entries()) {
        const file = join(folder, `${position}.tar`);
        await skopeo('copy', `oci:${folder}/img`, `docker-archive:${file}:${text}`);
        const { stdout } = await runProgram('tar', ['-xOf', file, 'manifest.json']);
        const [{ RepoTags: tags }] = JSON.parse(stdout.toString()) as [{ RepoTags: string[] }];
        expect(tags).toEqual([full]);
      }
      // an image id, a URL and an empty name mean something else to skopeo's command line
      for (const text of bad.filter(
        (one) => one.trim() !== '' && !one.includes('://') && !/^[0-9a-f]{64}$/.test(one),
      )) {
        await expect(
          skopeo('copy', `oci:${folder}/img`, `docker-archive:${folder}/bad.tar:${text}`),
          text,
        ).rejects.toThrow();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
