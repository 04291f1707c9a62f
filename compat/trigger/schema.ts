import * as z from 'zod';
import { NO_WINDOW, scheduleWindow } from './durations.ts';
import { TaskRunErrorSchema } from './task-errors.ts';

/** Requests as they come in: every text bounded, unknown members ignored (the clients send more with each release). */

/** Bodies of one task: payload 3 MB (trigger.dev: TASK_PAYLOAD_MAXIMUM_SIZE) and its options. */
export const MAX_TASK_BODY_BYTES = 4 * 1_024 * 1_024;
export const MAX_SMALL_BODY_BYTES = 1_024 * 1_024;
/** One line per item, at most 3 MB each (trigger.dev: STREAMING_BATCH_ITEM_MAXIMUM_SIZE). */
export const MAX_BATCH_ITEM_BYTES = 3 * 1_024 * 1_024;
/** The vendor's own bound is 1,000 (STREAMING_BATCH_MAX_ITEMS): items are streamed, so there is no need for it here. */
export const MAX_BATCH_ITEMS = 100_000;
/** Of a batch that a run waits for: each item is a wait of that run, and a result that its worker gets. */
export const MAX_WAITED_BATCH_ITEMS = 10_000;
/** trigger.dev: MAX_BATCH_V2_TRIGGER_ITEMS */
export const MAX_LEGACY_BATCH_ITEMS = 500;
export const MAX_TAGS = 10;
/** Output of a run (trigger.dev: TASK_RUN output 10 MB) and flushed metadata. */
export const MAX_COMPLETION_BODY_BYTES = 12 * 1_024 * 1_024;
export const MAX_METADATA_BYTES = 256 * 1_024;
export const MAX_WORKER_BODY_BYTES = 64 * 1_024 * 1_024;

/** Runs of one bulk action. */
export const MAX_BULK_RUNS = 20_000;

const idText = z.string().min(1).max(128);
const longText = z.string().max(2_048);
const Tag = z.string().max(128, 'Tags must be less than 128 characters');
/** Blank ones are none. */
export const TagsSchema = z
  .union([Tag.transform((tag) => [tag]), z.array(Tag)])
  .transform((tags) => tags.filter((tag) => tag.trim() !== ''));
/** A number is a time in ms since the epoch (@trigger.dev/core reads what is no text as a date). */
const Delay = z.union([
  z.string().max(100),
  z.date(),
  z
    .number()
    .min(0)
    .max(8.64e15)
    .transform((ms) => new Date(ms)),
]);
/** Blank is none (@trigger.dev/core: ExternalDeploymentId). */
const ExternalDeploymentId = z
  .string()
  .max(1_024)
  .transform((text) => text.trim() || undefined)
  .refine((text) => (text?.length ?? 0) <= 128, 'externalId must be at most 128 characters')
  .nullish();

export const MachineNameSchema = z.enum([
  'micro',
  'small-1x',
  'small-2x',
  'medium-1x',
  'medium-2x',
  'large-1x',
  'large-2x',
]);

/** Of a named limit; @trigger.dev/core refuses others before they are sent. */
const LimitNameSchema = z
  .string()
  .regex(/^[a-zA-Z0-9_-]{1,122}$/, 'A name of a concurrency limit has 1-122 letters, digits, underscores and hyphens');

export const TriggerOptionsSchema = z.object({
  parentRunId: idText.optional(),
  resumeParentOnCompletion: z.boolean().optional(),
  lockToVersion: idText.optional(),
  queue: z.object({ name: idText }).optional(),
  concurrencyKey: z
    .union([z.string().max(128), z.number()])
    .transform(String)
    .optional(),
  delay: Delay.optional(),
  idempotencyKey: longText.optional(),
  idempotencyKeyTTL: z.string().max(20).optional(),
  idempotencyKeyOptions: z.object({ key: longText, scope: z.enum(['run', 'attempt', 'global']) }).optional(),
  machine: MachineNameSchema.optional(),
  maxAttempts: z.number().int().min(1).max(250).optional(),
  /** Bounded where it is used; 0 is none. */
  maxDuration: z.number().optional(),
  metadata: z.unknown().optional(),
  metadataType: z.string().max(100).optional(),
  payloadType: z.string().max(100).optional(),
  tags: TagsSchema.optional(),
  test: z.boolean().optional(),
  ttl: z.union([z.string().max(100), z.number().int().nonnegative()]).optional(),
  priority: z.number().optional(),
  region: z.string().max(100).optional(),
  /** @trigger.dev/core: v3/schemas/api.ts TriggerTaskRequestBody */
  debounce: z
    .object({
      key: z.string().min(1).max(512),
      delay: z.string().max(100),
      mode: z.enum(['leading', 'trailing']).optional(),
      maxDelay: z.string().max(100).optional(),
    })
    .nullish(),
  concurrency: z.array(LimitNameSchema).max(2).optional(),
  gates: z.array(z.unknown()).optional(),
  externalDeploymentId: ExternalDeploymentId,
});
export type TriggerOptions = z.infer<typeof TriggerOptionsSchema>;

