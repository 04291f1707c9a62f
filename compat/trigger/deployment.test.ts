import { beforeEach, describe, expect, it } from 'vitest';
import { Session } from './testing/session.ts';

// Deployed workers that speak the wire by hand, knowing nothing but the id of their deployment.

const PROD_KEY = 'tr_prod_ref_proj_test';
/** As the server's (routes/heartbeat.ts). */
const HEARTBEAT_TIMEOUT_MS = 300_000;
const RETRY = { maxAttempts: 3, minTimeoutInMs: 1_000, factor: 1, randomize: false };

interface Message {
  snapshot: { friendlyId: string };
  run: { friendlyId: string; attemptNumber: number };
}

let s: Session;
beforeEach(() => {
  s = new Session();
});

const metadata = (build: string, tasks: object[]): object => ({
  packageVersion: '4.8.3',
  contentHash: build,
  tasks: tasks.map((task) => ({ filePath: 'a.ts', entryPoint: 'a.ts', ...task })),
});

async function deploy(
  build: string,
  tasks: object[] = [{ id: 'work', retry: RETRY }],
): Promise<{ id: string; version: string }> {
  const created = await sendAs<{ id: string; version: string }>(PROD_KEY, 'POST', '/api/v1/deployments', {
    contentHash: build,
  });
  expect(created.status).toBe(200);
  const registered = await sendAs(PROD_KEY, 'POST', `/api/v1/deployments/${created.body.id}/background-workers`, {
    metadata: metadata(build, tasks),
  });
  expect(registered).toMatchObject({ status: 200, body: { version: created.body.version, contentHash: build } });
  return created.body;
}

async function sendAs<T = Record<string, unknown>>(
  key: string | null,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: T }> {
  return (await s.send(method, path, body, { key, headers })) as { status: number; body: T };
}

const warmStart = (id: string): ReturnType<typeof sendAs<Message>> =>
  sendAs<Message>(null, 'GET', '/warm-start', undefined, { 'x-trigger-deployment-id': id });

const act = (id: string, { run, snapshot }: Message, action: string, body: unknown = {}): ReturnType<typeof sendAs> =>
  sendAs(
    null,
    'POST',
    `/api/v1/workload-actions/runs/${run.friendlyId}/snapshots/${snapshot.friendlyId}/${action}`,
    body,
    {
      'x-trigger-workload-deployment-id': id,
    },
  );

