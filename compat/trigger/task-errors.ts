import * as z from 'zod';
import type { Payload } from '../../core/model/payload.ts';

/** What a worker reports about a failed attempt (@trigger.dev/core: v3/schemas/common.ts TaskRunError). */
export const TaskRunErrorSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('BUILT_IN_ERROR'),
    name: z.string(),
    message: z.string(),
    stackTrace: z.string(),
    causes: z
      .array(z.object({ name: z.string().optional(), message: z.string(), stackTrace: z.string().optional() }))
      .optional(),
  }),
  z.object({ type: z.literal('CUSTOM_ERROR'), raw: z.string() }),
  z.object({ type: z.literal('STRING_ERROR'), raw: z.string() }),
  z.object({
    type: z.literal('INTERNAL_ERROR'),
    code: z.string().max(100),
    message: z.string().optional(),
    stackTrace: z.string().optional(),
  }),
]);
export type TaskRunError = z.infer<typeof TaskRunErrorSchema>;

export const CANCELLED_CODE = 'TASK_RUN_CANCELLED';

/** Internal codes that are never tried again (@trigger.dev/core: v3/errors.ts shouldRetryError). */
const NOT_RETRIED = new Set([
  'COULD_NOT_FIND_EXECUTOR',
  'COULD_NOT_FIND_TASK',
  'COULD_NOT_IMPORT_TASK',
  'CONFIGURED_INCORRECTLY',
  'TASK_ALREADY_RUNNING',
  'TASK_PROCESS_SIGKILL_TIMEOUT',
  'TASK_PROCESS_OOM_KILLED',
  'TASK_PROCESS_MAYBE_OOM_KILLED',
  CANCELLED_CODE,
  'MAX_DURATION_EXCEEDED',
  'DISK_SPACE_EXCEEDED',
  'OUTDATED_SDK_VERSION',
  'TASK_RUN_HEARTBEAT_TIMEOUT',
  'TASK_DID_CONCURRENT_WAIT',
  'RECURSIVE_WAIT_DEADLOCK',
  'TASK_DEQUEUED_INVALID_STATE',
  'TASK_DEQUEUED_QUEUE_NOT_FOUND',
  'TASK_HAS_N0_EXECUTION_SNAPSHOT',
  'TASK_RUN_DEQUEUED_MAX_RETRIES',
  'BATCH_ITEM_COULD_NOT_TRIGGER',
  'PAYLOAD_TOO_LARGE',
  'UNSPECIFIED_ERROR',
]);
/** The worker could not compute a delay: the task's own retry settings decide (v3/errors.ts shouldLookupRetrySettings). */
const LOOKED_UP = new Set([
  'TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE',
  'TASK_PROCESS_SIGTERM',
  'TASK_PROCESS_SIGSEGV',
  'TASK_RUN_UNCAUGHT_EXCEPTION',
  'TASK_MIDDLEWARE_ERROR',
]);
/** Failures of the user's process, in contrast to the system's (trigger.dev: run-engine errors.ts runStatusFromError). */
const CRASHES = new Set([
  'TASK_PROCESS_OOM_KILLED',
  'TASK_PROCESS_MAYBE_OOM_KILLED',
  'TASK_PROCESS_SIGSEGV',
  'DISK_SPACE_EXCEEDED',
  'OUTDATED_SDK_VERSION',
  'HANDLE_ERROR_ERROR',
  'TASK_RUN_CRASHED',
  'TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE',
]);
/** User code's own failures that travel as internal codes. */
const USER_FAILURES = new Set([
  'TASK_INPUT_ERROR',
  'TASK_OUTPUT_ERROR',
  'TASK_MIDDLEWARE_ERROR',
  'TASK_RUN_UNCAUGHT_EXCEPTION',
]);

const MANUAL_OUT_OF_MEMORY = 'MANUAL_OOM_KILL_ERROR';
const HEAP_EXHAUSTED = ['JavaScript heap out of memory', 'Reached heap limit'];

