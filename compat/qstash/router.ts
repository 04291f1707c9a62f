import { Hono } from 'hono';
import type { RouteEnv } from '../../core/ports.ts';
import { COLLECTION } from './constants.ts';
import { notFound, unserved } from './errors.ts';
import { handle, handleOpen, type RouteBody } from './route.ts';
import { batchTrigger } from './routes/batch-trigger.ts';
import { batch } from './routes/batch.ts';
import { getBulkAction, listBulkActions } from './routes/bulk-actions.ts';
import { cancelMessage } from './routes/cancel-message.ts';
import { cancelMessages } from './routes/cancel-messages.ts';
import {
  deleteDeadLetter,
  deleteDeadLetters,
  getDeadLetter,
  listDeadLetters,
  listWorkflowDeadLetters,
  retryDeadLetter,
  retryDeadLetters,
} from './routes/dead-letters.ts';
import { enqueue } from './routes/enqueue.ts';
import {
  getFlowControl,
  globalParallelism,
  listFlowControls,
  pauseFlowControl,
  pinFlowControl,
  resetFlowControl,
  unpinFlowControl,
} from './routes/flow-control.ts';
import { getMessage } from './routes/get-message.ts';
import { getKeys, rotateKeys } from './routes/keys.ts';
import { listLogs } from './routes/list-logs.ts';
import { listWaiters, notify, notifyRun } from './routes/notify.ts';
import { createScheduleFromJson, deleteGroupOrEndpoints } from './routes/oldest-client.ts';
import { publish } from './routes/publish.ts';
import { deleteQueue, getQueue, listQueues, pauseQueue, upsertQueue } from './routes/queues.ts';
import { createSchedule, deleteSchedule, getSchedule, listSchedules, pauseSchedule } from './routes/schedules.ts';
import { trigger } from './routes/trigger.ts';
import { addEndpoints, getGroup, listGroups, removeEndpoints, setGroupHeaders } from './routes/url-groups.ts';
import { waitForEvent } from './routes/wait.ts';
import { webhook } from './routes/webhook.ts';
import {
  cancelFailureCallback,
  failureCallbackAgain,
  restartWorkflow,
  restartWorkflows,
  resumeWorkflow,
  resumeWorkflows,
} from './routes/workflow-dead-letters.ts';
import { workflowLogs } from './routes/workflow-logs.ts';
import { cancelWorkflows, endRun, getSteps } from './routes/workflow-runs.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Every operation of this wire: method, path, what serves it. */
const ROUTES: Array<[Method | Method[], string, RouteBody]> = [
  ['POST', '/v2/publish/*', publish],
  ['POST', '/v2/enqueue/*', enqueue],
  ['POST', '/v2/batch', batch],
  ['POST', '/v2/batch/trigger', batchTrigger],
  ['GET', '/v2/messages/:id', getMessage],
  ['DELETE', '/v2/messages/:id', cancelMessage],
  ['DELETE', '/v2/messages', cancelMessages],
  ['GET', '/v2/bulkActions', listBulkActions(COLLECTION.bulkMessages)],
  ['GET', '/v2/bulkActions/:id', getBulkAction(COLLECTION.bulkMessages)],
  ['GET', '/v2/events', listLogs('events')],
  ['GET', '/v2/logs', listLogs('logs')],

  ['POST', '/v2/queues', upsertQueue],
  ['GET', '/v2/queues', listQueues],
  ['GET', '/v2/queues/:name', getQueue],
  ['DELETE', '/v2/queues/:name', deleteQueue],
  ['POST', '/v2/queues/:name/pause', pauseQueue(true)],
  ['POST', '/v2/queues/:name/resume', pauseQueue(false)],

  // The Go client writes a capital S.
  ...['schedules', 'Schedules'].flatMap((name): Array<[Method | Method[], string, RouteBody]> => [
    ['GET', `/v2/${name}`, listSchedules],
    ['GET', `/v2/${name}/:id`, getSchedule],
    ['DELETE', `/v2/${name}/:id`, deleteSchedule],
    [['PATCH', 'POST'], `/v2/${name}/:id/pause`, pauseSchedule(true)],
    [['PATCH', 'POST'], `/v2/${name}/:id/resume`, pauseSchedule(false)],
    ['POST', `/v2/${name}`, createScheduleFromJson],
    ['POST', `/v2/${name}/*`, createSchedule],
  ]),

  ['GET', '/v2/topics', listGroups],
  ['GET', '/v2/topics/:name', getGroup],
  ['DELETE', '/v2/topics/:name', deleteGroupOrEndpoints],
  ['POST', '/v2/topics/:name', addEndpoints],
  ['PATCH', '/v2/topics/:name', setGroupHeaders],
  ['POST', '/v2/topics/:name/endpoints', addEndpoints],
  ['DELETE', '/v2/topics/:name/endpoints', removeEndpoints],

  ['GET', '/v2/dlq', listDeadLetters],
  ['DELETE', '/v2/dlq', deleteDeadLetters('message')],
  ['GET', '/v2/dlq/messages', listDeadLetters],
  ['DELETE', '/v2/dlq/messages/:id', deleteDeadLetter],
  ['GET', '/v2/dlq/:id', getDeadLetter],
  ['DELETE', '/v2/dlq/:id', deleteDeadLetter],
  ['POST', '/v2/dlq/retry', retryDeadLetters],
  ['POST', '/v2/dlq/retry/:id', retryDeadLetter],

  ['GET', '/v2/flowControl', listFlowControls],
  ['GET', '/v2/flowControl/:key', getFlowControl],
  ['POST', '/v2/flowControl/:key/pause', pauseFlowControl(true)],
  ['POST', '/v2/flowControl/:key/resume', pauseFlowControl(false)],
  ['POST', '/v2/flowControl/:key/pin', pinFlowControl],
  ['POST', '/v2/flowControl/:key/unpin', unpinFlowControl],
  ['POST', '/v2/flowControl/:key/resetRate', resetFlowControl],
  ['POST', '/v2/flowControl/:key/reset', resetFlowControl],
  ['GET', '/v2/globalParallelism', globalParallelism],
  ['GET', '/v2/keys', getKeys],
  ['POST', '/v2/keys/rotate', rotateKeys],
  ['POST', '/v2/rotate', rotateKeys],

  ['POST', '/v2/trigger/*', trigger],
  ['POST', '/v2/wait/:event', waitForEvent],
  ['POST', '/v2/notify/:event', notify],
  ['POST', '/v2/notify/:run/:event', notifyRun],
  ['GET', '/v2/waiters/:event', listWaiters],
  ['GET', '/v2/workflows/runs/:run', getSteps],
  ['DELETE', '/v2/workflows/runs/:run', endRun],
  ['DELETE', '/v2/workflows/runs', cancelWorkflows],
  ['GET', '/v2/workflows/bulkActions', listBulkActions(COLLECTION.bulkRuns)],
  ['GET', '/v2/workflows/bulkActions/:id', getBulkAction(COLLECTION.bulkRuns)],
  ['GET', '/v2/workflows/events', workflowLogs],
  ['GET', '/v2/workflows/logs', workflowLogs],
  ['GET', '/v2/workflows/dlq', listWorkflowDeadLetters],
  ['GET', '/v2/workflows/dlq/:id', getDeadLetter],
  ['DELETE', '/v2/workflows/dlq', deleteDeadLetters('workflow')],
  ['DELETE', '/v2/workflows/dlq/:id', deleteDeadLetter],
  ['POST', '/v2/workflows/dlq/restart', restartWorkflows],
  ['POST', '/v2/workflows/dlq/resume', resumeWorkflows],
  ['POST', '/v2/workflows/dlq/restart/:id', restartWorkflow],
  ['POST', '/v2/workflows/dlq/resume/:id', resumeWorkflow],
  ['POST', '/v2/workflows/dlq/callback/:id', failureCallbackAgain],
  ['DELETE', '/v2/workflows/dlq/callback/:id', cancelFailureCallback],
];