export const TriggerBodySchema = z
  .object({ payload: z.unknown().optional(), options: TriggerOptionsSchema.optional() })
  .refine(
    ({ payload, options }) =>
      options?.payloadType !== 'application/store' || (typeof payload === 'string' && payload !== ''),
    {
      message: 'payload must be a non-empty string when options.payloadType is application/store',
      path: ['payload'],
    },
  );

export const BatchItemSchema = z.object({
  task: idText,
  payload: z.unknown().optional(),
  options: TriggerOptionsSchema.optional(),
});
export type BatchItem = z.infer<typeof BatchItemSchema>;
export const BatchLineSchema = BatchItemSchema.extend({
  index: z
    .number()
    .int()
    .nonnegative()
    .max(MAX_BATCH_ITEMS - 1),
});
export type BatchLine = z.infer<typeof BatchLineSchema>;

export const LegacyBatchBodySchema = z.object({
  items: z.array(BatchItemSchema).min(1, 'A batch trigger must have at least one item').max(MAX_LEGACY_BATCH_ITEMS),
  parentRunId: idText.optional(),
  resumeParentOnCompletion: z.boolean().optional(),
});

export const CreateBatchBodySchema = z.object({
  runCount: z.number().int().positive(),
  parentRunId: idText.optional(),
  resumeParentOnCompletion: z.boolean().optional(),
  idempotencyKey: longText.optional(),
});

/** Strict: a name that is none of these is refused (@trigger.dev/core: ReplayRunRequestBody). */
export const ReplayBodySchema = z
  .strictObject({
    payload: z.unknown().optional(),
    payloadType: z.enum(['application/json', 'application/super+json']).optional(),
    metadata: z.record(z.string(), z.unknown()).optional(),
    tags: TagsSchema.optional(),
    queue: idText.optional(),
    concurrencyKey: TriggerOptionsSchema.shape.concurrencyKey,
    machine: MachineNameSchema.optional(),
    version: idText.optional(),
    region: z.string().max(100).optional(),
    delay: Delay.optional(),
    ttl: TriggerOptionsSchema.shape.ttl,
    idempotencyKey: longText.optional(),
    idempotencyKeyTTL: z.string().max(20).optional(),
    maxAttempts: TriggerOptionsSchema.shape.maxAttempts,
    maxDuration: TriggerOptionsSchema.shape.maxDuration,
    priority: z.number().optional(),
  })
  .refine((body) => body.payloadType !== 'application/super+json' || typeof body.payload === 'string', {
    message: 'payload must be a string when payloadType is application/super+json',
    path: ['payload'],
  });

const QueueRefSchema = z.object({ type: z.enum(['task', 'custom']), name: idText });
const OneOrMany = z.union([idText.transform((one) => [one]), z.array(idText).max(100)]);
const BulkFilterSchema = z
  .object({
    status: OneOrMany.optional(),
    taskIdentifier: OneOrMany.optional(),
    version: OneOrMany.optional(),
    from: z.union([z.number(), z.string().max(40)]).optional(),
    to: z.union([z.number(), z.string().max(40)]).optional(),
    period: z.string().max(40).optional(),
    bulkAction: idText.optional(),
    tag: OneOrMany.optional(),
    schedule: idText.optional(),
    isTest: z.boolean().optional(),
    batch: idText.optional(),
    queue: z.union([QueueRefSchema.transform((one) => [one]), z.array(QueueRefSchema).max(100)]).optional(),
    machine: OneOrMany.optional(),
    region: OneOrMany.optional(),
  })
  .refine((filter) => Object.values(filter).some((value) => value !== undefined && String(value).trim() !== ''), {
    message: 'At least one filter must be provided',
  });