/** The process ran out of memory, in one of the forms in which that shows (v3/errors.ts isOOMRunError). */
export function isOutOfMemory(error: TaskRunError): boolean {
  if (error.type === 'BUILT_IN_ERROR')
    return error.message === MANUAL_OUT_OF_MEMORY || error.message.includes('ffmpeg was killed with signal SIGKILL');
  if (error.type !== 'INTERNAL_ERROR') return false;
  if (error.code === 'TASK_PROCESS_OOM_KILLED' || error.code === 'TASK_PROCESS_MAYBE_OOM_KILLED') return true;
  const { message = '', stackTrace = '' } = error;
  if (error.code !== 'TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE' || !message.includes('-1')) return false;
  return (
    message.includes('SIGKILL') ||
    (message.includes('SIGABRT') && HEAP_EXHAUSTED.some((sign) => stackTrace.includes(sign)))
  );
}

export type RetryWish = { kind: 'never' } | { kind: 'worker' } | { kind: 'policy' };

/** Who decides about the next attempt: the worker's own delay, the task's settings, or nobody. Attempts left are the engine's to count. */
export function retryWishOf(error: TaskRunError, hasWorkerDelay: boolean): RetryWish {
  if (error.type === 'INTERNAL_ERROR' && NOT_RETRIED.has(error.code)) return { kind: 'never' };
  if (hasWorkerDelay) return { kind: 'worker' };
  if (error.type === 'INTERNAL_ERROR' && LOOKED_UP.has(error.code)) return { kind: 'policy' };
  return { kind: 'never' };
}

export type FailureStatus = 'COMPLETED_WITH_ERRORS' | 'CRASHED' | 'SYSTEM_FAILURE' | 'TIMED_OUT' | 'CANCELED';

export function failureStatusOf(error: TaskRunError): FailureStatus {
  if (error.type !== 'INTERNAL_ERROR') return 'COMPLETED_WITH_ERRORS';
  if (error.code === CANCELLED_CODE) return 'CANCELED';
  if (error.code === 'MAX_DURATION_EXCEEDED') return 'TIMED_OUT';
  if (CRASHES.has(error.code)) return 'CRASHED';
  if (USER_FAILURES.has(error.code)) return 'COMPLETED_WITH_ERRORS';
  return 'SYSTEM_FAILURE';
}

/** `error` of a retrieved run (v3/errors.ts createJsonErrorObject, without its links to the vendor's documentation). */
export function serializedErrorOf(error: TaskRunError): {
  message: string;
  name?: string;
  stackTrace?: string;
  causes?: unknown[];
} {
  switch (error.type) {
    case 'BUILT_IN_ERROR':
      return {
        name: error.name,
        message: error.message,
        stackTrace: error.stackTrace,
        ...(error.causes?.length ? { causes: error.causes } : {}),
      };
    case 'STRING_ERROR':
    case 'CUSTOM_ERROR':
      return { message: error.raw };
    case 'INTERNAL_ERROR':
      return {
        message: error.message ?? `trigger.dev internal error (${error.code})`,
        name: error.code,
        ...(error.stackTrace === undefined ? {} : { stackTrace: error.stackTrace }),
      };
  }
}

export function parseTaskRunError(text: string): TaskRunError {
  try {
    const parsed = TaskRunErrorSchema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
  } catch {
    // Not JSON: an error that the engine itself wrote.
  }
  return { type: 'STRING_ERROR', raw: text };
}

/** The engine's own words. */
const CANCEL_REASONS: Record<string, string> = {
  'parent-cancelled': 'Parent run was canceled',
  cancelled: 'Run was canceled',
};

export function cancelledError(reason: string | null): TaskRunError {
  return {
    type: 'INTERNAL_ERROR',
    code: CANCELLED_CODE,
    message: CANCEL_REASONS[reason ?? ''] ?? reason ?? 'Run was canceled',
  };
}

/** `name`: of the deployment that the run waited for, as JSON. */
export function unreleasedError(name: Payload | null): TaskRunError {
  const raw = `Run expired because the deployment ${String(name)} that it waited for was not made in time`;
  return { type: 'STRING_ERROR', raw };
}

export function expiredError(ttl: string | number | undefined): TaskRunError {
  return {
    type: 'STRING_ERROR',
    raw: ttl === undefined ? 'Run expired' : `Run expired because the TTL (${ttl}) was reached`,
  };
}