/** What publishes, and what workflows do, has no limit a second; nor the SDK's question whether a server is there (`GET /v2/keys`). */
const OPERATIONAL = /^\/v2\/(publish|enqueue|batch|trigger|wait|notify|workflows\/runs\/|keys$)/;

/** Known to the vendor, not served here: says so. */
const UNSERVED: Array<[Method, string, string]> = [['POST', '/llm/v1/chat/completions', 'qstash-llm']];

/** What is left under these names is this wire's, and answered in its shape. */
const PREFIXES = [
  'publish',
  'enqueue',
  'batch',
  'messages',
  'bulkActions',
  'logs',
  'queues',
  'schedules',
  'topics',
  'dlq',
  'flowControl',
  'keys',
  'trigger',
  'wait',
  'notify',
  'waiters',
  'workflows',
];

export function qstashRoutes(): Hono<RouteEnv> {
  const app = new Hono<RouteEnv>();
  app.all('/v2/workflows/hooks/:user/:run/:event', handleOpen(webhook));
  for (const [method, path, body] of ROUTES) app.on([method].flat(), path, handle(body, !OPERATIONAL.test(path)));
  for (const [method, path, code] of UNSERVED) {
    app.on(
      method,
      path,
      handle(() => Promise.reject(unserved(code, `${method} ${path} is not served yet`))),
    );
  }
  for (const prefix of PREFIXES) {
    const unknown = handle((route) =>
      Promise.reject(notFound(`${route.request.method} ${new URL(route.url).pathname}`)),
    );
    app.all(`/v2/${prefix}`, unknown);
    app.all(`/v2/${prefix}/*`, unknown);
  }
  return app;
}
