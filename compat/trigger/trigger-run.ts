import type { StartSpec } from '../../core/model/call.ts';
import type { RunDetail } from '../../core/model/query.ts';
import type { TaskRecord } from '../../core/model/task.ts';
import type { CellApi } from '../../core/ports.ts';
import { ApiError } from './errors.ts';
import { newId } from './ids.ts';
import { defaultQueueOf, taskIdOf } from './names.ts';
import type { TaskData } from './run-meta.ts';
import { attemptOf } from './start-run.ts';
import { writeWaitMeta } from './waitpoints.ts';

export interface Triggered {
  run: string;
  /** An idempotency key named a run that was there; a repeated request answers its run as new. */
  cached: boolean;
}

/** Starts a run or, with an idempotency key, answers the run that the key names. */
export async function startRun(cell: CellApi, spec: StartSpec, hasKey: boolean): Promise<Triggered> {
  const [result] = await cell.apply([{ type: 'start', spec }]);
  if (result?.type !== 'start') throw new ApiError('overloaded', 'The run could not be started');
  return { run: result.run, cached: hasKey && result.deduplicated };
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
  const [reported] = await cell.apply([
    {
      type: 'report',
      run: parent.id,
      anyLease: true,
      final: false,
      outcome: { ops: [{ op: 'wait-run', key: waitKey, again: 'none', meta, start: spec }] },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'unknown' || reported.result === 'ended')
    throw new ApiError('invalid', 'The parent run has already finished');
  const started = reported.started[0];
  if (started) return { run: started.run, cached: hasKey && started.deduplicated };
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
