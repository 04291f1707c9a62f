import type { Context } from 'hono';
import type { Command, CommandResult, ResultOf } from '../../core/model/command.ts';
import { errorCodeOf } from '../../core/model/errors.ts';
import type { Query, QueryResult } from '../../core/model/query.ts';
import type { TaskSpec } from '../../core/model/task.ts';
import type { CellApi, EnvironmentContext, RouteEnv, RouteHost } from '../../core/ports.ts';
import { authenticate } from './auth.ts';
import type { JsonText } from '../../core/model/payload.ts';
import {
  BACKOFF,
  DEFAULT_RETRIES,
  EXECUTOR,
  GROUP,
  MESSAGE_LOG,
  TASK_FAN_OUT,
  TASK_MESSAGE,
  TASK_WORKFLOW,
} from './constants.ts';
import { renderError } from './errors.ts';
import { RateLimits } from './rate-limits.ts';
import { apiLimits, retentionOf } from './settings.ts';

/** One authenticated request, as a route's body sees it. */
export interface Route {
  request: Request;
  /** As sent: `//` and escapes untouched. */
  url: string;
  host: RouteHost;
  param(name: string): string;
  query(): URLSearchParams;
  apply(commands: Command[]): Promise<CommandResult[]>;
  one<T extends Command['type']>(command: Extract<Command, { type: T }>): Promise<ResultOf<T>>;
  ask<Q extends Query>(query: Q): Promise<QueryResult<Q>>;
  /** The engine's time, which a test may have moved. */
  now(): Promise<number>;
  /** So many messages are about to be published: 429 above the day's quota, if there is one. */
  spend(messages: number): void;
}

export type RouteBody = (route: Route) => Promise<Response>;

/** The tasks of this wire, as the settings want them. Calls are made with the current version: a key that was rotated signs at once. */
export function taskSpecs(context: EnvironmentContext, data: JsonText): TaskSpec[] {
  const retention = retentionOf(context);
  const task = (id: string, name: string, more: Partial<TaskSpec> = {}): TaskSpec => ({
    id,
    group: GROUP,
    name,
    executor: EXECUTOR,
    mode: 'push',
    binding: 'current',
    triggers: [],
    maxAttempts: DEFAULT_RETRIES + 1,
    retry: BACKOFF,
    limits: [],
    ...(retention === undefined ? {} : { retention }),
    data,
    ...more,
  });
  return [
    task(TASK_MESSAGE, 'message', { log: MESSAGE_LOG }),
    task(TASK_WORKFLOW, 'workflow'),
    task(TASK_FAN_OUT, 'fan-out'),
  ];
}

/** What the tasks carry now: what was rotated stays through a restart. */
export async function taskData(route: Pick<Route, 'ask'>): Promise<JsonText> {
  return (await route.ask({ type: 'task', id: TASK_MESSAGE }))?.data ?? '{}';
}

/** Environments whose tasks this isolate has registered; the command is harmless twice. */
const registered = new Set<string>();
const rateLimits = new RateLimits();

/** Sends commands, the built-in tasks ahead of the first ones. */
async function applyWithTasks(
  environment: string,
  cell: CellApi,
  context: EnvironmentContext,
  commands: Command[],
): Promise<CommandResult[]> {
  if (registered.has(environment)) {
    try {
      return await cell.apply(commands);
    } catch (error) {
      if (errorCodeOf(error) !== 'unknown-task') throw error;
    }
  }
  const data = await taskData({ ask: (query) => cell.query(query) });
  const register: Command = { type: 'register', group: GROUP, tasks: taskSpecs(context, data), replace: false };
  const results = await cell.apply([register, ...commands]);
  registered.add(environment);
  return results.slice(1);
}

/** Wraps a route's body: key, then the body, then errors in the vendor's shape. `managed`: the API's requests-per-second limit counts. */
export function handle(body: RouteBody, managed = false): (c: Context<RouteEnv>) => Promise<Response> {
  return guarded((c, host) => {
    const environment = authenticate(c.req.raw, c.req.url, host.context);
    if (managed) rateLimits.take('burst', environment, apiLimits(host.context), host.context.wallClockMs());
    return environment;
  }, body);
}

/** For the few routes that need no key. */
export function handleOpen(body: RouteBody): (c: Context<RouteEnv>) => Promise<Response> {
  return guarded((_, host) => host.context.environment, body);
}

function guarded(environmentOf: (c: Context<RouteEnv>, host: RouteHost) => string, body: RouteBody) {
  return async (c: Context<RouteEnv>): Promise<Response> => {
    try {
      const host = c.get('host');
      const environment = environmentOf(c, host);
      return await body(makeRoute(c, host, environment));
    } catch (error) {
      return renderError(error);
    }
  };
}

function makeRoute(c: Context<RouteEnv>, host: RouteHost, environment: string): Route {
  const cell = host.cell(environment);
  let now: Promise<number> | null = null;
  const apply = (commands: Command[]): Promise<CommandResult[]> =>
    applyWithTasks(environment, cell, host.context, commands);
  return {
    request: c.req.raw,
    url: c.req.url,
    host,
    param: (name) => c.req.param(name) ?? '',
    query: () => new URL(c.req.url).searchParams,
    apply,
    one: async <T extends Command['type']>(command: Extract<Command, { type: T }>) =>
      (await apply([command]))[0] as ResultOf<T>,
    ask: (query) => cell.query(query),
    spend: (messages) =>
      rateLimits.take('daily', environment, apiLimits(host.context), host.context.wallClockMs(), messages),
    // Only dev mode moves the clock, so only there it costs a question.
    now: () =>
      (now ??=
        host.context.mode === 'dev'
          ? cell.query({ type: 'clock' }).then((clock) => clock.nowMs)
          : Promise.resolve(host.context.wallClockMs())),
  };
}
