import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { configure, runs, tasks } from '@trigger.dev/sdk';
import { expect, suite, type PrivateServer } from '../harness/index.ts';
import { buildProject, startDeployed, type DeployedWorker } from './deployed.ts';
import type * as attempts from './project/src/trigger/attempts.ts';
import type * as basic from './project/src/trigger/basic.ts';
import { finished, SDK, seen, useSdk } from './support.ts';

const SECRET_KEY = 'tr_prod_a-key-of-the-operators-own';
const ACCESS_TOKEN = 'tr_pat_0123456789012345678901234567890123456789';

suite({ vendor: 'trigger', name: 'deployed workers', sdk: SDK }, (s) => {
  s.case(
    ['T-67', 'T-89', 'T-90', 'T-77', 'T-80'],
    'in production: repoint worker runs the bundle that the CLI has built, in warm processes; a new version takes what is new, the old one ends what it has begun',
    async (context) => {
      const project = context.environment.triggerProjectRef;
      const env = { TRIGGER_SECRET_KEY: SECRET_KEY, TRIGGER_ACCESS_TOKEN: ACCESS_TOKEN, REPOINT_ALLOW_PRIVATE: '1' };
      const server: PrivateServer = await context.startServer({ mode: 'production', env });
      configure({ baseURL: server.url, secretKey: SECRET_KEY });
      context.onCleanup(() => useSdk(context));
      const workerOf = async (build: string, processes: number): Promise<DeployedWorker> => {
        const worker = await startDeployed({ url: server.url, build, secretKey: SECRET_KEY, processes });
        context.onCleanup(() => worker.stop());
        return worker;
      };
      const source = { url: server.url, project, accessToken: ACCESS_TOKEN };
      const first = await workerOf(await buildProject(source), 2);

      const warm: number[] = [];
      for (const text of ['a', 'b', 'c']) {
        const startedAt = performance.now();
        const run = await finished(await tasks.trigger<typeof basic.echo>('echo', { text }));
        warm.push(Math.round(performance.now() - startedAt));
        expect.equal(run.status, 'COMPLETED', first.output());
        expect.equal(run.output?.text, text);
        expect.equal(run.output?.environment, 'PRODUCTION');
      }
      context.log(`runs one after the other took ${warm.join(', ')} ms`);
      const flaky = await finished(await tasks.trigger<typeof basic.flaky>('flaky', { failures: 1 }));
      expect.deepEqual(flaky.output, { attempts: 2 });
      const parent = await finished(await tasks.trigger<typeof attempts.versionParent>('version-parent', {}));
      expect.deepEqual(parent.output, { own: parent.version, child: parent.version });
      // Told of its child's end: without that it looks every 5 s.
      const tookMs = Number(parent.finishedAt) - Number(parent.startedAt);
      expect(tookMs < 4_900, `the parent took ${tookMs} ms`);

      const going = await tasks.trigger<typeof attempts.takesTime>('takes-time', { ms: 30_000 });
      await seen(context, going.id, 'the task to run', (run) => run.metadata?.state === 'running');
      const build = await buildProject({
        ...source,
        edit(directory) {
          const file = path.join(directory, 'src/trigger/attempts.ts');
          writeFileSync(
            file,
            readFileSync(file, 'utf8').replace('done in the first version', 'done in the second version'),
          );
        },
      });
      const second = await workerOf(build, 1);
      const fresh = await finished(await tasks.trigger<typeof attempts.takesTime>('takes-time', { ms: 10 }));
      expect.equal(fresh.output, 'done in the second version');
      expect.notEqual(fresh.version, parent.version);
      const old = await finished(going);
      expect.equal(old.status, 'COMPLETED');
      expect.equal(old.output, 'done in the first version');
      expect.equal(old.version, parent.version);
      const response = await fetch(`${server.url}/api/v1/deployments`, {
        headers: { authorization: `Bearer ${SECRET_KEY}` },
      });
      const { data } = (await response.json()) as { data: Array<{ version: string; status: string }> };
      expect.deepEqual(
        data.map(({ version, status }) => [version, status]),
        [
          [fresh.version, 'DEPLOYED'],
          [old.version, 'DEPLOYED'],
        ],
      );
      expect.equal(await first.stop(), 0);
      await second.kill();
      await context.until(() => processesOf(server.url).length === 0, {
        what: 'the controllers of a worker that was killed, and all task processes, to be gone',
        timeoutMs: 20_000,
      });
      expect.equal((await runs.retrieve(old.id)).attemptCount, 1);
    },
    { timeoutMs: 240_000 },
  );
});

/** Ids of the processes that have been given this address. */
function processesOf(url: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(url);
    } catch {
      return false;
    }
  });
}
