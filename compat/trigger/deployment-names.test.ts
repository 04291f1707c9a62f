import { beforeEach, describe, expect, it } from 'vitest';
import { Session } from './testing/session.ts';

// Triggers that name a deployment (trigger.dev: apps/webapp/test/engine/triggerTask.externalDeploymentId.test.ts,
// run-engine's externalDeploymentParking.test.ts).

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

describe('a trigger that names a deployment which is not there', () => {
  const HOUR = 3_600_000;
  const options = { externalDeploymentId: 'release' };

  it('waits for it, and is tied to it', async () => {
    await deploy('one');
    const run = await s.trigger('work', options);
    expect(await s.run(run)).toMatchObject({ status: 'PENDING_VERSION' });
    await deploy('two', 'another');
    expect(s.finish()).toBe(0);
    expect(await s.run(run)).toMatchObject({ status: 'PENDING_VERSION' });
    const version = await deploy('three', ' release ');
    expect(await s.run(run)).toMatchObject({ status: 'QUEUED', version });
    await deploy('four');
    // The workers of the current version leave it alone.
    expect(s.finish()).toBe(0);
    expect(await s.run(run)).toMatchObject({ status: 'QUEUED', version });
  });

  it('waits an hour, or its time to live where that is shorter, from when it is due', async () => {
    await deploy('one');
    const long = await s.trigger('work', { ...options, ttl: '2h' });
    const short = await s.trigger('work', { ...options, ttl: '5m' });
    const delayed = await s.trigger('work', { ...options, ttl: '2h', delay: '1h' });
    s.t.advance(HOUR / 12);
    expect(await s.run(short)).toMatchObject({
      status: 'EXPIRED',
      error: { message: expect.stringContaining('the deployment "release"') as string },
    });
    s.t.advance(HOUR - HOUR / 12 - 1);
    expect(await s.run(long)).toMatchObject({ status: 'PENDING_VERSION' });
    s.t.advance(1);
    expect(await s.run(long)).toMatchObject({ status: 'EXPIRED' });
    expect(await s.run(delayed)).toMatchObject({ status: 'PENDING_VERSION' });
    const version = await deploy('two', 'release');
    expect(await s.run(delayed)).toMatchObject({ status: 'QUEUED', version });
    expect(await s.run(long)).toMatchObject({ status: 'EXPIRED' });
  });

  it('keeps its delay when that comes', async () => {
    const run = await s.trigger('work', { ...options, delay: '30m' });
    const version = await deploy('one', 'release');
    expect(await s.run(run)).toMatchObject({ status: 'DELAYED', version });
  });

  it('is moved on, and waits for it longer then', async () => {
    await deploy('one');
    const run = await s.trigger('work', { ...options, ttl: '2h', delay: '1h' });
    await s.ok('RetrieveRunResponse', 'POST', `/api/v1/runs/${run}/reschedule`, { delay: '3h' });
    s.t.advance(4 * HOUR - 1);
    expect(await s.run(run)).toMatchObject({ status: 'PENDING_VERSION' });
    s.t.advance(1);
    expect(await s.run(run)).toMatchObject({ status: 'EXPIRED' });
  });

  it('waits in a batch too', async () => {
    await deploy('one');
    const items = [{ task: 'work', payload: '{}', options }];
    const { body } = await s.send('POST', '/api/v2/tasks/batch', { items });
    const { runs } = body as { runs: Array<{ id: string }> };
    expect(await s.run(runs[0]?.id ?? '')).toMatchObject({ status: 'PENDING_VERSION' });
    s.t.advance(HOUR);
    expect(await s.run(runs[0]?.id ?? '')).toMatchObject({ status: 'EXPIRED' });
  });

  it('is refused where it is debounced too', async () => {
    await deploy('one');
    const refused = await s.send('POST', '/api/v1/tasks/work/trigger', {
      payload: '{}',
      options: { ...options, debounce: { key: 'k', delay: '1m' } },
    });
    expect(refused).toMatchObject({ status: 501, body: { code: 'not_served' } });
  });
});
