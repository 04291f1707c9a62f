import type { RequestListener } from 'node:http';
import type { Server, StartServerOptions } from '../../src/launcher/index.ts';
import { clockOf, type ClockControl } from './clock.ts';
import type { Environment } from './environment.ts';
import { forgetServer, noteServerLog, watchServer } from './server-errors.ts';
import { serveHttp, serveNode, type FetchHandler, type Served } from './serve.ts';
import { until, type UntilOptions } from './until.ts';

/** A private server of a case: another mode, other keys, or one to kill. */
export interface PrivateServer extends Server {
  clock: ClockControl;
}

export interface SuiteContext {
  /** Base URL of the server under test, no trailing slash. */
  url: string;
  environment: Environment;
  clock: ClockControl;
  /** `name-<tag>-<n>`: never the same twice, within any run of the tests. */
  unique(name: string): string;
  /** Closed at the end of the case (or of the suite, when opened in `beforeAll`), as everything below. */
  serveHttp(handler: FetchHandler): Promise<Served>;
  serveNode(handler: RequestListener): Promise<Served>;
  startServer(options?: StartServerOptions): Promise<PrivateServer>;
  until<T>(predicate: () => T | Promise<T>, options?: UntilOptions): Promise<NonNullable<T>>;
  /** Runs at the end, last registered first. */
  onCleanup(cleanup: () => unknown): void;
  /** Kept, and printed if the case fails. */
  log(text: string): void;
}

export interface CaseContext extends SuiteContext {
  /** Aborted when the case's time is over. */
  signal: AbortSignal;
}

export interface Scope {
  context: CaseContext;
  logged: string[];
  /** Runs the clean-ups; returns what they threw. */
  close(): Promise<unknown[]>;
}

let serial = 0;

export function openScope(url: string, environment: Environment): Scope & { abort(reason: Error): void } {
  const cleanups: Array<() => unknown> = [];
  const logged: string[] = [];
  const controller = new AbortController();
  const keep = <T extends { close(): Promise<void> }>(served: T): T => {
    cleanups.push(() => served.close());
    return served;
  };
  const context: CaseContext = {
    url,
    environment,
    clock: clockOf(url),
    signal: controller.signal,
    unique: (name) => `${name}-${environment.tag}-${++serial}`,
    serveHttp: async (handler) => keep(await serveHttp(handler)),
    serveNode: async (handler) => keep(await serveNode(handler)),
    async startServer(options = {}) {
      const { startServer } = await import('../../src/launcher/index.ts');
      const onLog = (text: string): void => {
        noteServerLog(text);
        options.onLog?.(text);
      };
      const server = await startServer({ ...options, onLog });
      watchServer(server.url);
      cleanups.push(async () => {
        await server.stop();
        forgetServer(server.url);
      });
      return Object.assign(Object.create(server) as Server, { clock: clockOf(server.url) });
    },
    until: (predicate, options = {}) => until(predicate, { signal: controller.signal, ...options }),
    onCleanup: (cleanup) => void cleanups.push(cleanup),
    log: (text) => void logged.push(text),
  };
  return {
    context,
    logged,
    abort: (reason) => controller.abort(reason),
    async close() {
      const errors: unknown[] = [];
      for (const cleanup of cleanups.splice(0).reverse()) {
        try {
          await cleanup();
        } catch (error) {
          errors.push(error);
        }
      }
      return errors;
    },
  };
}
