/** Name under which tasks of this vendor are executed. */
export const EXECUTOR = 'inngest';

const PREFIX = 'inngest/';

/** All data of a request is in one environment: its id never changes. */
export const ENVIRONMENT_ID = '00000000-0000-4000-8000-000000000000';

/** Reserved for the server's own events (inngest/inngest: pkg/event). */
export const INTERNAL_PREFIX = 'inngest/';
export const FUNCTION_INVOKED = 'inngest/function.invoked';
export const FUNCTION_FINISHED = 'inngest/function.finished';
export const FUNCTION_FAILED = 'inngest/function.failed';
export const FUNCTION_CANCELLED = 'inngest/function.cancelled';
export const DEFERRED_SCHEDULE = 'inngest/deferred.schedule';
export const HTTP_REQUEST = 'inngest/http.request';
export const SCHEDULED_TIMER = 'inngest/scheduled.timer';

/** A function's composite id (`<app>-<fn>`) as a task's id, and back. */
export function taskIdOf(slug: string): string {
  return PREFIX + slug;
}

export function slugOf(taskId: string): string {
  return taskId.startsWith(PREFIX) ? taskId.slice(PREFIX.length) : taskId;
}

export function groupOf(app: string): string {
  return PREFIX + app;
}

/** Where the calls of an app wait whose workers hold a connection. */
export function poolOf(app: string): string {
  return PREFIX + app;
}

/** A signal's name as a token of the engine. */
export function tokenOf(signal: string): string {
  return `inngest/signal/${signal}`;
}

/** The call of a run that is not aimed at a step (npm inngest: InngestFunction.stepId). */
export const DISCOVERY_STEP = 'step';

/** sha1("complete"): the SDK's placeholder for the function itself (npm inngest: RUN_COMPLETE_STEP_ID). */
export const RUN_COMPLETE_ID = '0737c22d3bfae812339732d14d8c7dbd6dc4e09c';
