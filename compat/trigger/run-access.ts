import type { RunRecord } from '../../core/model/query.ts';
import { requireScope, type Access } from './auth.ts';
import { publicRunId } from './ids.ts';
import { slugOf, tagsOf } from './names.ts';
import { readRunMeta } from './run-meta.ts';
import { tagsIn } from './realtime/label-shape.ts';
import type { Row } from './realtime/row.ts';

/** By what a public token may name a run: itself, its task, its tags, its batch (trigger.dev: api.v3.runs.$runId). */
export function resourcesOf(record: RunRecord): Array<readonly [type: string, id: string]> {
  const { batch } = readRunMeta(record.meta);
  return [
    ['runs', publicRunId(record.id)],
    ['tasks', slugOf(record.task)],
    ...tagsOf(record).map((tag) => ['tags', tag] as const),
    ...(batch ? [['batch', batch.id] as const] : []),
  ];
}

/** A public token may read a run by its id, its task or one of its tags. @throws ApiError 403 */
export function requireRunRead(access: Access, run: string, row: Pick<Row, 'runTags' | 'taskIdentifier'>): void {
  requireScope(access, 'read', [
    ['runs', publicRunId(run)],
    ['tasks', row.taskIdentifier ?? ''],
    ...tagsIn(row.runTags ?? '{}').map((tag) => ['tags', tag] as const),
  ]);
}