describe('a deployment', () => {
  it('has workers that know nothing but its id: they take runs, start and end them, and are told what their tasks need', async () => {
    const { id, version } = await deploy('a');
    const run = await s.trigger();
    const { body: message } = await warmStart(id);
    expect(message).toMatchObject({
      run: { friendlyId: run },
      backgroundWorker: { version },
      deployment: { friendlyId: id },
    });
    const started = await act(id, message, 'attempts/start');
    expect(started.body).toMatchObject({
      execution: { environment: { type: 'PRODUCTION', slug: 'prod' } },
      envVars: { TRIGGER_API_URL: 'http://server', TRIGGER_SECRET_KEY: PROD_KEY, TRIGGER_PROJECT_REF: 'proj_test' },
    });
    expect((await act(id, message, 'heartbeat')).status).toBe(200);
    const completion = { id: run, ok: true, output: '1', outputType: 'application/json' };
    expect((await act(id, message, 'attempts/complete', { completion })).status).toBe(200);
    expect(await s.run(run)).toMatchObject({ status: 'COMPLETED', version });
    expect((await sendAs(PROD_KEY, 'GET', '/api/v1/deployments/current')).body).toMatchObject({
      version,
      status: 'DEPLOYED',
    });
  });

  it('is no key to anything else, and no other text is one', async () => {
    const { id } = await deploy('a');
    await s.trigger();
    const forged = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`;
    for (const other of [forged, id.replace('proj_test', 'proj_else'), 'deployment_x', ''])
      expect((await warmStart(other)).status, other).toBe(401);
    expect((await sendAs(id, 'GET', '/api/v1/runs')).status).toBe(401);
    expect((await sendAs(id, 'POST', '/api/v1/tasks/work/trigger', {})).status).toBe(401);
  });

  it('that is not current any more goes on with the runs that it has begun, and takes no new ones', async () => {
    const old = await deploy('a');
    const run = await s.trigger();
    const { body: message } = await warmStart(old.id);
    await act(old.id, message, 'attempts/start');
    const fresh = await deploy('b');
    await act(old.id, message, 'attempts/complete', {
      completion: { id: run, ok: false, error: { type: 'INTERNAL_ERROR', code: 'TASK_PROCESS_SIGTERM', message: '' } },
    });
    const free = await s.trigger();
    expect((await warmStart(fresh.id)).body.run.friendlyId).toBe(free);
    s.t.advance(1_000);
    expect((await warmStart(old.id)).body).toMatchObject({ run: { friendlyId: run, attemptNumber: 2 } });
    const list = await sendAs<{ data: Array<{ version: string }> }>(PROD_KEY, 'GET', '/api/v1/deployments');
    expect(list.body.data.map(({ version }) => version)).toEqual([fresh.version, old.version]);
    // Its machine comes back: the same deployment, which does not become current again.
    expect(await deploy('a')).toMatchObject({ id: old.id, version: old.version });
    const next = await s.trigger();
    expect((await warmStart(fresh.id)).body.run.friendlyId).toBe(next);
  });

  it('whose worker goes silent has its attempt made again, as long as attempts are left, beyond its time to live', async () => {
    const { id } = await deploy('a');
    const run = await s.trigger('work', { ttl: '1m' });
    for (let attempt = 1; attempt <= RETRY.maxAttempts; attempt++) {
      const { body: message } = await warmStart(id);
      expect(message.run).toMatchObject({ friendlyId: run, attemptNumber: attempt });
      await act(id, message, 'attempts/start');
      s.t.advance(HEARTBEAT_TIMEOUT_MS);
      s.t.advance(250);
    }
    expect(await s.run(run)).toMatchObject({
      status: 'SYSTEM_FAILURE',
      error: { name: 'TASK_RUN_STALLED_EXECUTING' },
    });
  });

  it('that is promoted brings the schedules that it declares, in place of those of the one before', async () => {
    const of = (cron: string): object[] => [{ id: 'work', triggerSource: 'schedule', schedule: { cron } }];
    const first = await deploy('one', of('0 1 * * *'));
    await deploy('two', of('0 2 * * *'));
    const crons = async (): Promise<string[]> => {
      const { body } = await sendAs<{ data: Array<{ generator: { expression: string } }> }>(
        PROD_KEY,
        'GET',
        '/api/v1/schedules',
      );
      return body.data.map(({ generator }) => generator.expression);
    };
    expect(await crons()).toEqual(['0 2 * * *']);
    expect((await sendAs(PROD_KEY, 'POST', `/api/v1/deployments/${first.version}/promote`)).status).toBe(200);
    expect(await crons()).toEqual(['0 1 * * *']);
  });

  it('may have a name, to which a trigger pins its run', async () => {
    const created = await sendAs<{ id: string; version: string }>(PROD_KEY, 'POST', '/api/v1/deployments', {
      contentHash: 'named',
      externalId: 'release-7',
    });
    const register = `/api/v1/deployments/${created.body.id}/background-workers`;
    await sendAs(PROD_KEY, 'POST', register, { metadata: metadata('named', [{ id: 'work' }]) });
    await deploy('newer');
    const run = await s.trigger('work', { externalDeploymentId: 'release-7' });
    expect(await s.run(run)).toMatchObject({ version: created.body.version });
    const { body: message } = await warmStart(created.body.id);
    expect(message.run.friendlyId).toBe(run);
    const { body: started } = await act(created.body.id, message, 'attempts/start');
    const { data } = (await sendAs<{ data: Array<Record<string, unknown>> }>(PROD_KEY, 'GET', '/api/v1/deployments'))
      .body;
    const shown = data.find(({ version }) => version === created.body.version);
    expect(started).toMatchObject({
      execution: {
        deployment: {
          id: shown?.id,
          shortCode: shown?.shortCode,
          version: created.body.version,
          runtime: 'node',
          externalId: 'release-7',
        },
      },
    });
  });

  it('takes the runs that waited for its name, though another is current by then', async () => {
    await deploy('before');
    const run = await s.trigger('work', { externalDeploymentId: 'release-9' });
    const created = await sendAs<{ id: string; version: string }>(PROD_KEY, 'POST', '/api/v1/deployments', {
      contentHash: 'named',
      externalId: 'release-9',
    });
    const { id, version } = created.body;
    const register = `/api/v1/deployments/${id}/background-workers`;
    await sendAs(PROD_KEY, 'POST', register, { metadata: metadata('named', [{ id: 'work' }]) });
    await deploy('after');
    const { body: message } = await warmStart(id);
    expect(message).toMatchObject({ run: { friendlyId: run }, backgroundWorker: { version } });
    await act(id, message, 'attempts/start');
    const completion = { id: run, ok: true, output: '1', outputType: 'application/json' };
    await act(id, message, 'attempts/complete', { completion });
    expect(await s.run(run)).toMatchObject({ status: 'COMPLETED', version });
  });
});
