import * as z from 'zod';
import { isId } from '../../../core/model/ids.ts';
import { endpointTask, HELD_MS, HttpRequestSchema, requestEvent } from '../endpoint.ts';
import { issueOutputToken } from '../endpoint-token.ts';
import { InngestError } from '../errors.ts';
import { readFunctionData } from '../function-data.ts';
import { cellOf, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { HTTP_REQUEST } from '../names.ts';
import { RAW_TOPIC } from '../realtime/messages.ts';
import { issueRealtimeToken } from '../realtime/token.ts';
import { ENDPOINT_META } from '../run-meta.ts';
import { explain } from '../schema.ts';
import { applySteps, MAX_BODY_BYTES, stepsOf } from './endpoint-steps.ts';

/** A visitor who takes the answer as a stream may come back for it in this time. */
const REALTIME_TTL_S = 3_600;
/** inngest/inngest: pkg/consts MaxRetries. */
const MAX_RETRIES = 20;

const BeginSchema = z.looseObject({
  run_id: z.string().refine(isId, 'is not a ULID'),
  event: z.looseObject({ name: z.literal(HTTP_REQUEST), data: HttpRequestSchema }),
  retries: z.number().int().min(0).max(MAX_RETRIES).nullish(),
  steps: z.unknown().optional(),
});

/**
 * POST /v1/checkpoint: an app serves a request by a durable endpoint and has begun a run for it. The function is made on the fly; the run is
 * the app's until it hands it over or is silent for too long. The same run again changes nothing.
 */
export async function beginEndpoint(c: RouteContext): Promise<Response> {
  const parsed = BeginSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
  if (!parsed.success) throw new InngestError(400, 'invalid_request', `The run is invalid: ${explain(parsed.error)}.`);
  const { run_id: run, event, retries, steps } = parsed.data;
  const { context } = c.var.host;
  const opcodes = stepsOf(steps ?? []);
  const task = await endpointTask(event.data, context);
  const cell = cellOf(c);
  const known = await cell.query({ type: 'run', run });
  if (known && known.task !== task.id)
    throw new InngestError(409, 'run-exists', 'A run with this id exists, and is another function’s.');
  if (!known) {
    const { nowMs } = await cell.query({ type: 'clock' });
    await cell.apply([
      { type: 'register', group: task.group, tasks: [task], replace: false },
      {
        type: 'start',
        spec: {
          id: run,
          task: task.id,
          input: requestEvent(run, event.data, nowMs),
          meta: ENDPOINT_META,
          leased: { holder: 'endpoint', untilMs: nowMs + HELD_MS },
          ...(retries === undefined || retries === null ? {} : { maxAttempts: retries + 1 }),
        },
      },
    ]);
  }
  if (opcodes.length > 0) await applySteps(c, run, opcodes);
  const fn = readFunctionData(task.data);
  const token = await issueOutputToken(context, run);
  const realtime = await issueRealtimeToken(context, [{ channel: run, name: RAW_TOPIC }], REALTIME_TTL_S);
  return c.json({
    data: { fn_id: fn.id, app_id: fn.appId, run_id: run, token, realtime_token: realtime },
  });
}
