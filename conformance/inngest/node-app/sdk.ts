import type { RequestListener } from 'node:http';
import { toListener } from '../../harness/serve.ts';
import type { FetchHandler } from '../../harness/serve.ts';

/** What the program needs of an SDK, whichever version it is. */
export interface Sdk {
  version: 3 | 4;
  client(options: Record<string, unknown>): Client;
  NonRetriableError: new (message: string) => Error;
  /** Serves functions in a framework; null where this program does not try it. */
  serve(framework: string, options: ServeOptions): Promise<RequestListener>;
  connect?(options: Record<string, unknown>): Promise<{ state: string; close(): Promise<void> }>;
}

export interface Client {
  send(event: unknown): Promise<{ ids: string[] }>;
  createFunction(...args: unknown[]): unknown;
}

export interface ServeOptions {
  client: unknown;
  functions: unknown[];
  [name: string]: unknown;
}

interface Packages {
  main(): Promise<unknown>;
  frameworks: Record<string, () => Promise<unknown>>;
  connect?: () => Promise<unknown>;
}

/** Every package under the name that package.json gives it. Written out, so that tools see what is used. */
const PACKAGES: Readonly<Record<string, Packages>> = {
  'inngest 4.24.0': {
    main: () => import('inngest'),
    frameworks: {
      node: () => import('inngest/node'),
      hono: () => import('inngest/hono'),
      express: () => import('inngest/express'),
      next: () => import('inngest/next'),
    },
    connect: () => import('inngest/connect'),
  },
  'inngest 4.0.0': {
    main: () => import('inngest4-oldest'),
    frameworks: { express: () => import('inngest4-oldest/express') },
    connect: () => import('inngest4-oldest/connect'),
  },
  'inngest 3.54.2': {
    main: () => import('inngest3'),
    frameworks: { next: () => import('inngest3/next'), hono: () => import('inngest3/hono') },
    connect: () => import('inngest3/connect'),
  },
  'inngest 3.30.0': {
    main: () => import('inngest3-oldest'),
    frameworks: { express: () => import('inngest3-oldest/express'), node: () => import('inngest3-oldest/node') },
  },
};

export async function loadSdk(name: string): Promise<Sdk> {
  const packages = PACKAGES[name];
  if (!packages) throw new Error(`no SDK is called ${name}`);
  const main = (await packages.main()) as {
    Inngest: new (options: Record<string, unknown>) => Client;
    NonRetriableError: Sdk['NonRetriableError'];
  };
  const { connect } = packages;
  return {
    version: name.startsWith('inngest 3') ? 3 : 4,
    client: (options) => new main.Inngest(options),
    NonRetriableError: main.NonRetriableError,
    async serve(framework, options) {
      const load = packages.frameworks[framework];
      if (!load) throw new Error(`${name} is not tried with ${framework}`);
      const { serve } = (await load()) as { serve(options: ServeOptions): unknown };
      return toNode(framework, serve(options));
    },
    ...(connect && {
      connect: async (options) =>
        await ((await connect()) as { connect: NonNullable<Sdk['connect']> }).connect(options),
    }),
  };
}

/** What a framework's `serve` returns, inside an app of that framework. */
async function toNode(framework: string, served: unknown): Promise<RequestListener> {
  switch (framework) {
    case 'node':
      return served as RequestListener;
    case 'express': {
      const { default: express } = await import('express');
      const app = express();
      app.use(express.json({ limit: '8mb' }));
      app.use('/api/inngest', served as RequestListener);
      return app as unknown as RequestListener;
    }
    case 'hono': {
      const { Hono } = await import('hono');
      const app = new Hono();
      app.on(['GET', 'PUT', 'POST'], '/api/inngest', served as never);
      return toListener((request) => app.fetch(request));
    }
    case 'next': {
      const handlers = served as Record<string, FetchHandler>;
      return toListener((request) => handlers[request.method]?.(request) ?? new Response(null, { status: 405 }));
    }
    default:
      throw new Error(`no framework is called ${framework}`);
  }
}
