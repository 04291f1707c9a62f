import { MAIN } from '../../../core/model/call.ts';
import { isId } from '../../../core/model/ids.ts';
import { callInHand, HELD_MS, keptOps, staysWithApp } from '../endpoint.ts';
import { InngestError } from '../errors.ts';
import { cellOf, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { MAX_STEP_OUTPUT, MAX_STEPS } from '../limits.ts';
import { nameOf, readOpcodes, valueText } from '../opcode.ts';
import type { Opcode } from '../opcode.ts';
import { translateOpcodes } from '../opcodes.ts';

export const MAX_BODY_BYTES = 24 * 1_048_576;

/** POST /v1/checkpoint/:run/steps: an endpoint's finished steps, its result, or what it leaves to the server. */
export async function endpointSteps(c: RouteContext): Promise<Response> {
  const run = c.req.param('run') ?? '';
  if (!isId(run)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  const body = await readJson(c, MAX_BODY_BYTES);
  const { steps } = typeof body === 'object' && body !== null ? (body as { steps?: unknown }) : {};
  await applySteps(c, run, stepsOf(steps));
  return c.json({}, 200);
}

/** Throws InngestError. */
export function stepsOf(steps: unknown): Opcode[] {
  const opcodes = Array.isArray(steps) && steps.length <= MAX_STEPS ? readOpcodes(steps) : null;
  if (opcodes === null)
    throw new InngestError(400, 'invalid_request', `steps must be a list of at most ${MAX_STEPS} operations.`);
  for (const opcode of opcodes)
    if (valueText(opcode.data).length > MAX_STEP_OUTPUT)
      throw new InngestError(
        413,
        'output_too_large',
        `The result of step "${nameOf(opcode)}" is larger than ${MAX_STEP_OUTPUT} bytes.`,
      );
  return opcodes;
}

/** Applies operations of the call that the app has in hand. Steps that are known already change nothing. */
export async function applySteps(c: RouteContext, run: string, opcodes: Opcode[]): Promise<void> {
  const cell = cellOf(c);
  const detail = await cell.query({ type: 'run-detail', run });
  if (!detail) throw new InngestError(404, 'unknown-run', 'No such run.');
  const lease = detail.pending.find(({ key }) => key === MAIN)?.lease;
  if (detail.status !== 'running' || lease === null || lease === undefined) {
    // An answer that was lost is sent again: what it told is there.
    const known = new Set(detail.steps.map(({ key }) => key));
    if (
      opcodes.every(
        ({ id, op }) => known.has(id) || op === 'RunComplete' || detail.pending.some(({ key }) => key === id),
      )
    )
      return;
    throw new InngestError(409, 'stale_dispatch', 'The run has ended, or is not in the app’s hands any more.');
  }
  const { nowMs } = await cell.query({ type: 'clock' });
  if (staysWithApp(opcodes)) {
    await cell.apply([
      { type: 'report', run, lease, outcome: { ops: keptOps(opcodes, detail) }, final: false },
      { type: 'extend', run, lease, untilMs: nowMs + HELD_MS },
    ]);
    return;
  }
  const task = await cell.query({ type: 'task', id: detail.task });
  const call = callInHand(detail, { id: detail.task, data: task?.data ?? '{}', version: detail.taskVersion });
  const outcome = translateOpcodes(call, opcodes, { version: 2, noRetry: false, retryAt: null, nowMs });
  await cell.apply([{ type: 'report', run, lease, outcome, final: true }]);
}