export type BulkFilter = z.infer<typeof BulkFilterSchema>;

/** @trigger.dev/core: v3/schemas/api.ts CreateBulkActionRequestBody */
export const BulkActionBodySchema = z
  .object({
    action: z.enum(['cancel', 'replay']),
    filter: BulkFilterSchema.optional(),
    runIds: z.array(idText).min(1).max(MAX_BULK_RUNS).optional(),
    name: z.string().max(255, 'Name must be less than 255 characters').optional(),
    targetRegion: z.string().max(100).optional(),
  })
  .refine((body) => (body.filter === undefined) !== (body.runIds === undefined), {
    message: 'Exactly one of filter or runIds must be provided',
  })
  .refine((body) => body.action === 'replay' || body.targetRegion === undefined, {
    message: 'targetRegion is for replays',
  });

export const RescheduleBodySchema = z.object({ delay: Delay });

export const TagsBodySchema = z.object({ tags: TagsSchema });

export const CreateTokenBodySchema = z.object({
  idempotencyKey: longText.optional(),
  idempotencyKeyTTL: z.string().max(20).optional(),
  timeout: z.union([z.string().max(100), z.date()]).optional(),
  tags: TagsSchema.optional(),
});
export const CompleteTokenBodySchema = z.object({ data: z.unknown().optional() });
export const WaitDurationBodySchema = z.object({
  date: z.string().max(100),
  idempotencyKey: longText.optional(),
  idempotencyKeyTTL: z.string().max(20).optional(),
});

export const PublicTokenBodySchema = z.object({
  scopes: z.array(z.string().max(512)).min(1, 'A public token needs at least one scope').max(200),
  expirationTime: z.union([z.number(), z.string().max(40)]).optional(),
  realtime: z.record(z.string(), z.unknown()).optional(),
  oneTimeUse: z.boolean().optional(),
});

const RetrySchema = z.object({
  maxAttempts: z.number().int().positive().optional(),
  factor: z.number().positive().optional(),
  minTimeoutInMs: z.number().nonnegative().optional(),
  maxTimeoutInMs: z.number().nonnegative().optional(),
  randomize: z.boolean().optional(),
  outOfMemory: z.object({ machine: MachineNameSchema.optional() }).optional(),
});
export type WorkerRetry = z.infer<typeof RetrySchema>;

export const UpdateScheduleBodySchema = z.object({
  task: idText,
  cron: z.string().max(255),
  externalId: longText.nullish(),
  timezone: z.string().max(100).nullish(),
  /** Read where the cron is: one that cannot be read is a 422 too. */
  window: z.string().max(100).nullish(),
});
export const CreateScheduleBodySchema = UpdateScheduleBodySchema.extend({ deduplicationKey: longText.min(1) });

/** @trigger.dev/core: v3/schemas/schemas.ts QueueManifest, ConcurrencyShapeManifest. */
const bound = z.number().int().min(0).max(100_000);
const QueueManifestSchema = z.object({
  name: idText,
  concurrencyLimit: bound.nullish(),
  combinedConcurrencyLimit: bound.nullish(),
});
const LimitShapeSchema = z.object({
  perKey: bound.min(1).optional(),
  total: bound.min(1).optional(),
});

export const QueueTypeSchema = z.enum(['task', 'custom', 'id']);
export const EnvironmentConcurrencyBodySchema = z.object({ concurrencyLimit: bound.nullable() });
export const PauseQueueBodySchema = z.object({ type: QueueTypeSchema.optional(), action: z.enum(['pause', 'resume']) });
export const OverrideQueueBodySchema = z.object({ type: QueueTypeSchema.optional(), concurrencyLimit: bound });
export const ResetQueueBodySchema = z.object({ type: QueueTypeSchema.optional() });
export const PauseBodySchema = z.object({ action: z.enum(['pause', 'resume']) });
/** As a trigger's `concurrencyKey`: numbers count as text. */
export const LimitKeySchema = z.union([z.string(), z.number()]).transform(String).pipe(z.string().min(1).max(128));
export const OverrideLimitBodySchema = z
  .object({
    perKey: bound.optional(),
    total: bound.optional(),
    concurrencyKey: LimitKeySchema.optional(),
    ttl: z.union([z.string().max(100), z.number().int().positive()]).optional(),
  })
  .refine(
    (body) => body.perKey !== undefined || body.total !== undefined,
    'Provide at least one of `perKey` or `total`',
  )
  .refine(
    (body) => body.ttl === undefined || body.concurrencyKey !== undefined,
    '`ttl` is of an override for one `concurrencyKey`',
  )
  .refine(
    (body) => body.concurrencyKey === undefined || (body.perKey !== undefined && body.total === undefined),
    'An override for one `concurrencyKey` is of its `perKey` alone',
  );
