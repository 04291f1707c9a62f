import { requireScope, type Access } from './auth.ts';
import { publicRunId } from './ids.ts';
import { tagsIn } from './realtime/label-shape.ts';
import type { Row } from './realtime/row.ts';

/** A public token may read a run by its id or by one of its tags. @throws ApiError 403 */
export function requireRunRead(access: Access, run: string, row: Pick<Row, 'runTags'>): void {
  requireScope(access, 'read', [
    ['runs', publicRunId(run)],
    ...tagsIn(row.runTags ?? '{}').map((tag) => ['tags', tag] as const),
  ]);
}
