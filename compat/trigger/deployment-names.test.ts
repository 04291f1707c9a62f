import { beforeEach, describe, expect, it } from 'vitest';
import { Session } from './testing/session.ts';

// Triggers that name a deployment (trigger.dev: apps/webapp/test/engine/triggerTask.externalDeploymentId.test.ts).

const key = 'tr_prod_ref_proj_test';
let s: Session;
beforeEach(() => {
  s = new Session();
});

async function deploy(contentHash: string, externalId?: string, tasks = ['work']): Promise<string> {
  const created = await s.send('POST', '/api/v1/deployments', { contentHash, externalId }, { key });
  const { id, version } = created.body as { id: string; version: string };
  const metadata = {
    packageVersion: '4.8.3',
    contentHash,
    tasks: tasks.map((slug) => ({ id: slug, filePath: 'a.ts', entryPoint: 'a.ts' })),
  };
  const path = `/api/v1/deployments/${id}/background-workers`;
  expect((await s.send('POST', path, { metadata }, { key })).status).toBe(200);
  return version;
}

const versionOf = async (options: object): Promise<unknown> => (await s.run(await s.trigger('work', options))).version;

describe('a trigger that names a deployment', () => {
  it('has the highest version of that name, not the one that came last by its letters', async () => {
    const versions: string[] = [];
    for (let i = 1; i <= 11; i++) versions.push(await deploy(`build ${i}`, 'release'));
    await deploy('current');
    expect(versions.at(-1)).toMatch(/\.11$/);
    expect(await versionOf({ externalDeploymentId: 'release' })).toBe(versions.at(-1));
    expect(await versionOf({ externalDeploymentId: '  release ' })).toBe(versions.at(-1));
    expect(await versionOf({ externalDeploymentId: ' ' })).toBeUndefined();
  });

  it('and a version has that version, whatever has the name', async () => {
    const first = await deploy('one');
    const named = await deploy('two', 'release');
    expect(await versionOf({ externalDeploymentId: 'release' })).toBe(named);
    expect(await versionOf({ externalDeploymentId: 'release', lockToVersion: first })).toBe(first);
    expect(await versionOf({ externalDeploymentId: 'nowhere', lockToVersion: first })).toBe(first);
  });
});
