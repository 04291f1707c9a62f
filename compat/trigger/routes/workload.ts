import { param, openWorker, type RouteContext } from '../request.ts';

/** GET …/suspend — a process cannot be kept on disk here: it goes on waiting in memory, as the vendor's own does without checkpoints. */
export async function suspendRun(c: RouteContext): Promise<Response> {
  await openWorker(c);
  return c.json({ ok: false, error: 'Checkpoints are not available: the worker waits in memory' });
}

/** GET …/continue — nothing was suspended, so the snapshot is the one that the worker has. */
export async function continueRun(c: RouteContext): Promise<Response> {
  await openWorker(c);
  return c.json({ error: `Snapshot ${param(c, 'snapshot').slice(0, 100)} was never suspended` }, 422);
}
