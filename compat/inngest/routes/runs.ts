import { isId } from '../../../core/model/ids.ts';
import { InngestError } from '../errors.ts';
import { cellOf, envelope } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { runText } from '../read.ts';

/** GET /v1/runs/:run */
export async function getRun(c: RouteContext): Promise<Response> {
  const cell = cellOf(c);
  const run = await cell.query({ type: 'run', run: runId(c) });
  if (!run) throw unknownRun();
  return envelope(c, await runText(cell, run));
}

/** DELETE /v1/runs/:run */
export async function cancelRun(c: RouteContext): Promise<Response> {
  await cancel(c);
  return c.body(null, 200);
}

/** DELETE /v0/runs/:run: the same, as the vendor's own pages call it. */
export async function cancelRunQuietly(c: RouteContext): Promise<Response> {
  await cancel(c);
  return c.body(null, 204);
}

async function cancel(c: RouteContext): Promise<void> {
  const [result] = await cellOf(c).apply([{ type: 'cancel', run: runId(c) }]);
  if (result?.type !== 'cancel') throw new Error('the engine did not answer a cancellation');
  if (result.result === 'unknown') throw unknownRun();
  if (result.result === 'ended') throw new InngestError(400, 'run-ended', 'The run has ended already.');
}

function runId(c: RouteContext): string {
  const id = c.req.param('run') ?? '';
  if (!isId(id)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  return id;
}

function unknownRun(): InngestError {
  return new InngestError(404, 'unknown-run', 'No such run.');
}
