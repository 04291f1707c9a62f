import { Hono } from 'hono';
import type { RouteEnv } from '../../core/ports.ts';
import { guarded, keyed, open, plain, preflight } from './http.ts';
import type { RouteHandler } from './http.ts';
import { checkpointAsync } from './routes/checkpoint-async.ts';
import { getWorkerGroup, listConnections } from './routes/connect-connections.ts';
import { connectFlush } from './routes/connect-flush.ts';
import { connectSocket } from './routes/connect-socket.ts';
import { connectStart } from './routes/connect-start.ts';
import { devInfo } from './routes/dev-info.ts';
import { getEvent, getEventRuns, listEvents } from './routes/events.ts';
import { listAppFunctions } from './routes/app-functions.ts';
import { createCancellation, deleteCancellation, listCancellations } from './routes/cancellations.ts';
import { beginEndpoint } from './routes/endpoint-begin.ts';
import { endpointOutput } from './routes/endpoint-output.ts';
import { endpointSteps } from './routes/endpoint-steps.ts';
import { graphql } from './routes/graphql.ts';
import { invoke, invokeV2 } from './routes/invoke.ts';
import { pauseFunction } from './routes/pause-function.ts';
import { publish, tee } from './routes/realtime-publish.ts';
import { connect, createToken, events } from './routes/realtime-subscribe.ts';
import { register } from './routes/register.ts';
import { removeAppByUrl } from './routes/remove-app.ts';
import { rerun } from './routes/rerun.ts';
import { overrideLimit } from './routes/limit-overrides.ts';
import { listRunJobs } from './routes/run-jobs.ts';
import { addScores, updateMetadata } from './routes/run-metadata.ts';
import { inTestMode, testCancelRun, testQueueSize, testReset, testRoot } from './routes/test-mode.ts';
import { receiveTraces } from './routes/traces.ts';
import {
  getAppV2,
  getFunctionV2,
  healthV2,
  listAppsV2,
  listEnvsV2,
  listEventKeysV2,
  listFunctionsV2,
  listSigningKeysV2,
} from './routes/v2-apps.ts';
import { cancelRunV2, eventRunsV2, getRunV2, getTraceV2, listRunsV2 } from './routes/v2-runs.ts';
import { runActions, runBatch } from './routes/run-state.ts';
import { cancelRun, cancelRunQuietly, getRun } from './routes/runs.ts';
import { sendEvent, sendEventV2 } from './routes/send-event.ts';
import { sendSignal } from './routes/signals.ts';
import { syncApp } from './routes/sync-app.ts';
import { refuseV1, refuseV2, UNSERVED_V1, UNSERVED_V2 } from './routes/unserved.ts';

export { inngestKeys } from './environment-keys.ts';

export { CONNECT_CHANNEL, CONNECT_PROTOCOL, ConnectGateway } from './connect/gateway.ts';
export { inngestExecutor } from './executor.ts';
export { EXECUTOR } from './names.ts';
export { REALTIME_PROTOCOL, realtimeProtocol } from './realtime/protocol.ts';
export { inngestTranslator } from './translator.ts';

