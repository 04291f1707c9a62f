import type { TaskRecord, TaskSpec } from '../../../core/model/task.ts';
import { functionsOf, pickFunction } from '../apps.ts';
import { InngestError } from '../errors.ts';
import type { FunctionData } from '../function-data.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { keepOverride, LIMIT_FIELDS } from '../limit-overrides.ts';
import type { LimitField } from '../limit-overrides.ts';

const MAX_LIMIT = 2 ** 31;

/** POST and DELETE /fn/step-limit, /fn/state-size-limit with `functionId` (UUID or slug) and `limit`, as query or form: other bounds for the runs of one function, for tests. */
export function overrideLimit(field: LimitField): (c: RouteContext) => Promise<Response> {
  return async (c) => {
    const given = await parameters(c);
    const removes = c.req.method === 'DELETE';
    const limit = removes ? null : Number(given['limit']);
    if (limit !== null && !(Number.isInteger(limit) && limit > 0 && limit <= MAX_LIMIT))
      throw new InngestError(400, 'invalid_request', `limit must be a whole number from 1 to ${MAX_LIMIT}.`);
    const cell = cellOf(c);
    const found = pickFunction(await functionsOf(cell), null, given['functionId'] ?? '');
    if (!found)
      throw new InngestError(404, 'unknown-function', 'No such function: functionId is its UUID or its slug.');
    await keepOverride(cell, found.fn.slug, field, limit);
    await cell.apply([
      {
        type: 'register',
        group: found.task.group,
        replace: false,
        tasks: [withLimit(found.task, found.fn, field, limit)],
      },
    ]);
    return c.json({ ok: true, [LIMIT_FIELDS[field]]: limit });
  };
}

function withLimit(
  { version: _version, createdAt: _created, updatedAt: _updated, ...task }: TaskRecord,
  fn: FunctionData,
  field: LimitField,
  limit: number | null,
): TaskSpec {
  const { [field]: _before, ...rest } = fn;
  return { ...task, data: JSON.stringify(limit === null ? rest : { ...rest, [field]: limit }) };
}

async function parameters(c: RouteContext): Promise<Record<string, string>> {
  const form = c.req.method === 'POST' ? await c.req.parseBody().catch(() => ({})) : {};
  const texts = Object.entries({ ...form, ...c.req.query() }).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(texts);
}
