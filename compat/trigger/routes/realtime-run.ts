import { ApiError } from '../errors.ts';
import { channelOf } from '../names.ts';
import { open, runParam, type RouteContext } from '../request.ts';
import { requireRunRead } from '../run-access.ts';
import { ROW_VIEW, type Row } from '../realtime/row.ts';
import { HOLD_MS, readShapeRequest, shapeResponse } from '../realtime/shape.ts';

/** GET /realtime/v1/runs/:run — the run's row, and again whenever it has changed. All who subscribe to a run share one channel. */
export async function realtimeRun(c: RouteContext): Promise<Response> {
  const { access } = await open(c, ['secret', 'public']);
  const run = runParam(c);
  const request = readShapeRequest(c, access.skipColumns);
  const seen = await c
    .get('host')
    .channel(access.environment, channelOf.run(run))
    .watchRun({
      run,
      view: ROW_VIEW,
      afterSeq: request.offset ?? -1,
      waitMs: request.isLive && request.offset !== null ? HOLD_MS : 0,
    });
  if (!seen) throw new ApiError('not_found', 'Run not found');
  const row = JSON.parse(seen.view) as Row;
  requireRunRead(access, run, row);
  const isNews = request.offset === null || seen.seq > request.offset;
  return shapeResponse(request, {
    handle: `r.${run}`,
    offset: seen.seq,
    rows: isNews ? [row] : [],
    operation: request.offset === null ? 'insert' : 'update',
  });
}
