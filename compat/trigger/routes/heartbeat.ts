import { staleSnapshot } from '../errors.ts';
import { parseSnapshotId } from '../ids.ts';
import { engineNow, openEngine, param, runParam, type RouteContext } from '../request.ts';

/** Without a heartbeat for this long a worker counts as gone (trigger.dev: RUN_ENGINE_TIMEOUT_EXECUTING). */
export const HEARTBEAT_TIMEOUT_MS = 300_000;

/** POST /engine/v1/dev/runs/:run/snapshots/:snapshot/heartbeat */
export async function heartbeat(c: RouteContext): Promise<Response> {
  const { cell } = await openEngine(c);
  const run = runParam(c);
  const ref = parseSnapshotId(param(c, 'snapshot'));
  if (!ref?.lease) throw staleSnapshot();
  const untilMs = (await engineNow(c, cell)) + HEARTBEAT_TIMEOUT_MS;
  const [result] = await cell.apply([{ type: 'extend', run, lease: ref.lease, untilMs }]);
  if (result?.type !== 'extend' || result.result !== 'live') throw staleSnapshot();
  return c.json({ ok: true });
}
