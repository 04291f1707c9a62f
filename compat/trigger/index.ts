import { Hono } from 'hono';
import { cors } from 'hono/cors';
import type { RouteEnv, Translator } from '../../core/ports.ts';
import { notServed, renderError } from './errors.ts';
import type { RouteContext } from './request.ts';
import { completeAttempt } from './routes/attempt-complete.ts';
import { startAttempt } from './routes/attempt-start.ts';
import { registerWorker } from './routes/background-workers.ts';
import { suspendRun, continueRun } from './routes/workload.ts';
import { warmStart, warmStartSettings } from './routes/warm-start.ts';
import {
  createDeployment,
  failDeployment,
  registerDeployedWorker,
  retrieveDeployment,
} from './routes/deployment-builds.ts';
import { upsertBranch } from './routes/branches.ts';
import { createBatch } from './routes/batch-create.ts';
import { streamBatchItems } from './routes/batch-items.ts';
import { legacyBatch } from './routes/batch-legacy.ts';
import { retrieveBatch } from './routes/batch-retrieve.ts';
import { listLimits, overrideLimit, pauseLimit, resetLimit, retrieveLimit } from './routes/concurrency-limits.ts';
import { dequeue } from './routes/dequeue.ts';
import { environmentConcurrency, pauseEnvironment, setEnvironmentConcurrency } from './routes/environment.ts';
import { listQueues, overrideQueue, pauseQueue, resetQueue, retrieveQueue } from './routes/queues.ts';
import { devConfig } from './routes/dev-config.ts';
import { devPresence } from './routes/dev-presence.ts';
import { disconnect } from './routes/disconnect.ts';
import { debugLog } from './routes/drop.ts';
import { dropOtlp, keepOtlp } from './routes/otlp.ts';
import { runEvents, runSpan, runTrace } from './routes/run-trace.ts';
import {
  createEnvvar,
  deleteEnvvar,
  importEnvvars,
  listEnvvars,
  retrieveEnvvar,
  updateEnvvar,
  workerVariables,
} from './routes/envvars.ts';
import { heartbeat } from './routes/heartbeat.ts';
import { projectEnv } from './routes/project-env.ts';
import { createPublicToken, jwtClaims } from './routes/public-tokens.ts';
import { cancelRunRoute } from './routes/run-cancel.ts';
import { listProjectRuns, listRuns } from './routes/run-list.ts';
import { getMetadata, updateMetadata } from './routes/run-metadata.ts';
import { batchResults, runResult } from './routes/run-result.ts';
import { retrieveRun } from './routes/run-retrieve.ts';
import { latestSnapshot } from './routes/snapshot-latest.ts';
import { snapshotsSince } from './routes/snapshots-since.ts';
import { addTags } from './routes/run-tags.ts';
import { replayRun } from './routes/run-replay.ts';
import { rescheduleRun } from './routes/run-reschedule.ts';
import { resetIdempotencyKey } from './routes/idempotency-reset.ts';
import {
  activateSchedule,
  createSchedule,
  deleteSchedule,
  listSchedules,
  retrieveSchedule,
  timezones,
  updateSchedule,
} from './routes/schedules.ts';
import { abortBulkAction, createBulkAction, listBulkActions, retrieveBulkAction } from './routes/bulk-actions.ts';
import { replayed } from './bulk.ts';
import { currentDeployment, listDeployments, promoteDeployment } from './routes/deployments.ts';
import { rateLimit } from './rate-limit.ts';
import { scheduled } from './schedules.ts';
import { triggerTask } from './routes/trigger.ts';
import { listTokens } from './routes/wait-token-list.ts';
import { waitDuration } from './routes/wait-duration.ts';
import {
  completeTokenByCallback,
  completeTokenRoute,
  createToken,
  retrieveToken,
  waitForToken,
} from './routes/wait-tokens.ts';
import { whoami } from './routes/whoami.ts';
import { sendInput, waitForInput } from './routes/input-streams.ts';
import { downloadPacket, runPacket, uploadNamedPacket, uploadPacket } from './routes/packets.ts';
import { realtimeBatch } from './routes/realtime-batch.ts';
import { realtimeRun } from './routes/realtime-run.ts';
import { realtimeRuns } from './routes/realtime-runs.ts';
import { readInputOrProbe, readStream } from './routes/streams-read.ts';
import { appendPart, createStream, writeStream } from './routes/streams-write.ts';
import { SHAPE_HEADERS } from './realtime/shape.ts';
import { devSocket } from './socket/dev-socket.ts';
import { stalled } from './stall.ts';
export { triggerKeys } from './environment-keys.ts';

