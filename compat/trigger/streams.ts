import type { RunRecord } from '../../core/model/query.ts';
import type { CellApi, ChannelApi } from '../../core/ports.ts';
import { requireScope, type Access } from './auth.ts';
import { ApiError } from './errors.ts';
import { publicRunId, runIdOf } from './ids.ts';
import { channelOf, labelOf, streamsOf, tagsOf } from './names.ts';
import { open, param, type RouteContext } from './request.ts';
import { readRunMeta } from './run-meta.ts';

const MAX_NAME_CHARS = 512;
/** Names that a run can have; each is a label of it. */
const MAX_STREAMS = 100;

/** A request about one stream of a run. */
export interface StreamCall {
  access: Access;
  cell: CellApi;
  record: RunRecord;
  channel: ChannelApi;
  /** The name that the user gave. */
  name: string;
}

/** Streams that a run writes, and those that it is sent, may have the same name. */
export const outputKey = (name: string): string => `out/${name}`;
export const inputKey = (name: string): string => `in/${name}`;

/** The stream of the path. `target` is the run itself, its parent or its root (itself where it has none). */
export async function openStream(c: RouteContext, target: string = 'self'): Promise<StreamCall> {
  const { access, cell } = await open(c, ['secret', 'public']);
  const name = param(c, 'stream');
  if (name.length === 0 || name.length > MAX_NAME_CHARS)
    throw new ApiError('bad_request', `A stream's name has 1 to ${MAX_NAME_CHARS} characters`);
  let record = await readRun(cell, runIdOf(param(c, 'run')));
  const meta = readRunMeta(record.meta);
  const other = target === 'parent' ? meta.parentRun : target === 'root' ? meta.rootRun : undefined;
  if (other !== undefined && other !== record.id) record = await readRun(cell, other);
  else if (!['self', 'parent', 'root'].includes(target))
    throw new ApiError('bad_request', `Invalid target "${target}": expected self, parent or root`);
  return { access, cell, record, channel: c.get('host').channel(access.environment, channelOf.run(record.id)), name };
}

async function readRun(cell: CellApi, run: string | null): Promise<RunRecord> {
  const record = run === null ? null : await cell.query({ type: 'run', run });
  if (!record) throw new ApiError('not_found', 'Run not found');
  return record;
}

/** @throws ApiError 403 */
export function requireStreamScope({ access, record }: StreamCall, action: 'read' | 'write'): void {
  const batch = readRunMeta(record.meta).batch;
  requireScope(access, action, [
    ['runs', publicRunId(record.id)],
    ...tagsOf(record).map((tag) => ['tags', tag] as const),
    ...(batch ? [['batch', batch.id] as const] : []),
  ]);
}

/** Notes that the run has a stream of this name, so that its subscribers learn of it. @throws ApiError 400 when the run has ended */
export async function announceStream({ cell, record, name }: StreamCall): Promise<void> {
  if (record.status !== 'running') throw ended();
  const known = streamsOf(record);
  if (known.includes(name)) return;
  if (known.length >= MAX_STREAMS) throw new ApiError('invalid', `A run can have ${MAX_STREAMS} streams at most`);
  const [reported] = await cell.apply([
    {
      type: 'report',
      run: record.id,
      anyLease: true,
      final: false,
      outcome: { ops: [{ op: 'label', labels: [labelOf.stream(name)] }] },
    },
  ]);
  if (reported?.type !== 'report' || reported.result === 'ended') throw ended();
}

function ended(): ApiError {
  return new ApiError('bad_request', 'Cannot append to a realtime stream on a completed run');
}