export const ResetLimitBodySchema = z.object({ concurrencyKey: LimitKeySchema.optional() });

export const WorkerTaskSchema = z.object({
  id: idText,
  description: z.string().max(4_096).optional(),
  filePath: z.string().max(1_024),
  exportName: z.string().max(256).optional(),
  queue: QueueManifestSchema.extend({ name: idText.optional() }).optional(),
  concurrency: z
    .object({ inline: LimitShapeSchema.optional(), limits: z.array(LimitNameSchema).max(2).optional() })
    .optional(),
  gates: z.array(z.unknown()).max(2).optional(),
  retry: RetrySchema.optional(),
  machine: z
    .object({ preset: MachineNameSchema.optional(), cpu: z.number().optional(), memory: z.number().optional() })
    .optional(),
  triggerSource: z.string().max(40).optional(),
  schedule: z
    .object({
      cron: z.string().max(255),
      timezone: z.string().max(100).optional(),
      environments: z.array(z.string().max(40)).max(20).optional(),
      window: z
        .string()
        .max(100)
        .refine((text) => scheduleWindow(text) !== null, NO_WINDOW)
        .transform((text) => scheduleWindow(text) ?? text)
        .optional(),
    })
    .nullish(),
  maxDuration: z.number().positive().optional(),
  ttl: z.union([z.string().max(100), z.number().int().nonnegative()]).optional(),
});
export type WorkerQueue = z.infer<typeof QueueManifestSchema>;
export type WorkerTask = z.infer<typeof WorkerTaskSchema>;
export type TaskSchedule = NonNullable<WorkerTask['schedule']>;

export const RegisterWorkerBodySchema = z.object({
  metadata: z.object({
    packageVersion: z.string().max(100),
    cliPackageVersion: z.string().max(100).optional(),
    contentHash: z.string().min(1).max(256),
    runtime: z.string().max(100).optional(),
    runtimeVersion: z.string().max(100).optional(),
    tasks: z.array(WorkerTaskSchema).max(10_000),
    queues: z.array(QueueManifestSchema).max(10_000).optional(),
    concurrencyLimits: z
      .array(LimitShapeSchema.extend({ name: LimitNameSchema }))
      .max(10_000)
      .optional(),
  }),
});
export type RegisterWorkerBody = z.infer<typeof RegisterWorkerBodySchema>;

export const DequeueBodySchema = z.object({ currentWorker: idText });
export type DequeueBody = z.infer<typeof DequeueBodySchema>;
export const DisconnectBodySchema = z.object({ runFriendlyIds: z.array(z.string().max(128)).max(500) });

export const CompletionSchema = z.object({
  completion: z.discriminatedUnion('ok', [
    z.object({
      ok: z.literal(true),
      output: z.string().optional(),
      outputType: z.string().max(100),
      usage: z.object({ durationMs: z.number() }).optional(),
      flushedMetadata: z.object({ data: z.string().optional(), dataType: z.string().max(100) }).optional(),
    }),
    z.object({
      ok: z.literal(false),
      error: TaskRunErrorSchema,
      /** A time that has passed (`retryAt` of a user's hook) is now. */
      retry: z.object({ timestamp: z.number(), delay: z.number().transform((delay) => Math.max(0, delay)) }).optional(),
      skippedRetrying: z.boolean().optional(),
      usage: z.object({ durationMs: z.number() }).optional(),
      flushedMetadata: z.object({ data: z.string().optional(), dataType: z.string().max(100) }).optional(),
    }),
  ]),
  forceRequeue: z.boolean().optional(),
});
export type Completion = z.infer<typeof CompletionSchema>['completion'];

export const CreateVariableBodySchema = z.object({
  name: z.string().min(1).max(256),
  value: z.string().max(65_536),
  isSecret: z.boolean().optional(),
});
export const UpdateVariableBodySchema = z.object({ value: z.string().max(65_536) });
