import type { Context } from 'hono';
import type { Command, CommandResult, ResultOf } from '../../core/model/command.ts';
import { errorCodeOf } from '../../core/model/errors.ts';
import type { Query, QueryResult } from '../../core/model/query.ts';
import type { TaskSpec } from '../../core/model/task.ts';
import type { CellApi, RouteEnv, RouteHost } from '../../core/ports.ts';
import { authenticate } from './auth.ts';
import { BACKOFF, DEFAULT_RETRIES, EXECUTOR, GROUP, TASK_FAN_OUT, TASK_MESSAGE, TASK_WORKFLOW } from './constants.ts';
import { renderError } from './errors.ts';

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
}

export type RouteBody = (route: Route) => Promise<Response>;

function task(id: string, name: string): TaskSpec {
  return {
    id,
    group: GROUP,
    name,
    executor: EXECUTOR,
    mode: 'push',
    triggers: [],
    maxAttempts: DEFAULT_RETRIES + 1,
    retry: BACKOFF,
    limits: [],
    data: '{}',
  };
}

const REGISTER: Command = {
  type: 'register',
  group: GROUP,
  tasks: [task(TASK_MESSAGE, 'message'), task(TASK_WORKFLOW, 'workflow'), task(TASK_FAN_OUT, 'fan-out')],
  replace: false,
};

/** Environments whose tasks this isolate has registered; the command is harmless twice. */
const registered = new Set<string>();

/** Sends commands, the built-in tasks ahead of the first ones. */
async function applyWithTasks(environment: string, cell: CellApi, commands: Command[]): Promise<CommandResult[]> {
  if (registered.has(environment)) {
    try {
      return await cell.apply(commands);
    } catch (error) {
      if (errorCodeOf(error) !== 'unknown-task') throw error;
    }
  }
  const results = await cell.apply([REGISTER, ...commands]);
  registered.add(environment);
  return results.slice(1);
}

/** Wraps a route's body: key, then the body, then errors in the vendor's shape. */
export function handle(body: RouteBody): (c: Context<RouteEnv>) => Promise<Response> {
  return guarded((c, host) => authenticate(c.req.raw, c.req.url, host.context), body);
}

/** For the few routes that need no key. */
export function handleOpen(body: RouteBody): (c: Context<RouteEnv>) => Promise<Response> {
  return guarded(() => 'default', body);
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
  const apply = (commands: Command[]): Promise<CommandResult[]> => applyWithTasks(environment, cell, commands);
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
    // Only dev mode moves the clock, so only there it costs a question.
    now: () =>
      (now ??=
        host.context.mode === 'dev'
          ? cell.query({ type: 'clock' }).then((clock) => clock.nowMs)
          : Promise.resolve(host.context.wallClockMs())),
  };
}
