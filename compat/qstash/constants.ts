/** Code of the answer to what is sent to a run that is over. */
export const RUN_ENDED = 'workflow-run-ended';
/** Name under which tasks of this executor are registered. */
export const EXECUTOR = 'qstash';
export const GROUP = 'qstash';
/** One task carries every destination: what differs between messages is the run's meta. */
export const TASK_MESSAGE = 'qstash:message';
export const TASK_WORKFLOW = 'qstash:workflow';
/** A tick of a schedule to a URL group: starts one message for each endpoint. */
export const TASK_FAN_OUT = 'qstash:fan-out';
/** The log over all messages (core: TaskSpec.log). */
export const MESSAGE_LOG = 'qstash:messages';

/** Published with the SDK (`@upstash/qstash`: src/dev-server/constants.ts): with these it finds a running dev server and starts none. */
export const DEV_CURRENT_KEY = 'sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r';
export const DEV_NEXT_KEY = 'sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs';

/** Retries of a message whose publisher asked for nothing. */
export const DEFAULT_RETRIES = 3;
/** Above it 412, as a plan's quota answers. */
export const MAX_RETRIES = 1_000;
/** `min(86400, e^(2.5 n))` seconds (Upstash documentation: features/retry). */
export const BACKOFF = { kind: 'power', factor: 2.5, capMs: 86_400_000 } as const;
/** A longer Retry-After is not believed; the backoff counts. */
export const MAX_RETRY_AFTER_MS = 86_400_000;
/** The vendor keeps a de-duplication id for ten minutes. */
export const DEDUPE_MS = 600_000;
/** How long a destination may take when the publisher sets no timeout: the vendor's free plan, and what the platform allows. */
export const DEFAULT_TIMEOUT_MS = 900_000;
/** The engine gives a delivery up for lost a minute later (core/model/limits.ts: PUSH_LEASE_MS). */
export const MAX_TIMEOUT_MS = 2 * 3_600_000;
export const MAX_DELAY_MS = 366 * 86_400_000;
export const MAX_FLOW_PERIOD_MS = 7 * 86_400_000;
export const MAX_PARALLELISM = 100_000;

export const MAX_MESSAGE_BYTES = 10_000_000;
/** The vendor takes 100 MB; a Worker has 128 MB of memory in all. */
export const MAX_BATCH_BYTES = 50_000_000;
export const MAX_BATCH_ITEMS = 1_000;
/** Management requests carry names and ids, nothing large. */
export const MAX_JSON_BYTES = 1_000_000;
/** A longer response is cut, as the vendor does for callbacks. */
export const MAX_RESPONSE_BYTES = 10_000_000;
/** Without a callback the response is only logged. */
export const MAX_LOGGED_RESPONSE_BYTES = 256_000;
/** Steps above this are fetched by the SDK instead of being sent along, when it says that it can. */
export const LAZY_FETCH_BYTES = 1_000_000;
export const MAX_NAME_LENGTH = 256;
export const MAX_URL_LENGTH = 8_192;
/** A notification for a run that does not wait yet is kept this long. */
export const LOOKBACK_MS = 30 * 86_400_000;

/** A message that a delivery published, which a delivery published, ...: a destination that comes back to this server is cut off here. */
export const MAX_HOPS = 16;
/** What a flow-control key's last message said is known this long after it. */
export const FLOW_RECORD_MS = 30 * 86_400_000;

export const COLLECTION = {
  queue: 'qstash:queue',
  group: 'qstash:url-group',
  endpoint: 'qstash:endpoint',
  groupHeaders: 'qstash:url-group-headers',
  flow: 'qstash:flow-control',
  waiter: 'qstash:waiter',
  bulkMessages: 'qstash:bulk-action',
  bulkRuns: 'qstash:workflow-bulk-action',
} as const;

export const queueLimitKey = (name: string): string => `qstash:queue:${name}`;
export const flowLimitKey = (key: string): string => `qstash:flow:${key}`;
export const schedulePrefix = 'qstash:';
export const eventToken = (workflowRunId: string, eventId: string): string =>
  `qstash:event:${workflowRunId}:${eventId}`;
