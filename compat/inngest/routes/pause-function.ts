import { functionsOf, pickFunction } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';

/**
 * POST /test/function/pause, /test/function/unpause with `?functionId=` (UUID or composite id): what the vendor's cloud offers in its UI, and its server to tests.
 * While a function is paused its runs go no further and new ones are SKIPPED.
 */
export function pauseFunction(paused: boolean) {
  return async (c: RouteContext): Promise<Response> => {
    const wanted = c.req.query('functionId') ?? c.req.query('fnId') ?? '';
    if (wanted === '') throw new InngestError(400, 'invalid_request', 'functionId is missing from the query.');
    const cell = cellOf(c);
    const found = pickFunction(await functionsOf(cell), null, wanted);
    if (!found) throw new InngestError(404, 'unknown-function', `No function "${wanted}" is registered.`);
    const scope = { task: found.task.id };
    await cell.apply([paused ? { type: 'pause', scope, starts: 'skip' } : { type: 'unpause', scope }]);
    return c.json({ status: 200, ok: true, id: found.fn.id, slug: found.fn.slug, paused });
  };
}
