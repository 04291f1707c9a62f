import * as z from 'zod';

/** Functions of one app in one registration. */
const MAX_FUNCTIONS = 1_000;
/** inngest/inngest: pkg/consts MaxTriggers, MaxConcurrencyLimits, MaxRetries; cron and trigger names. */
const MAX_TRIGGERS = 10;
const MAX_CONCURRENCY_LIMITS = 2;
const MAX_RATE = 1_000_000;
const MAX_RETRIES = 20;
const MAX_TRIGGER_CHARS = 255;
const MAX_ID_CHARS = 255;
const MAX_TEXT_CHARS = 4_096;

const text = z.string().max(MAX_TEXT_CHARS);

const TriggerSchema = z
  .looseObject({
    event: z.string().min(1).max(MAX_TRIGGER_CHARS).optional(),
    expression: text.nullish(),
    cron: z.string().min(1).max(MAX_TRIGGER_CHARS).optional(),
    jitter: text.nullish(),
  })
  .refine(
    (trigger) => (trigger.event === undefined) !== (trigger.cron === undefined),
    'must have either an event or a cron',
  );

/** The vendor's server reads words of a list in any case; the Go SDK sends `Fn`. */
function lower(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value;
}

const ConcurrencyOptionSchema = z.looseObject({
  limit: z.number().int().min(0),
  key: text.nullish(),
  scope: z.preprocess(lower, z.enum(['fn', 'env', 'account']).nullish()),
});

const limits = z.array(ConcurrencyOptionSchema).max(MAX_CONCURRENCY_LIMITS);

const ConcurrencySchema = z.union([
  z.number().int().min(0),
  limits,
  z.strictObject({ fn: limits.nullish(), step: limits.nullish() }),
  ConcurrencyOptionSchema,
]);

const retries = z.number().int().min(0).max(MAX_RETRIES);

const StepSchema = z.looseObject({
  id: text.optional(),
  name: text.nullish(),
  runtime: z.looseObject({ type: text.optional(), url: text }),
  retries: z.looseObject({ attempts: retries.nullish() }).nullish(),
});

/** Fields of a function that this server takes and does not act on, because they only tell something. */
const FunctionSchema = z.looseObject({
  id: z.string().min(1).max(MAX_ID_CHARS),
  name: z.string().max(MAX_TEXT_CHARS).nullish(),
  triggers: z.array(TriggerSchema).max(MAX_TRIGGERS).nullish(),
  steps: z.record(z.string(), StepSchema),
  concurrency: ConcurrencySchema.nullish(),
  throttle: z
    .looseObject({
      limit: z.number().int().min(0).max(MAX_RATE),
      period: text,
      burst: z.number().int().min(0).max(MAX_RATE).nullish(),
      key: text.nullish(),
    })
    .nullish(),
  /** The Go SDK says it of the function as well as of its step. */
  retries: retries.nullish(),
});

export type FunctionConfig = z.infer<typeof FunctionSchema>;
export type ConcurrencyOption = z.infer<typeof ConcurrencyOptionSchema>;

/** Only told, never acted on: one that cannot be read is as none. */
const FeatureSchema = z.looseObject({ readinessReason: text.optional() }).nullish();

export const RegisterSchema = z.looseObject({
  url: text,
  appName: z.string().min(1).max(MAX_ID_CHARS),
  functions: z.array(z.preprocess(withLowerInitials, FunctionSchema)).max(MAX_FUNCTIONS).nullish(),
  framework: text.nullish(),
  sdk: text.nullish(),
  v: text.nullish(),
  appVersion: text.nullish(),
  featureObservations: z
    .looseObject({ aiMetadataExtraction: FeatureSchema, extendedTraces: FeatureSchema })
    .nullish()
    .catch(null),
});

/** The vendor's server reads member names in any case, and the Python SDK relies on it: it sends `appname`. */
export function withKnownNames(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || 'appName' in raw || !('appname' in raw)) return raw;
  return { ...raw, appName: raw.appname };
}

/** As `withKnownNames`: the Go SDK sends `Singleton`. A function without an id is known by its name (inngest/inngest: pkg/inngest Function.GetSlug). */
function withLowerInitials(config: unknown): unknown {
  if (typeof config !== 'object' || config === null) return config;
  const known: Record<string, unknown> = Object.fromEntries(
    Object.entries(config).map(([name, value]) => [name.slice(0, 1).toLowerCase() + name.slice(1), value]),
  );
  const { id, name } = known;
  return (id === undefined || id === '') && typeof name === 'string' ? { ...known, id: slugged(name) } : known;
}

function slugged(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
}

export type RegisterRequest = z.infer<typeof RegisterSchema>;

/** One line for a person: where, and what. */
export function explain(error: z.ZodError): string {
  const issue = error.issues[0];
  if (!issue) return 'invalid';
  const where = issue.path.join('.');
  return where === '' ? issue.message : `${where}: ${issue.message}`;
}
