import { subjectOf } from '../environment-keys.ts';
import { holdOpen } from '../hold-open.ts';
import { poolOf, versionPoolOf } from '../names.ts';
import { openWorker, type RouteContext } from '../request.ts';
import { dequeuedMessage, START_WITHIN_MS } from './dequeue.ts';

/** A worker waits for its next run in one process as long as this, and is started anew by its keeper after that. */
const KEEP_WARM_MS = 7 * 86_400_000;
const CONNECTION_TIMEOUT_MS = 30_000;
/** One look; the request goes on with the next. */
const HOLD_MS = 20_000;

/** GET /connect — how long a deployed worker may wait here. No key: it sends none. */
export function warmStartSettings(c: RouteContext): Response {
  return c.json({ connectionTimeoutMs: CONNECTION_TIMEOUT_MS, keepaliveMs: KEEP_WARM_MS });
}

/** GET /warm-start — the next run for a deployed worker's process; held open until there is one, since any other answer ends the process. */
export async function warmStart(c: RouteContext): Promise<Response> {
  const { cell, deployment, id } = await openWorker(c);
  const { project, version } = deployment;
  const environmentId = subjectOf(c.get('host').context.environment);
  const holder = c.req.header('x-trigger-workload-controller-id')?.slice(0, 128) ?? id;
  const { response, done } = holdOpen(
    cell,
    () =>
      cell.lease({
        pool: versionPoolOf(project, version),
        also: [poolOf(project)],
        max: 1,
        holdMs: START_WITHIN_MS,
        waitMs: HOLD_MS,
        holder,
      }),
    ([leased]) => (leased ? JSON.stringify(dequeuedMessage(leased, environmentId, id)) : '{}'),
    () => !c.get('host').isEnding(),
  );
  c.get('host').waitUntil(done);
  return response;
}
