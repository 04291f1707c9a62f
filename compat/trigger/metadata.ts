import * as z from 'zod';
import { parsePath } from './json-path.ts';

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
