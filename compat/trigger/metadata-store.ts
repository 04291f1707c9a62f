import type { CellApi } from '../../core/ports.ts';
import { seedMetadata } from './api-status.ts';
import { ApiError } from './errors.ts';
import { applyMetadata, type FlushedMetadata, type MetadataOperation } from './metadata.ts';
import { COLLECTIONS } from './names.ts';
import { isRecord, parseJson } from './packets.ts';
import { readRunMeta } from './run-meta.ts';
import { MAX_METADATA_BYTES } from './schema.ts';

/**
 * One record per version, the newest wins: a writer that finds its version taken reads again, so concurrent flushes all count.
 * Repeated requests are known by their keys.
 */
interface Version {
  number: number;
  metadata: Record<string, unknown>;
  keys: string[];
}

const KEPT_KEYS = 50;
const MAX_TRIES = 20;
const RETENTION_MS = 30 * 86_400_000;

/** The run's metadata, or null while no operation has changed what the trigger gave. */
export async function readMetadata(cell: CellApi, run: string): Promise<Record<string, unknown> | null> {
  return (await newest(cell, run))?.metadata ?? null;
}

/** Applies a worker's or caller's operations to the run, its parent and its root (itself where it has none). */
export async function flushMetadata(
  cell: CellApi,
  run: string,
  flushed: FlushedMetadata,
  key: string,
): Promise<Record<string, unknown>> {
  const record = await cell.query({ type: 'run', run });
  if (!record) throw new ApiError('not_found', 'Run not found');
  const meta = readRunMeta(record.meta);
  const own: MetadataOperation[] = [
    ...(flushed.metadata ? [{ type: 'update' as const, value: flushed.metadata }] : []),
    ...(flushed.operations ?? []),
  ];
  if (flushed.parentOperations?.length)
    await change(cell, meta.parentRun ?? run, flushed.parentOperations, `${key}:parent`);
  if (flushed.rootOperations?.length) await change(cell, meta.rootRun ?? run, flushed.rootOperations, `${key}:root`);
  return change(cell, run, own, key);
}

async function change(
  cell: CellApi,
  run: string,
  operations: readonly MetadataOperation[],
  key: string,
): Promise<Record<string, unknown>> {
  for (let i = 0; i < MAX_TRIES; i++) {
    const current = await newest(cell, run);
    const before = current?.metadata ?? (await seedOf(cell, run));
    if (operations.length === 0 || current?.keys.includes(key)) return before;
    const metadata = applyMetadata(before, operations);
    const data: Version = {
      number: (current?.number ?? 0) + 1,
      metadata,
      keys: [...(current?.keys ?? []), key].slice(-KEPT_KEYS),
    };
    const text = JSON.stringify(data);
    if (text.length > MAX_METADATA_BYTES)
      throw new ApiError('payload_too_large', `Metadata exceeds ${MAX_METADATA_BYTES} bytes`);
    const nowMs = (await cell.query({ type: 'clock' })).nowMs;
    const [put] = await cell.apply([
      {
        type: 'put-record',
        collection: collectionOf(run),
        id: versionId(data.number),
        data: text,
        ifAbsent: true,
        expiresAt: nowMs + RETENTION_MS,
      },
    ]);
    if (put?.type !== 'put-record' || !put.written) continue;
    if (current)
      await cell.apply([{ type: 'delete-record', collection: collectionOf(run), id: versionId(current.number) }]);
    return metadata;
  }
  throw new ApiError('overloaded', 'Too many changes of the same metadata at once');
}

async function newest(cell: CellApi, run: string): Promise<Version | null> {
  const page = await cell.query({ type: 'records', collection: collectionOf(run), limit: 1 });
  const value = page.items[0] ? parseJson(page.items[0].data) : null;
  return isRecord(value) ? (value as unknown as Version) : null;
}

async function seedOf(cell: CellApi, run: string): Promise<Record<string, unknown>> {
  const record = await cell.query({ type: 'run', run });
  return record ? (seedMetadata(readRunMeta(record.meta)) ?? {}) : {};
}

function collectionOf(run: string): string {
  return `${COLLECTIONS.metadata}/${run}`;
}

function versionId(number: number): string {
  return number.toString().padStart(10, '0');
}
