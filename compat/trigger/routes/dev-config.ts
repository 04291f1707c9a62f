import { subjectOf } from '../environment-keys.ts';
import { open, type RouteContext } from '../request.ts';

/** The dequeue request itself is held open, so the pauses between two can be short. */
const PAUSE_WITH_RUN_MS = 5;
const PAUSE_WITHOUT_RUN_MS = 50;
/** trigger.dev: DEV_MAX_CONCURRENT_RUNS */
const MAX_CONCURRENT_RUNS = 25;

/** GET /engine/v1/dev/config */
export async function devConfig(c: RouteContext): Promise<Response> {
  await open(c);
  return c.json({
    environmentId: subjectOf(c.get('host').context.environment),
    dequeueIntervalWithRun: PAUSE_WITH_RUN_MS,
    dequeueIntervalWithoutRun: PAUSE_WITHOUT_RUN_MS,
    maxConcurrentRuns: MAX_CONCURRENT_RUNS,
    engineUrl: c.get('host').context.serverUrl,
  });
}
