import type { EventRecord } from '../../core/model/event.ts';
import type { Payload } from '../../core/model/payload.ts';
import type { RunFacts, RunRecord } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { eventsOf, textOf } from './events.ts';
import { derivedUlid } from './ids.ts';
import { readFunctionData } from './function-data.ts';
import type { FunctionData } from './function-data.ts';
import { ENVIRONMENT_ID, slugOf } from './names.ts';
import { uuidOf } from './hex.ts';

const STATUS = { running: 'Running', completed: 'Completed', failed: 'Failed', cancelled: 'Cancelled' } as const;

/** The events that a run was started with, as its functions see them. */
export async function originEvents(cell: CellApi, run: RunFacts): Promise<string[]> {
  const found = await Promise.all(run.eventIds.map((id) => cell.query({ type: 'event', id })));
  const events = found.filter((event) => event !== null);
  const fn = await functionOf(cell, run.task);
  return eventsOf({
    ...run,
    run: run.id,
    input: events.length > 0 || run.scheduledAt !== null ? null : await inputOf(cell, run),
    events,
    crons: fn?.crons ?? [],
    jitter: fn?.jitter,
  });
}

/** It is read where whoever listed the run left it out. */
async function inputOf(cell: CellApi, run: RunFacts | RunRecord): Promise<Payload | null> {
  return 'input' in run ? run.input : ((await cell.query({ type: 'run', run: run.id }))?.input ?? null);
}

export async function functionOf(cell: CellApi, task: string): Promise<FunctionData | null> {
  const record = await cell.query({ type: 'task', id: task });
  return record === null ? null : readFunctionData(record.data);
}

/** Entries among which the closing of a run's batch is: each event that joined it is one. */
const BATCH_ENTRIES = 200;

/** Id of the batch that a run was made of, null where it was made of one event that waited for no others. No row is kept of a batch: its id follows from its run's. */
export async function batchIdOf(cell: CellApi, run: RunFacts): Promise<string | null> {
  if (run.eventIds.length === 0) return null;
  if (run.eventIds.length === 1) {
    const task = await cell.query({ type: 'task', id: run.task });
    if (!task?.admit?.some(({ kind }) => kind === 'batch')) return null;
    const entries = await cell.query({ type: 'history', run: run.id, afterSeq: 0, limit: BATCH_ENTRIES });
    if (!run.open && !entries.some(({ body }) => body.kind === 'amend' && body.closed === true)) return null;
  }
  return derivedUlid(run.createdAt, `batch ${run.id}`);
}

/** A run as the v1 API shows it. JSON text: the output is stored text. */
export async function runText(cell: CellApi, run: RunRecord): Promise<string> {
  const fn = await functionOf(cell, run.task);
  const members = {
    run_id: run.id,
    run_started_at: new Date(run.startedAt ?? run.createdAt).toISOString(),
    function_id: fn?.id ?? (await uuidOf(`inngest function ${slugOf(run.task)}`)),
    function_version: run.taskVersion,
    environment_id: ENVIRONMENT_ID,
    event_id: run.eventIds[0] ?? null,
    batch_id: await batchIdOf(cell, run),
    original_run_id: run.from?.run ?? null,
    cron: run.scheduledAt === null ? null : (fn?.crons[0] ?? null),
    status: run.reason === 'skipped' ? 'Skipped' : STATUS[run.status],
    ended_at: run.endedAt === null ? null : new Date(run.endedAt).toISOString(),
  };
  const result = run.status === 'completed' ? run.output : run.error;
  return `${JSON.stringify(members).slice(0, -1)},"output":${result === null ? 'null' : textOf(result)}}`;
}

/** An event as the v1 API shows it. JSON text around the stored body. */
export function eventText(event: EventRecord): string {
  const head = JSON.stringify({ internal_id: event.id, received_at: new Date(event.receivedAt).toISOString() });
  return `${head.slice(0, -1)},${event.body.slice(1)}`;
}
