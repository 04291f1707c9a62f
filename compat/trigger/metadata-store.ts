import type { Op } from '../../core/model/call.ts';
import type { DocumentChange } from '../../core/model/document.ts';
import { errorCodeOf } from '../../core/model/errors.ts';
import type { RunRecord } from '../../core/model/query.ts';
import type { CellApi } from '../../core/ports.ts';
import { seedMetadata } from './api-status.ts';
import { ApiError } from './errors.ts';
import { parsePath } from './json-path.ts';
import type { FlushedMetadata, MetadataOperation } from './metadata.ts';
import { isRecord, parseJson } from './packets.ts';
import { readRunMeta } from './run-meta.ts';
import { MAX_METADATA_BYTES } from './schema.ts';

/** Name of a run's metadata among its documents. */
export const METADATA_DOCUMENT = 'metadata';

/** The run's metadata, or null while no operation has changed what the trigger gave. */
export async function readMetadata(cell: CellApi, run: string): Promise<Record<string, unknown> | null> {
  const document = await cell.query({ type: 'document', run, document: METADATA_DOCUMENT });
  const value = document && parseJson(document.data);
  return isRecord(value) ? value : null;
}

/** Of several runs, as they are shown: what operations have made of it, else what the trigger gave, else nothing. */
export async function metadataOf(
  cell: CellApi,
  records: readonly RunRecord[],
): Promise<Array<Record<string, unknown> | null>> {
  if (records.length === 0) return [];
  const runs = records.map(({ id }) => id);
  const documents = await cell.query({ type: 'documents', runs, document: METADATA_DOCUMENT });
  return records.map(({ meta }, i) => {
    const value = documents[i] ? parseJson(documents[i]) : null;
    return isRecord(value) ? value : seedMetadata(readRunMeta(meta));
  });
}

/**
 * Applies a worker's or caller's operations to the run, its parent and its root (itself where it has none), at once and once by key; also
 * after the run's end. Those of the parent or root whose metadata has no room for them are left out, as the vendor's (trigger.dev:
 * updateMetadata.test.ts): the run's own do not depend on how much others have written. @throws ApiError 404, 413 for its own
 */
export async function flushMetadata(
  cell: CellApi,
  run: string,
  flushed: FlushedMetadata,
  key: string,
): Promise<Record<string, unknown>> {
  const record = await cell.query({ type: 'run', run });
  if (!record) throw new ApiError('not_found', 'Run not found');
  const meta = readRunMeta(record.meta);
  const operations: MetadataOperation[] = [
    ...(flushed.metadata ? [{ type: 'update' as const, value: flushed.metadata }] : []),
    ...(flushed.operations ?? []),
  ];
  const own = operations.length === 0 ? [] : [patchOf(operations, record, key)];
  const elsewhere = [
    ...(await patchesOf(cell, record, meta.parentRun, flushed.parentOperations, `${key}:parent`)),
    ...(await patchesOf(cell, record, meta.rootRun, flushed.rootOperations, `${key}:root`)),
  ];
  if (!(await fits(cell, run, [...own, ...elsewhere]))) {
    if (!(await fits(cell, run, own)))
      throw new ApiError('payload_too_large', `Metadata exceeds the maximum size of ${MAX_METADATA_BYTES} bytes`);
    for (const patch of elsewhere) await fits(cell, run, [patch]);
  }
  return (await readMetadata(cell, run)) ?? seedMetadata(meta) ?? {};
}

async function patchesOf(
  cell: CellApi,
  record: RunRecord,
  id: string | undefined,
  operations: MetadataOperation[] | undefined,
  key: string,
): Promise<Op[]> {
  if (!operations?.length) return [];
  const target = id === undefined ? record : await cell.query({ type: 'run', run: id });
  return target ? [{ ...patchOf(operations, target, key), run: target.id }] : [];
}

/** All or nothing. False: there is no room for it. */
async function fits(cell: CellApi, run: string, ops: Op[]): Promise<boolean> {
  if (ops.length === 0) return true;
  try {
    await cell.apply([{ type: 'report', run, anyLease: true, final: false, outcome: { ops } }]);
    return true;
  } catch (error) {
    if (errorCodeOf(error) !== 'payload-too-large') throw error;
    return false;
  }
}

function patchOf(
  operations: readonly MetadataOperation[],
  { meta }: RunRecord,
  id: string,
): Extract<Op, { op: 'patch' }> {
  return {
    op: 'patch',
    document: METADATA_DOCUMENT,
    id,
    changes: operations.map(changeOf),
    maxBytes: MAX_METADATA_BYTES,
    initial: JSON.stringify(seedMetadata(readRunMeta(meta)) ?? {}),
  };
}

/** What an operation does (@trigger.dev/core: v3/runMetadata/operations.ts) as a change of a document. */
export function changeOf(operation: MetadataOperation): DocumentChange {
  switch (operation.type) {
    case 'update':
      return { path: [], do: 'set', value: JSON.stringify(operation.value) };
    case 'delete':
      // A path is not followed here: the vendor deletes the key of that literal name.
      return { path: [operation.key], do: 'delete' };
    default:
      return {
        path: parsePath(operation.key),
        // A path whose beginning is not there leads nowhere (@jsonhero/path: set).
        existing: true,
        do: operation.type === 'increment' ? 'add' : operation.type,
        value: JSON.stringify(operation.value ?? null),
      };
  }
}