export { EXECUTOR } from './names.ts';
export { ROW_VIEW, rowView } from './realtime/row.ts';
export { DEV_PROTOCOL, devProtocol } from './socket/dev-protocol.ts';

/** Nothing follows from the end of a run beyond what the engine does: waiting parents and batches are waits. */
export const triggerTranslator: Translator = { lapsed: stalled, scheduled, again: replayed };

type Handler = (c: RouteContext) => Promise<Response> | Response;

/** `/api/v2` is shared with another vendor. */
const RATE_LIMITED_PATHS = ['/api/v1/*', '/api/v2/runs/*', '/api/v2/batches/*', '/api/v2/tasks/*', '/api/v3/*'];

/** Read by browsers too: these answer any origin. */
const BROWSER_PATHS = [
  '/api/v1/tasks/*',
  '/api/v1/runs',
  '/api/v1/runs/*',
  '/api/v3/runs/*',
  '/api/v2/runs/*',
  '/api/v3/batches',
  '/api/v3/batches/*',
  '/api/v2/batches/*',
  '/api/v1/waitpoints/*',
  '/api/v1/packets/*',
  '/api/v2/packets/*',
  '/realtime/*',
];
const EXPOSED_HEADERS = [
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-trigger-jwt',
  'x-trigger-jwt-claims',
  'x-stream-version',
  ...SHAPE_HEADERS,
];

/** Errors are rendered here and not by Hono's onError: for its sake Hono runs every handler of a path in a chain of its own. */
function rendering(handler: Handler): Handler {
  return async (c) => {
    try {
      return await handler(c);
    } catch (error) {
      // For the log, as Hono would.
      c.error = error instanceof Error ? error : new Error(String(error));
      return renderError(c, error);
    }
  };
}

