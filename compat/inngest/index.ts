import { Hono } from 'hono';
import type { RouteEnv } from '../../core/ports.ts';
import { authorised, commonHeaders, onError, preflight } from './http.ts';
import { checkpointAsync } from './routes/checkpoint-async.ts';
import { devInfo } from './routes/dev-info.ts';
import { getEvent, getEventRuns, listEvents } from './routes/events.ts';
import { register } from './routes/register.ts';
import { runActions, runBatch } from './routes/run-state.ts';
import { cancelRun, cancelRunQuietly, getRun } from './routes/runs.ts';
import { sendEvent } from './routes/send-event.ts';
import { sendSignal } from './routes/signals.ts';
import { syncApp } from './routes/sync-app.ts';
import { refuseV1, refuseV2, UNSERVED_V1, UNSERVED_V2 } from './routes/unserved.ts';

export { inngestExecutor } from './executor.ts';
export { EXECUTOR } from './names.ts';
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
  app.get('/v0/runs/:run/actions', commonHeaders, authorised, runActions);
  app.get('/v0/runs/:run/batch', commonHeaders, authorised, runBatch);
  app.delete('/v0/runs/:run', commonHeaders, authorised, cancelRunQuietly);
  app.get('/v1/events', commonHeaders, authorised, listEvents);
  app.get('/v1/events/:event', commonHeaders, authorised, getEvent);
  app.get('/v1/events/:event/runs', commonHeaders, authorised, getEventRuns);
  app.get('/v1/runs/:run', commonHeaders, authorised, getRun);
  app.delete('/v1/runs/:run', commonHeaders, authorised, cancelRun);
  app.post('/v1/signals', commonHeaders, authorised, sendSignal);

  app.post('/v2/apps/:app/syncs', commonHeaders, authorised, syncApp);

  for (const [method, path, what] of UNSERVED_V1) app.on(methodsOf(method), path, commonHeaders, refuseV1(what));
  for (const [method, path] of UNSERVED_V2) app.on(methodsOf(method), path, commonHeaders, refuseV2);
  return app;
}

function methodsOf(method: string): string[] {
  return method === 'ALL' ? ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] : [method];
}
