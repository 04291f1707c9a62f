import type { Command } from '../../core/model/command.ts';
import type { Query, QueryResult, RunRecord } from '../../core/model/query.ts';
import type { TaskSpec } from '../../core/model/task.ts';
import type { CellApi } from '../../core/ports.ts';
import { limitsOfRun, readNamed, type QueueBounds } from './limits.ts';
import { COLLECTIONS, defaultQueueOf, groupOf, slugOf } from './names.ts';
import { readRunMeta, readTaskData, writeRunMeta, type NamedLimit, type TaskData } from './run-meta.ts';
import type { RegisterWorkerBody } from './schema.ts';
import { namedOf } from './start-run.ts';

const PAGE = 500;

/**
 * A build brings tasks that no build had: the runs that wait for them get what their triggers could not know (the queue, its bounds, the
 * machine, the greatest duration). To be called before the build is registered, which lets them go.
 */
export async function adoptParked(
  cell: CellApi,
  project: string,
  tasks: readonly TaskSpec[],
  metadata: RegisterWorkerBody['metadata'],
): Promise<void> {
  const known = new Set((await cell.query({ type: 'tasks', group: groupOf(project) })).map(({ id }) => id));
  const settings = new Map(tasks.filter(({ id }) => !known.has(id)).map(({ id, data }) => [id, readTaskData(data)]));
  if (settings.size === 0) return;
  let cursor: string | undefined;
  do {
    const page: QueryResult<Extract<Query, { type: 'runs' }>> = await cell.query({
      type: 'runs',
      tasks: [...settings.keys()],
      status: ['running'],
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    const commands: Command[] = [];
    for (const record of page.items) {
      const task = settings.get(record.task);
      // One that has begun keeps what it began with.
      if (record.parked && task && record.startedAt === null)
        commands.push(await adopted(cell, project, record, task, metadata));
    }
    if (commands.length > 0) await cell.apply(commands);
    ({ cursor } = page);
  } while (cursor !== undefined);
}

async function adopted(
  cell: CellApi,
  project: string,
  record: RunRecord,
  task: TaskData,
  metadata: RegisterWorkerBody['metadata'],
): Promise<Command> {
  const before = readRunMeta(record.meta);
  // The trigger named none: it stands in the queue that its task had if it said nothing.
  const queue = before.queue === defaultQueueOf(slugOf(record.task)) ? task.queue : before.queue;
  const maxDuration = before.maxDuration ?? task.maxDuration;
  const meta = {
    ...before,
    queue,
    machine: before.machine ?? task.machine,
    ...(maxDuration === undefined ? {} : { maxDuration }),
  };
  const ofTrigger =
    before.limits && (await Promise.all(before.limits.map((name) => declaredLimit(cell, project, name))));
  const limits = limitsOfRun({
    project,
    queue,
    bounds: boundsOf(queue, task, metadata),
    concurrencyKey: before.concurrencyKey,
    named: namedOf(task.limits ?? [], ofTrigger),
  });
  return { type: 'amend', run: record.id, change: { meta: writeRunMeta(meta), limits } };
}

function boundsOf(queue: string, task: TaskData, metadata: RegisterWorkerBody['metadata']): QueueBounds {
  const declared = metadata.queues?.find(({ name }) => name === queue);
  const limit = (queue === task.queue ? task.queueLimit : undefined) ?? declared?.concurrencyLimit ?? undefined;
  const total = (queue === task.queue ? task.queueTotal : undefined) ?? declared?.combinedConcurrencyLimit ?? undefined;
  return { ...(limit === undefined ? {} : { limit }), ...(total === undefined ? {} : { total }) };
}

async function declaredLimit(cell: CellApi, project: string, name: string): Promise<NamedLimit> {
  const record = await cell.query({ type: 'record', collection: COLLECTIONS.limits, id: `${project}/${name}` });
  return readNamed(name, record?.data ?? '{}');
}
