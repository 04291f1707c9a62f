import * as z from 'zod';
import { MAX_NAME_LENGTH, MAX_PARALLELISM, MAX_URL_LENGTH } from './constants.ts';
import { WireError } from './errors.ts';

const MAX_ENDPOINTS = 100;
const MAX_IDS = 1_000;
const NAME = /^[A-Za-z0-9\-_.]+$/;

const name = z
  .string()
  .min(1)
  .max(MAX_NAME_LENGTH)
  .regex(NAME, 'may have only letters, digits, hyphen, underscore and period');

export const QueueSchema = z.object({
  queueName: name,
  parallelism: z.number().int().min(1).max(MAX_PARALLELISM).optional(),
  paused: z.boolean().optional(),
});

export const EndpointsSchema = z.object({
  endpoints: z
    .array(
      z.object({ url: z.string().max(MAX_URL_LENGTH).optional(), name: z.string().max(MAX_NAME_LENGTH).optional() }),
    )
    .min(1)
    .max(MAX_ENDPOINTS),
});

const MAX_GROUP_HEADERS = 100;

export const GroupHeadersSchema = z.object({
  headers: z
    .record(
      z.string().max(MAX_NAME_LENGTH),
      z.union([z.string().max(MAX_URL_LENGTH), z.array(z.string().max(MAX_URL_LENGTH))]),
    )
    .refine((headers) => Object.keys(headers).length <= MAX_GROUP_HEADERS, `has more than ${MAX_GROUP_HEADERS} names`),
});

const BulkValue = z.union([z.string().max(MAX_URL_LENGTH), z.number(), z.boolean()]);

/** Ids or filters of a bulk request: which names there are is for the filters to say. */
export const BulkSchema = z.record(
  z.string().max(MAX_NAME_LENGTH),
  z.union([BulkValue, z.array(BulkValue).max(MAX_IDS), z.null()]),
);

/** A schedule as `@upstash/qstash` 2.0.0 sends it. */
export const OldScheduleSchema = z.object({
  destination: z.string().max(MAX_URL_LENGTH),
  cron: z.string().max(MAX_NAME_LENGTH),
  body: z.string().optional(),
  headers: z.record(z.string().max(MAX_NAME_LENGTH), z.string().max(MAX_URL_LENGTH)).optional(),
  delay: z.number().min(0).optional(),
  retries: z.number().optional(),
  callback: z.string().max(MAX_URL_LENGTH).optional(),
  method: z.string().max(MAX_NAME_LENGTH).optional(),
});

const Step = z.looseObject({
  stepId: z.number().int(),
  stepName: z.string(),
  stepType: z.string(),
  concurrent: z.number().int(),
});

const HeaderLists = z.record(z.string(), z.array(z.string()));

export const WaitSchema = z.object({
  url: z.string().max(MAX_URL_LENGTH),
  timeout: z.union([z.string(), z.number()]).optional(),
  timeoutUrl: z.string().max(MAX_URL_LENGTH).optional(),
  timeoutBody: z.unknown().optional(),
  timeoutHeaders: HeaderLists.optional(),
  step: Step,
});

export const InvokeSchema = z.object({
  body: z.string().optional(),
  headers: HeaderLists.optional(),
  workflowRunId: z.string().max(MAX_NAME_LENGTH),
  workflowRunCreatedAt: z.number().optional(),
  workflowUrl: z.string().max(MAX_URL_LENGTH),
  step: Step,
});

/** Throws 400 that names the first wrong field. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.join('.') ?? '';
  throw new WireError(400, `invalid body: ${path === '' ? '' : `${path}: `}${issue?.message ?? 'wrong shape'}`);
}