/** Every route of the vendor that is answered; the rest of its address space says 501. */
export function triggerRoutes(): Hono<RouteEnv> {
  const app = new Hono<RouteEnv>();
  for (const path of BROWSER_PATHS)
    app.use(
      path,
      cors({
        origin: '*',
        exposeHeaders: EXPOSED_HEADERS,
        allowMethods: ['GET', 'POST', 'PUT', 'DELETE', 'HEAD'],
        maxAge: 86_400,
      }),
    );

  const limited = rateLimit();
  for (const path of RATE_LIMITED_PATHS) app.use(path, limited);

  const on = (method: string, path: string, handler: Handler): void => void app.on(method, path, rendering(handler));

  on('GET', '/api/v2/whoami', whoami);
  on('GET', '/api/v1/projects/:project/envvars', workerVariables);
  on('GET', '/api/v1/projects/:project/envvars/:env', listEnvvars);
  on('POST', '/api/v1/projects/:project/envvars/:env', createEnvvar);
  on('POST', '/api/v1/projects/:project/envvars/:env/import', importEnvvars);
  on('GET', '/api/v1/projects/:project/envvars/:env/:name', retrieveEnvvar);
  on('PUT', '/api/v1/projects/:project/envvars/:env/:name', updateEnvvar);
  on('DELETE', '/api/v1/projects/:project/envvars/:env/:name', deleteEnvvar);
  on('POST', '/api/v1/projects/:project/background-workers', registerWorker);
  on('POST', '/api/v1/projects/:project/branches', upsertBranch);
  on('GET', '/api/v1/projects/:project/runs', listProjectRuns);
  const env = '/api/v1/projects/:project/:env{dev|stg|staging|prod|preview}';
  on('GET', `${env}/concurrency`, environmentConcurrency);
  on('POST', `${env}/concurrency`, setEnvironmentConcurrency);
  on('POST', `${env}/pause`, pauseEnvironment);
  on('GET', env, projectEnv);

  on('GET', '/api/v1/queues', listQueues);
  on('GET', '/api/v1/queues/:queue', retrieveQueue);
  on('POST', '/api/v1/queues/:queue/pause', pauseQueue);
  on('POST', '/api/v1/queues/:queue/concurrency/override', overrideQueue);
  on('POST', '/api/v1/queues/:queue/concurrency/reset', resetQueue);
  on('GET', '/api/v1/concurrency-limits', listLimits);
  on('GET', '/api/v1/concurrency-limits/:name', retrieveLimit);
  on('POST', '/api/v1/concurrency-limits/:name/override', overrideLimit);
  on('POST', '/api/v1/concurrency-limits/:name/pause', pauseLimit);
  on('POST', '/api/v1/concurrency-limits/:name/reset', resetLimit);

  on('GET', '/engine/v1/dev/config', devConfig);
  on('GET', '/engine/v1/dev/presence', devPresence);
  on('POST', '/engine/v1/dev/dequeue', dequeue);
  on('POST', '/engine/v1/dev/disconnect', disconnect);
  on('GET', '/engine/v1/dev/runs/:run/snapshots/latest', latestSnapshot);
  on('GET', '/engine/v1/dev/runs/:run/snapshots/since/:snapshot', snapshotsSince);
  on('POST', '/engine/v1/dev/runs/:run/snapshots/:snapshot/attempts/start', startAttempt);
  on('POST', '/engine/v1/dev/runs/:run/snapshots/:snapshot/attempts/complete', completeAttempt);
  on('POST', '/engine/v1/dev/runs/:run/snapshots/:snapshot/heartbeat', heartbeat);
  on('POST', '/engine/v1/dev/runs/:run/logs/debug', debugLog);
  on('POST', '/engine/v1/runs/:run/wait/duration', waitDuration);
  on('POST', '/engine/v1/runs/:run/waitpoints/tokens/:token/wait', waitForToken);
  const base = '/api/v1/workload-actions/runs/:run';
  on('GET', `${base}/snapshots/latest`, latestSnapshot);
  on('GET', `${base}/snapshots/since/:snapshot`, snapshotsSince);
  on('POST', `${base}/snapshots/:snapshot/attempts/start`, startAttempt);
  on('POST', `${base}/snapshots/:snapshot/attempts/complete`, completeAttempt);
  on('POST', `${base}/snapshots/:snapshot/heartbeat`, heartbeat);
  on('GET', `${base}/snapshots/:snapshot/suspend`, suspendRun);
  on('GET', `${base}/snapshots/:snapshot/continue`, continueRun);
  on('POST', `${base}/logs/debug`, debugLog);
  on('GET', '/connect', warmStartSettings);
  on('GET', '/warm-start', warmStart);
  on('GET', '/socket.io/', devSocket);
  on('POST', '/otel/v1/:signal{traces|logs|metrics}', dropOtlp);
  on('POST', '/otel/:environment/:proof/v1/:signal{traces|logs|metrics}', keepOtlp);

  on('POST', '/api/v1/tasks/:task/trigger', triggerTask);
  on('POST', '/api/v3/batches', createBatch);
  on('POST', '/api/v3/batches/:batch/items', streamBatchItems);
  on('POST', '/api/v1/tasks/batch', legacyBatch);
  on('POST', '/api/v2/tasks/batch', legacyBatch);
  on('GET', '/api/v1/batches/:batch', retrieveBatch);
  on('GET', '/api/v2/batches/:batch', retrieveBatch);
  on('GET', '/api/v1/batches/:batch/results', batchResults);

  on('GET', '/api/v3/runs/:run', retrieveRun);
  on('GET', '/api/v1/runs', listRuns);
  on('POST', '/api/v2/runs/:run/cancel', cancelRunRoute);
  on('GET', '/api/v1/runs/:run/result', runResult);
  on('POST', '/api/v1/runs/:run/tags', addTags);
  on('GET', '/api/v1/runs/:run/metadata', getMetadata);
  on('PUT', '/api/v1/runs/:run/metadata', updateMetadata);

  on('POST', '/api/v1/waitpoints/tokens', createToken);
  on('GET', '/api/v1/waitpoints/tokens', listTokens);
  on('GET', '/api/v1/waitpoints/tokens/:token', retrieveToken);
  on('POST', '/api/v1/waitpoints/tokens/:token/complete', completeTokenRoute);
  on('POST', '/api/v1/waitpoints/tokens/:token/callback/:hash', completeTokenByCallback);

  on('GET', '/realtime/v1/runs/:run', realtimeRun);
  on('GET', '/realtime/v1/runs', realtimeRuns);
  on('GET', '/realtime/v1/batches/:batch', realtimeBatch);
  for (const version of ['v1', 'v2']) {
    on('GET', `/realtime/${version}/streams/:run/:stream`, readStream);
    on('POST', `/realtime/${version}/streams/:run/:stream`, writeStream);
  }
  on('POST', '/realtime/v1/streams/:run/input/:stream', sendInput);
  on('GET', '/realtime/v1/streams/:run/:target/:stream', readInputOrProbe);
  on('PUT', '/realtime/v1/streams/:run/:target/:stream', createStream);
  on('POST', '/realtime/v1/streams/:run/:target/:stream', writeStream);
  on('POST', '/realtime/v1/streams/:run/:target/:stream/append', appendPart);
  on('POST', '/api/v1/runs/:run/input-streams/wait', waitForInput);
  on('PUT', '/api/v2/packets/:name{.+}', uploadPacket);
  on('PUT', '/api/v1/packets/:name{.+}', uploadNamedPacket);
  on('GET', '/api/v1/packets/:name{.+}', downloadPacket);
  on('GET', '/api/v1/runs/:run/packets/:field{payload|output}', runPacket);

  on('GET', '/api/v1/runs/:run/events', runEvents);
  on('GET', '/api/v1/runs/:run/trace', runTrace);
  on('GET', '/api/v1/runs/:run/spans/:span', runSpan);
  on('POST', '/api/v1/runs/:run/replay', replayRun);
  on('POST', '/api/v1/runs/:run/reschedule', rescheduleRun);
  on('POST', '/api/v1/idempotencyKeys/:key/reset', resetIdempotencyKey);
  on('POST', '/api/v1/bulk-actions', createBulkAction);
  on('GET', '/api/v1/bulk-actions', listBulkActions);
  on('GET', '/api/v1/bulk-actions/:bulk', retrieveBulkAction);
  on('POST', '/api/v1/bulk-actions/:bulk/abort', abortBulkAction);

  on('POST', '/api/v1/schedules', createSchedule);
  on('GET', '/api/v1/schedules', listSchedules);
  on('GET', '/api/v1/schedules/:schedule', retrieveSchedule);
  on('PUT', '/api/v1/schedules/:schedule', updateSchedule);
  on('DELETE', '/api/v1/schedules/:schedule', deleteSchedule);
  on('POST', '/api/v1/schedules/:schedule/activate', activateSchedule(true));
  on('POST', '/api/v1/schedules/:schedule/deactivate', activateSchedule(false));
  on('GET', '/api/v1/timezones', timezones);

  on('GET', '/api/v1/deployments', listDeployments);
  on('GET', '/api/v1/deployments/current', currentDeployment);
  on('POST', '/api/v1/deployments/:version/promote', promoteDeployment);
  on('POST', '/api/v1/deployments', createDeployment);
  on('GET', '/api/v1/deployments/:deployment', retrieveDeployment);
  on('POST', '/api/v1/deployments/:deployment/background-workers', registerDeployedWorker);
  on('POST', '/api/v1/deployments/:deployment/fail', failDeployment);

  on('POST', '/api/v1/auth/jwt/claims', jwtClaims);
  on('POST', '/api/v1/auth/public-tokens', createPublicToken);

  const unserved: Handler = (c) => renderError(c, notServed(`${c.req.method} ${c.req.path}`));
  for (const path of UNSERVED) app.all(path, (c) => unserved(c));
  return app;
}

