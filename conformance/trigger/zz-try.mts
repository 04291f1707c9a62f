import { tasks, runs, configure } from '@trigger.dev/sdk';
configure({ baseURL: 'http://127.0.0.1:8391', secretKey: 'tr_dev_local' });
const [,, id, payload] = process.argv;
const t0 = performance.now();
const handle = await tasks.trigger(id!, JSON.parse(payload ?? '{}'));
console.log('triggered', handle.id, Math.round(performance.now()-t0));
const run = await runs.poll(handle, { pollIntervalMs: 100 });
console.log(Math.round(performance.now()-t0), run.status, JSON.stringify({output: run.output, error: run.error, attemptCount: run.attemptCount, metadata: run.metadata, started: +run.startedAt! - +run.createdAt, took: +run.finishedAt! - +run.startedAt!, pat: !!handle.publicAccessToken }));
process.exit(0);
