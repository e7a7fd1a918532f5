import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '@boxship/model';
import schema from './compose-spec-schema.json' with { type: 'json' };
import { composeConfig, findDockerComposes } from './fixtures/docker-compose.ts';
import { KEY_SAMPLES, sampleText, type KeySample } from './fixtures/key-samples.ts';
import { readComposeFile } from './index.ts';

/* Every key of the specification: what Docker Compose reads from it, our file for the device says; or it is refused. */

let top = '';
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'boxship-keys-'));
});
afterAll(() => rm(top, { recursive: true, force: true }));

async function write(sample: KeySample): Promise<string> {
  const folder = await mkdtemp(join(top, 'project-'));
  for (const [path, text] of Object.entries({ ...sample.files, 'compose.yaml': sampleText(sample) })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}
const read = (folder: string) => readComposeFile({ path: join(folder, 'compose.yaml'), projectName: 'p', profiles: ['on'] }); // prettier-ignore

it('there is a sample of every key that the schema knows', () => {
  expect(Object.keys(KEY_SAMPLES).sort()).toEqual(Object.keys(schema.definitions.service.properties).sort());
});

describe('a key that a device cannot honour is refused at its place', () => {
  const refused = Object.entries(KEY_SAMPLES).filter(([, sample]) => sample.refused);
  it.each(refused)('%s', async (_, sample) => {
    const folder = await write(sample);
    const error = (() => {
      try {
        return read(folder);
      } catch (thrown) {
        return thrown as UserError;
      }
    })();
    expect(error).toBeInstanceOf(UserError);
    const { problems } = error as UserError;
    expect(problems.map(({ code, where }) => `${where?.line ?? ''}:${where?.column ?? ''} ${code}`)).toContain(`4:5 ${sample.refused}`); // prettier-ignore
    for (const { hint } of problems) expect(hint).toBeTruthy();
  });
});

describe.each(await findDockerComposes())('$name', (compose) => {
  const suite = compose.name.replace('docker compose of ', '');
  const samples = Object.entries(KEY_SAMPLES).filter(([, sample]) => !sample.notFor?.includes(suite));
  it.each(samples)('%s', async (_, sample) => {
    const folder = await write(sample);
    const theirs = await composeConfig(compose, { files: ['compose.yaml'], folder, name: 'p', profiles: ['on'] });
    expect(theirs).toHaveProperty('config'); // the sample is a good one, refused by us or not
    if (sample.refused || !('config' in theirs)) return;
    const device = await mkdtemp(join(top, 'device-'));
    await writeFile(join(device, 'compose.yaml'), read(folder).composeBytes);
    const ours = await composeConfig(compose, { files: ['compose.yaml'], folder: device, name: 'p' });
    expect(ours).toHaveProperty('config');
    // what a device has no use for: where it was built, whether it is pulled; secrets are files of the data partition
    const useless = ['build', 'pull_policy', 'profiles', 'secrets'];
    const tidy = (config: unknown, from: string) =>
      JSON.parse(JSON.stringify(config).replaceAll(`${from}/`, '/run/boxship/store/apps/p/files/'), (key, item: unknown) =>
        useless.includes(key) ? undefined : item) as unknown; // prettier-ignore
    if ('config' in ours) expect(tidy(ours.config, device)).toEqual(tidy(theirs.config, folder));
  });
});
