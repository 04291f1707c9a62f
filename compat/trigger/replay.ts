import type { StartSpec } from '../../core/model/call.ts';
import type { RunRecord } from '../../core/model/query.ts';
import type { TaskRecord } from '../../core/model/task.ts';
import { projectOf, tagsOf } from './names.ts';
import { readRunMeta } from './run-meta.ts';
import type { TriggerOptions } from './schema.ts';
import { startSpecOf, type TriggerRequest } from './start-run.ts';

/** What a replay may change of the run that it repeats. */
export type ReplayOverrides = Omit<TriggerOptions, 'queue' | 'parentRunId' | 'resumeParentOnCompletion'> & {
  payload?: unknown;
  queue?: string | undefined;
};

/** A new run of the same task with the payload and options of another; not its delay, its keys, its parent and its batch. */
export function replaySpecOf(
  record: RunRecord,
  task: Pick<TaskRecord, 'id' | 'data'>,
  overrides: ReplayOverrides,
  rest: Pick<
    TriggerRequest,
    'lock' | 'requestKey' | 'traceContext' | 'nowMs' | 'clockOffsetMs' | 'isDevelopment' | 'queueBounds'
  >,
): StartSpec {
  const meta = readRunMeta(record.meta);
  const { payload, queue, ...options } = overrides;
  const hasPayload = payload !== undefined;
  return startSpecOf({
    ...rest,
    project: projectOf(task.id),
    task,
    parent: null,
    replayOf: record.id,
    payload: hasPayload ? payload : (record.input ?? undefined),
    options: {
      payloadType: meta.payloadType,
      queue: { name: queue ?? meta.queue },
      tags: tagsOf(record),
      ...(meta.concurrencyKey === undefined ? {} : { concurrencyKey: meta.concurrencyKey }),
      ...(meta.machine === undefined ? {} : { machine: meta.machine as NonNullable<TriggerOptions['machine']> }),
      ...(meta.maxAttempts === undefined ? {} : { maxAttempts: meta.maxAttempts }),
      ...(meta.maxDuration === undefined ? {} : { maxDuration: meta.maxDuration }),
      ...(meta.priority === undefined ? {} : { priority: meta.priority }),
      ...(meta.ttl === undefined ? {} : { ttl: meta.ttl }),
      ...(meta.test === undefined ? {} : { test: meta.test }),
      ...(meta.region === undefined ? {} : { region: meta.region }),
      ...(meta.metadata === undefined ? {} : { metadata: meta.metadata.data, metadataType: meta.metadata.dataType }),
      ...(hasPayload ? { payloadType: options.payloadType ?? 'application/json' } : {}),
      ...Object.fromEntries(
        Object.entries(options).filter(([name, value]) => value !== undefined && name !== 'payloadType'),
      ),
    },
  });
}
