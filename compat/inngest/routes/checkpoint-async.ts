import type { Op } from '../../../core/model/call.ts';
import { isId } from '../../../core/model/ids.ts';
import { InngestError } from '../errors.ts';
import { cellOf, completeJson, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { deferOps, isLazy } from '../defers.ts';
import { MAX_STEP_OUTPUT, MAX_STEPS } from '../limits.ts';
import { nameOf, readOpcodes, valueText } from '../opcode.ts';
import type { Opcode } from '../opcode.ts';
import { writeMeta } from '../step-meta.ts';
import { notesOf } from '../step-notes.ts';

/** Steps of one checkpoint; each has its own bound too. */
const MAX_BODY_BYTES = 32 * 1_048_576;
const MAX_LEASE_CHARS = 256;

/** POST /v1/checkpoint/:run/async: finished steps of a call that goes on. 409 tells the SDK that the call is not its own any more. */
export async function checkpointAsync(c: RouteContext): Promise<Response> {
  const run = c.req.param('run') ?? '';
  if (!isId(run)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  const body = await readJson(c, MAX_BODY_BYTES);
  const { qi_id: lease, steps } =
    typeof body === 'object' && body !== null ? (body as { qi_id?: unknown; steps?: unknown }) : {};
  if (typeof lease !== 'string' || lease === '' || lease.length > MAX_LEASE_CHARS)
    throw new InngestError(400, 'invalid_request', 'qi_id is missing.');
  const opcodes = Array.isArray(steps) && steps.length <= MAX_STEPS ? readOpcodes(steps) : null;
  if (opcodes === null)
    throw new InngestError(400, 'invalid_request', `steps must be a list of at most ${MAX_STEPS} operations.`);
  const ops = [...(await deferred(c, run, opcodes)), ...opcodes.flatMap(toOps)];
  const [result] = await cellOf(c).apply([{ type: 'report', run, lease, outcome: { ops }, final: false }]);
  if (result?.type !== 'report') throw new Error('the engine did not answer a report');
  switch (result.result) {
    case 'live':
      return completeJson(c, null);
    case 'unknown':
      throw new InngestError(404, 'unknown-run', 'No such run.');
    case 'stale':
    case 'ended':
      throw new InngestError(
        409,
        'stale_dispatch',
        'This call has been handed to another request, or its run has ended.',
      );
  }
}

/** What the run has deferred already counts: it is looked at only where something is deferred. */
async function deferred(c: RouteContext, run: string, opcodes: Opcode[]): Promise<Op[]> {
  if (!opcodes.some(isLazy)) return [];
  const detail = await cellOf(c).query({ type: 'run-detail', run });
  return deferOps(opcodes, detail?.steps ?? []);
}

function toOps(opcode: Opcode): Op[] {
  switch (opcode.op) {
    case 'StepRun':
    case 'Step': {
      const data = valueText(opcode.data);
      if (data.length > MAX_STEP_OUTPUT)
        throw new InngestError(
          413,
          'output_too_large',
          `The result of step "${nameOf(opcode)}" is larger than ${MAX_STEP_OUTPUT} bytes.`,
        );
      const meta = writeMeta({ ...(opcode.op === 'Step' ? { o: 'Step' } : {}), n: nameOf(opcode) });
      return [...notesOf(opcode), { op: 'step', key: opcode.id, data, meta, again: 'none' }];
    }
    case 'DeferAdd':
    case 'DeferAbort':
    // Told for traces only.
    case 'StepPlanned':
      return [];
    default:
      throw new InngestError(400, 'invalid_request', `The operation "${opcode.op}" cannot be checkpointed.`);
  }
}
