import * as z from 'zod';
import { getAt, parsePath, setAt } from './json-path.ts';
import { isRecord } from './packets.ts';

/** @trigger.dev/core: v3/schemas/common.ts DANGEROUS_METADATA_KEY_SEGMENTS */
const UNSAFE = new Set(['__proto__', 'constructor', 'prototype']);
const MAX_KEY_LENGTH = 2_048;
const MAX_OPERATIONS = 10_000;

const KeySchema = z
  .string()
  .max(MAX_KEY_LENGTH)
  .refine((key) => !key.startsWith('$.') || parsePath(key).length > 0, {
    message: 'A JSON path key must name a segment below $',
  })
  .refine(
    (key) =>
      key.startsWith('$.') ? !key.split(/[.[\]'"\\]+/).some((segment) => UNSAFE.has(segment)) : key !== '__proto__',
    {
      message: 'Metadata key may not reference __proto__, constructor, or prototype',
    },
  );

export const MetadataOperationSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('update'), value: z.record(z.string(), z.unknown()) }),
  z.object({ type: z.literal('set'), key: KeySchema, value: z.unknown() }),
  z.object({ type: z.literal('delete'), key: KeySchema }),
  z.object({ type: z.literal('append'), key: KeySchema, value: z.unknown() }),
  z.object({ type: z.literal('remove'), key: KeySchema, value: z.unknown() }),
  z.object({ type: z.literal('increment'), key: KeySchema, value: z.number() }),
]);
export type MetadataOperation = z.infer<typeof MetadataOperationSchema>;

export const FlushedMetadataSchema = z.object({
  metadata: z.record(z.string(), z.unknown()).optional(),
  operations: z.array(MetadataOperationSchema).max(MAX_OPERATIONS).optional(),
  parentOperations: z.array(MetadataOperationSchema).max(MAX_OPERATIONS).optional(),
  rootOperations: z.array(MetadataOperationSchema).max(MAX_OPERATIONS).optional(),
});
export type FlushedMetadata = z.infer<typeof FlushedMetadataSchema>;

/** Applies operations in order to a copy (@trigger.dev/core: v3/runMetadata/operations.ts). One that does not fit is left out. */
export function applyMetadata(
  current: Record<string, unknown>,
  operations: readonly MetadataOperation[],
): Record<string, unknown> {
  let metadata = structuredClone(current);
  for (const operation of operations) {
    if (operation.type === 'update') {
      metadata = structuredClone(operation.value);
      continue;
    }
    const path = parsePath(operation.key);
    if (operation.type === 'delete') {
      // A path is not followed here: the vendor deletes the key of that literal name.
      delete metadata[operation.key];
      continue;
    }
    const existing = getAt(metadata, path);
    switch (operation.type) {
      case 'set':
        setAt(metadata, path, operation.value);
        break;
      case 'append':
        setAt(
          metadata,
          path,
          existing === undefined
            ? [operation.value]
            : Array.isArray(existing)
              ? [...existing, operation.value]
              : [existing, operation.value],
        );
        break;
      case 'remove':
        if (Array.isArray(existing))
          setAt(
            metadata,
            path,
            existing.filter((item) => !isEqual(item, operation.value)),
          );
        break;
      case 'increment':
        setAt(metadata, path, (typeof existing === 'number' ? existing : 0) + operation.value);
        break;
    }
  }
  return metadata;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
  if (!isRecord(a) || !isRecord(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key]));
}