/** The vendor's other routes. `/api/v2` is shared with another vendor, so there they are named one by one. */
const UNSERVED = [
  '/api/v1/runs/*',
  '/api/v1/tasks/*',
  '/api/v1/batches/*',
  '/api/v1/projects',
  '/api/v1/projects/*',
  '/api/v1/orgs',
  '/api/v1/orgs/*',
  '/api/v1/schedules',
  '/api/v1/schedules/*',
  '/api/v1/queues',
  '/api/v1/queues/*',
  '/api/v1/concurrency-limits',
  '/api/v1/concurrency-limits/*',
  '/api/v1/deployments',
  '/api/v1/deployments/*',
  '/api/v1/bulk-actions',
  '/api/v1/bulk-actions/*',
  '/api/v1/idempotencyKeys/*',
  '/api/v1/packets/*',
  '/api/v1/waitpoints/*',
  '/api/v1/query',
  '/api/v1/query/*',
  '/api/v1/reports/*',
  '/api/v1/prompts',
  '/api/v1/prompts/*',
  '/api/v1/webhooks/*',
  '/api/v1/sessions',
  '/api/v1/sessions/*',
  '/api/v1/workers',
  '/api/v1/workers/*',
  '/api/v1/authorization-code',
  '/api/v1/token',
  '/api/v1/platform-notifications',
  '/api/v1/workload-actions/*',
  '/api/v2/packets/*',
  '/api/v2/runs/*',
  '/api/v3/*',
  '/engine/v1/*',
  '/realtime/*',
];
