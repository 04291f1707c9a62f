import type { StartSpec } from '../../core/model/call.ts';
import type { StartResult } from '../../core/model/command.ts';
import type { RunDetail } from '../../core/model/query.ts';
import type { TaskRecord } from '../../core/model/task.ts';
import type { CellApi } from '../../core/ports.ts';
import { ApiError } from './errors.ts';
import { newId } from './ids.ts';
import { COLLECTIONS, defaultQueueOf, taskIdOf } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import type { TaskData } from './run-meta.ts';
import { attemptOf } from './start-run.ts';
import { writeWaitMeta } from './waitpoints.ts';

/** A key whose run failed makes a new run; this many failed runs in a row of one key are followed (trigger.dev: idempotencyKeys concern). */
const MAX_FAILED_RUNS = 1_000;

export interface Triggered {
  run: string;
  cached: boolean;
}

/** Starts a run; with an idempotency key, the run that the key names unless that one failed. */
export async function startRun(cell: CellApi, spec: StartSpec, hasKey: boolean): Promise<Triggered> {
  let current = spec;
  for (let i = 0; i < MAX_FAILED_RUNS; i++) {
    const [result] = await cell.apply([{ type: 'start', spec: current }]);
    if (result?.type !== 'start') break;
    if (!result.deduplicated) return { run: result.run, cached: false };
    if (!hasKey) return { run: result.run, cached: false };
    const known = await cell.query({ type: 'run', run: result.run });
    if (known?.status !== 'failed' || !current.dedupe || !spec.dedupe) return { run: result.run, cached: true };
    current = { ...spec, dedupe: { key: `${spec.dedupe.key}#${result.run}`, untilMs: spec.dedupe.untilMs } };
  }
  throw new ApiError('overloaded', 'The idempotency key names too many failed runs');
}

/** Starts a child that its parent waits for, in one transaction; under an idempotency key the parent waits for the run that the key names. */
export async function startAndWait(
  cell: CellApi,
  parent: RunDetail,
  spec: StartSpec,
  waitKey: string,
  hasKey: boolean,
  batch?: { id: string; index: number },
): Promise<Triggered> {
  const meta = writeWaitMeta({
    type: 'RUN',
    id: newId('waitpoint'),
    attempt: attemptOf(parent),
    ...(batch ? { batch } : {}),
  });
  const existing = hasKey ? await startRun(cell, spec, true) : null;
  const target = existing ? { run: existing.run } : { start: spec };
  const [reported] = await cell.apply([
    {
      type: 'report',
      run: parent.id,
      anyLease: true,
      final: false,
      outcome: { ops: [{ op: 'wait-run', key: waitKey, again: 'none', meta, ...target }] },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'unknown' || reported.result === 'ended')
    throw new ApiError('invalid', 'The parent run has already finished');
  if (existing) return existing;
  const started: StartResult | undefined = reported.started[0];
  if (started) return { run: started.run, cached: false };
  return { run: await waitedRun(cell, parent.id, waitKey), cached: false };
}

/** A repeated request: the wait is there already and names its run. */
async function waitedRun(cell: CellApi, parent: string, waitKey: string): Promise<string> {
  const detail = await cell.query({ type: 'run-detail', run: parent });
  const run =
    detail?.pending.find((pending) => pending.key === waitKey)?.target ??
    detail?.steps.find((step) => step.key === waitKey)?.from?.run;
  if (run === undefined || run === null || run === '')
    throw new ApiError('invalid', 'The parent run has already finished');
  return run;
}

/** The task as the current build has it, or what is known of one that no build has: its run waits for one that does. */
export function taskOrUnknown(task: TaskRecord | null, slug: string, project: string): Pick<TaskRecord, 'id' | 'data'> {
  if (task) return task;
  const settings: Partial<TaskData> = { queue: defaultQueueOf(slug) };
  return { id: taskIdOf(project, slug), data: JSON.stringify(settings) };
}

/** Limit of a queue declared in code, by name. */
export async function queueLimitOf(
  cell: CellApi,
  project: string,
  queue: string | undefined,
): Promise<number | undefined> {
  if (queue === undefined) return undefined;
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.queues, id: `${project}/${queue}` });
  const value = record === null ? null : parseJson(record.data);
  return isRecord(value) && typeof value.concurrencyLimit === 'number' ? value.concurrencyLimit : undefined;
}