/** The vendor's routes, all of them with explicit paths: other wire formats live on the same origin. */
export function inngestRoutes(): Hono<RouteEnv> {
  const app = new Hono<RouteEnv>();
  app.options('/e/:key', open(preflight));
  app.post('/e/:key', plain(sendEvent));
  app.get('/dev', open(devInfo));

  app.post('/fn/register', guarded(register));
  app.post('/v1/checkpoint/:run/async', plain(keyed(checkpointAsync)));
  app.post('/v1/http/runs/:run/async', plain(keyed(checkpointAsync)));
  for (const base of ['/v1/checkpoint', '/v1/http/runs']) {
    app.post(base, guarded(beginEndpoint));
    app.post(`${base}/:run/steps`, guarded(endpointSteps));
    app.get(`${base}/:run/output`, open(endpointOutput));
  }
  app.get('/v0/runs/:run/actions', guarded(runActions));
  app.get('/v0/runs/:run/batch', guarded(runBatch));
  app.delete('/v0/runs/:run', guarded(cancelRunQuietly));
  app.get('/v1/events', guarded(listEvents));
  app.get('/v1/events/:event', guarded(getEvent));
  app.get('/v1/events/:event/runs', guarded(getEventRuns));
  app.get('/v1/runs/:run', guarded(getRun));
  app.delete('/v1/runs/:run', guarded(cancelRun));
  app.post('/v1/signals', guarded(sendSignal));
  app.post('/v1/realtime/publish', guarded(publish));
  app.post('/v1/realtime/publish/tee', guarded(tee));
  app.post('/v1/realtime/token', guarded(createToken));
  app.get('/v1/realtime/connect', plain(connect));
  app.get('/v1/realtime/sse', open(events));

  app.get('/v0/connect', plain(connectSocket));
  app.post('/v0/connect/start', guarded(connectStart));
  app.post('/v0/connect/flush', guarded(connectFlush));
  app.get('/v0/connect/envs/:env/conns', guarded(listConnections));
  app.get('/v0/connect/envs/:env/groups/:hash', guarded(getWorkerGroup));

  app.post('/invoke/:slug', guarded(invoke));
  app.delete('/fn/remove', guarded(removeAppByUrl));
  app.on(['POST', 'DELETE'], '/fn/step-limit', guarded(overrideLimit('maxSteps')));
  app.on(['POST', 'DELETE'], '/fn/state-size-limit', guarded(overrideLimit('maxStateBytes')));
  app.post('/test/function/pause', guarded(pauseFunction(true)));
  app.post('/test/function/unpause', guarded(pauseFunction(false)));
  app.get('/v1/runs/:run/jobs', guarded(listRunJobs));
  app.post('/v1/runs/:run/metadata', guarded(updateMetadata));
  app.get('/v1/apps/:app/functions', guarded(listAppFunctions));
  app.post('/v1/cancellations', guarded(createCancellation));
  app.get('/v1/cancellations', guarded(listCancellations));
  app.delete('/v1/cancellations/:id', guarded(deleteCancellation));
  app.post('/v1/traces/userland', guarded(receiveTraces));
  app.post('/dev/traces', guarded(receiveTraces));
  app.on(['GET', 'POST'], '/v0/gql', guarded(graphql));
  app.options('/v0/gql', open(preflight));

  app.get('/test', plain(inTestMode(testRoot)));
  app.post('/test/reset', plain(inTestMode(testReset)));
  app.post('/test/function/runs/cancel', plain(inTestMode(testCancelRun)));
  app.get('/test/queue/function-queue-size', plain(inTestMode(testQueueSize)));

  for (const base of ['/v2', '/api/v2']) secondApi(app, base);

  for (const [method, path, what] of UNSERVED_V1) app.on(methodsOf(method), path, open(refuseV1(what)));
  return app;
}

/** Under the second of its paths another vendor's runs are cancelled too: only ids that can be this one's are taken. */
const RUN = '{(?!run_)[^/]+}';

/** The second API, which the vendor serves under two paths. */
function secondApi(app: Hono<RouteEnv>, base: string): void {
  const use = (method: 'GET' | 'POST', path: string, handler: RouteHandler): void =>
    void app.on(method, `${base}${path}`, guarded(handler));
  use('GET', '/health', healthV2);
  use('GET', '/envs', listEnvsV2);
  use('GET', '/keys/events', listEventKeysV2);
  use('GET', '/keys/signing', listSigningKeysV2);
  use('GET', '/apps', listAppsV2);
  use('GET', '/apps/:app', getAppV2);
  use('POST', '/apps/:app/syncs', syncApp);
  use('GET', '/apps/:app/functions', listFunctionsV2);
  use('GET', '/apps/:app/functions/:fn', getFunctionV2);
  use('GET', '/apps/:app/functions/:fn/runs', listRunsV2);
  use('POST', '/apps/:app/functions/:fn/invoke', invokeV2);
  use('GET', '/runs', listRunsV2);
  use('GET', `/runs/:run${RUN}`, getRunV2);
  use('GET', `/runs/:run${RUN}/trace`, getTraceV2);
  use('POST', `/runs/:run${RUN}/cancel`, cancelRunV2);
  use('POST', `/runs/:run${RUN}/rerun`, rerun);
  use('POST', `/runs/:run${RUN}/scores`, addScores);
  use('GET', '/events/:event/runs', eventRunsV2);
  app.post(`${base}/events`, open(sendEventV2));
  for (const [method, path] of UNSERVED_V2) app.on(methodsOf(method), `${base}${path}`, open(refuseV2));
}

function methodsOf(method: string): string[] {
  return method === 'ALL' ? ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] : [method];
}
