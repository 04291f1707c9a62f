import { isId } from '../../../core/model/ids.ts';
import type { RunDetail } from '../../../core/model/query.ts';
import { InngestError } from '../errors.ts';
import { cellOf, jsonText } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { memosOf } from '../memo.ts';
import { visibleSteps } from '../defers.ts';
import { readRunMeta } from '../run-meta.ts';
import { originEvents } from '../read.ts';

/** GET /v0/runs/:run/actions: what `steps` would hold, for a state too large to send. */
export async function runActions(c: RouteContext): Promise<Response> {
  const { steps, meta } = await detail(c);
  return jsonText(c, memosOf(visibleSteps(steps), readRunMeta(meta).i));
}

/** GET /v0/runs/:run/batch: what `events` would hold. */
export async function runBatch(c: RouteContext): Promise<Response> {
  const events = await originEvents(cellOf(c), await detail(c));
  return jsonText(c, `[${events.join(',')}]`);
}

async function detail(c: RouteContext): Promise<RunDetail> {
  const run = c.req.param('run') ?? '';
  if (!isId(run)) throw new InngestError(400, 'invalid_request', 'The run id is not a ULID.');
  const found = await cellOf(c).query({ type: 'run-detail', run });
  if (!found) throw new InngestError(410, 'gone', 'The state of this run is gone.');
  return found;
}
