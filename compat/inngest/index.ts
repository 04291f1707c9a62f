import { Hono } from 'hono';
import type { RouteEnv } from '../../core/ports.ts';
import { authorised, commonHeaders, onError, preflight } from './http.ts';
import type { RouteContext } from './http.ts';
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
  app.onError(onError);

  app.options('/e/:key', commonHeaders, preflight);
  app.post('/e/:key', commonHeaders, sendEvent);
  app.get('/dev', commonHeaders, devInfo);

  app.post('/fn/register', commonHeaders, authorised, register);
  app.post('/v1/checkpoint/:run/async', commonHeaders, authorised, checkpointAsync);
  app.post('/v1/http/runs/:run/async', commonHeaders, authorised, checkpointAsync);
  for (const base of ['/v1/checkpoint', '/v1/http/runs']) {
    app.post(base, commonHeaders, authorised, beginEndpoint);
    app.post(`${base}/:run/steps`, commonHeaders, authorised, endpointSteps);
    app.get(`${base}/:run/output`, commonHeaders, endpointOutput);
  }
  app.get('/v0/runs/:run/actions', commonHeaders, authorised, runActions);
  app.get('/v0/runs/:run/batch', commonHeaders, authorised, runBatch);
  app.delete('/v0/runs/:run', commonHeaders, authorised, cancelRunQuietly);
  app.get('/v1/events', commonHeaders, authorised, listEvents);
  app.get('/v1/events/:event', commonHeaders, authorised, getEvent);
  app.get('/v1/events/:event/runs', commonHeaders, authorised, getEventRuns);
  app.get('/v1/runs/:run', commonHeaders, authorised, getRun);
  app.delete('/v1/runs/:run', commonHeaders, authorised, cancelRun);
  app.post('/v1/signals', commonHeaders, authorised, sendSignal);
  app.post('/v1/realtime/publish', commonHeaders, authorised, publish);
  app.post('/v1/realtime/publish/tee', commonHeaders, authorised, tee);
  app.post('/v1/realtime/token', commonHeaders, authorised, createToken);
  app.get('/v1/realtime/connect', connect);
  app.get('/v1/realtime/sse', commonHeaders, events);

  app.get('/v0/connect', connectSocket);
  app.post('/v0/connect/start', commonHeaders, authorised, connectStart);
  app.post('/v0/connect/flush', commonHeaders, authorised, connectFlush);
  app.get('/v0/connect/envs/:env/conns', commonHeaders, authorised, listConnections);
  app.get('/v0/connect/envs/:env/groups/:hash', commonHeaders, authorised, getWorkerGroup);

  app.post('/invoke/:slug', commonHeaders, authorised, invoke);
  app.delete('/fn/remove', commonHeaders, authorised, removeAppByUrl);
  app.on(['POST', 'DELETE'], '/fn/step-limit', commonHeaders, authorised, overrideLimit('maxSteps'));
  app.on(['POST', 'DELETE'], '/fn/state-size-limit', commonHeaders, authorised, overrideLimit('maxStateBytes'));
  app.post('/test/function/pause', commonHeaders, authorised, pauseFunction(true));
  app.post('/test/function/unpause', commonHeaders, authorised, pauseFunction(false));
  app.get('/v1/runs/:run/jobs', commonHeaders, authorised, listRunJobs);
  app.post('/v1/runs/:run/metadata', commonHeaders, authorised, updateMetadata);
  app.get('/v1/apps/:app/functions', commonHeaders, authorised, listAppFunctions);
  app.post('/v1/cancellations', commonHeaders, authorised, createCancellation);
  app.get('/v1/cancellations', commonHeaders, authorised, listCancellations);
  app.delete('/v1/cancellations/:id', commonHeaders, authorised, deleteCancellation);
  app.post('/v1/traces/userland', commonHeaders, authorised, receiveTraces);
  app.post('/dev/traces', commonHeaders, authorised, receiveTraces);
  app.on(['GET', 'POST'], '/v0/gql', commonHeaders, authorised, graphql);
  app.options('/v0/gql', commonHeaders, preflight);

  app.get('/test', inTestMode, testRoot);
  app.post('/test/reset', inTestMode, testReset);
  app.post('/test/function/runs/cancel', inTestMode, testCancelRun);
  app.get('/test/queue/function-queue-size', inTestMode, testQueueSize);

  for (const base of ['/v2', '/api/v2']) secondApi(app, base);

  for (const [method, path, what] of UNSERVED_V1) app.on(methodsOf(method), path, commonHeaders, refuseV1(what));
  return app;
}

/** Under the second of its paths another vendor's runs are cancelled too: only ids that can be this one's are taken. */
const RUN = '{(?!run_)[^/]+}';

/** The second API, which the vendor serves under two paths. */
function secondApi(app: Hono<RouteEnv>, base: string): void {
  const use = (
    method: 'GET' | 'POST',
    path: string,
    handler: (c: RouteContext) => Response | Promise<Response>,
  ): void => void app.on(method, `${base}${path}`, commonHeaders, authorised, handler);
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
  app.post(`${base}/events`, commonHeaders, sendEventV2);
  for (const [method, path] of UNSERVED_V2) app.on(methodsOf(method), `${base}${path}`, commonHeaders, refuseV2);
}

function methodsOf(method: string): string[] {
  return method === 'ALL' ? ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] : [method];
}
